import { describe, expect, it } from 'vitest';
import { WireEnd } from '../board/index.ts';
import type { Machine, Partition, WireSpec } from '../contracts/index.ts';
import { ring } from '../base/index.ts';
import type { LinkBuffers } from '../partition/index.ts';
import { type MachineHost, RunningMachine, type ThreadEvents } from './index.ts';

const [NAME, DEVICE] = ['field', 'eth0'];

function partition(name: string, wire: WireSpec): Partition {
  return {
    name,
    role: 'rtos',
    engine: 'soft',
    cores: [0],
    memory: { base: 0, size: 1 << 20 },
    boot: { kernel: '/image', cmdline: '', protocol: 'auto', decompress: true },
    devices: [{ name: DEVICE, model: 'e1000', ranges: [], irqs: [], options: {}, wire }],
    onCrash: { action: 'halt', limit: 0 },
    instructionsPerMicrosecond: 1000,
    allowance: { cores: [0], memory: [], ports: [], mmio: [], irqs: [] },
  };
}

/** Threads that only wait to be ended by the test, and what was posted to them. */
function started(...partitions: readonly Partition[]) {
  const threads = new Map<string, { readonly link: LinkBuffers; readonly life: number; readonly events: ThreadEvents }>();
  const host: MachineHost = {
    startThread: ({ partition: { name }, link, life }, events) => {
      threads.set(name, { link, life, events });
      return { terminate: () => events.exited() };
    },
    after: () => ({ [Symbol.dispose]: () => undefined }),
  };
  const machine: Machine = { name: 'pair', board: { cores: 2, memory: 1 << 30 }, partitions };
  const running = new RunningMachine(machine, host, { pace: 'free' });
  running.startAll();
  return { running, threads };
}

const pair = () => started(partition('left', { name: NAME, peer: { partition: 'right', device: DEVICE } }), partition('right', { name: NAME, peer: { partition: 'left', device: DEVICE } }));

/** What a partition's thread does with what was posted to it. */
function plugIn({ link }: { readonly link: LinkBuffers }): WireEnd {
  const { end, peer } = link.wires[DEVICE]!;
  const wire = new WireEnd(end, () => ring(peer));
  wire.admit();
  return wire;
}

const alarms = (link: LinkBuffers): number => new Int32Array(link.block)[0] as number;

describe('a wire between two partitions', () => {
  it('is one wire: what the one sends, the other receives, and is woken for', () => {
    const { threads } = pair();
    const [left, right] = [plugIn(threads.get('left')!), plugIn(threads.get('right')!)];
    left.admit();
    const before = alarms(threads.get('right')!.link);
    expect(left.send(Uint8Array.of(1, 2, 3))).toBe(true);
    expect(alarms(threads.get('right')!.link)).toBe(before + 1);
    right.admit();
    const frame = new Uint8Array(64);
    expect([right.receive(frame), frame[2]]).toEqual([3, 3]);
  });

  it('goes down when a thread is gone, which wakes the other one, and comes up with its next life', async () => {
    const { running, threads } = pair();
    const left = plugIn(threads.get('left')!);
    plugIn(threads.get('right')!);
    left.admit();
    expect(left.connected).toBe(true);
    const before = alarms(threads.get('left')!.link);
    threads.get('right')!.events.exited('terminated');
    expect(alarms(threads.get('left')!.link)).toBeGreaterThan(before);
    left.admit();
    expect(left.connected).toBe(false);
    await running.restart('right');
    expect(threads.get('right')!.life).toBe(2);
    plugIn(threads.get('right')!);
    left.admit();
    expect(left.connected).toBe(true);
  });

  it('is not there for a cable that leads elsewhere', () => {
    const { threads } = started(partition('alone', { name: NAME, tap: 'tap0' }));
    expect(threads.get('alone')!.link.wires).toEqual({});
  });
});
