/** A Worker that is the worst neighbour one can have at a channel: it rings every doorbell and scribbles over the memory, without a pause. */
import { parentPort, workerData } from 'node:worker_threads';
import { type ChannelBuffers, ChannelEnd } from '../../src/shared/index.ts';

export interface FloodStart {
  readonly end: ChannelBuffers;
  /** Two words: the first is set to 1 by whoever has seen enough, the second by the neighbour when it has begun. */
  readonly stop: SharedArrayBuffer;
  /** Doorbells of the first member that it rings; all when left out. */
  readonly vectors?: readonly number[];
}

const { end, stop, vectors = [0, 1, 2, 3] } = workerData as FloodStart;
const clock = { now: () => 0, at: () => ({ [Symbol.dispose]: () => undefined }) };
let wakes = 0;
const channel = new ChannelEnd(end, clock, () => wakes++);
const over = new Int32Array(stop);
let rings = 0;
for (let round = 0; Atomics.load(over, 0) === 0; round++) {
  for (const vector of vectors) channel.ring(0, vector);
  rings += vectors.length;
  if (round === 0) {
    Atomics.store(over, 1, 1);
    Atomics.notify(over, 1);
  }
  channel.memory.write((round * 4) % channel.memory.size, 4, Math.imul(round, 0x9e37_79b1) >>> 0);
}
parentPort?.postMessage({ rings, wakes });
