/** Pictures as PNG files (ISO/IEC 15948). */
import { PNG } from 'pngjs';

/** RGBA pixels, four bytes each, line by line from the top. */
export interface RgbaPicture {
  readonly width: number;
  readonly height: number;
  readonly pixels: Uint8Array;
}

/** Without the alpha channel: screens are opaque. */
export function encodePng({ width, height, pixels }: RgbaPicture): Uint8Array {
  const png = new PNG({ width, height });
  png.data = Buffer.from(pixels.buffer, pixels.byteOffset, pixels.byteLength);
  return PNG.sync.write(png, { colorType: 2 });
}

/** Throws an Error when it is no PNG. */
export function decodePng(file: Uint8Array): RgbaPicture {
  const { width, height, data } = PNG.sync.read(Buffer.from(file));
  return { width, height, pixels: new Uint8Array(data) };
}
