/** Screen modes as people write them: `1024x768`, `800x600x16`. */

const DEPTH_DEFAULT = 32;
export const DISPLAY_MODE_PATTERN = '^([1-9]\\d{2,3})x([1-9]\\d{2,3})(?:x(15|16|24|32))?$';
export const DISPLAY_MODE_FORM = 'width x height, and bits per pixel if not 32: `1024x768`, `800x600x16`';

/** Undefined when it is empty, or no mode. */
export function parseDisplayMode(text: string): { readonly width: number; readonly height: number; readonly depth: number } | undefined {
  const [, width, height, depth] = new RegExp(DISPLAY_MODE_PATTERN).exec(text) ?? [];
  return width === undefined ? undefined : { width: Number(width), height: Number(height), depth: Number(depth ?? DEPTH_DEFAULT) };
}
