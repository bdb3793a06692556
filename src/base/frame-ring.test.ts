import { describe, expect, it } from 'vitest';
import { FrameRing } from './frame-ring.ts';

const frame = (length: number, fill: number): Uint8Array => new Uint8Array(length).fill(fill);

function take(ring: FrameRing): number[] | undefined {
  const target = new Uint8Array(2048);
  const length = ring.shift(target);
  return length === 0 ? undefined : [...target.subarray(0, length)];
}

describe('a ring of frames', () => {
  it('hands frames over whole and in order, also to another view of the same memory', () => {
    const producer = FrameRing.create(1024);
    const consumer = FrameRing.over(producer.buffer);
    producer.push(Uint8Array.of(1, 2, 3));
    producer.push(frame(60, 9));
    expect(consumer.length).toBe(2);
    expect(take(consumer)).toEqual([1, 2, 3]);
    expect(take(consumer)).toEqual(new Array(60).fill(9));
    expect(take(consumer)).toBeUndefined();
  });

  it('refuses what does not fit, and takes it once there is room', () => {
    const ring = FrameRing.create(256);
    let count = 0;
    while (ring.push(frame(60, count))) count++;
    expect(count).toBe(4); // 64 bytes each, with their length
    take(ring);
    expect(ring.push(frame(60, 77))).toBe(true);
  });

  it('never takes a frame longer than half of it: that could wait for room for ever', () => {
    expect(FrameRing.create(256).push(frame(125, 1))).toBe(false);
    expect(FrameRing.create(256).push(frame(124, 1))).toBe(true);
  });

  it('keeps every frame over many laps of odd lengths', () => {
    const ring = FrameRing.create(1024);
    let put = 0;
    let taken = 0;
    for (let step = 0; step < 20_000; step++) {
      const length = 14 + ((put * 37) % 400);
      if ((step * 7919) % 3 < 2 && ring.push(frame(length, put & 0xff))) put++;
      else if (ring.length > 0) {
        expect(take(ring)).toEqual(new Array(14 + ((taken * 37) % 400)).fill(taken & 0xff));
        taken++;
      }
    }
    expect(taken).toBeGreaterThan(5_000);
    expect(ring.length).toBe(put - taken);
  });

  it('cuts a frame to a target that is too small and goes on with the next', () => {
    const ring = FrameRing.create(256);
    ring.push(Uint8Array.of(1, 2, 3, 4, 5));
    ring.push(Uint8Array.of(6));
    const small = new Uint8Array(2);
    expect([ring.shift(small), [...small]]).toEqual([2, [1, 2]]);
    expect(take(ring)).toEqual([6]);
  });

  it('begins anew for a reader that comes', () => {
    const ring = FrameRing.create(256);
    ring.push(frame(20, 1));
    expect(ring.reader).toBe(false);
    ring.reader = true;
    expect([ring.reader, ring.length, take(ring)]).toEqual([true, 0, undefined]);
    ring.push(frame(4, 2));
    expect(take(ring)).toEqual([2, 2, 2, 2]);
  });

  it('counts what its producer gave up', () => {
    const ring = FrameRing.create(64);
    ring.countRefusal();
    ring.countRefusal();
    expect(FrameRing.over(ring.buffer).refused).toBe(2);
  });
});
