// memtest86+ 6 on the modelled memory and screen. A full pass takes minutes and is in bench/memtest.ts; here are the first tests of one.
import { describe, expect, it } from 'vitest';
import { MiB } from '../src/base/index.ts';
import { Memtest, memtestImages, type MemtestWidth } from './support/memtest.ts';
import { ifAvailable } from './support/packages.ts';

const images = await ifAvailable('memtest86+', memtestImages);

/** Small memory, and a core on which a second of waiting is ten million instructions. */
const SMALL = { memory: 16 * MiB, cpus: 1, instructionsPerMicrosecond: 10 };
const TIMEOUT = 120_000;

/** Runs until test number `last` has begun; returns the numbers of the tests that were seen running. */
function runTo(memtest: Memtest, last: number, instructions: number): number[] {
  const seen: number[] = [];
  memtest.guest.run({
    instructions,
    until: () => {
      const { test } = memtest;
      if (test !== undefined && test !== seen.at(-1)) seen.push(test);
      return test === last;
    },
  });
  return seen;
}

describe.skipIf(images === undefined)('memtest86+', () => {
  it.each<[MemtestWidth, string]>([
    ['64-bit', 'x64'],
    ['32-bit', 'x32'],
  ])('%s: passes its first tests without an error', { timeout: TIMEOUT }, (width, suffix) => {
    const memtest = new Memtest(images![width], SMALL);
    // Test 1 is a second look at what test 0 wrote, over before the screen is looked at.
    expect(runTo(memtest, 5, 3e9)).toEqual([0, 2, 3, 4, 5]);
    expect(memtest.screen[0]).toMatch(/^ +Memtest86\+ v6\.\d+ +\| Bulkhead virtual processor @ 1\.00GHz$/);
    expect(memtest.screen.at(-1)).toMatch(new RegExp(`\\.${suffix}$`));
    expect(memtest.screen[5]).toMatch(/^Memory +: +16MB/);
    expect(memtest.screen[3]).toMatch(/Test #5 +\[Moving inversions, random pattern\]/);
    expect(memtest.errors).toBe(0);
    expect(memtest.findings).toEqual([]);
    expect(memtest.guest.partition.end).toBeUndefined();
  });

  it('tests with two processors in parallel', { timeout: TIMEOUT }, () => {
    const memtest = new Memtest(images!['64-bit'], { ...SMALL, cpus: 2 });
    expect(runTo(memtest, 4, 1e9)).toEqual([0, 2, 3, 4]);
    expect(memtest.screen[7]).toMatch(/^CPU: 2 Cores 2 Threads +SMP: 2T \(PAR\)/);
    expect(memtest.errors).toBe(0);
    expect(memtest.findings).toEqual([]);
    const [first, second] = memtest.guest.partition.registers();
    expect(second!.retired).toBeGreaterThan(first!.retired / 4);
  });

  it('finds a bit of memory that does not keep what is written: "0 errors" means something', { timeout: TIMEOUT }, () => {
    const memtest = new Memtest(images!['64-bit'], SMALL);
    const { memory } = memtest.guest.partition;
    const bad = memory.offsetOf(0xc0_1234, 1);
    memtest.guest.run({
      instructions: 5e8,
      until: () => {
        // A cell stuck at 1.
        memory.bytes[bad] = (memory.bytes[bad] as number) | 0x10;
        return (memtest.errors ?? 0) > 0;
      },
    });
    expect(memtest.errors).toBeGreaterThan(0);
    expect(memtest.findings.at(-1)).toMatch(/^ +0 +0 +2 +000000c01230 \(12MB\) +0000000000c01230 +0000001000c01230$/);
  });
});
