/**
 * What a boot loader tells Linux of the screen: `struct screen_info` at the start of the zero page.
 * Spec: Linux Documentation/arch/x86/zero-page.rst; include/uapi/linux/screen_info.h.
 */
import type { BootDisplay } from '../contracts/index.ts';
import { putU16, putU32, putU8 } from './bytes.ts';

const ORIG_VIDEO_MODE = 0x06;
const ORIG_VIDEO_COLUMNS = 0x07;
const ORIG_VIDEO_EGA_BX = 0x0a;
const ORIG_VIDEO_LINES = 0x0e;
const ORIG_VIDEO_IS_VGA = 0x0f;
const ORIG_VIDEO_POINTS = 0x10;
const LFB_WIDTH = 0x12;
const LFB_HEIGHT = 0x14;
const LFB_DEPTH = 0x16;
const LFB_BASE = 0x18;
const LFB_SIZE = 0x1c;
const LFB_LINE_LENGTH = 0x24;
/** Size and position of red, green, blue and the rest. */
const COLOUR_FIELDS = 0x26;
const PAGES = 0x32;
const CAPABILITIES = 0x36;
const EXT_LFB_BASE = 0x3a;

/** `VIDEO_TYPE_VLFB`: a VESA mode with a linear framebuffer. */
const VESA_LINEAR = 0x23;
const COLOUR_VGA = 1;
/** `VIDEO_CAPABILITY_64BIT_BASE`. */
const BASE_64 = 1 << 1;
/** Size in units of 64 KiB. */
const SIZE_UNIT = 0x10000;

/** Red, green, blue and reserved, each bits and position. */
const FIELDS: Readonly<Record<number, readonly number[]>> = {
  15: [5, 10, 5, 5, 5, 0, 1, 15],
  16: [5, 11, 6, 5, 5, 0, 0, 0],
  24: [8, 16, 8, 8, 8, 0, 0, 0],
  32: [8, 16, 8, 8, 8, 0, 8, 24],
};

/** Without a screen it says text all the same: Linux notices that the memory is missing. */
export function putScreenInfo(page: Uint8Array, display: BootDisplay | undefined): void {
  // 80 × 25 colour text on VGA, as a BIOS leaves it.
  putU8(page, ORIG_VIDEO_MODE, 3);
  putU8(page, ORIG_VIDEO_COLUMNS, 80);
  putU16(page, ORIG_VIDEO_EGA_BX, 3);
  putU8(page, ORIG_VIDEO_LINES, 25);
  putU8(page, ORIG_VIDEO_IS_VGA, COLOUR_VGA);
  putU16(page, ORIG_VIDEO_POINTS, 16);
  if (display?.kind !== 'framebuffer') return;
  const { base, size, width, height, depth, pitch } = display;
  putU8(page, ORIG_VIDEO_IS_VGA, VESA_LINEAR);
  putU16(page, LFB_WIDTH, width);
  putU16(page, LFB_HEIGHT, height);
  putU16(page, LFB_DEPTH, depth);
  putU32(page, LFB_BASE, base % 2 ** 32);
  putU32(page, LFB_SIZE, size / SIZE_UNIT);
  putU16(page, LFB_LINE_LENGTH, pitch);
  page.set(FIELDS[depth] ?? [], COLOUR_FIELDS);
  putU16(page, PAGES, 0);
  putU32(page, CAPABILITIES, BASE_64);
  putU32(page, EXT_LFB_BASE, Math.floor(base / 2 ** 32));
}
