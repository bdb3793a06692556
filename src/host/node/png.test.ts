import { expect, it } from 'vitest';
import { decodePng, encodePng } from './png.ts';

it('writes a picture as PNG that reads back pixel by pixel', () => {
  const pixels = Uint8Array.from({ length: 5 * 3 * 4 }, (_, i) => (i % 4 === 3 ? 255 : (i * 37) & 0xff));
  const file = encodePng({ width: 5, height: 3, pixels });
  expect([...file.subarray(0, 8)]).toEqual([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  expect(decodePng(file)).toEqual({ width: 5, height: 3, pixels });
});
