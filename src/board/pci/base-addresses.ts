/**
 * Base address registers and the expansion ROM of one function: what the guest writes into them decides where on the bus it answers.
 *
 * The address bits below a BAR's size are not writable, which is all there is to sizing: ones written read back as the size's
 * complement. A range decodes while its space is enabled in the command register and its address is neither 0 nor beyond the space.
 * Guests may place ranges anywhere: RAM and what the board itself claims win over them, then whoever was placed there first.
 *
 * Spec: PCI Local Bus Specification 3.0 §6.2.5 (BARs), §6.2.5.2 (expansion ROM), §6.2.2 (enables).
 * Not modelled: memory below 1 MiB (type 01), ranges that become visible again when another one moves out of their way.
 */
import { BulkheadError } from '../../base/index.ts';
import type { AccessSize, Bytes, Gpa, IoHandler, IoSpaceName, PciBar, PhysicalMemory } from '../../contracts/index.ts';
import { COMMAND, COMMAND_IO, COMMAND_MEMORY, EXPANSION_ROM, FIRST_BAR, type PciConfigSpace } from './pci-function.ts';

export const BARS = 6;
const BAR_IO = 0x1;
const BAR_64_BIT = 0x4;
const BAR_PREFETCHABLE = 0x8;
const ROM_ENABLE = 0x1;
const ROM_ADDRESS_MASK = 0xffff_f800;
const SMALLEST_ROM = 2048;
const SMALLEST_MEMORY_WINDOW = 4096;
const TWO_32 = 0x1_0000_0000;

/** Where ranges that a guest placed go. Neither call throws, whatever the address. */
export interface PlacedRanges {
  /** `undefined` when no byte of it can be reached there. */
  decode(space: IoSpaceName, base: number, size: Bytes, owner: string, handler: IoHandler): Disposable | undefined;
  /** Bytes of the partition's memory at `offset`, for loads and stores without a call. */
  show(base: Gpa, size: Bytes, offset: number): Disposable | undefined;
}

/** A BAR or the ROM, as the board's address assignment sees it. */
export interface AddressRequest {
  readonly register: number;
  readonly space: IoSpaceName;
  readonly size: Bytes;
  readonly wide: boolean;
}

interface Range extends AddressRequest {
  /** Takes place at `base`. */
  readonly place: (base: number) => Disposable | undefined;
  /** Of the partition's memory, for `memory` BARs. */
  readonly bytes?: Uint8Array<SharedArrayBuffer>;
  /** Where it is now, or would be if it could be reached; −1: nowhere. */
  at: number;
  placed: Disposable | undefined;
}

export interface BaseAddressOptions {
  readonly name: string;
  readonly config: PciConfigSpace;
  readonly bars: readonly (PciBar | undefined)[];
  readonly rom: Uint8Array | undefined;
  readonly memory: PhysicalMemory;
  readonly ranges: PlacedRanges;
}

export class BaseAddresses {
  readonly #config: PciConfigSpace;
  readonly #ranges: Range[] = [];

  /** Throws BH216 when a BAR cannot be as described, BH401 when there is no room for the bytes of one. */
  constructor(options: BaseAddressOptions) {
    const { name, config, bars, rom } = options;
    this.#config = config;
    if (bars.length > BARS) throw new BulkheadError('BH216', `${name} has ${bars.length} base address registers; there are ${BARS}`);
    for (const [index, bar] of bars.entries()) if (bar !== undefined) this.#ranges.push(barRange(index, bar, options));
    if (rom !== undefined) this.#ranges.push(romRange(rom, options));
  }

  /** BARs and ROM that want an address, in register order. */
  requests(): readonly AddressRequest[] {
    return this.#ranges;
  }

  /** Where a BAR answers now. */
  addressOf(bar: number): number | undefined {
    const range = this.#ranges.find(({ register }) => register === FIRST_BAR + 4 * bar);
    return range === undefined || range.placed === undefined ? undefined : range.at;
  }

  bytesOf(bar: number): Uint8Array<SharedArrayBuffer> | undefined {
    return this.#ranges.find(({ register }) => register === FIRST_BAR + 4 * bar)?.bytes;
  }

  /** As firmware does it: writes the address into the register. */
  assign({ register, wide }: AddressRequest, base: number): void {
    this.#config.write(register, 4, base % TWO_32);
    if (wide) this.#config.write(register + 4, 4, Math.floor(base / TWO_32));
  }

  /** After a change of configuration space: moves what has moved. */
  update(): void {
    for (const range of this.#ranges) {
      const at = this.#target(range);
      if (at === range.at) continue;
      range.placed?.[Symbol.dispose]();
      range.at = at;
      range.placed = at < 0 ? undefined : range.place(at);
    }
  }

  /** As after power-on: what lies in memory of the function's own is gone. */
  clearMemory(): void {
    for (const { bytes } of this.#ranges) {
      if (bytes === undefined) continue;
      // `fill` on shared memory goes byte by byte; `set` from a block of zeros does not.
      for (let at = 0; at < bytes.length; at += ZEROS.length) bytes.set(ZEROS.subarray(0, Math.min(ZEROS.length, bytes.length - at)), at);
    }
  }

  [Symbol.dispose](): void {
    for (const range of this.#ranges) {
      range.placed?.[Symbol.dispose]();
      range.placed = undefined;
      range.at = -1;
    }
  }

  /** The address in the registers, or −1 where the range is off. */
  #target({ register, space, wide }: Range): number {
    const config = this.#config;
    const enable = space === 'pio' ? COMMAND_IO : COMMAND_MEMORY;
    if ((config.read(COMMAND, 1) & enable) === 0) return -1;
    const low = config.read(register, 4);
    if (register === EXPANSION_ROM) return (low & ROM_ENABLE) === 0 ? -1 : assigned((low & ROM_ADDRESS_MASK) >>> 0);
    if (space === 'pio') return assigned((low & ~0x3) >>> 0);
    return assigned(((low & ~0xf) >>> 0) + (wide ? config.read(register + 4, 4) * TWO_32 : 0));
  }
}

/** PC firmware leaves 0 in registers it could not place: nothing is meant to answer there. */
function assigned(base: number): number {
  return base === 0 ? -1 : base;
}

function barRange(index: number, bar: PciBar, { name, config, bars, memory, ranges }: BaseAddressOptions): Range {
  const register = FIRST_BAR + 4 * index;
  const { size } = bar;
  const smallest = bar.kind === 'pio' ? 4 : bar.kind === 'mmio' ? 16 : SMALLEST_MEMORY_WINDOW;
  const most = bar.kind === 'pio' ? 256 : 0x8000_0000;
  if (!isPowerOfTwo(size) || size < smallest || size > most) {
    throw new BulkheadError('BH216', `BAR ${index} of ${name} cannot have ${size} bytes`, {
      hint: `a power of two from ${smallest} to ${most}`,
    });
  }
  const wide = bar.kind === 'mmio' && bar.wide === true;
  if (wide && (index + 1 >= BARS || bars[index + 1] !== undefined)) {
    throw new BulkheadError('BH216', `BAR ${index} of ${name} is 64 bits wide and needs BAR ${index + 1} for its upper half`);
  }
  if (wide) config.allowWrites(register + 4, 4, 0xffff_ffff);
  config.allowWrites(register, 4, -size >>> 0);
  const owner = bars.filter((other) => other !== undefined).length > 1 ? `${name} BAR ${index}` : name;
  const common = { register, size, wide, at: -1, placed: undefined };
  if (bar.kind === 'pio') {
    config.preset(register, 4, BAR_IO);
    return { ...common, space: 'pio', place: (base) => ranges.decode('pio', base, size, owner, bar.handler) };
  }
  config.preset(register, 4, (wide ? BAR_64_BIT : 0) | (bar.prefetchable === true ? BAR_PREFETCHABLE : 0));
  if (bar.kind === 'mmio') return { ...common, space: 'mmio', place: (base) => ranges.decode('mmio', base, size, owner, bar.handler) };
  const offset = memory.reserve(size, `${name} (${bar.name})`);
  const bytes = memory.bytes.subarray(offset, offset + size);
  return { ...common, space: 'mmio', bytes, place: (base) => ranges.show(base, size, offset) };
}

function romRange(image: Uint8Array, { name, config, ranges }: BaseAddressOptions): Range {
  let size = SMALLEST_ROM;
  while (size < image.length) size *= 2;
  config.allowWrites(EXPANSION_ROM, 4, ((-size & ROM_ADDRESS_MASK) | ROM_ENABLE) >>> 0);
  const handler = readOnly(image);
  const place = (base: number) => ranges.decode('mmio', base, size, `${name} ROM`, handler);
  return { register: EXPANSION_ROM, space: 'mmio', size, wide: false, place, at: -1, placed: undefined };
}

/** Beyond the image the chip is erased: ones. */
function readOnly(image: Uint8Array): IoHandler {
  return {
    read(offset: number, size: AccessSize): number {
      let value = 0;
      for (let i = size - 1; i >= 0; i--) value = (value << 8) | (image[offset + i] ?? 0xff);
      return value >>> 0;
    },
    write: () => undefined,
  };
}

function isPowerOfTwo(value: number): boolean {
  return Number.isInteger(value) && value > 0 && Number.isInteger(Math.log2(value));
}

const ZEROS = new Uint8Array(1 << 16);
