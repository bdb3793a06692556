/** A Worker that answers: a partition at a channel that sleeps until a doorbell is heard, and rings the same one back. */
import { workerData } from 'node:worker_threads';
import { ms } from '../../src/base/index.ts';
import type { Clock } from '../../src/contracts/index.ts';
import { type ChannelBuffers, ChannelEnd } from '../../src/shared/index.ts';

export interface EchoStart {
  readonly end: ChannelBuffers;
  /** Number of the member that is answered. */
  readonly asking: number;
  readonly stop: Int32Array;
  /** Set to 1 once it listens: what is rung before is forgotten. */
  readonly listening: Int32Array;
}

const { end, asking, stop, listening } = workerData as EchoStart;
const clock: Clock = { now: () => performance.now() * ms, at: () => ({ [Symbol.dispose]: () => undefined }) };
const own = end.channel.alarms[end.channel.id] as Int32Array;
const channel = new ChannelEnd(end, clock, (alarm) => {
  Atomics.add(alarm, 0, 1);
  Atomics.notify(alarm, 0);
});
channel.listen((vector) => {
  // Of a doorbell that others ring nobody waits for an answer.
  if (vector === 0) channel.ring(asking, 0);
});
Atomics.store(listening, 0, 1);
while (Atomics.load(stop, 0) === 0) {
  const seen = Atomics.load(own, 0);
  channel.admit();
  Atomics.wait(own, 0, seen, 1);
}
