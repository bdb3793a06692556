/**
 * Firmware configuration device (fw_cfg): how the board tells its firmware what it has, as named byte strings that can only be read.
 *
 *     0x510 selector (16 bits)   0x511 data, byte by byte   0x514–0x51B address of a DMA request, big-endian
 *
 * Spec: QEMU docs/specs/fw_cfg.rst, cited by heading.
 * Not modelled: items that the guest can write (such requests end with the error bit), requests for more than 64 MiB.
 */
import { MiB } from '../../base/index.ts';
import type { AccessSize, DeviceState, DmaPort, Gpa, IoHandler } from '../../contracts/index.ts';

/** Ports from the selector on. */
export const FW_CFG_BASE = 0x510;
export const FW_CFG_BYTES = 12;

// Registers ("Register Locations")
const SELECTOR = 0;
const DATA = 1;
const DMA_HIGH = 4;
const DMA_LOW = 8;
/** What reading the DMA register gives, big-endian ("Signature"). */
const DMA_SIGNATURE = [0x51, 0x45, 0x4d, 0x55, 0x20, 0x43, 0x46, 0x47];

// Keys ("Firmware Configuration Items")
const KEY_SIGNATURE = 0x0000;
const KEY_ID = 0x0001;
const KEY_DIRECTORY = 0x0019;
const KEY_FIRST_FILE = 0x0020;
/** Bit 14 asks for writing, which no longer exists ("Selector (Control) Register"). */
const KEY_MASK = 0xbfff;
const ID_TRADITIONAL = 1 << 0;
const ID_DMA = 1 << 1;

// Control field of a request ("Guest-side DMA Interface")
const CONTROL_ERROR = 1 << 0;
const CONTROL_READ = 1 << 1;
const CONTROL_SKIP = 1 << 2;
const CONTROL_SELECT = 1 << 3;
const CONTROL_WRITE = 1 << 4;
const REQUEST_LENGTH = 4;
const REQUEST_ADDRESS = 8;

const ENTRY_BYTES = 64;
const NAME_BYTES = 56;
/** One request writes at most this much: the rest of a longer one would be zeros, and the guest would wait for them. */
const LONGEST_REQUEST = 64 * MiB;
const ZEROS = new Uint8Array(64 * 1024);
const NOTHING = new Uint8Array(0);

/** An item of the file directory. Names have up to 55 ASCII characters: `etc/e820`. */
export interface ConfigurationFile {
  readonly name: string;
  readonly data: Uint8Array;
}

export interface FwCfgOptions {
  readonly dma: Pick<DmaPort, 'read32' | 'write32' | 'write'>;
  readonly files: readonly ConfigurationFile[];
  /** Items that have a number and no name. */
  readonly items?: ReadonlyMap<number, Uint8Array>;
}

export class FwCfg implements IoHandler {
  readonly #dma: FwCfgOptions['dma'];
  readonly #items: ReadonlyMap<number, Uint8Array>;
  #key = 0;
  #data: Uint8Array = NOTHING;
  #offset = 0;
  #addressHigh = 0;

  constructor({ dma, files, items }: FwCfgOptions) {
    this.#dma = dma;
    this.#items = new Map([
      [KEY_SIGNATURE, ascii('QEMU')],
      [KEY_ID, Uint8Array.of(ID_TRADITIONAL | ID_DMA, 0, 0, 0)],
      [KEY_DIRECTORY, directory(files)],
      ...(items ?? []),
      ...files.map(({ data }, index): [number, Uint8Array] => [KEY_FIRST_FILE + index, data]),
    ]);
    this.reset();
  }

  reset(): void {
    this.#select(KEY_SIGNATURE);
    this.#addressHigh = 0;
  }

  read(offset: number, size: AccessSize): number {
    let value = 0;
    for (let i = size - 1; i >= 0; i--) value = value * 256 + this.#readByte(offset + i, i === 0);
    return value;
  }

  write(offset: number, size: AccessSize, value: number): void {
    if (offset === SELECTOR && size === 2) this.#select(value);
    else if (offset === DMA_HIGH && size === 4) this.#addressHigh = swap(value);
    else if (offset === DMA_LOW && size === 4) {
      const address = this.#addressHigh * 2 ** 32 + swap(value);
      this.#addressHigh = 0; // "0 at startup and after an operation"
      this.#serve(address);
    }
  }

  save(): DeviceState {
    return { version: 1, key: this.#key, offset: this.#offset, addressHigh: this.#addressHigh };
  }

  restore(state: DeviceState): void {
    this.#select(Number(state['key']));
    this.#offset = Number(state['offset']);
    this.#addressHigh = Number(state['addressHigh']);
  }

  #select(key: number): void {
    this.#key = key & KEY_MASK;
    this.#data = this.#items.get(this.#key) ?? NOTHING;
    this.#offset = 0;
  }

  /** The data register is one byte wide: only an access that starts there takes one. */
  #readByte(offset: number, isFirst: boolean): number {
    if (offset === DATA && isFirst) return this.#data[this.#offset++] ?? 0;
    return DMA_SIGNATURE[offset - DMA_HIGH] ?? 0xff;
  }

  /** A request that does not lie in RAM cannot even be told that it failed. */
  #serve(request: Gpa): void {
    const control = this.#dma.read32(request);
    const length = this.#dma.read32(request + REQUEST_LENGTH);
    const high = this.#dma.read32(request + REQUEST_ADDRESS);
    const low = this.#dma.read32(request + REQUEST_ADDRESS + 4);
    if (control === undefined || length === undefined || high === undefined || low === undefined) return;
    const done = this.#carryOut(swap(control), swap(length), swap(high) * 2 ** 32 + swap(low));
    this.#dma.write32(request, swap(done ? 0 : CONTROL_ERROR));
  }

  #carryOut(control: number, length: number, address: Gpa): boolean {
    if (control & CONTROL_SELECT) this.#select(control >>> 16);
    if (control & CONTROL_READ) return this.#readTo(address, length);
    if (control & CONTROL_WRITE) return false;
    if (control & CONTROL_SKIP) this.#offset = Math.min(this.#offset + length, this.#data.length);
    return true;
  }

  /** Beyond the end of an item there are zeros ("Data Register"). */
  #readTo(address: Gpa, length: number): boolean {
    if (length > LONGEST_REQUEST) return false;
    const part = this.#data.subarray(this.#offset, this.#offset + length);
    this.#offset += part.length;
    if (part.length > 0 && !this.#dma.write(address, part)) return false;
    for (let done = part.length; done < length; ) {
      const zeros = ZEROS.subarray(0, Math.min(ZEROS.length, length - done));
      if (!this.#dma.write(address + done, zeros)) return false;
      done += zeros.length;
    }
    return true;
  }
}

/** "File Directory": a count, then size, key and name of each, big-endian. */
function directory(files: readonly ConfigurationFile[]): Uint8Array {
  const bytes = new Uint8Array(4 + files.length * ENTRY_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, files.length);
  for (const [index, { name, data }] of files.entries()) {
    const at = 4 + index * ENTRY_BYTES;
    view.setUint32(at, data.length);
    view.setUint16(at + 4, KEY_FIRST_FILE + index);
    bytes.set(ascii(name).subarray(0, NAME_BYTES - 1), at + ENTRY_BYTES - NAME_BYTES);
  }
  return bytes;
}

function ascii(text: string): Uint8Array {
  return Uint8Array.from(text, (letter) => letter.charCodeAt(0) & 0x7f);
}

/** Between the order of the register or request and the processor's. */
function swap(value: number): number {
  return (((value & 0xff) << 24) | ((value & 0xff00) << 8) | ((value >>> 8) & 0xff00) | (value >>> 24)) >>> 0;
}
