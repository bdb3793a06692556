/**
 * What the registers say is on the screen: characters or pixels, how many, from where in display memory. Registers are the guest's
 * choice: whatever they hold, the result is bounded and lies within display memory or says that the screen is dark.
 *
 * Spec: IBM VGA Technical Reference, CRTC and attribute controller; Bochs VBE DISPI interface.
 * Not modelled: CGA-style interlace, double-clocked VCLK sources (misc bits 3:2 beyond 25 and 28 MHz do not change what is shown).
 */
import { Attribute, Crtc, Graphics, PALETTE_ADDRESS_SOURCE, type RegisterBlock, Sequencer, VBE_8_BIT_DAC, Vbe } from './register-block.ts';

export type DisplayMode =
  /** Nothing is shown: blanked, or not set up. */
  | { readonly kind: 'dark'; readonly width: number; readonly height: number }
  | {
      readonly kind: 'text';
      readonly width: number;
      readonly height: number;
      readonly columns: number;
      readonly rows: number;
      /** 8 or 9 dots. */
      readonly cellWidth: number;
      readonly cellHeight: number;
    }
  /** VGA graphics: `planar` 16 colours, `interleaved` 4 colours as on CGA, `packed` 256 colours. */
  | { readonly kind: 'planar' | 'interleaved' | 'packed'; readonly width: number; readonly height: number }
  /** Pixels one after another: VBE, by bits per pixel. */
  | {
      readonly kind: 'linear';
      readonly width: number;
      readonly height: number;
      readonly depth: 8 | 15 | 16 | 24 | 32;
      /** Bytes from one line to the next, and of the first pixel. */
      readonly pitch: number;
      readonly start: number;
    };

export const VBE_WIDTH_MAX = 2560;
export const VBE_HEIGHT_MAX = 1600;
/** CRTC width of one character clock. */
const DOTS = 8;

/** A register pair, high byte first. */
export function crtcWord(block: RegisterBlock, index: number): number {
  return ((block.crtc[index] as number) << 8) | (block.crtc[index + 1] as number);
}

/** Vertical Display End with its overflow bits: lines shown. */
export function linesShown({ crtc }: RegisterBlock): number {
  const overflow = crtc[Crtc.Overflow] as number;
  return ((crtc[Crtc.VerticalDisplayEnd] as number) | ((overflow & 0x02) << 7) | ((overflow & 0x40) << 3)) + 1;
}

/** Line Compare: from this line on, display memory is shown from address 0. */
export function splitLine({ crtc }: RegisterBlock): number {
  const overflow = crtc[Crtc.Overflow] as number;
  const maximum = crtc[Crtc.MaximumScanLine] as number;
  return (crtc[Crtc.LineCompare] as number) | ((overflow & 0x10) << 4) | ((maximum & 0x40) << 3);
}

/** Lines of the monitor per line of the picture: both ways of the CRTC to show a line again, as long as no row scan selects memory. */
export function lineRepeat(block: RegisterBlock): number {
  const maximum = block.crtc[Crtc.MaximumScanLine] as number;
  const doubled = maximum & 0x80 ? 2 : 1;
  return selectsRowScan(block) ? doubled : doubled * ((maximum & 0x1f) + 1);
}

/** CGA compatibility: row scan bits take the place of address bits 13 and 14. */
export function selectsRowScan({ crtc }: RegisterBlock): boolean {
  return ((crtc[Crtc.ModeControl] as number) & 3) !== 3;
}

/** How far the memory address counter is shifted to become an address: byte, word or doubleword mode. */
export function addressShift({ crtc }: RegisterBlock): number {
  if ((crtc[Crtc.UnderlineLocation] as number) & 0x40) return 2;
  return (crtc[Crtc.ModeControl] as number) & 0x40 ? 0 : 1;
}

export function has8BitDac({ vbe }: RegisterBlock): boolean {
  return ((vbe[Vbe.Enable] as number) & VBE_8_BIT_DAC) !== 0;
}

export function displayMode(block: RegisterBlock, memoryBytes: number): DisplayMode {
  if (block.vbeEnabled) return vbeMode(block, memoryBytes);
  const columns = (block.crtc[Crtc.HorizontalDisplayEnd] as number) + 1;
  const lines = linesShown(block);
  const clocking = block.sequencer[Sequencer.ClockingMode] as number;
  const graphics = ((block.graphics[Graphics.Miscellaneous] as number) & 1) !== 0;
  const cellWidth = clocking & 1 ? 8 : 9;
  if (isBlanked(block)) return { kind: 'dark', width: columns * cellWidth, height: lines };
  if (!graphics) {
    const cellHeight = ((block.crtc[Crtc.MaximumScanLine] as number) & 0x1f) + 1;
    const doubled = (block.crtc[Crtc.MaximumScanLine] as number) & 0x80 ? 2 : 1;
    const rows = Math.max(1, Math.floor(lines / (cellHeight * doubled)));
    return { kind: 'text', width: columns * cellWidth, height: rows * cellHeight, columns, rows, cellWidth, cellHeight };
  }
  const height = Math.max(1, Math.floor(lines / lineRepeat(block)));
  const shift = (block.graphics[Graphics.Mode] as number) & 0x60;
  // 256 colours take two dots per pixel.
  if (shift & 0x40) return { kind: 'packed', width: (columns * DOTS) / 2, height };
  return { kind: shift & 0x20 ? 'interleaved' : 'planar', width: columns * DOTS, height };
}

/** Screen off (Clocking Mode bit 5), palette given to the processor, or the sequencer held in reset. */
function isBlanked(block: RegisterBlock): boolean {
  return (
    ((block.sequencer[Sequencer.ClockingMode] as number) & 0x20) !== 0 ||
    (block.attributeAddress & PALETTE_ADDRESS_SOURCE) === 0 ||
    ((block.sequencer[Sequencer.Reset] as number) & 3) !== 3
  );
}

/** Bytes per pixel of a depth; 4 bits per pixel are planes, which count as 0. */
export function bytesPerPixel(depth: number): number {
  return depth === 15 ? 2 : depth >> 3;
}

function vbeMode(block: RegisterBlock, memoryBytes: number): DisplayMode {
  const { vbe } = block;
  const width = Math.min(VBE_WIDTH_MAX, Math.max(8, vbe[Vbe.XResolution] as number));
  const height = Math.min(VBE_HEIGHT_MAX, Math.max(1, vbe[Vbe.YResolution] as number));
  const depth = vbe[Vbe.BitsPerPixel] as number;
  if ((block.attributeAddress & PALETTE_ADDRESS_SOURCE) === 0) return { kind: 'dark', width, height };
  if (depth === 4) return { kind: 'planar', width, height };
  if (depth !== 8 && depth !== 15 && depth !== 16 && depth !== 24 && depth !== 32) return { kind: 'dark', width, height };
  const bytes = bytesPerPixel(depth);
  const pitch = Math.max(width, vbe[Vbe.VirtualWidth] as number) * bytes;
  const start = (vbe[Vbe.YOffset] as number) * pitch + (vbe[Vbe.XOffset] as number) * bytes;
  if (start + (height - 1) * pitch + width * bytes > memoryBytes) return { kind: 'dark', width, height };
  return { kind: 'linear', width, height, depth, pitch, start };
}

/** First address and distance of lines of a planar screen, in addresses of a plane before {@link addressShift}. */
export function planarLayout(block: RegisterBlock): { readonly start: number; readonly pitch: number; readonly shift: number } {
  const { vbe, crtc } = block;
  if (block.vbeEnabled) {
    const pitch = Math.max(vbe[Vbe.XResolution] as number, vbe[Vbe.VirtualWidth] as number) >> 3;
    return { start: (vbe[Vbe.YOffset] as number) * pitch + ((vbe[Vbe.XOffset] as number) >> 3), pitch, shift: 0 };
  }
  return { start: crtcWord(block, Crtc.StartAddressHigh), pitch: (crtc[Crtc.Offset] as number) * 2, shift: addressShift(block) };
}

/** Bits 5:4 of palette entries from Color Select, as Mode Control bit 7 asks, and its bits 7:6 above them. */
export function dacIndex(block: RegisterBlock, colour: number): number {
  const { attribute } = block;
  const select = attribute[Attribute.ColorSelect] as number;
  const entry = attribute[colour & (attribute[Attribute.ColorPlaneEnable] as number) & 0x0f] as number;
  const low = (attribute[Attribute.ModeControl] as number) & 0x80 ? (entry & 0x0f) | ((select & 3) << 4) : entry & 0x3f;
  return low | ((select & 0x0c) << 4);
}
