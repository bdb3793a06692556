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

describe('what the guest sees (the map)', () => {
  const ram = [{ base: 0, size: 16 * 4096, access: 'rw' as const }];

  it('is RAM alone at first, in whole pages', () => {
    const memory = createPhysicalMemory([{ base: 0, size: 0x2800, access: 'rw' }, { base: 0x5000, size: 0x1000, access: 'ro' }], 0x10000);
    expect(memory.map).toEqual([
      { base: 0, end: 0x2000, offset: 0x10000, access: 'rw' },
      { base: 0x5000, end: 0x6000, offset: 0x15000, access: 'ro' },
    ]);
  });

  it('shows an overlay in front of RAM and of earlier ones, until it is taken away', () => {
    const memory = createPhysicalMemory(ram, 0, 0x10000);
    const rom = memory.reserve(0x3000, 'rom');
    const first = memory.overlay(0x4000, 0x3000, rom, 'ro');
    const second = memory.overlay(0x5000, 0x1000, memory.offsetOf(0x5000, 0x1000), 'ro');
    expect(memory.map).toEqual([
      { base: 0, end: 0x4000, offset: 0, access: 'rw' },
      { base: 0x4000, end: 0x5000, offset: rom, access: 'ro' },
      { base: 0x5000, end: 0x6000, offset: 0x5000, access: 'ro' },
      { base: 0x6000, end: 0x7000, offset: rom + 0x2000, access: 'ro' },
      { base: 0x7000, end: 0x10000, offset: 0x7000, access: 'rw' },
    ]);
    first[Symbol.dispose]();
    first[Symbol.dispose]();
    second[Symbol.dispose]();
    expect(memory.map).toEqual([{ base: 0, end: 0x10000, offset: 0, access: 'rw' }]);
  });

  it('tells its observers of each change, and of bytes written from outside', () => {
    const memory = createPhysicalMemory(ram, 0, 0x10000);
    const seen: string[] = [];
    const observation = memory.observe({ memoryChanged: (gpa, size) => seen.push(`${gpa}+${size}`), memoryMapChanged: () => seen.push('map') });
    memory.overlay(0xd000_0000, 0x1000, memory.reserve(0x1000, 'frames'), 'rw')[Symbol.dispose]();
    memory.written(0x10, 4);
    observation[Symbol.dispose]();
    memory.written(0x20, 4);
    expect(seen).toEqual(['map', 'map', '16+4']);
  });

  it('leaves loaders and DMA to RAM', () => {
    const memory = createPhysicalMemory(ram, 0, 0x10000);
    const frames = memory.reserve(0x1000, 'frames');
    memory.overlay(0x2000, 0x1000, frames, 'rw');
    memory.overlay(0xd000_0000, 0x1000, frames, 'rw');
    memory.write(0x2000, Uint8Array.of(9));
    expect([memory.bytes[0x2000], memory.bytes[frames], memory.offsetOf(0xd000_0000, 4)]).toEqual([9, 0, -1]);
  });
});

it('reserves whole pages beside RAM, and refuses what does not fit', () => {
  const memory = createPhysicalMemory([{ base: 0, size: 0x10800, access: 'rw' }], 0, 0x20000);
  const offsets = [memory.reserve(1, 'a'), memory.reserve(0x1000, 'b'), memory.reserve(0x1001, 'c')];
  expect(offsets).toEqual([0x11000, 0x12000, 0x13000]);
  expect(() => memory.reserve(0x30000, 'd')).toThrow(expect.objectContaining({ code: 'BH401' }));
});
