import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { KiB, MiB } from '../base/index.ts';
import { place } from './placement.ts';

const anywhere = (size: number) => ({ size, base: undefined });

describe('placement', () => {
  it('takes the first gap, in the order of the manifest', () => {
    expect(place([anywhere(4 * MiB), anywhere(2 * MiB)], 16 * MiB)).toEqual([0, 4 * MiB]);
  });

  it('goes around what is placed by hand', () => {
    expect(place([anywhere(4 * MiB), { size: 2 * MiB, base: 2 * MiB }, anywhere(2 * MiB)], 16 * MiB)).toEqual([4 * MiB, 2 * MiB, 0]);
  });

  it('begins large pieces where a large page can map them, small ones at a page', () => {
    expect(place([anywhere(12 * KiB), anywhere(2 * MiB), anywhere(4 * KiB)], 16 * MiB)).toEqual([0, 2 * MiB, 12 * KiB]);
  });

  it('says so when nothing fits', () => {
    expect(place([anywhere(8 * MiB), anywhere(8 * MiB), anywhere(4 * KiB)], 16 * MiB)).toEqual([0, 8 * MiB, undefined]);
  });

  it('never lays one piece over another, nor beyond the board', () => {
    const sizes = fc.array(fc.integer({ min: 1, max: 1024 }).map((pages) => anywhere(pages * 4 * KiB)), { maxLength: 8 });
    fc.assert(
      fc.property(sizes, (wanted) => {
        const bases = place(wanted, 8 * MiB);
        const placed = wanted.flatMap(({ size }, index) => (bases[index] === undefined ? [] : [{ start: bases[index], end: bases[index] + size }]));
        for (const a of placed) {
          expect(a.end).toBeLessThanOrEqual(8 * MiB);
          for (const b of placed) expect(a === b || a.end <= b.start || b.end <= a.start).toBe(true);
        }
      }),
      { seed: 3 },
    );
  });
});
