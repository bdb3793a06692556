import fc from 'fast-check';
import { Worker } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import { ByteRing } from './ring.ts';

const bytes = (text: string): Uint8Array => Uint8Array.from(text, (c) => c.charCodeAt(0));
const drain = (ring: ByteRing): number[] => {
  const into = new Uint8Array(ring.capacity);
  return [...into.subarray(0, ring.read(into))];
};

describe('towards a guest: lossless', () => {
  it('gives bytes out in the order they came', () => {
    const ring = ByteRing.create(16);
    expect(ring.push(bytes('hello'))).toBe(5);
    expect([ring.shift(), ring.length]).toEqual([0x68, 4]);
    expect(drain(ring)).toEqual([...bytes('ello')]);
    expect(ring.shift()).toBeUndefined();
  });

  it('takes what fits and leaves the rest to the caller', () => {
    const ring = ByteRing.create(16);
    expect(ring.push(new Uint8Array(20))).toBe(16);
    expect([ring.pushByte(1), ring.dropped]).toEqual([false, 0]);
    ring.shift();
    expect(ring.pushByte(1)).toBe(true);
  });

  it('behaves like a bounded queue under any sequence of pushes and reads', () => {
    const operation = fc.oneof(
      fc.uint8Array({ maxLength: 40 }).map((data) => ({ kind: 'push' as const, data })),
      fc.integer({ min: 0, max: 40 }).map((count) => ({ kind: 'read' as const, count })),
    );
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 60 }), (operations) => {
        const ring = ByteRing.create(32);
        const model: number[] = [];
        for (const step of operations) {
          if (step.kind === 'push') {
            const taken = ring.push(step.data);
            expect(taken).toBe(Math.min(step.data.length, 32 - model.length));
            model.push(...step.data.subarray(0, taken));
          } else {
            const into = new Uint8Array(step.count);
            const count = ring.read(into);
            expect([...into.subarray(0, count)]).toEqual(model.splice(0, step.count));
          }
          expect(ring.length).toBe(model.length);
        }
      }),
      { numRuns: 200 },
    );
  });
});

describe('from a guest: never waits', () => {
  it('gives up the oldest bytes, counts them, and keeps the newest in order', () => {
    const ring = ByteRing.create(16);
    for (let i = 0; i < 40; i++) ring.pushByteDroppingOldest(i);
    const rest = drain(ring);
    expect(rest.length + ring.dropped).toBe(40);
    expect(rest).toEqual(Array.from({ length: rest.length }, (_, i) => 40 - rest.length + i));
  });

  it('survives the wrap of its 32-bit counters', () => {
    const ring = ByteRing.create(16);
    const words = new Int32Array(ring.buffer, 0, 2);
    words.fill(-3);
    expect(ring.push(bytes('wrapping'))).toBe(8);
    expect(drain(ring)).toEqual([...bytes('wrapping')]);
  });

  it('shows a consumer in another thread nothing torn, and accounts for every byte', async () => {
    const ring = ByteRing.create(1024);
    const total = 300_000;
    const producer = new Worker(
      `const { workerData } = require('node:worker_threads');
       import(workerData.module).then(({ ByteRing }) => {
         const ring = ByteRing.over(workerData.buffer);
         for (let i = 0; i < workerData.total; i++) ring.pushByteDroppingOldest(i & 0xff);
       });`,
      { eval: true, workerData: { module: new URL('./ring.ts', import.meta.url).href, buffer: ring.buffer, total } },
    );
    let running = true;
    producer.on('exit', () => {
      running = false;
    });
    const into = new Uint8Array(100);
    let received = 0;
    let expected = 0;
    let torn = 0;
    while (running || ring.length > 0) {
      const count = ring.read(into);
      for (let i = 0; i < count; i++) {
        // A full ring gives up a sixteenth, 64 bytes, at a time: any other jump is a torn read.
        if ((((into[i] as number) - expected) & 63) !== 0) torn++;
        expected = ((into[i] as number) + 1) & 0xff;
      }
      received += count;
      if (count === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    expect(torn).toBe(0);
    expect(received + ring.dropped).toBe(total);
  });

  it('tells a consumer that waits of the first byte, and one that need not wait at once', async () => {
    const ring = ByteRing.create(16);
    let arrived = false;
    const waiting = ring.arrival().then(() => {
      arrived = true;
    });
    await new Promise((resolve) => setImmediate(resolve));
    expect(arrived).toBe(false);
    const producer = new Worker(
      `const { workerData } = require('node:worker_threads');
       import(workerData.module).then(({ ByteRing }) => ByteRing.over(workerData.buffer).pushByteDroppingOldest(7));`,
      { eval: true, workerData: { module: new URL('./ring.ts', import.meta.url).href, buffer: ring.buffer } },
    );
    producer.unref();
    await waiting;
    await ring.arrival();
    expect(ring.shift()).toBe(7);
  });

  it('tells of bytes that came behind a ring that was given up in part', async () => {
    const ring = ByteRing.create(16);
    for (let byte = 0; byte < 40; byte++) ring.pushByteDroppingOldest(byte);
    await ring.arrival();
    ring.read(new Uint8Array(64));
    const waiting = ring.arrival();
    expect(ring.push(Uint8Array.of(1, 2, 3))).toBe(3);
    await waiting;
    expect(ring.length).toBe(3);
  });
});
