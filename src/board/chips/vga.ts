/**
 * VGA: sequencer, CRTC, graphics controller, attribute controller and DAC, as a driver sees them through ports and the memory window.
 * What is on the screen is derived from the same registers, in another thread if need be: see display/.
 *
 * Ports are offsets from 0x3B0: the monochrome addresses 0x3B4, 0x3B5 and 0x3BA answer while Miscellaneous Output bit 0 is clear, the
 * colour addresses 0x3D4, 0x3D5 and 0x3DA while it is set.
 *
 * Spec: IBM VGA Technical Reference (PS/2 Hardware Interface, "Video Subsystem").
 * Not modelled: the vertical interrupt (no PC routes it), the light pen, Feature Control, video subsystem enable at 0x3C3.
 */
import type { Clock, DeviceState, DisplayBuffers, IoHandler, Nanos } from '../../contracts/index.ts';
import { BUILT_IN_FONT, FONT_GLYPH_ROWS } from '../display/font.ts';
import { linesShown } from '../display/geometry.ts';
import { MODE_03, setMode } from '../display/modes.ts';
import { Crtc, PALETTE_ADDRESS_SOURCE, RegisterBlock, Sequencer, VBE_8_BIT_DAC, Vbe } from '../display/register-block.ts';
import { clear, loadPages, type SavedPages, savePages } from '../display/display-memory.ts';
import { VgaPlanes } from './vga-planes.ts';

// Port offsets from 0x3B0
const CRTC_INDEX_MONO = 0x04;
const CRTC_DATA_MONO = 0x05;
const STATUS_1_MONO = 0x0a;
const ATTRIBUTE_ADDRESS = 0x10;
const ATTRIBUTE_READ = 0x11;
const MISCELLANEOUS_WRITE = 0x12;
const STATUS_0 = 0x12;
const SEQUENCER_INDEX = 0x14;
const SEQUENCER_DATA = 0x15;
const DAC_MASK = 0x16;
const DAC_READ_ADDRESS = 0x17;
const DAC_STATE = 0x17;
const DAC_WRITE_ADDRESS = 0x18;
const DAC_DATA = 0x19;
const FEATURE_READ = 0x1a;
const MISCELLANEOUS_READ = 0x1c;
const GRAPHICS_INDEX = 0x1e;
const GRAPHICS_DATA = 0x1f;
const CRTC_INDEX = 0x24;
const CRTC_DATA = 0x25;
const STATUS_1 = 0x2a;
/** Monochrome and colour addresses of one register differ by this. */
const COLOUR_STEP = 0x20;
export const VGA_PORT_BASE = 0x3b0;
export const VGA_PORTS = 0x30;
/** Of them before the parallel port that a PC has at 0x3BC. */
export const MONOCHROME_PORTS = 0x0c;
/** Offset of port 0x3C0, for whoever has no monochrome addresses. */
export const VGA_COLOUR_PORTS = 0x10;

const COLOUR_ADDRESSES = 1 << 0;
const PROTECTED = 1 << 7;
const STATUS_NOT_DISPLAYING = 1 << 0;
const STATUS_VERTICAL_RETRACE = 1 << 3;
/** Input Status 0: a colour monitor is sensed. */
const SWITCH_SENSE = 0x10;
const DAC_ENTRIES = 768;
const DAC_WRITING = 0;
const DAC_READING = 3;

/** Bits that exist, by index; reserved bits read as 0. */
const SEQUENCER_BITS = [0x03, 0x3d, 0x0f, 0x3f, 0x0e];
const GRAPHICS_BITS = [0x0f, 0x0f, 0x0f, 0x1f, 0x03, 0x7b, 0x0f, 0x0f, 0xff];
const ATTRIBUTE_BITS = [...new Array<number>(16).fill(0x3f), 0xef, 0xff, 0x3f, 0x0f, 0x0f];

const DOT_CLOCK_25 = 25_175_000;
const DOT_CLOCK_28 = 28_322_000;
/** Frames of VBE modes, whose CRTC timing is not the guest's business. */
const VBE_FRAME: Nanos = 1e9 / 60;
const VBE_BLANK_SHARE = 0.05;

export class Vga {
  /** For whoever draws the screen. */
  readonly buffers: DisplayBuffers;
  readonly block: RegisterBlock;
  /** The 128 KiB window at 0xA0000. */
  readonly window: IoHandler;
  readonly #planes: VgaPlanes;
  readonly #clock: Clock;
  #crtcIndex = 0;
  #sequencerIndex = 0;
  #graphicsIndex = 0;
  /** The attribute port takes an index next, not data. */
  #attributeWantsIndex = true;
  #dacState = DAC_WRITING;
  #dacRead = 0;
  #dacWrite = 0;
  #timing: FrameTiming | undefined;

  /** `memory` is a multiple of 256 KiB. Comes up as a video BIOS leaves it, see `reset`. */
  constructor(options: { clock: Clock; memory: Uint8Array<SharedArrayBuffer>; block?: RegisterBlock }) {
    this.#clock = options.clock;
    this.block = options.block ?? new RegisterBlock();
    this.buffers = { registers: this.block.buffer, memory: options.memory };
    this.#planes = new VgaPlanes(this.block, options.memory);
    this.window = this.#planes;
    this.reset();
  }

  /** As the video BIOS leaves it: mode 3, a blank screen, a font in plane 2. */
  reset(): void {
    setMode(this.block, MODE_03);
    this.block.vbe.fill(0);
    this.#planes.latches = 0;
    this.#crtcIndex = 0;
    this.#sequencerIndex = 0;
    this.#graphicsIndex = 0;
    this.#attributeWantsIndex = true;
    this.#dacState = DAC_WRITING;
    this.#dacRead = 0;
    this.#dacWrite = 0;
    this.#timing = undefined;
    const { memory } = this.buffers;
    clear(memory, memory.length);
    // Character cells lie two addresses apart in plane 0, attributes beside them in plane 1: 32 KiB of text.
    for (let cell = 0; cell < 0x4000; cell++) {
      memory[cell * 8] = 0x20;
      memory[cell * 8 + 1] = 0x07;
    }
    const glyphs = BUILT_IN_FONT;
    for (let code = 0; code < 256; code++) {
      for (let row = 0; row < FONT_GLYPH_ROWS; row++) {
        memory[(code * 32 + row) * 4 + 2] = glyphs[code * FONT_GLYPH_ROWS + row] as number;
      }
    }
  }

  /** Ports 0x3B0–0x3DF. */
  read(offset: number): number {
    switch (offset) {
      case CRTC_INDEX_MONO:
      case CRTC_DATA_MONO:
      case STATUS_1_MONO:
        return this.block.miscellaneous & COLOUR_ADDRESSES ? 0xff : this.#readEither(offset + COLOUR_STEP);
      case CRTC_INDEX:
      case CRTC_DATA:
      case STATUS_1:
        return this.block.miscellaneous & COLOUR_ADDRESSES ? this.#readEither(offset) : 0xff;
      case ATTRIBUTE_ADDRESS:
        return this.block.attributeAddress;
      case ATTRIBUTE_READ:
        return this.block.attribute[this.block.attributeAddress & 0x1f] as number;
      case STATUS_0:
        return SWITCH_SENSE;
      case SEQUENCER_INDEX:
        return this.#sequencerIndex;
      case SEQUENCER_DATA:
        return this.block.sequencer[this.#sequencerIndex] as number;
      case DAC_MASK:
        return this.block.dacMask;
      case DAC_STATE:
        return this.#dacState;
      case DAC_WRITE_ADDRESS:
        return Math.floor(this.#dacWrite / 3);
      case DAC_DATA: {
        const value = this.block.dac[this.#dacRead] as number;
        this.#dacRead = (this.#dacRead + 1) % DAC_ENTRIES;
        return value;
      }
      case FEATURE_READ:
        return 0;
      case MISCELLANEOUS_READ:
        return this.block.miscellaneous;
      case GRAPHICS_INDEX:
        return this.#graphicsIndex;
      case GRAPHICS_DATA:
        return this.block.graphics[this.#graphicsIndex] as number;
      default:
        return 0xff;
    }
  }

  write(offset: number, value: number): void {
    switch (offset) {
      case CRTC_INDEX_MONO:
      case CRTC_DATA_MONO:
        if (!(this.block.miscellaneous & COLOUR_ADDRESSES)) this.#writeCrtc(offset + COLOUR_STEP, value);
        break;
      case CRTC_INDEX:
      case CRTC_DATA:
        if (this.block.miscellaneous & COLOUR_ADDRESSES) this.#writeCrtc(offset, value);
        break;
      case ATTRIBUTE_ADDRESS:
        this.#writeAttribute(value);
        break;
      case MISCELLANEOUS_WRITE:
        this.block.miscellaneous = value;
        this.#timing = undefined;
        break;
      case SEQUENCER_INDEX:
        this.#sequencerIndex = value & 0x07;
        break;
      case SEQUENCER_DATA:
        this.block.sequencer[this.#sequencerIndex] = value & (SEQUENCER_BITS[this.#sequencerIndex] ?? 0);
        this.#timing = undefined;
        break;
      case DAC_MASK:
        this.block.dacMask = value;
        break;
      case DAC_READ_ADDRESS:
        this.#dacRead = value * 3;
        this.#dacState = DAC_READING;
        break;
      case DAC_WRITE_ADDRESS:
        this.#dacWrite = value * 3;
        this.#dacState = DAC_WRITING;
        break;
      case DAC_DATA:
        this.block.dac[this.#dacWrite] = (this.block.vbe[Vbe.Enable] as number) & VBE_8_BIT_DAC ? value : value & 0x3f;
        this.#dacWrite = (this.#dacWrite + 1) % DAC_ENTRIES;
        break;
      case GRAPHICS_INDEX:
        this.#graphicsIndex = value & 0x0f;
        break;
      case GRAPHICS_DATA:
        this.block.graphics[this.#graphicsIndex] = value & (GRAPHICS_BITS[this.#graphicsIndex] ?? 0);
        break;
    }
  }

  save(): DeviceState {
    return {
      version: 2,
      registers: this.block.save(),
      memory: savePages(this.buffers.memory),
      latches: this.#planes.latches,
      crtcIndex: this.#crtcIndex,
      sequencerIndex: this.#sequencerIndex,
      graphicsIndex: this.#graphicsIndex,
      attributeWantsIndex: this.#attributeWantsIndex,
      dacState: this.#dacState,
      dacRead: this.#dacRead,
      dacWrite: this.#dacWrite,
    };
  }

  restore(state: DeviceState): void {
    const saved = state as unknown as {
      registers: number[];
      memory: SavedPages;
      latches: number;
      crtcIndex: number;
      sequencerIndex: number;
      graphicsIndex: number;
      attributeWantsIndex: boolean;
      dacState: number;
      dacRead: number;
      dacWrite: number;
    };
    this.block.load(saved.registers);
    loadPages(this.buffers.memory, saved.memory);
    this.#planes.latches = saved.latches;
    this.#crtcIndex = saved.crtcIndex & 0x1f;
    this.#sequencerIndex = saved.sequencerIndex & 7;
    this.#graphicsIndex = saved.graphicsIndex & 15;
    this.#attributeWantsIndex = saved.attributeWantsIndex;
    this.#dacState = saved.dacState;
    this.#dacRead = saved.dacRead % DAC_ENTRIES;
    this.#dacWrite = saved.dacWrite % DAC_ENTRIES;
    this.#timing = undefined;
  }

  #readEither(offset: number): number {
    if (offset === CRTC_INDEX) return this.#crtcIndex;
    if (offset === CRTC_DATA) return this.block.crtc[this.#crtcIndex] as number;
    this.#attributeWantsIndex = true; // reading Input Status 1 resets the flip-flop
    return this.#inputStatus();
  }

  #writeCrtc(offset: number, value: number): void {
    if (offset === CRTC_INDEX) {
      this.#crtcIndex = value & 0x1f;
      return;
    }
    const index = this.#crtcIndex;
    const { crtc } = this.block;
    if (index <= 7 && (crtc[Crtc.VerticalRetraceEnd] as number) & PROTECTED) {
      // Only the line-compare bit of Overflow stays writable.
      if (index === Crtc.Overflow) crtc[index] = ((crtc[index] as number) & ~0x10) | (value & 0x10);
      return;
    }
    crtc[index] = value;
    this.#timing = undefined;
  }

  #writeAttribute(value: number): void {
    const { block } = this;
    if (this.#attributeWantsIndex) {
      block.attributeAddress = value & 0x3f;
    } else {
      const index = block.attributeAddress & 0x1f;
      // The palette belongs to the display while Palette Address Source is set.
      if (index >= 16 || !(block.attributeAddress & PALETTE_ADDRESS_SOURCE)) block.attribute[index] = value & (ATTRIBUTE_BITS[index] ?? 0);
    }
    this.#attributeWantsIndex = !this.#attributeWantsIndex;
  }

  /** Retrace and blanking, from the clock and the CRTC's own numbers: loops that wait for either end. */
  #inputStatus(): number {
    const now = this.#clock.now();
    if (this.block.vbeEnabled) {
      return now % VBE_FRAME < VBE_FRAME * VBE_BLANK_SHARE ? STATUS_NOT_DISPLAYING | STATUS_VERTICAL_RETRACE : 0;
    }
    const { frame, line, lines, shown, retraceStart, retraceEnd, activeShare } = (this.#timing ??= frameTiming(this.block));
    const inFrame = now % frame;
    const at = Math.min(lines - 1, Math.floor(inFrame / line));
    const displaying = at < shown && inFrame - at * line < line * activeShare;
    return (displaying ? 0 : STATUS_NOT_DISPLAYING) | (at >= retraceStart && at < retraceEnd ? STATUS_VERTICAL_RETRACE : 0);
  }
}

interface FrameTiming {
  readonly frame: Nanos;
  readonly line: Nanos;
  readonly lines: number;
  readonly shown: number;
  readonly retraceStart: number;
  readonly retraceEnd: number;
  /** Part of a line in which dots are shown. */
  readonly activeShare: number;
}

/** Horizontal Total is five character clocks more than its register says, Vertical Total two lines. */
function frameTiming(block: RegisterBlock): FrameTiming {
  const { crtc, sequencer, miscellaneous } = block;
  const clocking = sequencer[Sequencer.ClockingMode] as number;
  const overflow = crtc[Crtc.Overflow] as number;
  const dotClock = (miscellaneous & 0x0c) === 0x04 ? DOT_CLOCK_28 : DOT_CLOCK_25;
  const dots = (clocking & 1 ? 8 : 9) * (clocking & 8 ? 2 : 1);
  const totalClocks = (crtc[Crtc.HorizontalTotal] as number) + 5;
  const line = (totalClocks * dots * 1e9) / dotClock;
  const lines = ((crtc[Crtc.VerticalTotal] as number) | ((overflow & 0x01) << 8) | ((overflow & 0x20) << 4)) + 2;
  const retraceStart = (crtc[Crtc.VerticalRetraceStart] as number) | ((overflow & 0x04) << 6) | ((overflow & 0x80) << 2);
  // The end is given by its four low bits.
  const retraceLines = ((crtc[Crtc.VerticalRetraceEnd] as number) - retraceStart) & 15 || 16;
  const activeShare = Math.min(1, ((crtc[Crtc.HorizontalDisplayEnd] as number) + 1) / totalClocks);
  return { frame: line * lines, line, lines, shown: linesShown(block), retraceStart, retraceEnd: retraceStart + retraceLines, activeShare };
}
