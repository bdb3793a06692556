import { describe, expect, it } from 'vitest';
import { KiB, MiB } from '../base/index.ts';
import type { MemoryMapEntry } from '../contracts/index.ts';
import { Placement } from './placement.ts';

const PC: readonly MemoryMapEntry[] = [
  { base: 1 * MiB, size: 15 * MiB, kind: 'ram' },
  { base: 0, size: 640 * KiB, kind: 'ram' },
];
const bytes = (size: number): Uint8Array => new Uint8Array(size);

describe('placement', () => {
  it('names both pieces when two overlap', () => {
    const placement = new Placement(PC);
    placement.fixed('kernel', 2 * MiB, bytes(8192));
    expect(() => placement.fixed('ramdisk', 2 * MiB + 8191, bytes(1))).toThrow(
      'ramdisk (0x201fff–0x202000) overlaps kernel (0x200000–0x202000)',
    );
  });

  it('lets pieces touch', () => {
    const placement = new Placement(PC);
    placement.fixed('a', 2 * MiB, bytes(8192));
    placement.fixed('b', 2 * MiB + 8192, bytes(1));
    expect(placement.segments.map((segment) => segment.name)).toEqual(['a', 'b']);
  });

  it('takes neighbouring ranges of RAM as one', () => {
    const placement = new Placement([
      { base: 0, size: 1 * MiB, kind: 'ram' },
      { base: 1 * MiB, size: 1 * MiB, kind: 'ram' },
    ]);
    placement.fixed('across', 1 * MiB - 4, bytes(8));
    expect(placement.segments).toHaveLength(1);
  });

  it('puts low pieces above the vectors, one after another, aligned', () => {
    const placement = new Placement(PC);
    expect([placement.low('a', bytes(5), 8), placement.low('b', bytes(5), 8), placement.low('c', bytes(1), 4096)]).toEqual([
      0x8000, 0x8008, 0x9000,
    ]);
  });

  it('puts high pieces at the top, below what is there and below the limit', () => {
    const placement = new Placement(PC);
    expect([
      placement.high('a', bytes(5000), 2 ** 32),
      placement.high('b', bytes(1), 2 ** 32),
      placement.high('c', bytes(1), 8 * MiB),
    ]).toEqual([16 * MiB - 8192, 16 * MiB - 12288, 8 * MiB - 4096]);
  });

  it('says what is taken when nothing is free', () => {
    const placement = new Placement(PC);
    placement.reserve('kernel', 1 * MiB, 15 * MiB);
    expect(() => placement.high('initrd', bytes(100), 2 ** 32)).toThrow(
      expect.objectContaining({ code: 'BH322', hint: expect.stringContaining('kernel 0x100000–0x1000000') }),
    );
    expect(() => placement.low('tables', bytes(641 * KiB), 1)).toThrow(expect.objectContaining({ code: 'BH322' }));
  });
});
