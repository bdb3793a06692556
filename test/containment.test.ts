// A partition that goes down goes down alone: real guests in Workers, brought down from their own shells, by an operator, or by the loss of their thread.
import { afterEach, describe, expect, it } from 'vitest';
import { nodeHost } from '../src/cli/node-host.ts';
import type { MachineEvent, MachineHost, PartitionThread } from '../src/hypervisor/index.ts';
import { renderCrashReport } from '../src/partition/index.ts';
import { LiveMachine, machineOf } from './support/live-machine.ts';

const TIMEOUT = 90_000;
/** What the RTOS gives to the debug-exit port when it panics, as the port reports it: (0x11 << 1) | 1. */
const RTOS_PANIC = 0x23;

/** The partition that is brought down, and two that are watched. */
const cell = (policy: string, cmdline = ''): string => `
version: 1
machine: cell
board: { cores: 4, memory: 128MiB }
partitions:
  victim:
    role: rtos
    cores: [1]
    memory: 16MiB
    boot: { kernel: guests/rtos/images/control.elf, cmdline: "${cmdline}" }
    devices: { com1: { model: uart16550 }, telemetry: { model: telemetry } }
    on-crash: ${policy}
  control:
    role: rtos
    cores: [2]
    memory: 16MiB
    boot: { kernel: guests/rtos/images/control.elf }
    devices: { com1: { model: uart16550 }, telemetry: { model: telemetry } }
  vision:
    role: rtos
    cores: [3]
    memory: 32MiB
    speed: 200MIPS
    boot: { kernel: guests/rtos/images/vision.elf }
    devices: { com1: { model: uart16550 }, telemetry: { model: telemetry } }
`;

const NEIGHBOURS = ['control', 'vision'] as const;

let machine: LiveMachine;
afterEach(async () => {
  await machine[Symbol.asyncDispose]();
});

/** Pace `host`: what lasts a second in the guests lasts one here, and nobody is busier than on a board. */
async function start(manifest: string, host?: MachineHost): Promise<void> {
  machine = new LiveMachine(machineOf(manifest), 'host', host);
  machine.running.startAll();
  await booted(1);
  await machine.until('vision at work', () => (machine.status('vision').periods ?? 0) > 3);
  await machine.until('control at work', () => (machine.status('control').periods ?? 0) > 50);
}

/** The victim's shell has asked for a command in its life number `life`. */
async function booted(life: number): Promise<void> {
  await machine.until(`in life ${life}`, () => machine.console('victim').split('encoder: ').length > life && machine.status('victim').state === 'running');
}

const crashes = (): Extract<MachineEvent, { kind: 'crashed' }>[] => machine.events.filter((event) => event.kind === 'crashed');

/** The neighbours go on from where they were, in the same life, and miss nothing. */
async function neighboursRunOn(): Promise<void> {
  const before = NEIGHBOURS.map((name) => machine.status(name));
  await machine.until('running on', () =>
    NEIGHBOURS.every((name, i) => (machine.status(name).periods ?? 0) > (before[i]!.periods ?? 0) + 5 && machine.status(name).retired > before[i]!.retired),
  );
  for (const name of NEIGHBOURS) {
    expect(machine.status(name)).toMatchObject({ state: 'running', restarts: 0, deadlineMisses: 0 });
    expect(machine.kinds(name)).toEqual(['starting', 'started']);
  }
}

describe('a triple fault', () => {
  it('is reported with its cause and every register, and leaves the others alone', { timeout: TIMEOUT }, async () => {
    await start(cell('halt'));
    machine.type('victim', 'crash triple\r');
    await machine.until('crashed', () => crashes().length > 0);

    const [{ report, consequence }] = crashes() as [ReturnType<typeof crashes>[number]];
    expect(consequence).toBe('halt');
    expect(report).toMatchObject({ partition: 'victim', kind: 'triple-fault', vcpu: 0, vcpus: [{ id: 0, parked: false }] });
    expect(report.cause).toMatch(/^triple fault/);
    expect(report.retired).toBeGreaterThan(10_000);
    // 32-bit protected mode with paging, ring 0, in the image at 1 MiB.
    const { state } = report.vcpus[0]!;
    expect(state.cr0 & 0x8000_0001n).toBe(0x8000_0001n);
    expect(state.efer & 0x400n).toBe(0n);
    expect(state.segments.cs.selector & 3).toBe(0);
    expect(state.rip).toBeGreaterThan(0x10_0000n);
    expect(state.rip).toBeLessThan(0x20_0000n);
    expect(renderCrashReport(report)).toMatch(/^partition victim crashed on vCPU 0: triple fault[\s\S]*^ {2}RIP 001[0-9a-f]{5} {2}RFLAGS/m);

    expect(machine.status('victim').state).toBe('crashed');
    expect(machine.running.lastCrash('victim')).toBe(report);
    await neighboursRunOn();
  });

  it('is restarted by policy, with a shell that works again, until the limit is reached', { timeout: TIMEOUT }, async () => {
    await start(cell('{ action: restart, limit: 2 }'));
    for (let life = 1; life <= 3; life++) {
      await booted(life);
      machine.type('victim', 'crash triple\r');
      await machine.until(`crashed ${life} times`, () => crashes().length === life);
    }
    await machine.until('given up', () => machine.status('victim').state === 'crashed');
    expect(crashes().map(({ consequence }) => consequence)).toEqual(['restart', 'restart', 'limit-reached']);
    expect(machine.kinds('victim')).toEqual(['starting', 'started', 'crashed', 'starting', 'started', 'crashed', 'starting', 'started', 'crashed']);
    expect(machine.status('victim').restarts).toBe(2);
    // Every life began with the same memory: it said the same.
    const [, ...lives] = machine.console('victim').split(/(?=control: Bulkhead RTOS)/);
    expect(lives).toHaveLength(3);
    expect(lives[1]).toContain((lives[0] as string).slice(0, 200));
    await neighboursRunOn();
  });

  it('stops the whole machine where the policy says so', { timeout: TIMEOUT }, async () => {
    await start(cell('stop-machine'));
    machine.type('victim', 'crash triple\r');
    await machine.until('quiet', () => machine.events.some(({ kind }) => kind === 'quiet'));
    expect(crashes().map(({ partition, consequence }) => [partition, consequence])).toEqual([['victim', 'stop-machine']]);
    for (const name of NEIGHBOURS) expect(machine.running.endOf(name)).toEqual({ state: 'halted', reason: 'stopped' });
    expect(machine.running.quiet).toBe(true);
  });
});

describe('an exception nobody expects', () => {
  it('is the guest\'s own affair: the RTOS says where it was, and halts', { timeout: TIMEOUT }, async () => {
    await start(cell('{ action: restart, limit: 2 }').replace('telemetry: { model: telemetry } }', 'exit: { model: debug-exit } }'));
    machine.type('victim', 'crash ud2\r');
    await machine.until('over', () => machine.running.endOf('victim') !== undefined);
    expect(machine.running.endOf('victim')).toEqual({ state: 'halted', reason: 'debug-exit', code: RTOS_PANIC });
    expect(machine.console('victim')).toMatch(/\*\*\* PANIC in shell at \d+ us: #UD invalid opcode[\s\S]*eip 0010[0-9a-f]{4} /);
    expect(crashes()).toEqual([]);
    expect(machine.status('victim').restarts).toBe(0);
    await neighboursRunOn();
  });

  it('becomes a crash of the partition where the RTOS ends in a triple fault', { timeout: TIMEOUT }, async () => {
    await start(cell('{ action: restart, limit: 1 }', 'panic=triple'));
    machine.type('victim', 'crash ud2\r');
    await booted(2);
    expect(crashes()).toMatchObject([{ partition: 'victim', consequence: 'restart', report: { kind: 'triple-fault' } }]);
    expect(machine.console('victim')).toMatch(/PANIC in shell at \d+ us: #UD/);
    await neighboursRunOn();
  });
});

describe('an operator', () => {
  it('kills one partition: it crashes between two instructions, with its registers, and its policy applies', { timeout: TIMEOUT }, async () => {
    await start(cell('{ action: restart, limit: 1 }'));
    await machine.running.kill('victim');
    await booted(2);
    expect(crashes()).toMatchObject([{ consequence: 'restart', report: { kind: 'thread', cause: 'killed by the operator', vcpus: [{ id: 0 }] } }]);
    await neighboursRunOn();
  });

  it('restarts one partition, as often as wanted: it begins anew while the others go on', { timeout: TIMEOUT }, async () => {
    await start(cell('halt'));
    for (const life of [2, 3]) {
      await machine.running.restart('victim');
      await booted(life);
      await neighboursRunOn();
    }
    expect(machine.status('victim')).toMatchObject({ state: 'running', restarts: 2 });
    expect(crashes()).toEqual([]);
  });

  it('stops one partition and starts it again later', { timeout: TIMEOUT }, async () => {
    await start(cell('halt'));
    await machine.running.stop('victim');
    expect(machine.running.endOf('victim')).toEqual({ state: 'halted', reason: 'stopped' });
    await neighboursRunOn();
    expect(machine.status('victim').state).toBe('stopped');
    machine.running.start('victim');
    await booted(2);
  });
});

describe('a thread that is lost', () => {
  it('takes only its partition with it, which leaves its last registers and starts again', { timeout: TIMEOUT }, async () => {
    const threads: { readonly partition: string; readonly thread: PartitionThread }[] = [];
    const host = nodeHost();
    await start(cell('{ action: restart, limit: 1 }'), {
      after: host.after,
      startThread(threadStart, events) {
        const thread = host.startThread(threadStart, events);
        threads.push({ partition: threadStart.partition.name, thread });
        return thread;
      },
    });
    const retired = machine.status('victim').retired;
    // From outside, wherever it is: as when the host ends it for want of memory.
    threads.find(({ partition }) => partition === 'victim')!.thread.terminate();
    await booted(2);
    const [crash] = crashes();
    expect(crash).toMatchObject({ partition: 'victim', consequence: 'restart', report: { kind: 'thread', vcpus: [{ id: 0 }] } });
    expect(crash!.report.cause).toMatch(/^worker died: /);
    expect(crash!.report.retired).toBeGreaterThanOrEqual(retired);
    expect(threads.map(({ partition }) => partition)).toEqual(['victim', 'control', 'vision', 'victim']);
    await neighboursRunOn();
  });
});
