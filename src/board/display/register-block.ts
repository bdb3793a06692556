/**
 * The registers of a VGA with Bochs extensions, in one small block of shared memory: the chip works on it directly, and whoever draws the
 * screen reads it from another thread, at any time and without asking. Between two frames registers may be torn apart; whoever draws
 * takes them as hints and bounds every one of them.
 *
 * Display memory beside it holds four planes byte by byte in turn (byte 4a+p is address a of plane p), or pixels one after another in
 * VBE modes.
 *
 * Spec: IBM VGA Technical Reference (PS/2 Hardware Interface, "Video Subsystem"); the register names below are its.
 */

const CRTC_AT = 0;
const CRTC_COUNT = 32;
const SEQUENCER_AT = 32;
const SEQUENCER_COUNT = 8;
const GRAPHICS_AT = 40;
const GRAPHICS_COUNT = 16;
const ATTRIBUTE_AT = 56;
const ATTRIBUTE_COUNT = 32;
const DAC_AT = 88;
const DAC_COUNT = 768;
const SINGLES_AT = 856;
const VBE_AT = 864;
const VBE_COUNT = 16;
const BLOCK_BYTES: number = VBE_AT + 2 * VBE_COUNT;

// Singles
const MISCELLANEOUS = 0;
const DAC_MASK = 1;
const ATTRIBUTE_ADDRESS = 2;

/** CRTC registers by index. */
export const Crtc = {
  HorizontalTotal: 0x00,
  HorizontalDisplayEnd: 0x01,
  Overflow: 0x07,
  PresetRowScan: 0x08,
  MaximumScanLine: 0x09,
  CursorStart: 0x0a,
  CursorEnd: 0x0b,
  StartAddressHigh: 0x0c,
  CursorLocationHigh: 0x0e,
  VerticalRetraceStart: 0x10,
  VerticalRetraceEnd: 0x11,
  VerticalDisplayEnd: 0x12,
  Offset: 0x13,
  UnderlineLocation: 0x14,
  ModeControl: 0x17,
  LineCompare: 0x18,
  VerticalTotal: 0x06,
} as const;

export const Sequencer = { Reset: 0, ClockingMode: 1, MapMask: 2, CharacterMapSelect: 3, MemoryMode: 4 } as const;

export const Graphics = {
  SetReset: 0,
  EnableSetReset: 1,
  ColorCompare: 2,
  DataRotate: 3,
  ReadMapSelect: 4,
  Mode: 5,
  Miscellaneous: 6,
  ColorDontCare: 7,
  BitMask: 8,
} as const;

/** Attribute controller registers behind its 16 palette entries. */
export const Attribute = { ModeControl: 0x10, Overscan: 0x11, ColorPlaneEnable: 0x12, HorizontalPanning: 0x13, ColorSelect: 0x14 } as const;

/** DISPI registers by index. */
export const Vbe = {
  Id: 0,
  XResolution: 1,
  YResolution: 2,
  BitsPerPixel: 3,
  Enable: 4,
  Bank: 5,
  VirtualWidth: 6,
  VirtualHeight: 7,
  XOffset: 8,
  YOffset: 9,
  VideoMemory64K: 10,
} as const;

/** Bits of {@link Vbe.Enable}. */
export const VBE_ENABLED = 1 << 0;
export const VBE_GET_CAPABILITIES = 1 << 1;
export const VBE_8_BIT_DAC = 1 << 5;
export const VBE_LINEAR = 1 << 6;
export const VBE_NO_CLEAR = 1 << 7;

/** Bit 5 of the attribute address register: the palette belongs to the display, not to the processor. */
export const PALETTE_ADDRESS_SOURCE = 1 << 5;

export class RegisterBlock {
  readonly buffer: SharedArrayBuffer;
  readonly crtc: Uint8Array;
  readonly sequencer: Uint8Array;
  readonly graphics: Uint8Array;
  readonly attribute: Uint8Array;
  /** Red, green, blue of each of 256 entries, as written. */
  readonly dac: Uint8Array;
  readonly vbe: Uint16Array;
  readonly #singles: Uint8Array;

  constructor(buffer: SharedArrayBuffer = new SharedArrayBuffer(BLOCK_BYTES)) {
    this.buffer = buffer;
    this.crtc = new Uint8Array(buffer, CRTC_AT, CRTC_COUNT);
    this.sequencer = new Uint8Array(buffer, SEQUENCER_AT, SEQUENCER_COUNT);
    this.graphics = new Uint8Array(buffer, GRAPHICS_AT, GRAPHICS_COUNT);
    this.attribute = new Uint8Array(buffer, ATTRIBUTE_AT, ATTRIBUTE_COUNT);
    this.dac = new Uint8Array(buffer, DAC_AT, DAC_COUNT);
    this.#singles = new Uint8Array(buffer, SINGLES_AT, VBE_AT - SINGLES_AT);
    this.vbe = new Uint16Array(buffer, VBE_AT, VBE_COUNT);
  }

  /** Miscellaneous Output Register. */
  get miscellaneous(): number {
    return this.#singles[MISCELLANEOUS] as number;
  }

  set miscellaneous(value: number) {
    this.#singles[MISCELLANEOUS] = value;
  }

  /** PEL Mask Register. */
  get dacMask(): number {
    return this.#singles[DAC_MASK] as number;
  }

  set dacMask(value: number) {
    this.#singles[DAC_MASK] = value;
  }

  /** Attribute Address Register, with its Palette Address Source bit. */
  get attributeAddress(): number {
    return this.#singles[ATTRIBUTE_ADDRESS] as number;
  }

  set attributeAddress(value: number) {
    this.#singles[ATTRIBUTE_ADDRESS] = value;
  }

  get vbeEnabled(): boolean {
    return ((this.vbe[Vbe.Enable] as number) & VBE_ENABLED) !== 0;
  }

  /** All of it, as numbers; `load` takes them back. */
  save(): number[] {
    return [...new Uint8Array(this.buffer)];
  }

  load(bytes: readonly number[]): void {
    new Uint8Array(this.buffer).set(bytes.slice(0, BLOCK_BYTES));
  }
}
