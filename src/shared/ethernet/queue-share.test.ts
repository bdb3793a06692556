import { describe, expect, it } from 'vitest';
import { QueueShare } from './queue-share.ts';

/** How many items of `size` a sender gets in before it is refused. */
function fill(share: QueueShare, sender: number, size: number): number {
  let count = 0;
  for (; share.admits(sender, size); count++) share.add(sender, size);
  return count;
}

describe('a queue that senders share', () => {
  it('leaves each sender its part of the reserved half, by weight, whoever floods it', () => {
    const share = new QueueShare(1600, 1600, [1, 3]);
    // 200 reserved, and all of the common half.
    expect(fill(share, 0, 1)).toBe(1000);
    expect(fill(share, 1, 1)).toBe(600);
    expect([share.held(0), share.held(1)]).toEqual([1000, 600]);
  });

  it('has room again for those whose items came out, oldest first', () => {
    const share = new QueueShare(160, 160, [1, 1]);
    expect([fill(share, 0, 10), fill(share, 1, 10)]).toEqual([12, 4]);
    share.settle(10);
    expect([share.held(0), share.held(1)]).toEqual([60, 40]);
    share.settle(0);
    expect([share.held(0), share.held(1), fill(share, 1, 10)]).toEqual([0, 0, 12]);
  });

  it('never holds more items than its depth', () => {
    const share = new QueueShare(1000, 4, [1]);
    expect(fill(share, 0, 1)).toBe(4);
  });

  it('keeps its books over any sequence', () => {
    const share = new QueueShare(4096, 64, [1, 2, 5]);
    const inside: [number, number][] = [];
    let random = 12_345;
    const next = (below: number): number => (random = (Math.imul(random, 1_103_515_245) + 12_345) >>> 0) % below;
    for (let step = 0; step < 20_000; step++) {
      const [sender, size] = [next(3), 1 + next(200)];
      if (next(2) === 0 && share.admits(sender, size)) {
        share.add(sender, size);
        inside.push([sender, size]);
      } else {
        inside.splice(0, next(4));
        share.settle(inside.length);
      }
      if (step % 50 === 0) for (const which of [0, 1, 2]) expect(share.held(which)).toBe(inside.reduce((sum, [from, bytes]) => sum + (from === which ? bytes : 0), 0));
    }
  });
});
