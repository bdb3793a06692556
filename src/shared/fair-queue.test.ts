import { describe, expect, it } from 'vitest';
import { ms, s } from '../base/index.ts';
import { FairQueue, type FairShare } from './fair-queue.ts';

/** What each source was served, in bytes, when all of them always want so much. `now` moves by what a byte takes. */
function served(shares: readonly FairShare[], costs: readonly number[], rounds = 20_000, perByte = 0): number[] {
  const queue = new FairQueue(shares);
  const bytes = shares.map(() => 0);
  let now = 0;
  for (let round = 0; round < rounds; round++) {
    const source = queue.next(now, (index) => costs[index] as number);
    if (source < 0) {
      now += queue.delay;
      continue;
    }
    bytes[source] = (bytes[source] as number) + (costs[source] as number);
    now += (costs[source] as number) * perByte;
  }
  return bytes;
}

describe('among sources that always want more', () => {
  it('each gets its weight, whatever it asks for at a time', () => {
    const [one = 0, three = 0, four = 0] = served([{ weight: 1 }, { weight: 3 }, { weight: 4 }], [512, 65_536, 4096]);
    expect(three / one).toBeCloseTo(3, 1);
    expect(four / one).toBeCloseTo(4, 1);
  });

  it('a weight of one beside a thousand is not forgotten', () => {
    const [small = 0, large = 0] = served([{ weight: 1 }, { weight: 1000 }], [65_536, 65_536], 100_000);
    expect(large / small).toBeGreaterThan(900);
    expect(small).toBeGreaterThan(0);
  });

  it('nobody waits for more than a quantum of each other, and one request', () => {
    const queue = new FairQueue([{ weight: 1 }, { weight: 1 }, { weight: 1 }]);
    let since = 0;
    let longest = 0;
    for (let round = 0; round < 3000; round++) {
      if (queue.next(0, () => 4096) === 0) since = 0;
      else longest = Math.max(longest, (since += 4096));
    }
    expect(longest).toBeLessThanOrEqual(2 * (65_536 + 4096));
  });
});

describe('a source that wants nothing', () => {
  it('costs the others nothing, and saves nothing up', () => {
    const queue = new FairQueue([{ weight: 1 }, { weight: 1 }]);
    for (let round = 0; round < 1000; round++) expect(queue.next(0, (index) => (index === 1 ? 4096 : 0))).toBe(1);
    const turns = Array.from({ length: 64 }, () => queue.next(0, () => 4096));
    expect(turns.filter((turn) => turn === 0).length).toBe(32);
  });

  it('leaves nothing to do when all are like it', () => {
    const queue = new FairQueue([{ weight: 1 }]);
    expect(queue.next(0, () => 0)).toBe(-1);
    expect(queue.delay).toBe(Number.POSITIVE_INFINITY);
  });
});

describe('a rate', () => {
  it('limits bytes a second, and says when to come again', () => {
    const queue = new FairQueue([{ weight: 1, rate: { bytesPerSecond: 1_000_000, burst: 10_000 } }]);
    let [now, bytes] = [0, 0];
    while (now < 2 * s) {
      if (queue.next(now, () => 1000) === 0) bytes += 1000;
      else now += queue.delay;
    }
    expect(bytes).toBeGreaterThan(1_990_000);
    expect(bytes).toBeLessThanOrEqual(2_010_000 + 1000);
    expect(queue.isHeldBack(0)).toBe(true);
  });

  it('limits operations a second', () => {
    const queue = new FairQueue([{ weight: 1, rate: { operationsPerSecond: 100 } }]);
    let [now, operations] = [0, 0];
    while (now < 10 * s) {
      if (queue.next(now, () => 1) === 0) operations++;
      else now += queue.delay;
    }
    // And a quarter of a second's worth that was saved up at the beginning.
    expect(operations).toBeGreaterThanOrEqual(1000);
    expect(operations).toBeLessThanOrEqual(1026);
  });

  it('lets through, from a full bucket, what is larger than the bucket', () => {
    const queue = new FairQueue([{ weight: 1, rate: { bytesPerSecond: 1000, burst: 100 } }]);
    expect(queue.next(0, () => 65_536)).toBe(0);
    expect(queue.next(1 * s, () => 65_536)).toBe(-1);
    expect(queue.delay).toBeGreaterThan(60 * s);
  });

  it('of one source is no reason for another to wait', () => {
    const queue = new FairQueue([{ weight: 1000, rate: { operationsPerSecond: 1 } }, { weight: 1 }]);
    const turns = Array.from({ length: 100 }, () => queue.next(ms, () => 4096));
    expect(turns.filter((turn) => turn === 1).length).toBeGreaterThanOrEqual(98);
  });

  it('is not exceeded by a clock that stands still or goes back', () => {
    const queue = new FairQueue([{ weight: 1, rate: { bytesPerSecond: 1000, burst: 1000 } }]);
    expect(queue.next(5 * s, () => 1000)).toBe(0);
    expect(queue.next(5 * s, () => 1000)).toBe(-1);
    expect(queue.next(4 * s, () => 1000)).toBe(-1);
  });
});
