import { describe, expect, it } from 'vitest';
import { formatSize, parseSize, parseTime } from './index.ts';

describe('a size', () => {
  it.each([
    ['16MiB', 16 * 1024 * 1024],
    ['16 MiB', 16 * 1024 * 1024],
    ['1.5GiB', 1.5 * 1024 ** 3],
    ['0x10KiB', 16 * 1024],
    ['4096B', 4096],
    ['0x1000 B', 4096],
    ['0B', 0],
  ])('%s is %i bytes', (written, bytes) => {
    expect(parseSize(written)).toEqual({ value: bytes });
  });

  it.each([['16'], ['16MB'], ['16M'], ['MiB'], ['-1MiB'], ['1e3MiB'], ['0.1B'], ['999999999GiB'], [''], ['16MiB16'], ['0x10B'], [null], [[]], [16]])(
    '%j is none',
    (written) => {
      expect(parseSize(written)).toHaveProperty('problem');
    },
  );

  it.each([
    ['16MB', 'MiB'],
    ['16m', 'MiB'],
    ['2gib', 'GiB'],
    ['512k', 'KiB'],
  ])('%s gets the unit that was meant', (written, unit) => {
    expect(parseSize(written)).toHaveProperty('hint', expect.stringContaining(`write the unit as ${unit}`));
  });

  it('is shown in the largest unit that divides it, and read back as the same', () => {
    for (const bytes of [0, 1, 4096, 1536 * 1024, 16 * 1024 ** 2, 3 * 1024 ** 3, 1024 ** 3 + 1]) {
      expect(parseSize(formatSize(bytes))).toEqual({ value: bytes });
    }
    expect(formatSize(1536 * 1024)).toBe('1536KiB');
  });
});

describe('a time', () => {
  it.each([
    ['1ms', 1_000_000],
    ['2.5us', 2_500],
    ['2.5µs', 2_500],
    ['30s', 30_000_000_000],
    ['7ns', 7],
  ])('%s is %i ns', (written, nanoseconds) => {
    expect(parseTime(written)).toEqual({ value: nanoseconds });
  });

  it.each([['1'], ['0.5ns'], ['1min'], [1]])('%j is none', (written) => {
    expect(parseTime(written)).toHaveProperty('problem');
  });
});
