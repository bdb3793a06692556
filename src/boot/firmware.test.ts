import { describe, expect, it } from 'vitest';
import { BulkheadError, KiB, MiB } from '../base/index.ts';
import { type BootInput, detectImage, loadBoot } from './index.ts';
import { ENVIRONMENT, inputFor } from './test-images.ts';

/** A ROM with a far jump at its reset vector. */
function rom(size: number): Uint8Array {
  const image = new Uint8Array(size).fill(0xff);
  image.set([0xea, 0x5b, 0xe0, 0x00, 0xf0], size - 16);
  return image;
}

const load = (image: Uint8Array, more: Partial<BootInput> = {}) =>
  loadBoot(inputFor(image, { protocol: 'firmware', ...more }), ENVIRONMENT);

function codeOf(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    if (error instanceof BulkheadError) return error.code;
    throw error;
  }
  return 'nothing was refused';
}

describe('firmware', () => {
  it.each([64 * KiB, 256 * KiB, 16 * MiB])('of %i bytes is known by being asked for', (size) => {
    expect(detectImage(rom(size), 'rom', 'firmware')).toMatchObject({ kind: 'firmware', description: `firmware ROM of ${size / KiB} KiB` });
  });

  it('leaves RAM alone', () => {
    expect(load(rom(128 * KiB)).segments).toEqual([]);
  });

  it('starts as a processor does after power-on (SDM 3A §10.1.4, table 10-1)', () => {
    const { entry } = load(rom(128 * KiB));
    expect(entry).toMatchObject({ rip: 0xfff0n, rflags: 2n, cr0: 0x6000_0010n, cr3: 0n, cr4: 0n, efer: 0n });
    expect(entry.segments.cs).toMatchObject({ selector: 0xf000, base: 0xffff_0000n, limit: 0xffff });
    expect(entry.segments.ds).toMatchObject({ selector: 0, base: 0n, limit: 0xffff });
    expect([entry.gdtr, entry.idtr]).toEqual([
      { base: 0n, limit: 0xffff },
      { base: 0n, limit: 0xffff },
    ]);
    expect(entry.gpr[2]).toBe(0x6f0n); // EDX: which processor it is
  });

  it.each([
    ['an empty file', new Uint8Array(0)],
    ['half of 64 KiB too much', rom(96 * KiB)],
    ['more than 16 MiB', rom(16 * MiB + 64 * KiB)],
    ['an erased chip', new Uint8Array(64 * KiB).fill(0xff)],
    ['a file of zeros', new Uint8Array(64 * KiB)],
  ])('is not %s', (_, image) => {
    expect(codeOf(() => load(image))).toBe('BH307');
  });

  it('takes neither a command line nor an initrd', () => {
    expect(codeOf(() => load(rom(64 * KiB), { cmdline: 'quiet' }))).toBe('BH306');
    expect(codeOf(() => load(rom(64 * KiB), { initrd: new Uint8Array(1), initrdName: 'initrd' }))).toBe('BH306');
  });
});
