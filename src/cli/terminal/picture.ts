/** A picture in a terminal: two pixels to a cell, upper and lower half, in 24-bit colour. */

export interface TerminalPicture {
  readonly width: number;
  readonly height: number;
  /** RGBA. */
  readonly pixels: Uint8Array;
}

const UPPER_HALF = '▀';
const RESET = '\x1b[0m';

/** Lines of at most `columns` cells, at most `rows` of them; smaller pictures are not blown up. Every line ends without colour. */
export function halfBlocks(picture: TerminalPicture, columns: number, rows: number): string[] {
  const scale = Math.max(1, picture.width / Math.max(1, columns), picture.height / Math.max(1, 2 * rows));
  const width = Math.max(1, Math.floor(picture.width / scale));
  const height = Math.max(1, Math.floor(picture.height / scale));
  const lines: string[] = [];
  for (let y = 0; y < height; y += 2) {
    let line = '';
    let colours = '';
    for (let x = 0; x < width; x++) {
      const next = `\x1b[38;2;${average(picture, x, y, scale)};48;2;${y + 1 < height ? average(picture, x, y + 1, scale) : '0;0;0'}m`;
      if (next !== colours) line += next;
      colours = next;
      line += UPPER_HALF;
    }
    lines.push(line + RESET);
  }
  return lines;
}

/** Mean colour of the square of pixels behind a half cell, as a terminal writes it. */
function average({ width, height, pixels }: TerminalPicture, x: number, y: number, scale: number): string {
  const left = Math.floor(x * scale);
  const top = Math.floor(y * scale);
  const right = Math.max(left + 1, Math.min(width, Math.floor((x + 1) * scale)));
  const bottom = Math.max(top + 1, Math.min(height, Math.floor((y + 1) * scale)));
  let red = 0;
  let green = 0;
  let blue = 0;
  for (let row = top; row < bottom; row++) {
    for (let at = (row * width + left) * 4; at < (row * width + right) * 4; at += 4) {
      red += pixels[at] as number;
      green += pixels[at + 1] as number;
      blue += pixels[at + 2] as number;
    }
  }
  const count = (right - left) * (bottom - top);
  return `${Math.round(red / count)};${Math.round(green / count)};${Math.round(blue / count)}`;
}
