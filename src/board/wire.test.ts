import { beforeEach, describe, expect, it } from 'vitest';
import { createWire, unplugWire, type WireBuffers, WireEnd } from './wire.ts';

let ends: readonly [WireBuffers, WireBuffers];
let wakes: string[];
let left: WireEnd;
let right: WireEnd;

beforeEach(() => {
  ends = createWire();
  wakes = [];
  left = new WireEnd(ends[0], () => wakes.push('right'));
  right = new WireEnd(ends[1], () => wakes.push('left'));
  left.admit();
  wakes.length = 0;
});

const frame = (fill: number, length = 60): Uint8Array => new Uint8Array(length).fill(fill);

function take(end: WireEnd): number | undefined {
  const target = new Uint8Array(9216);
  return end.receive(target) === 0 ? undefined : target[0];
}

describe('a wire between two partitions', () => {
  it('carries frames both ways, in order, and wakes whoever they are for', () => {
    left.send(frame(1));
    left.send(frame(2));
    right.send(frame(3));
    expect(wakes).toEqual(['right', 'right', 'left']);
    right.admit();
    left.admit();
    expect([take(right), take(right), take(right), take(left)]).toEqual([1, 2, undefined, 3]);
  });

  it('shows a frame to the device only once it was admitted', () => {
    let arrivals = 0;
    right.listen(() => arrivals++);
    left.send(frame(1));
    expect([take(right), arrivals]).toEqual([undefined, 0]);
    right.admit();
    expect([arrivals, take(right)]).toEqual([1, 1]);
    right.admit();
    right.admit();
    expect(arrivals).toBe(1);
  });

  it('refuses when it is full, and takes frames again when the other end has read', () => {
    let sent = 0;
    while (left.send(frame(sent & 0xff, 1514))) sent++;
    expect(sent).toBeGreaterThan(300);
    expect(sent).toBeLessThan(400);
    right.admit();
    for (let i = 0; i < sent; i++) expect(take(right)).toBe(i & 0xff);
    expect(left.send(frame(1))).toBe(true);
  });

  it('counts what a sender gave up at the end it was for', () => {
    let changes = 0;
    right.listen(() => changes++);
    left.drop();
    expect([right.missed, wakes.at(-1)]).toEqual([0, 'right']);
    right.admit();
    expect([right.missed, left.missed, changes]).toEqual([1, 0, 1]);
  });

  it('is down while nobody is at the other end, and loses what was on it', () => {
    let changes = 0;
    left.listen(() => changes++);
    right.send(frame(7));
    right[Symbol.dispose]();
    left.admit();
    expect([left.connected, left.send(frame(1)), changes]).toEqual([false, false, 1]);
    left[Symbol.dispose]();
    const again = new WireEnd(ends[0], () => undefined);
    const next = new WireEnd(ends[1], () => undefined);
    again.admit();
    expect([again.connected, next.connected, take(again)]).toEqual([true, true, undefined]);
  });

  it('goes down as well when an end dies without a word', () => {
    unplugWire(ends[1]);
    left.admit();
    expect(left.connected).toBe(false);
  });
});
