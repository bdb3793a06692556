/**
 * Draws the screen: from registers and display memory, both shared with a guest that goes on running, to RGBA pixels.
 *
 * Spec: IBM VGA Technical Reference, attribute controller, graphics controller and CRTC; Bochs VBE DISPI interface.
 * Not modelled: overscan border, blinking (characters and cursor are drawn in their lit phase), underline of monochrome text, pixel
 * panning and preset row scan, changes of registers between two lines of one frame.
 */
import type { DisplayBuffers } from '../../contracts/index.ts';
import {
  addressShift,
  crtcWord,
  type DisplayMode,
  dacIndex,
  displayMode,
  has8BitDac,
  lineRepeat,
  planarLayout,
  selectsRowScan,
  splitLine,
} from './geometry.ts';
import { Attribute, Crtc, RegisterBlock, Sequencer } from './register-block.ts';

/** RGBA, four bytes per pixel, line by line from the top. */
export interface Picture {
  readonly width: number;
  readonly height: number;
  readonly pixels: Uint8Array;
}

/** Bits of font memory's four 16 KiB quarters and four 8 KiB eighths behind the Character Map Select register. */
const FONT_BYTES = 0x2000;
const FONT_ORDER = [0, 2, 4, 6, 1, 3, 5, 7];
const FONT_ROWS = 32;
const TEXT_PLANE_MASK = 0xffff;
const CURSOR_OFF = 0x20;

/** Draws what the registers describe at this moment. Never throws: both buffers are the guest's. */
export function drawPicture({ registers, memory }: DisplayBuffers): Picture {
  const block = new RegisterBlock(registers);
  const mode = displayMode(block, memory.length);
  const pixels = new Uint32Array(mode.width * mode.height);
  switch (mode.kind) {
    case 'dark':
      pixels.fill(BLACK);
      break;
    case 'text':
      drawText(block, memory, mode, pixels);
      break;
    case 'planar':
    case 'interleaved':
    case 'packed':
      drawPlanes(block, memory, mode, pixels);
      break;
    case 'linear':
      drawLinear(block, memory, mode, pixels);
      break;
  }
  return { width: mode.width, height: mode.height, pixels: new Uint8Array(pixels.buffer) };
}

/** Pixels are words whose bytes in memory are R, G, B, A on the little-endian hosts that WebAssembly engines run on. */
const BLACK = 0xff00_0000;
const rgba = (red: number, green: number, blue: number): number => (BLACK | (blue << 16) | (green << 8) | red) >>> 0;

/** The DAC's 256 colours as pixels. */
function dacColours(block: RegisterBlock): Uint32Array {
  const { dac } = block;
  const widen = has8BitDac(block) ? (value: number) => value : (value: number) => ((value & 0x3f) << 2) | ((value & 0x3f) >> 4);
  return Uint32Array.from({ length: 256 }, (_, index) => {
    const at = (index & block.dacMask) * 3;
    return rgba(widen(dac[at] as number), widen(dac[at + 1] as number), widen(dac[at + 2] as number));
  });
}

/** What each of the 16 colours of planes and characters looks like. */
function colours16(block: RegisterBlock): Uint32Array {
  const dac = dacColours(block);
  return Uint32Array.from({ length: 16 }, (_, colour) => dac[dacIndex(block, colour)] as number);
}

type TextMode = Extract<DisplayMode, { kind: 'text' }>;

function drawText(block: RegisterBlock, memory: Uint8Array, mode: TextMode, pixels: Uint32Array): void {
  const colours = colours16(block);
  const control = block.attribute[Attribute.ModeControl] as number;
  const blinks = (control & 0x08) !== 0;
  const lineGraphics = (control & 0x04) !== 0;
  const [fontA, fontB] = fonts(block);
  const cursor = cursorShape(block);
  for (let row = 0; row < mode.rows; row++) {
    for (let column = 0; column < mode.columns; column++) {
      const counter = characterCounter(block, row, column);
      const at = characterAt(block, counter, memory);
      const code = memory[at] as number;
      const attribute = memory[at + 1] as number;
      const foreground = colours[attribute & 0x0f] as number;
      const background = colours[(attribute >> 4) & (blinks ? 7 : 15)] as number;
      const font = attribute & 0x08 ? fontA : fontB;
      const underCursor = counter === cursor.counter;
      for (let y = 0; y < mode.cellHeight; y++) {
        const dots = memory[((font + code * FONT_ROWS + y) * 4 + 2) % memory.length] as number;
        const inCursor = underCursor && y >= cursor.from && y <= cursor.to;
        let to = (row * mode.cellHeight + y) * mode.width + column * mode.cellWidth;
        for (let x = 0; x < 8; x++) pixels[to++] = inCursor || (dots << x) & 0x80 ? foreground : background;
        // The ninth dot of line-drawing characters continues the eighth.
        if (mode.cellWidth === 9) {
          pixels[to] = inCursor || (lineGraphics && code >= 0xc0 && code <= 0xdf && dots & 1) ? foreground : background;
        }
      }
    }
  }
}

/** Memory address counter of a character cell. */
export function characterCounter(block: RegisterBlock, row: number, column: number): number {
  const cellHeight = ((block.crtc[Crtc.MaximumScanLine] as number) & 0x1f) + 1;
  const doubled = (block.crtc[Crtc.MaximumScanLine] as number) & 0x80 ? 2 : 1;
  const pitch = (block.crtc[Crtc.Offset] as number) * 2;
  // Below the split the counter starts at 0.
  const firstSplitRow = Math.ceil((splitLine(block) + 1) / (cellHeight * doubled));
  if (row >= firstSplitRow) return ((row - firstSplitRow) * pitch + column) & TEXT_PLANE_MASK;
  return (crtcWord(block, Crtc.StartAddressHigh) + row * pitch + column) & TEXT_PLANE_MASK;
}

/** Where in display memory the code of a cell lies; its attribute is the next byte, in plane 1. */
export function characterAt(block: RegisterBlock, counter: number, memory: Uint8Array): number {
  return (((counter << addressShift(block)) & TEXT_PLANE_MASK) * 4) % memory.length;
}

/** Font offsets in plane 2 for attribute bit 3 set and clear. */
function fonts(block: RegisterBlock): [number, number] {
  const select = block.sequencer[Sequencer.CharacterMapSelect] as number;
  const a = ((select >> 2) & 3) | ((select >> 3) & 4);
  const b = (select & 3) | ((select >> 2) & 4);
  return [(FONT_ORDER[a] as number) * FONT_BYTES, (FONT_ORDER[b] as number) * FONT_BYTES];
}

function cursorShape(block: RegisterBlock): { readonly counter: number; readonly from: number; readonly to: number } {
  const start = block.crtc[Crtc.CursorStart] as number;
  if (start & CURSOR_OFF) return { counter: -1, from: 0, to: 0 };
  return { counter: crtcWord(block, Crtc.CursorLocationHigh), from: start & 0x1f, to: (block.crtc[Crtc.CursorEnd] as number) & 0x1f };
}

type PlaneMode = Extract<DisplayMode, { kind: 'planar' | 'interleaved' | 'packed' }>;

function drawPlanes(block: RegisterBlock, memory: Uint8Array, mode: PlaneMode, pixels: Uint32Array): void {
  const { start, pitch, shift } = planarLayout(block);
  const addresses = memory.length >>> 2;
  // A VGA's counter has 16 bits; VBE's 16-colour modes reach all of memory.
  const wrap = block.vbeEnabled ? addresses : Math.min(addresses, 0x1_0000);
  const repeat = block.vbeEnabled ? 1 : lineRepeat(block);
  const split = block.vbeEnabled ? Number.POSITIVE_INFINITY : Math.ceil((splitLine(block) + 1) / repeat);
  const rowScans = !block.vbeEnabled && selectsRowScan(block) ? ((block.crtc[Crtc.MaximumScanLine] as number) & 0x1f) + 1 : 1;
  const modeControl = block.crtc[Crtc.ModeControl] as number;
  const colours = mode.kind === 'packed' ? dacColours(block) : colours16(block);
  const perAddress = mode.kind === 'packed' ? 4 : 8;
  for (let y = 0; y < mode.height; y++) {
    const base = y >= split ? Math.floor((y - split) / rowScans) * pitch : start + Math.floor(y / rowScans) * pitch;
    const rowScan = y % rowScans;
    for (let x = 0; x < mode.width; x += perAddress) {
      let address = ((base + x / perAddress) << shift) >>> 0;
      if (rowScans > 1) {
        if (!(modeControl & 1)) address = (address & ~0x2000) | ((rowScan & 1) << 13);
        if (!(modeControl & 2)) address = (address & ~0x4000) | ((rowScan & 2) << 13);
      }
      const at = (address % wrap) * 4;
      const to = y * mode.width + x;
      if (mode.kind === 'packed') for (let i = 0; i < 4; i++) pixels[to + i] = colours[memory[at + i] as number] as number;
      else if (mode.kind === 'planar') putPlanar(memory, at, colours, pixels, to);
      else putInterleaved(memory, at, colours, pixels, to);
    }
  }
}

/** One bit of each plane makes a colour. */
function putPlanar(memory: Uint8Array, at: number, colours: Uint32Array, pixels: Uint32Array, to: number): void {
  const p0 = memory[at] as number;
  const p1 = memory[at + 1] as number;
  const p2 = memory[at + 2] as number;
  const p3 = memory[at + 3] as number;
  for (let i = 0, bit = 7; i < 8; i++, bit--) {
    const colour = ((p0 >> bit) & 1) | (((p1 >> bit) & 1) << 1) | (((p2 >> bit) & 1) << 2) | (((p3 >> bit) & 1) << 3);
    pixels[to + i] = colours[colour] as number;
  }
}

/** Shift Register Interleave: two bits at a time, planes 0 and 2 for the first four pixels, 1 and 3 for the next. */
function putInterleaved(memory: Uint8Array, at: number, colours: Uint32Array, pixels: Uint32Array, to: number): void {
  for (let i = 0; i < 8; i++) {
    const low = memory[at + (i >> 2)] as number;
    const high = memory[at + (i >> 2) + 2] as number;
    const bit = 6 - 2 * (i & 3);
    pixels[to + i] = colours[((low >> bit) & 3) | (((high >> bit) & 3) << 2)] as number;
  }
}

type LinearMode = Extract<DisplayMode, { kind: 'linear' }>;

function drawLinear(block: RegisterBlock, memory: Uint8Array, mode: LinearMode, pixels: Uint32Array): void {
  const palette = dacColours(block);
  const { width, height, depth, pitch, start } = mode;
  for (let y = 0; y < height; y++) {
    let from = start + y * pitch;
    let to = y * width;
    const end = to + width;
    switch (depth) {
      case 8:
        while (to < end) pixels[to++] = palette[memory[from++] as number] as number;
        break;
      case 15:
      case 16:
        for (; to < end; from += 2) pixels[to++] = highColour((memory[from] as number) | ((memory[from + 1] as number) << 8), depth);
        break;
      case 24:
      case 32:
        for (; to < end; from += depth >> 3) {
          pixels[to++] = rgba(memory[from + 2] as number, memory[from + 1] as number, memory[from] as number);
        }
        break;
    }
  }
}

/** 5:5:5 or 5:6:5 to 8 bits each, the top bits repeated below. */
function highColour(value: number, depth: 15 | 16): number {
  const five = (bits: number): number => ((bits & 31) << 3) | ((bits & 31) >> 2);
  if (depth === 15) return rgba(five(value >> 10), five(value >> 5), five(value));
  const green = (value >> 5) & 63;
  return rgba(five(value >> 11), (green << 2) | (green >> 4), five(value));
}
