/**
 * Bochs VBE extensions (DISPI): ten 16-bit registers that set modes of 4 to 32 bits per pixel up to 2560×1600, with a linear
 * framebuffer and a banked window.
 *
 * A driver switches the display off, sets resolution and depth, and switches it on; then width, height and offsets of the virtual screen
 * can move. What does not fit display memory is cut down when it is written, as the interface's description has it.
 *
 * Spec: Bochs VBE Display API (version 0xB0C5) as described with the Bochs VGABIOS (vbe_display_api.txt).
 * Not modelled: the big-endian framebuffer of the extended registers.
 */
import { bytesPerPixel, VBE_HEIGHT_MAX, VBE_WIDTH_MAX } from '../display/geometry.ts';
import {
  PALETTE_ADDRESS_SOURCE,
  type RegisterBlock,
  VBE_8_BIT_DAC,
  VBE_ENABLED,
  VBE_GET_CAPABILITIES,
  VBE_LINEAR,
  VBE_NO_CLEAR,
  Vbe,
} from '../display/register-block.ts';
import { clear } from '../display/display-memory.ts';

const ID_FIRST = 0xb0c0;
const ID_NEWEST = 0xb0c5;
const ENABLE_DEFINED: number = VBE_ENABLED | VBE_GET_CAPABILITIES | VBE_8_BIT_DAC | VBE_LINEAR | VBE_NO_CLEAR;
const DEPTHS = [4, 8, 15, 16, 24, 32];
const DEPTH_MAX = 32;
const DEPTH_DEFAULT = 8;
const BANK_BYTES = 0x10000;

export class BochsVbe {
  readonly #block: RegisterBlock;
  readonly #memory: Uint8Array;
  #index = 0;

  constructor(block: RegisterBlock, memory: Uint8Array) {
    this.#block = block;
    this.#memory = memory;
    this.reset();
  }

  reset(): void {
    this.#index = 0;
    this.#block.vbe.fill(0);
    this.#block.vbe[Vbe.Id] = ID_NEWEST;
    this.#block.vbe[Vbe.BitsPerPixel] = DEPTH_DEFAULT;
  }

  get index(): number {
    return this.#index;
  }

  set index(value: number) {
    this.#index = value & 0xffff;
  }

  readData(): number {
    return this.read(this.#index);
  }

  writeData(value: number): void {
    this.write(this.#index, value);
  }

  /** A register by its index; those that do not exist read as 0. */
  read(index: number): number {
    const { vbe } = this.#block;
    if (index === Vbe.VideoMemory64K) return this.#memory.length / BANK_BYTES;
    if ((vbe[Vbe.Enable] as number) & VBE_GET_CAPABILITIES) {
      if (index === Vbe.XResolution) return VBE_WIDTH_MAX;
      if (index === Vbe.YResolution) return VBE_HEIGHT_MAX;
      if (index === Vbe.BitsPerPixel) return DEPTH_MAX;
    }
    return index >= 0 && index < Vbe.VideoMemory64K ? (vbe[index] as number) : 0;
  }

  write(index: number, value: number): void {
    const { vbe } = this.#block;
    const enabled = this.#block.vbeEnabled;
    switch (index) {
      case Vbe.Id:
        if (value >= ID_FIRST && value <= ID_NEWEST) vbe[index] = value;
        break;
      case Vbe.XResolution:
        if (!enabled) vbe[index] = Math.min(value & ~7, VBE_WIDTH_MAX);
        break;
      case Vbe.YResolution:
        if (!enabled) vbe[index] = Math.min(value, VBE_HEIGHT_MAX);
        break;
      case Vbe.BitsPerPixel:
        if (!enabled) vbe[index] = DEPTHS.includes(value) ? value : DEPTH_DEFAULT;
        break;
      case Vbe.Enable:
        this.#enable(value & ENABLE_DEFINED, enabled);
        break;
      case Vbe.Bank:
        vbe[index] = value % (this.#memory.length / BANK_BYTES);
        break;
      case Vbe.VirtualWidth:
        vbe[index] = Math.min(Math.max(value & ~7, vbe[Vbe.XResolution] as number), this.#virtualWidthMax);
        this.#fit();
        break;
      case Vbe.XOffset:
      case Vbe.YOffset:
        vbe[index] = value;
        this.#fit();
        break;
    }
  }

  /** Sets a mode as a driver would; for boards that come up in one. */
  setMode(width: number, height: number, depth: number): void {
    this.write(Vbe.Enable, 0);
    this.write(Vbe.XResolution, width);
    this.write(Vbe.YResolution, height);
    this.write(Vbe.BitsPerPixel, depth);
    this.write(Vbe.Enable, VBE_ENABLED | VBE_LINEAR);
    this.#block.attributeAddress = PALETTE_ADDRESS_SOURCE;
  }

  #enable(value: number, enabled: boolean): void {
    const { vbe } = this.#block;
    vbe[Vbe.Enable] = value;
    if (!(value & VBE_ENABLED) || enabled) return;
    vbe[Vbe.XResolution] = Math.max(8, vbe[Vbe.XResolution] as number);
    vbe[Vbe.YResolution] = Math.max(1, vbe[Vbe.YResolution] as number);
    vbe[Vbe.VirtualWidth] = Math.min(vbe[Vbe.XResolution] as number, this.#virtualWidthMax);
    vbe[Vbe.XResolution] = vbe[Vbe.VirtualWidth] as number;
    vbe[Vbe.XOffset] = 0;
    vbe[Vbe.YOffset] = 0;
    vbe[Vbe.Bank] = 0;
    vbe[Vbe.YResolution] = Math.min(vbe[Vbe.YResolution] as number, Math.floor(this.#memory.length / this.#pitch));
    this.#fit();
    if (!(value & VBE_NO_CLEAR)) clear(this.#memory, Math.min(this.#memory.length, this.#pitch * (vbe[Vbe.YResolution] as number)));
  }

  /** Bytes of display memory per line; four planes of one bit are half a byte per pixel. */
  get #pitch(): number {
    const { vbe } = this.#block;
    const width = vbe[Vbe.VirtualWidth] as number;
    return Math.max(1, width * (bytesPerPixel(vbe[Vbe.BitsPerPixel] as number) || 0.5));
  }

  /** The widest line that still leaves one. */
  get #virtualWidthMax(): number {
    const pixels = this.#memory.length / (bytesPerPixel(this.#block.vbe[Vbe.BitsPerPixel] as number) || 0.5);
    return Math.min(0xfff8, pixels);
  }

  /** Virtual height follows from what memory holds; offsets stay where the visible part fits. */
  #fit(): void {
    const { vbe } = this.#block;
    const height = Math.min(0xffff, Math.floor(this.#memory.length / this.#pitch));
    vbe[Vbe.VirtualHeight] = height;
    vbe[Vbe.XOffset] = Math.min(
      vbe[Vbe.XOffset] as number,
      Math.max(0, (vbe[Vbe.VirtualWidth] as number) - (vbe[Vbe.XResolution] as number)),
    );
    vbe[Vbe.YOffset] = Math.min(vbe[Vbe.YOffset] as number, Math.max(0, height - (vbe[Vbe.YResolution] as number)));
  }
}
