import { describe, expect, it } from 'vitest';
import { createPhysicalMemory, pcRamRegions } from './memory.ts';

const MiB = 1 << 20;

describe('layout', () => {
  it('puts the engine first and RAM at the next 64 KiB boundary', () => {
    const memory = createPhysicalMemory([{ base: 0, size: 2 * MiB, access: 'rw' }], 100_000);
    expect([memory.ramOffset, memory.offsetOf(0, 1), memory.offsetOf(0x1234, 4)]).toEqual([0x20000, 0x20000, 0x21234]);
    expect(memory.bytes.length).toBe(0x20000 + 2 * MiB);
  });

  it("keeps one linear offset across the display hole, which is nobody's", () => {
    const memory = createPhysicalMemory(pcRamRegions(2 * MiB), 0);
    expect([memory.offsetOf(0x9fffc, 4), memory.offsetOf(0xc0000, 4)]).toEqual([0x9fffc, 0xc0000]);
    expect([memory.offsetOf(0xa0000, 1), memory.offsetOf(0xbffff, 1), memory.offsetOf(0x9fffe, 4)]).toEqual([-1, -1, -1]);
  });

  it('joins regions that touch, whatever their access', () => {
    const memory = createPhysicalMemory(
      [
        { base: 0x10000, size: 0x10000, access: 'ro' },
        { base: 0, size: 0x10000, access: 'rw' },
      ],
      0,
    );
    expect(memory.offsetOf(0xfffe, 4)).toBe(0xfffe);
  });
});

describe('what a guest may name', () => {
  const memory = createPhysicalMemory([{ base: 0, size: MiB, access: 'rw' }], 0);

  it.each([
    [MiB - 3, 4],
    [MiB, 1],
    [-1, 2],
    [2 ** 48, 1],
    [Number.NaN, 4],
    [0, -1],
    [0, MiB + 1],
  ])('is RAM or -1, never an exception: %d, %d bytes', (gpa, size) => {
    expect(memory.offsetOf(gpa, size)).toBe(-1);
    expect(memory.write(gpa, new Uint8Array(Math.max(4, Math.min(size, 8))))).toBe(gpa === 0);
    expect(memory.read(gpa, size)).toBeUndefined();
  });
});

it('reads back a copy of what was written', () => {
  const memory = createPhysicalMemory([{ base: 0, size: MiB, access: 'rw' }], 0x10000);
  expect(memory.write(0x400, new Uint8Array([1, 2, 3]))).toBe(true);
  const copy = memory.read(0x3ff, 4);
  memory.bytes.fill(0xee, memory.offsetOf(0x400, 1), memory.offsetOf(0x400, 1) + 3);
  expect([...(copy ?? [])]).toEqual([0, 1, 2, 3]);
});

describe('refused', () => {
  it('is more than 4 GiB less 64 KiB', () => {
    expect(() => createPhysicalMemory([{ base: 0, size: 4096 * MiB - 0x10000, access: 'rw' }], 1)).toThrow(
      expect.objectContaining({ code: 'BH401' }),
    );
  });

  it('are regions that overlap or are empty', () => {
    for (const size of [0x20000, 0]) {
      const regions = [
        { base: 0, size, access: 'rw' },
        { base: 0x10000, size: 0x10000, access: 'rw' },
      ] as const;
      expect(() => createPhysicalMemory(regions, 0)).toThrow(expect.objectContaining({ code: 'BH213' }));
    }
  });
});
