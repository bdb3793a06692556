/**
 * The last 256 KiB of the first MiB, as the chipset of a PC maps it: each piece to RAM, for reading, for writing, both or neither. What
 * does not reach RAM goes to the bus, where the firmware's ROM answers in the last 128 KiB and nobody below.
 *
 *     reads   writes
 *     bus     bus      after a reset
 *     bus     RAM      while a ROM is copied to the RAM beneath it
 *     RAM     RAM      while firmware runs
 *     RAM     bus      for the system that it starts: RAM with a ROM's manners
 *
 * Spec: Intel 82441FX (PMC) datasheet §3.2.18 (PAM registers), table 7 (which register has which piece).
 * Not modelled: the cacheability bits' effect on caches (there are none).
 */
import { KiB } from '../../base/index.ts';
import type { AccessSize, Bytes, DeviceState, Gpa, IoHandler, PhysicalMemory } from '../../contracts/index.ts';

export const SHADOW_BASE: Gpa = 0xc_0000;
export const SHADOW_END: Gpa = 0x10_0000;
const PIECE = 16 * KiB;
const PIECES: number = (SHADOW_END - SHADOW_BASE) / PIECE;
/** PAM0 has the last 64 KiB as one piece. */
const SYSTEM_BIOS_PIECE: number = (0xf_0000 - SHADOW_BASE) / PIECE;
const LARGEST_MIRROR: Bytes = 128 * KiB;

// A piece's attributes: four bits of a PAM register (§3.2.18)
const READ_ENABLE = 1 << 0;
const WRITE_ENABLE = 1 << 1;
const ATTRIBUTES_DEFINED = 0x7;

/** PAM0–PAM6. */
export const PAM_REGISTERS = 7;

/** A ROM that lies in {@link PhysicalMemory.bytes}. */
export interface RomBytes {
  readonly offset: number;
  readonly size: Bytes;
}

export class ShadowRam {
  readonly #memory: PhysicalMemory;
  /** Offset of the bytes that the bus answers with, by piece. */
  readonly #behind: readonly number[];
  readonly #attributes = new Uint8Array(PIECES);
  readonly #overlays: (Disposable | undefined)[] = [];
  /** What the bus has at {@link SHADOW_BASE}: stores that do not reach RAM by themselves come here. */
  readonly handler: IoHandler;

  /** `memory` has RAM at the whole area. A ROM of less than 128 KiB leaves the pieces below it to nobody. */
  constructor(memory: PhysicalMemory, rom: RomBytes) {
    this.#memory = memory;
    const nobody = memory.reserve(PIECE, 'shadow RAM');
    memory.bytes.fill(0xff, nobody, nobody + PIECE);
    this.#behind = Array.from({ length: PIECES }, (_, piece) => {
      const fromEnd = SHADOW_END - (SHADOW_BASE + piece * PIECE);
      return fromEnd <= Math.min(LARGEST_MIRROR, rom.size) ? rom.offset + rom.size - fromEnd : nobody;
    });
    this.handler = {
      read: (offset, size) => this.#read(offset, size),
      write: (offset, size, value) => this.#write(offset, size, value),
    };
    this.reset();
  }

  /** Everything to the bus: the first instructions come from the ROM. */
  reset(): void {
    this.#attributes.fill(0);
    for (let piece = 0; piece < PIECES; piece++) this.#map(piece);
  }

  /** A PAM register, by its number. */
  readRegister(register: number): number {
    const [low, high] = piecesOf(register);
    return (low === undefined ? 0 : (this.#attributes[low] as number)) | ((this.#attributes[high] as number) << 4);
  }

  writeRegister(register: number, value: number): void {
    const [low, high] = piecesOf(register);
    if (low !== undefined) this.#set(low, value & ATTRIBUTES_DEFINED);
    if (low !== undefined) this.#set(high, (value >>> 4) & ATTRIBUTES_DEFINED);
    else for (let piece = high; piece < PIECES; piece++) this.#set(piece, (value >>> 4) & ATTRIBUTES_DEFINED);
  }

  save(): DeviceState {
    return { version: 1, attributes: [...this.#attributes] };
  }

  restore(state: DeviceState): void {
    for (const [piece, attributes] of (state['attributes'] as readonly number[]).slice(0, PIECES).entries())
      this.#set(piece, attributes & ATTRIBUTES_DEFINED);
  }

  #set(piece: number, attributes: number): void {
    const before = this.#attributes[piece] as number;
    this.#attributes[piece] = attributes;
    if ((before ^ attributes) & (READ_ENABLE | WRITE_ENABLE)) this.#map(piece);
  }

  /** RAM lies beneath; what hides it, or takes away its stores, is laid over it. */
  #map(piece: number): void {
    const gpa = SHADOW_BASE + piece * PIECE;
    const attributes = this.#attributes[piece] as number;
    const isRam = (attributes & READ_ENABLE) !== 0;
    const shown = isRam ? this.#memory.offsetOf(gpa, PIECE) : (this.#behind[piece] as number);
    const before = this.#overlays[piece];
    this.#overlays[piece] = isRam && attributes & WRITE_ENABLE ? undefined : this.#memory.overlay(gpa, PIECE, shown, 'ro');
    before?.[Symbol.dispose]();
  }

  #read(offset: number, size: AccessSize): number {
    const piece = Math.floor(offset / PIECE);
    const isRam = ((this.#attributes[piece] as number) & READ_ENABLE) !== 0;
    const base = isRam ? this.#memory.offsetOf(SHADOW_BASE + piece * PIECE, PIECE) : (this.#behind[piece] as number);
    let value = 0;
    for (let i = size - 1; i >= 0; i--) value = value * 256 + (this.#memory.bytes[base + (offset % PIECE) + i] as number);
    return value;
  }

  #write(offset: number, size: AccessSize, value: number): void {
    const piece = Math.floor(offset / PIECE);
    if (!((this.#attributes[piece] as number) & WRITE_ENABLE)) return;
    const gpa = SHADOW_BASE + offset;
    const at = this.#memory.offsetOf(gpa, size);
    if (at < 0) return;
    for (let i = 0; i < size; i++) this.#memory.bytes[at + i] = value >>> (8 * i);
    this.#memory.written(gpa, size);
  }

  [Symbol.dispose](): void {
    for (const overlay of this.#overlays.splice(0)) overlay?.[Symbol.dispose]();
  }
}

/** Pieces of the low and high half of a PAM register (table 7). */
function piecesOf(register: number): readonly [number | undefined, number] {
  return register === 0 ? [undefined, SYSTEM_BIOS_PIECE] : [2 * (register - 1), 2 * (register - 1) + 1];
}
