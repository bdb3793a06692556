/**
 * VGA in 80×25 text mode: the text buffer, and every register a text console sets or reads back.
 *
 * Ports are offsets from 0x3C0 (the colour addresses). Text memory is the 32 KiB at 0xB8000, linear, as software sees it in mode 3;
 * the rest of the 128 KiB window belongs to the graphics planes.
 *
 * Spec: IBM VGA Technical Reference (PS/2 Hardware Interface, "Video Subsystem"); the mode 3 values are those of its BIOS table.
 * Not modelled: graphics modes and planes (read as ones), font upload, palette colours on the host side, monochrome addresses.
 */
import type { AccessSize, Clock, DeviceState, IoHandler, Nanos } from '../../contracts/index.ts';

export const VGA_WINDOW_BASE = 0xa0000;
export const VGA_WINDOW_BYTES = 0x20000;
const TEXT_OFFSET = 0x18000;
const TEXT_BYTES = 0x8000;

// Port offsets from 0x3C0
const ATTRIBUTE = 0x00;
const ATTRIBUTE_READ = 0x01;
const MISC_WRITE = 0x02;
const STATUS_0 = 0x02;
const SEQUENCER_INDEX = 0x04;
const SEQUENCER_DATA = 0x05;
const DAC_MASK = 0x06;
const DAC_READ_INDEX = 0x07;
const DAC_WRITE_INDEX = 0x08;
const DAC_DATA = 0x09;
const MISC_READ = 0x0c;
const GRAPHICS_INDEX = 0x0e;
const GRAPHICS_DATA = 0x0f;
const CRTC_INDEX = 0x14;
const CRTC_DATA = 0x15;
const STATUS_1 = 0x1a;

// Mode 3, 80×25, 400 lines
const MODE_3_CRTC = [
  0x5f, 0x4f, 0x50, 0x82, 0x55, 0x81, 0xbf, 0x1f, 0x00, 0x4f, 0x0d, 0x0e, 0, 0, 0, 0, 0x9c, 0x8e, 0x8f, 0x28, 0x1f, 0x96, 0xb9, 0xa3, 0xff,
];
const MODE_3_SEQUENCER = [0x03, 0x00, 0x03, 0x00, 0x02];
const MODE_3_GRAPHICS = [0, 0, 0, 0, 0, 0x10, 0x0e, 0, 0xff];
const MODE_3_ATTRIBUTE = [0, 1, 2, 3, 4, 5, 0x14, 7, 0x38, 0x39, 0x3a, 0x3b, 0x3c, 0x3d, 0x3e, 0x3f, 0x0c, 0, 0x0f, 0x08, 0];
const MODE_3_MISC = 0x67;

// CRTC registers
const CRTC_CURSOR_START = 0x0a;
const CRTC_START = 0x0c;
const CRTC_CURSOR = 0x0e;
const CRTC_PROTECT = 0x11;
const CRTC_OFFSET = 0x13;
const CURSOR_OFF = 1 << 5;
const PROTECTED = 1 << 7;
const ATTRIBUTE_VIDEO_ON = 1 << 5;
const STATUS_NOT_DISPLAYING = 1 << 0;
const STATUS_VERTICAL_RETRACE = 1 << 3;

const COLUMNS = 80;
const ROWS = 25;
/** 70 Hz: 449 lines of 31.778 µs, 400 of them visible, retrace in lines 412 and 413. */
const LINE_NANOS: Nanos = 31_778;
const LINES = 449;

/** Code page 437 above ASCII: what the character generator draws. */
const CP437 =
  'ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■ ';

export class VgaText {
  readonly #clock: Clock;
  readonly #text = new Uint8Array(TEXT_BYTES);
  readonly #crtc = new Uint8Array(32);
  readonly #sequencer = new Uint8Array(8);
  readonly #graphics = new Uint8Array(16);
  readonly #attribute = new Uint8Array(32);
  readonly #dac = new Uint8Array(768);
  #crtcIndex = 0;
  #sequencerIndex = 0;
  #graphicsIndex = 0;
  #attributeIndex = ATTRIBUTE_VIDEO_ON;
  /** The attribute port takes an index next, not data. */
  #attributeWantsIndex = true;
  #misc = MODE_3_MISC;
  #dacMask = 0xff;
  #dacRead = 0;
  #dacWrite = 0;

  constructor(options: { clock: Clock }) {
    this.#clock = options.clock;
    this.reset();
  }

  /** As the video BIOS leaves it: mode 3, a blank screen. */
  reset(): void {
    for (let i = 0; i < TEXT_BYTES; i += 2) {
      this.#text[i] = 0x20;
      this.#text[i + 1] = 0x07;
    }
    this.#crtc.set(MODE_3_CRTC);
    this.#sequencer.set(MODE_3_SEQUENCER);
    this.#graphics.set(MODE_3_GRAPHICS);
    this.#attribute.set(MODE_3_ATTRIBUTE);
    this.#misc = MODE_3_MISC;
    this.#attributeIndex = ATTRIBUTE_VIDEO_ON;
    this.#attributeWantsIndex = true;
  }

  /** The 128 KiB window at 0xA0000. */
  readonly window: IoHandler = {
    read: (offset: number, size: AccessSize): number => {
      const at = offset - TEXT_OFFSET;
      if (at < 0) return size === 4 ? 0xffff_ffff : size === 2 ? 0xffff : 0xff;
      let value = this.#text[at] as number;
      for (let i = 1; i < size; i++) value |= (this.#text[at + i] ?? 0xff) << (8 * i);
      return value >>> 0;
    },
    write: (offset: number, size: AccessSize, value: number): void => {
      const at = offset - TEXT_OFFSET;
      if (at < 0) return;
      for (let i = 0; i < size; i++) this.#text[at + i] = value >>> (8 * i);
    },
  };

  /** Ports 0x3C0–0x3DF. */
  read(offset: number): number {
    switch (offset) {
      case ATTRIBUTE:
        return this.#attributeIndex;
      case ATTRIBUTE_READ:
        return this.#attribute[this.#attributeIndex & 0x1f] as number;
      case STATUS_0:
        return 0x10; // a colour monitor is sensed
      case SEQUENCER_INDEX:
        return this.#sequencerIndex;
      case SEQUENCER_DATA:
        return this.#sequencer[this.#sequencerIndex] ?? 0;
      case DAC_MASK:
        return this.#dacMask;
      case DAC_READ_INDEX:
        return 0;
      case DAC_WRITE_INDEX:
        return Math.floor(this.#dacWrite / 3);
      case DAC_DATA: {
        const value = this.#dac[this.#dacRead] as number;
        this.#dacRead = (this.#dacRead + 1) % 768;
        return value;
      }
      case MISC_READ:
        return this.#misc;
      case GRAPHICS_INDEX:
        return this.#graphicsIndex;
      case GRAPHICS_DATA:
        return this.#graphics[this.#graphicsIndex] ?? 0;
      case CRTC_INDEX:
        return this.#crtcIndex;
      case CRTC_DATA:
        return this.#crtc[this.#crtcIndex] ?? 0;
      case STATUS_1:
        this.#attributeWantsIndex = true; // reading it resets the flip-flop
        return this.#inputStatus();
      default:
        return 0xff;
    }
  }

  write(offset: number, value: number): void {
    switch (offset) {
      case ATTRIBUTE:
        if (this.#attributeWantsIndex) this.#attributeIndex = value & 0x3f;
        else this.#attribute[this.#attributeIndex & 0x1f] = value;
        this.#attributeWantsIndex = !this.#attributeWantsIndex;
        break;
      case MISC_WRITE:
        this.#misc = value;
        break;
      case SEQUENCER_INDEX:
        this.#sequencerIndex = value & 0x07;
        break;
      case SEQUENCER_DATA:
        this.#sequencer[this.#sequencerIndex] = value;
        break;
      case DAC_MASK:
        this.#dacMask = value;
        break;
      case DAC_READ_INDEX:
        this.#dacRead = value * 3;
        break;
      case DAC_WRITE_INDEX:
        this.#dacWrite = value * 3;
        break;
      case DAC_DATA:
        this.#dac[this.#dacWrite] = value & 0x3f;
        this.#dacWrite = (this.#dacWrite + 1) % 768;
        break;
      case GRAPHICS_INDEX:
        this.#graphicsIndex = value & 0x0f;
        break;
      case GRAPHICS_DATA:
        this.#graphics[this.#graphicsIndex] = value;
        break;
      case CRTC_INDEX:
        this.#crtcIndex = value & 0x1f;
        break;
      case CRTC_DATA:
        this.#writeCrtc(value);
        break;
    }
  }

  /** What the screen shows, 25 lines of 80 characters, trailing blanks removed. */
  screenText(): string[] {
    const start = this.#crtcWord(CRTC_START) * 2;
    const pitch = (this.#crtc[CRTC_OFFSET] as number) * 4;
    return Array.from({ length: ROWS }, (_, row) => {
      let line = '';
      for (let column = 0; column < COLUMNS; column++) line += glyph(this.#text[(start + row * pitch + column * 2) % TEXT_BYTES] as number);
      return line.trimEnd();
    });
  }

  /** Where the cursor stands; undefined while it is off or outside the screen. */
  get cursor(): { readonly row: number; readonly column: number } | undefined {
    if ((this.#crtc[CRTC_CURSOR_START] as number) & CURSOR_OFF) return undefined;
    const pitch = (this.#crtc[CRTC_OFFSET] as number) * 2;
    const at = this.#crtcWord(CRTC_CURSOR) - this.#crtcWord(CRTC_START);
    if (at < 0 || pitch === 0 || at >= pitch * ROWS) return undefined;
    return { row: Math.floor(at / pitch), column: at % pitch };
  }

  save(): DeviceState {
    return {
      version: 1,
      text: [...this.#text],
      crtc: [...this.#crtc],
      sequencer: [...this.#sequencer],
      graphics: [...this.#graphics],
      attribute: [...this.#attribute],
      dac: [...this.#dac],
      misc: this.#misc,
      indexes: [this.#crtcIndex, this.#sequencerIndex, this.#graphicsIndex, this.#attributeIndex],
      attributeWantsIndex: this.#attributeWantsIndex,
    };
  }

  restore(state: DeviceState): void {
    const saved = state as unknown as Record<'text' | 'crtc' | 'sequencer' | 'graphics' | 'attribute' | 'dac', number[]> & {
      misc: number;
      indexes: [number, number, number, number];
      attributeWantsIndex: boolean;
    };
    this.#text.set(saved.text);
    this.#crtc.set(saved.crtc);
    this.#sequencer.set(saved.sequencer);
    this.#graphics.set(saved.graphics);
    this.#attribute.set(saved.attribute);
    this.#dac.set(saved.dac);
    this.#misc = saved.misc;
    [this.#crtcIndex, this.#sequencerIndex, this.#graphicsIndex, this.#attributeIndex] = saved.indexes;
    this.#attributeWantsIndex = saved.attributeWantsIndex;
  }

  #writeCrtc(value: number): void {
    const index = this.#crtcIndex;
    if (index <= 7 && (this.#crtc[CRTC_PROTECT] as number) & PROTECTED) {
      if (index === 7) this.#crtc[7] = ((this.#crtc[7] as number) & ~0x10) | (value & 0x10); // only the line-compare bit
      return;
    }
    this.#crtc[index] = value;
  }

  /** Retrace and blanking, from the clock: loops that wait for either end. */
  #inputStatus(): number {
    const now = this.#clock.now();
    const line = Math.floor(now / LINE_NANOS) % LINES;
    const blank = line >= 400 || now % LINE_NANOS > LINE_NANOS * 0.8;
    return (blank ? STATUS_NOT_DISPLAYING : 0) | (line === 412 || line === 413 ? STATUS_VERTICAL_RETRACE : 0);
  }

  /** Start address and cursor are two registers each, high byte first, in characters. */
  #crtcWord(index: number): number {
    return ((this.#crtc[index] as number) << 8) | (this.#crtc[index + 1] as number);
  }
}

function glyph(code: number): string {
  if (code < 0x20 || code === 0x7f) return ' ';
  return code < 0x7f ? String.fromCharCode(code) : (CP437[code - 0x80] as string);
}
