import { beforeEach, describe, expect, it } from 'vitest';
import type { Machine, Partition } from '../contracts/index.ts';
import { CALL_COUNT, CALL_DEVICE } from '../board/index.ts';
import { type CrashKind, type PartitionEnd, PartitionLink } from '../partition/index.ts';
import { ANSWER_TIMEOUT, DEVICE_TIMEOUT, LOAD_TIMEOUT, type MachineEvent, type MachineHost, RunningMachine, type ThreadEvents, type ThreadStart } from './index.ts';

/** A thread that does what the test says. */
class FakeThread {
  readonly start: ThreadStart;
  readonly events: ThreadEvents;
  readonly link: PartitionLink;
  terminated = false;
  gone = false;

  constructor(start: ThreadStart, events: ThreadEvents) {
    this.start = start;
    this.events = events;
    this.link = PartitionLink.over(start.link);
  }

  /** Loads its image and runs. */
  run(): this {
    this.events.started('an image');
    return this;
  }

  end(end: PartitionEnd): void {
    this.events.ended(end);
    this.exit();
  }

  crash(kind: CrashKind = 'triple-fault'): void {
    const partition = this.start.partition.name;
    this.end({ state: 'crashed', report: { partition, kind, cause: kind, vcpu: 0, guestTime: 1, retired: 1, vcpus: [] } });
  }

  /** What the loop of a partition does between two slices. */
  obey(): void {
    if (this.link.killRequested) this.crash('thread');
    else if (this.link.stopRequested) this.end({ state: 'halted', reason: 'stopped' });
  }

  exit(detail?: string): void {
    if (this.gone) return;
    this.gone = true;
    this.events.exited(detail);
  }
}

let threads: FakeThread[];
let timers: { readonly delay: number; readonly action: () => void; cancelled: boolean }[];
let events: MachineEvent[];
let machine: RunningMachine;

const host: MachineHost = {
  startThread: (start, threadEvents) => {
    const thread = new FakeThread(start, threadEvents);
    threads.push(thread);
    return {
      terminate: () => {
        thread.terminated = true;
        thread.exit('terminated');
      },
    };
  },
  after: (delay, action) => {
    const timer = { delay, action, cancelled: false };
    timers.push(timer);
    return {
      [Symbol.dispose]: () => {
        timer.cancelled = true;
      },
    };
  },
};

function partition(name: string, onCrash: Partition['onCrash'], more: Partition['devices'] = []): Partition {
  return {
    name,
    role: 'rtos',
    engine: 'soft',
    cores: [0],
    memory: { base: 0, size: 1 << 20 },
    boot: { kernel: '/image', cmdline: '', protocol: 'auto', decompress: true },
    devices: [{ name: 'com1', model: 'uart16550', ranges: [], irqs: [4], options: {} }, ...more],
    onCrash,
    instructionsPerMicrosecond: 1000,
    allowance: { cores: [0], memory: [], ports: [], mmio: [], irqs: [] },
  };
}

function running(policies: Readonly<Record<string, Partition['onCrash']>>): RunningMachine {
  const partitions = Object.entries(policies).map(([name, policy]) => partition(name, policy));
  const description: Machine = { name: 'cell', board: { cores: 4, memory: 1 << 30 }, partitions };
  machine = new RunningMachine(description, host, { pace: 'free' });
  machine.on((event) => events.push(event));
  machine.startAll();
  for (const thread of threads) thread.run();
  return machine;
}

const states = (): string => machine.status().map(({ name, state }) => `${name} ${state}`).join(', ');
const kinds = (name: string): string[] => events.flatMap((event) => ('partition' in event && event.partition === name ? [event.kind] : []));
const lifeOf = (name: string): FakeThread => threads.findLast((thread) => thread.start.partition.name === name) as FakeThread;

const HALT = { action: 'halt', limit: 0 } as const;

beforeEach(() => {
  threads = [];
  timers = [];
  events = [];
});

describe('a machine', () => {
  it('gives every partition a thread of its own', () => {
    running({ a: HALT, b: HALT });
    expect(threads.map((thread) => thread.start.partition.name)).toEqual(['a', 'b']);
    expect(states()).toBe('a running, b running');
    expect(kinds('a')).toEqual(['starting', 'started']);
  });

  it('says when nothing runs any more', () => {
    running({ a: HALT, b: HALT });
    lifeOf('a').end({ state: 'halted', reason: 'power-off' });
    expect(machine.quiet).toBe(false);
    lifeOf('b').end({ state: 'halted', reason: 'debug-exit', code: 0x21 });
    expect([machine.quiet, events.at(-1)?.kind]).toEqual([true, 'quiet']);
    expect(machine.endOf('b')).toEqual({ state: 'halted', reason: 'debug-exit', code: 0x21 });
  });

  it('knows only its own partitions', () => {
    running({ a: HALT });
    expect(() => machine.consoles('ghost')).toThrow(/no partition `ghost`/);
  });
});

describe('one partition', () => {
  it('stops while the others run on, and can be started again', async () => {
    running({ a: HALT, b: HALT });
    const stopped = machine.stop('a');
    lifeOf('a').obey();
    await stopped;
    expect(states()).toBe('a stopped, b running');
    machine.start('a');
    lifeOf('a').run();
    expect(states()).toBe('a running, b running');
    expect(machine.status()[0]?.restarts).toBe(1);
    expect(threads).toHaveLength(3);
  });

  it('restarts in a thread of its own', async () => {
    running({ a: HALT });
    const first = lifeOf('a');
    const restarted = machine.restart('a');
    first.obey();
    await restarted;
    expect(lifeOf('a')).not.toBe(first);
    expect(states()).toBe('a starting');
  });

  it('cannot be started twice', () => {
    running({ a: HALT });
    expect(() => machine.start('a')).toThrow(/running already/);
  });

  it('that does not answer a stop is ended, and counts as crashed', async () => {
    running({ a: HALT, b: HALT });
    const stopped = machine.stop('a');
    expect(timers.map(({ delay }) => delay)).toEqual([ANSWER_TIMEOUT]);
    timers[0]?.action();
    await stopped;
    expect(lifeOf('a').terminated).toBe(true);
    expect(machine.lastCrash('a')?.cause).toBe('worker died: no answer within 2 s');
    expect(states()).toBe('a crashed, b running');
  });

  it('that answers in time is left in peace', async () => {
    running({ a: HALT });
    const stopped = machine.stop('a');
    lifeOf('a').obey();
    await stopped;
    expect(timers[0]?.cancelled).toBe(true);
  });

  it('that is still loading its image stops without counting as crashed', async () => {
    machine = new RunningMachine({ name: 'cell', board: { cores: 4, memory: 1 }, partitions: [partition('a', HALT)] }, host, { pace: 'free' });
    machine.startAll();
    await machine.stop('a');
    expect(states()).toBe('a stopped');
    expect(machine.lastCrash('a')).toBeUndefined();
  });

  it('whose thread dies crashes, with how far it had come', () => {
    running({ a: HALT, b: HALT });
    lifeOf('a').link.publish(1234, 5678, 0, undefined);
    lifeOf('a').exit('out of memory');
    expect(machine.lastCrash('a')).toMatchObject({ kind: 'thread', cause: 'worker died: out of memory', retired: 1234, guestTime: 5678 });
    expect(states()).toBe('a crashed, b running');
  });
});

describe('the on-crash policy', () => {
  it('halt: leaves it crashed, the others run on', () => {
    running({ a: HALT, b: HALT });
    lifeOf('a').crash();
    expect(states()).toBe('a crashed, b running');
    expect(kinds('a')).toEqual(['starting', 'started', 'crashed']);
  });

  it('restart: starts it again, up to its limit', () => {
    running({ a: { action: 'restart', limit: 2 }, b: HALT });
    const consequences = (): string[] => events.flatMap((event) => (event.kind === 'crashed' ? [event.consequence] : []));
    lifeOf('a').crash();
    expect(states()).toBe('a starting, b running');
    lifeOf('a').run().crash();
    lifeOf('a').run().crash();
    expect(consequences()).toEqual(['restart', 'restart', 'limit-reached']);
    expect(states()).toBe('a crashed, b running');
    expect(machine.status()[0]?.restarts).toBe(2);
    expect(threads.filter((thread) => thread.start.partition.name === 'b')).toHaveLength(1);
  });

  it('restart: is not spent by an operator', async () => {
    running({ a: { action: 'restart', limit: 1 } });
    const restarted = machine.restart('a');
    lifeOf('a').obey();
    await restarted;
    lifeOf('a').run().crash();
    expect(states()).toBe('a starting');
  });

  it('restart: applies to a kill too', async () => {
    running({ a: { action: 'restart', limit: 1 } });
    const killed = machine.kill('a');
    lifeOf('a').obey();
    await killed;
    expect(states()).toBe('a starting');
  });

  it('restart: not when it cannot even start', () => {
    running({ a: { action: 'restart', limit: 5 } });
    lifeOf('a').crash('cannot-start');
    expect(threads).toHaveLength(1);
  });

  it('stop-machine: stops everybody', () => {
    running({ a: { action: 'stop-machine', limit: 0 }, b: { action: 'restart', limit: 9 } });
    lifeOf('a').crash();
    lifeOf('b').obey();
    expect(states()).toBe('a crashed, b stopped');
    expect(events.at(-1)?.kind).toBe('quiet');
  });
});

describe('stopping the machine', () => {
  it('stops every partition and restarts none', async () => {
    running({ a: { action: 'restart', limit: 3 }, b: HALT });
    const stopped = machine.stopAll();
    lifeOf('a').crash(); // at the very moment
    lifeOf('b').obey();
    await stopped;
    expect(states()).toBe('a crashed, b stopped');
    expect(threads).toHaveLength(2);
  });
});

describe('a console', () => {
  it('carries bytes both ways and lasts beyond a life', async () => {
    running({ a: HALT });
    const [console] = machine.consoles('a');
    expect(console?.device).toBe('com1');
    expect(console?.write(Uint8Array.of(1, 2, 3))).toBe(3);
    const restarted = machine.restart('a');
    const first = lifeOf('a');
    first.obey();
    await restarted;
    expect(lifeOf('a').start.link.consoles).toEqual(first.start.link.consoles);
  });
});

describe('devices of the user’s own', () => {
  const CARD = { name: 'card', model: './card.ts', module: '/m/card.ts', ranges: [], irqs: [], options: {} };
  const expire = () => {
    const due = timers.filter(({ delay, cancelled }) => delay === DEVICE_TIMEOUT && !cancelled);
    for (const timer of due) {
      timer.cancelled = true;
      timer.action();
    }
  };

  beforeEach(() => {
    machine = new RunningMachine(
      { name: 'cell', board: { cores: 4, memory: 1 << 30 }, partitions: [partition('a', { action: 'restart', limit: 1 }, [CARD]), partition('b', HALT)] },
      host,
      { pace: 'free' },
    );
    machine.on((event) => events.push(event));
    machine.startAll();
    for (const thread of threads) thread.run();
  });

  it('are let be as long as their calls come back, however many there are', () => {
    const calls = lifeOf('a').link.deviceCalls();
    for (let i = 0; i < 5; i++) {
      calls[CALL_DEVICE] = i % 2 === 0 ? 2 : 0;
      calls[CALL_COUNT] = i;
      expire();
    }
    calls[CALL_DEVICE] = 0;
    expire();
    expire();
    expect([lifeOf('a').terminated, states()]).toEqual([false, 'a running, b running']);
  });

  it('end their partition’s thread when one does not, and are named', () => {
    const calls = lifeOf('a').link.deviceCalls();
    calls[CALL_COUNT] = 1;
    calls[CALL_DEVICE] = 2;
    expire(); // it may have begun a moment ago
    expire();
    expect(lifeOf('a').start.life).toBe(2); // its policy applies
    expect(machine.lastCrash('a')).toMatchObject({
      kind: 'device',
      cause: 'device card (./card.ts) has not come back from a call for 5 s: ended by the watchdog',
    });
    expect(states()).toBe('a starting, b running');
  });

  it('have longer to be loaded', () => {
    const calls = lifeOf('a').link.deviceCalls();
    calls[CALL_DEVICE] = -2;
    for (let waited = 0; waited <= LOAD_TIMEOUT - DEVICE_TIMEOUT; waited += DEVICE_TIMEOUT) {
      expect(lifeOf('a').start.life).toBe(1);
      expire();
    }
    expire();
    expect(machine.lastCrash('a')?.cause).toBe('device card (./card.ts) has not finished loading for 30 s: ended by the watchdog');
  });

  it('are blamed when the thread dies in a call, and only then', () => {
    lifeOf('a').link.deviceCalls()[CALL_DEVICE] = 2;
    lifeOf('a').exit('out of memory');
    expect(machine.lastCrash('a')?.cause).toBe('worker died: out of memory, in a call of device card (./card.ts)');
    lifeOf('a').run().exit('out of memory');
    expect(machine.lastCrash('a')).toMatchObject({ kind: 'thread', cause: 'worker died: out of memory' });
  });

  it('are loaded anew on request, where there are any', () => {
    expect([machine.reloadDevices('a'), machine.reloadDevices('b')]).toEqual([true, false]);
    expect([lifeOf('a').link.takeReload(), lifeOf('a').link.takeReload()]).toEqual([true, false]);
  });
});
