/**
 * Register values of the modes a video BIOS sets, and its palettes.
 * Spec: IBM VGA Technical Reference, "BIOS mode tables" (the values every VGA BIOS programs).
 */
import { PALETTE_ADDRESS_SOURCE, type RegisterBlock } from './register-block.ts';

export interface VgaMode {
  readonly miscellaneous: number;
  readonly sequencer: readonly number[];
  readonly crtc: readonly number[];
  readonly graphics: readonly number[];
  readonly attribute: readonly number[];
}

const EGA_PALETTE = [0, 1, 2, 3, 4, 5, 0x14, 7, 0x38, 0x39, 0x3a, 0x3b, 0x3c, 0x3d, 0x3e, 0x3f];
const COLOURS_0_TO_15 = Array.from({ length: 16 }, (_, i) => i);

/** 80×25 characters of 9×16 dots, 16 colours. */
export const MODE_03: VgaMode = {
  miscellaneous: 0x67,
  sequencer: [0x03, 0x00, 0x03, 0x00, 0x02],
  crtc: [
    0x5f, 0x4f, 0x50, 0x82, 0x55, 0x81, 0xbf, 0x1f, 0x00, 0x4f, 0x0d, 0x0e, 0, 0, 0, 0, 0x9c, 0x8e, 0x8f, 0x28, 0x1f, 0x96, 0xb9, 0xa3,
    0xff,
  ],
  graphics: [0, 0, 0, 0, 0, 0x10, 0x0e, 0, 0xff],
  attribute: [...EGA_PALETTE, 0x0c, 0, 0x0f, 0x08, 0],
};

/** 640×480 in 16 colours, four planes. */
export const MODE_12: VgaMode = {
  miscellaneous: 0xe3,
  sequencer: [0x03, 0x01, 0x0f, 0x00, 0x06],
  crtc: [
    0x5f, 0x4f, 0x50, 0x82, 0x54, 0x80, 0x0b, 0x3e, 0x00, 0x40, 0, 0, 0, 0, 0, 0, 0xea, 0x8c, 0xdf, 0x28, 0x00, 0xe7, 0x04, 0xe3, 0xff,
  ],
  graphics: [0, 0, 0, 0, 0, 0, 0x05, 0x0f, 0xff],
  attribute: [...EGA_PALETTE, 0x01, 0, 0x0f, 0, 0],
};

/** 320×200 in 256 colours, chained. */
export const MODE_13: VgaMode = {
  miscellaneous: 0x63,
  sequencer: [0x03, 0x01, 0x0f, 0x00, 0x0e],
  crtc: [
    0x5f, 0x4f, 0x50, 0x82, 0x54, 0x80, 0xbf, 0x1f, 0x00, 0x41, 0, 0, 0, 0, 0, 0, 0x9c, 0x8e, 0x8f, 0x28, 0x40, 0x96, 0xb9, 0xa3, 0xff,
  ],
  graphics: [0, 0, 0, 0, 0, 0x40, 0x05, 0x0f, 0xff],
  attribute: [...COLOURS_0_TO_15, 0x41, 0, 0x0f, 0, 0],
};

/** Registers as the video BIOS leaves them after setting `mode`, with the palette of the 16-colour modes. */
export function setMode(block: RegisterBlock, mode: VgaMode): void {
  block.crtc.fill(0);
  block.crtc.set(mode.crtc);
  block.sequencer.fill(0);
  block.sequencer.set(mode.sequencer);
  block.graphics.fill(0);
  block.graphics.set(mode.graphics);
  block.attribute.fill(0);
  block.attribute.set(mode.attribute);
  block.attributeAddress = PALETTE_ADDRESS_SOURCE;
  block.miscellaneous = mode.miscellaneous;
  block.dacMask = 0xff;
  block.dac.fill(0);
  block.dac.set(egaColours());
}

/** The 64 colours of an EGA monitor in the DAC's 6 bits: bits 2–0 of an index are two thirds of R, G, B, bits 5–3 one third. */
function egaColours(): number[] {
  const level = (index: number, primary: number): number => ((index >> primary) & 1) * 0x2a + ((index >> (primary + 3)) & 1) * 0x15;
  return Array.from({ length: 64 }, (_, index) => [level(index, 2), level(index, 1), level(index, 0)]).flat();
}
