// A partition beside the worst neighbour at its channel: what it does and when, and what that costs its thread, before and during a flood.
import { Worker } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import { ms } from '../src/base/index.ts';
import type { Clock, DeviceSpec } from '../src/contracts/index.ts';
import { type ChannelBuffers, ChannelEnd, createChannel } from '../src/shared/index.ts';
import { Guest } from './support/guest.ts';

const PEER = new URL('./support/flooding-peer.ts', import.meta.url);
const TIME = 1500 * ms;
const DOORBELLS = 1000;
const device: DeviceSpec = { name: 'mem', model: 'ivshmem', ranges: [], irqs: [], options: {} };

interface Outcome {
  readonly console: string;
  readonly misses: number;
  readonly jobs: number;
  readonly worstNanos: number;
  readonly heard: number;
  readonly cpuMilliseconds: number;
  readonly rings: number;
}

async function run(flooded: boolean): Promise<Outcome> {
  const member = { writable: true, vectors: 4, doorbellsPerSecond: DOORBELLS, alarm: new Int32Array(new SharedArrayBuffer(4)) };
  const [own, peer] = createChannel(0x1_0000, [member, member]) as [ChannelBuffers, ChannelBuffers];
  let heard = 0;
  const shared = (clock: Clock) => {
    const end = new ChannelEnd(own, clock, () => undefined);
    const listen = end.listen.bind(end);
    end.listen = (rung) =>
      listen((vector) => {
        heard++;
        rung(vector);
      });
    return new Map([['mem', end]]);
  };
  const guest = new Guest('guests/rtos/images/control.elf', { devices: [device], shared, instructionsPerMicrosecond: 100 });
  const stop = new SharedArrayBuffer(8);
  const worker = flooded ? new Worker(PEER, { workerData: { end: peer, stop } }) : undefined;
  const ended = new Promise<{ rings: number }>((resolve, reject) => worker?.once('message', resolve).once('error', reject) ?? resolve({ rings: 0 }));
  if (worker !== undefined) await Atomics.waitAsync(new Int32Array(stop), 1, 0).value;
  const before = process.threadCpuUsage();
  guest.run({
    instructions: 1e9,
    time: TIME,
    until: ({ partition }) => {
      partition.admitInput();
      return false;
    },
  });
  const { user, system } = process.threadCpuUsage(before);
  Atomics.store(new Int32Array(stop), 0, 1);
  const { rings } = await ended;
  await worker?.terminate();
  const [, jobs = '', misses = '', worst = ''] = /jobs=(\d+) misses=(\d+) worst=(\d+)ns/.exec(guest.console) ?? [];
  return { console: guest.console, jobs: Number(jobs), misses: Number(misses), worstNanos: Number(worst), heard, cpuMilliseconds: (user + system) / 1000, rings };
}

describe('the motion controller beside a partition that floods their channel', () => {
  it('does the same at the same time, and hears no more doorbells than were granted', { timeout: 200_000 }, async () => {
    const quiet = await run(false);
    const flooded = await run(true);
    const words = (name: string, { rings, heard, misses, worstNanos, cpuMilliseconds }: Outcome): string =>
      `${name}: ${rings} doorbells rung, ${heard} heard; ${misses} periods missed, worst latency ${worstNanos} ns; ${Math.round(cpuMilliseconds)} ms of its thread's CPU for ${TIME / ms} ms`;
    console.log(`${words('before', quiet)}\n${words('during', flooded)}`);
    expect(flooded.rings).toBeGreaterThan(100_000);
    expect(flooded.console).toBe(quiet.console);
    expect([flooded.misses, flooded.jobs]).toEqual([0, quiet.jobs]);
    expect(flooded.heard).toBeLessThanOrEqual((TIME / ms / 1000) * DOORBELLS + DOORBELLS / 50 + 1);
    // Each access to a word that the other writes all the time costs a cache miss; nothing costs a wait.
    expect(flooded.cpuMilliseconds).toBeLessThan(3 * quiet.cpuMilliseconds + 200);
  });
});
