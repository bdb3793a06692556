/**
 * The VGA's way between the processor and its four planes of memory: address decoding, latches, write modes and read modes.
 *
 *     processor ─▶ rotate ─▶ set/reset ─▶ function with the latches ─▶ bit mask ─▶ map mask ─▶ planes
 *
 * Byte 4a+p of display memory is address a of plane p, so that one 32-bit word is what the latches load at once. Doubleword (chain-4)
 * and word (odd/even) addressing put zeros where the low address bits chose the plane, as the CRTC's counter does in the same modes.
 *
 * Spec: IBM VGA Technical Reference, "Graphics Controller Registers", "Sequencer Registers" (Memory Mode).
 * Not modelled: address bits above 15 taking the place of low bits in odd/even and chain-4 modes (pages of the 128 KiB window).
 */
import type { AccessSize, IoHandler } from '../../contracts/index.ts';
import { Graphics, type RegisterBlock, Sequencer, Vbe } from '../display/register-block.ts';

export const VGA_WINDOW_BASE = 0xa0000;
export const VGA_WINDOW_BYTES = 0x20000;
/** Bytes of memory of a VGA: four planes of 64 KiB. */
export const VGA_MEMORY_BYTES = 0x40000;

const BANK_BYTES = 0x10000;
/** By Memory Map bits of the Miscellaneous Graphics register: where in the 128 KiB the window is, and how large. */
const WINDOWS = [
  { at: 0, size: 0x20000 },
  { at: 0, size: 0x10000 },
  { at: 0x10000, size: 0x8000 },
  { at: 0x18000, size: 0x8000 },
] as const;

// Memory Mode
const NOT_ODD_EVEN = 1 << 2;
const CHAIN_4 = 1 << 3;
// Graphics Mode
const READ_COMPARE = 1 << 3;
const READ_ODD_EVEN = 1 << 4;

/** A nibble of planes as a mask of their bytes in a word. */
const PLANE_MASK = Int32Array.from({ length: 16 }, (_, planes) => {
  let mask = 0;
  for (let plane = 0; plane < 4; plane++) if (planes & (1 << plane)) mask |= 0xff << (8 * plane);
  return mask;
});
/** Planes that an even and an odd address reach in odd/even mode. */
const EVEN_PLANES = 0b0101;
const ODD_PLANES = 0b1010;

export class VgaPlanes implements IoHandler {
  readonly #block: RegisterBlock;
  readonly #bytes: Uint8Array;
  readonly #words: Int32Array;
  #latches = 0;

  /** `memory` is a multiple of 256 KiB, at an address that is a multiple of 4. */
  constructor(block: RegisterBlock, memory: Uint8Array<SharedArrayBuffer>) {
    this.#block = block;
    this.#bytes = memory;
    this.#words = new Int32Array(memory.buffer, memory.byteOffset, memory.length >>> 2);
  }

  get latches(): number {
    return this.#latches >>> 0;
  }

  set latches(value: number) {
    this.#latches = value | 0;
  }

  /** `offset` from 0xA0000. */
  read(offset: number, size: AccessSize): number {
    let value = this.#read1(offset);
    for (let i = 1; i < size; i++) value |= this.#read1(offset + i) << (8 * i);
    return value >>> 0;
  }

  write(offset: number, size: AccessSize, value: number): void {
    for (let i = 0; i < size; i++) this.#write1(offset + i, (value >>> (8 * i)) & 0xff);
  }

  /** VBE modes of 8 and more bits per pixel: a window of one 64 KiB bank of pixels, without planes. */
  get #banked(): boolean {
    return this.#block.vbeEnabled && (this.#block.vbe[Vbe.BitsPerPixel] as number) !== 4;
  }

  #bankedAt(offset: number): number {
    if (offset >= BANK_BYTES) return -1;
    const at = (this.#block.vbe[Vbe.Bank] as number) * BANK_BYTES + offset;
    return at < this.#bytes.length ? at : -1;
  }

  /** Address before planes are chosen; −1 outside the window. */
  #decode(offset: number): number {
    const { vbeEnabled, graphics, vbe } = this.#block;
    const window = WINDOWS[((graphics[Graphics.Miscellaneous] as number) >> 2) & 3] as (typeof WINDOWS)[number];
    const at = offset - window.at;
    if (at < 0 || at >= window.size) return -1;
    return vbeEnabled ? ((vbe[Vbe.Bank] as number) * BANK_BYTES + at) % this.#words.length : at & 0xffff;
  }

  #read1(offset: number): number {
    if (this.#banked) {
      const at = this.#bankedAt(offset);
      return at < 0 ? 0xff : (this.#bytes[at] as number);
    }
    const address = this.#decode(offset);
    if (address < 0) return 0xff;
    const { graphics, sequencer } = this.#block;
    const mode = graphics[Graphics.Mode] as number;
    let plane = (graphics[Graphics.ReadMapSelect] as number) & 3;
    let at = address;
    if ((sequencer[Sequencer.MemoryMode] as number) & CHAIN_4) {
      plane = address & 3;
      at = address & ~3;
    } else if (mode & READ_ODD_EVEN) {
      plane = (plane & 2) | (address & 1);
      at = address & ~1;
    }
    const latches = this.#words[at] as number;
    this.#latches = latches;
    if (!(mode & READ_COMPARE)) return (latches >>> (8 * plane)) & 0xff;
    // Read mode 1: a bit is set where all planes that are cared for have the compared colour.
    const compare = PLANE_MASK[(graphics[Graphics.ColorCompare] as number) & 15] as number;
    const care = PLANE_MASK[(graphics[Graphics.ColorDontCare] as number) & 15] as number;
    const different = (latches ^ compare) & care;
    return ~(different | (different >>> 8) | (different >>> 16) | (different >>> 24)) & 0xff;
  }

  #write1(offset: number, value: number): void {
    if (this.#banked) {
      const at = this.#bankedAt(offset);
      if (at >= 0) this.#bytes[at] = value;
      return;
    }
    let address = this.#decode(offset);
    if (address < 0) return;
    const { graphics, sequencer } = this.#block;
    const memoryMode = sequencer[Sequencer.MemoryMode] as number;
    let planes = (sequencer[Sequencer.MapMask] as number) & 15;
    if (memoryMode & CHAIN_4) {
      planes &= 1 << (address & 3);
      address &= ~3;
    } else if (!(memoryMode & NOT_ODD_EVEN)) {
      planes &= address & 1 ? ODD_PLANES : EVEN_PLANES;
      address &= ~1;
    }
    const reach = PLANE_MASK[planes] as number;
    if (reach === 0) return;
    const data = this.#pipeline(graphics, value);
    this.#words[address] = ((this.#words[address] as number) & ~reach) | (data & reach);
  }

  /** From the byte on the bus to the byte for each plane. */
  #pipeline(graphics: Uint8Array, value: number): number {
    const mode = (graphics[Graphics.Mode] as number) & 3;
    if (mode === 1) return this.#latches;
    let mask = graphics[Graphics.BitMask] as number;
    let data: number;
    if (mode === 2) {
      data = PLANE_MASK[value & 15] as number;
    } else {
      const rotate = (graphics[Graphics.DataRotate] as number) & 7;
      const rotated = ((value >> rotate) | (value << (8 - rotate))) & 0xff;
      const setReset = PLANE_MASK[(graphics[Graphics.SetReset] as number) & 15] as number;
      if (mode === 3) {
        mask &= rotated;
        data = setReset;
      } else {
        const enabled = PLANE_MASK[(graphics[Graphics.EnableSetReset] as number) & 15] as number;
        data = (replicate(rotated) & ~enabled) | (setReset & enabled);
      }
    }
    switch (((graphics[Graphics.DataRotate] as number) >> 3) & 3) {
      case 1:
        data &= this.#latches;
        break;
      case 2:
        data |= this.#latches;
        break;
      case 3:
        data ^= this.#latches;
        break;
    }
    if (mask === 0xff) return data;
    const bits = replicate(mask);
    return (data & bits) | (this.#latches & ~bits);
  }
}

function replicate(byte: number): number {
  return Math.imul(byte, 0x0101_0101);
}
