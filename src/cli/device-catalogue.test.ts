import { describe, expect, it } from 'vitest';
import { createPhysicalMemory, createPlatform, pcRamRegions } from '../board/index.ts';
import { MiB } from '../base/index.ts';
import { LARGEST_FIRMWARE } from '../boot/index.ts';
import { DEVICE_CATALOGUE } from './device-catalogue.ts';

const place = ({ space, base, size }: { readonly space: string; readonly base: number; readonly size: number }): string => `${space} ${base.toString(16)}+${size.toString(16)}`;

/** A platform with no device attached: what is claimed there, every partition has. */
function barePlatform(rom?: Uint8Array) {
  return createPlatform({
    partition: 'bare',
    vcpus: 1,
    devices: [],
    memory: createPhysicalMemory(pcRamRegions(4 * MiB), 0, 32 * MiB),
    ...(rom === undefined ? {} : { rom: { image: rom, order: [] } }),
    clock: { now: () => 0, at: () => ({ [Symbol.dispose]: () => undefined }) },
    log: { log: () => undefined },
    power: { request: () => undefined, fail: () => undefined },
    character: () => ({ output: () => undefined, input: () => undefined }),
    cpuid: { lookup: (_leaf, _subleaf, out) => void out.fill(0) },
    wallTime: 0,
  });
}

describe('the list of what every partition has', () => {
  it('names the very ports and addresses that a bare platform claims', () => {
    const listed = DEVICE_CATALOGUE.platform.flatMap(({ ranges }) => ranges.map(place));
    expect(listed.sort()).toEqual([...barePlatform().bus.ranges()].map(place).sort());
  });

  it('names what is there beside that when a partition starts from the largest firmware; shadow RAM is where RAM is', () => {
    const listed = [...DEVICE_CATALOGUE.platform, ...DEVICE_CATALOGUE.firmware].flatMap(({ ranges }) => ranges.map(place));
    const claimed = [...barePlatform(new Uint8Array(LARGEST_FIRMWARE)).bus.ranges()].map(place);
    expect([...listed, 'mmio c0000+40000'].sort()).toEqual(claimed.sort());
  });

  it('names the lines it drives, and the one that joins the interrupt controllers', () => {
    const cascade = 2;
    const listed = DEVICE_CATALOGUE.platform.flatMap(({ irqs }) => irqs);
    expect(listed.sort()).toEqual([...barePlatform().lines.owners().map(({ pin }) => pin), cascade].sort());
  });

  it('leaves the usual place of every model free', () => {
    const taken = DEVICE_CATALOGUE.platform.flatMap(({ ranges }) => ranges);
    for (const [name, { places }] of Object.entries(DEVICE_CATALOGUE.models)) {
      for (const range of places.flatMap(({ ranges }) => ranges)) {
        const other = taken.find(({ space, base, size }) => space === range.space && base < range.base + range.size && range.base < base + size);
        expect(other, name).toBeUndefined();
      }
    }
  });
});
