import { describe, expect, it } from 'vitest';
import { halfBlocks } from './picture.ts';

/** A picture from rows of colours. */
function picture(...rows: (readonly (readonly [number, number, number])[])[]) {
  return { width: rows[0]!.length, height: rows.length, pixels: Uint8Array.from(rows.flat().flatMap((rgb) => [...rgb, 255])) };
}

const RED = [255, 0, 0] as const;
const BLUE = [0, 0, 255] as const;

describe('a picture in the terminal', () => {
  it('has two pixels in each cell: the upper one as foreground, the lower one as background', () => {
    expect(halfBlocks(picture([RED], [BLUE]), 80, 24)).toEqual(['\x1b[38;2;255;0;0;48;2;0;0;255m▀\x1b[0m']);
  });

  it('says a colour once for as long as it lasts', () => {
    const [line] = halfBlocks(picture([RED, RED, BLUE], [RED, RED, BLUE]), 80, 24);
    expect(line?.match(/\x1b\[38/g)).toHaveLength(2);
    expect(line?.match(/▀/g)).toHaveLength(3);
  });

  it('fits the terminal, and mixes the colours of what it puts together', () => {
    const wide = picture(
      Array.from({ length: 100 }, (_, x) => (x % 2 ? RED : BLUE)),
      Array.from({ length: 100 }, (_, x) => (x % 2 ? RED : BLUE)),
    );
    const lines = halfBlocks(wide, 50, 10);
    expect(lines).toHaveLength(1);
    expect(lines[0]?.match(/▀/g)).toHaveLength(50);
    expect(lines[0]).toContain('38;2;128;0;128');
  });

  it('never has more rows than there are', () => {
    const tall = picture(...Array.from({ length: 300 }, () => [RED]));
    expect(halfBlocks(tall, 80, 20).length).toBeLessThanOrEqual(20);
  });
});
