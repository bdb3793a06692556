/**
 * Ownership is worth what it holds against a guest that respects nothing. Four well-behaved partitions (our two RTOSes, and two payloads,
 * one of them with two vCPUs) run a fixed number of their own instructions, once among themselves and once for each thing the hostile
 * guest does: every port with every width, all addresses beyond its RAM, storms of interrupts and timers, a spin with interrupts off,
 * triple faults. It does so over and over on the same hypervisor, in a Worker beside theirs, on a host with fewer cores than threads.
 *
 * Compared, to the byte: all console output (the RTOSes print speeds and latencies in nanoseconds), how each partition ended, the SHA-256
 * of its RAM, the registers of every vCPU and what each has retired, guest time, and the RTOS telemetry (periods, deadline misses, worst
 * release latency). Guest time is counted in instructions, so a single one more or less anywhere, a device or timer reached from the
 * other partition, one byte of RAM written by it, an interrupt line or a lost tick would make a difference.
 *
 * Not compared: seconds on the wall clock. Partitions share the host's processors, and what that costs is measured elsewhere.
 */
import { beforeAll, describe, expect, it } from 'vitest';
import { LiveMachine, machineOf } from './support/live-machine.ts';
import { type Measurement, measurementOf, measuringHost } from './support/measurement.ts';

const TIMEOUT = 120_000;

/** Where each neighbour is stopped; the payloads come to their own end before that. */
const NEIGHBOURS: Readonly<Record<string, number>> = { control: 10e6, vision: 30e6, interrupts: 50e6, smp: 50e6 };

const MODES = [
  { mode: 'ports', proof: /^ok ports$/m },
  { mode: 'sweep', proof: /^ok sweep-io-apic$/m },
  { mode: 'flood', proof: /^ok flood-pit$/m },
  { mode: 'spin', proof: /^ok spin$/m },
  { mode: 'triple', proof: /^ok triple-fault-follows$/m },
  { mode: 'all', proof: /^ok ports$[\s\S]*^ok spin$/m },
];

const cell = (mode: string): string => `
version: 1
machine: hostile-cell
board:
  cores: 8
  memory: 256MiB
  devices:
    encoder-card: { model: ./examples/devices/encoder-card.ts, ports: 0x300, options: { rpm: 90 } }
partitions:
  control:
    role: rtos
    cores: [1]
    memory: 16MiB
    boot: { kernel: guests/rtos/images/control.elf }
    devices: { com1: { model: uart16550 }, encoder: { board: encoder-card }, telemetry: { model: telemetry } }
  vision:
    role: rtos
    cores: [2]
    memory: 32MiB
    speed: 200MIPS
    boot: { kernel: guests/rtos/images/vision.elf }
    devices: { com1: { model: uart16550 }, telemetry: { model: telemetry } }
  interrupts:
    role: rtos
    cores: [3]
    memory: 16MiB
    boot: { kernel: guests/payloads/images/interrupts.elf }
    devices: { com1: { model: uart16550 }, exit: { model: debug-exit } }
  smp:
    role: rtos
    cores: [4, 5]
    memory: 16MiB
    boot: { kernel: guests/payloads/images/smp.elf }
    devices: { com1: { model: uart16550 }, exit: { model: debug-exit } }
  hostile:
    role: gpos
    cores: [0]
    memory: 16MiB
    boot: { kernel: guests/payloads/images/hostile.elf, cmdline: mode=${mode} }
    devices: { com1: { model: uart16550 }, exit: { model: debug-exit } }
    on-crash: { action: restart, limit: 1000 }
`;

type Outcome = Measurement & { readonly console: string; readonly end: unknown };

/** Runs the neighbours to their ends, beside the hostile guest where `proof` of its deeds is given. */
async function outcomes(mode: string, proof?: RegExp): Promise<Record<string, Outcome>> {
  await using machine = new LiveMachine(machineOf(cell(mode)), 'free', measuringHost(NEIGHBOURS));
  const { running } = machine;
  if (proof !== undefined) {
    // It ends itself when it has done everything, which does no harm to anybody: then it has to do it again.
    running.on((event) => {
      if (event.kind === 'halted' && event.partition === 'hostile') running.start('hostile');
    });
    running.start('hostile');
    await machine.until('hostile', () => proof.test(machine.console('hostile')));
  }
  const names = Object.keys(NEIGHBOURS);
  const deeds = (): unknown => [machine.status('hostile').restarts, machine.status('hostile').retired];
  const before = deeds();
  for (const name of names) running.start(name);
  await machine.until('at the end of the neighbours', () => {
    machine.console('hostile');
    return names.every((name) => running.endOf(name) !== undefined);
  });
  if (proof !== undefined) {
    expect(['starting', 'running'], 'the hostile guest is still at it').toContain(machine.status('hostile').state);
    expect(deeds(), 'the hostile guest was at it').not.toEqual(before);
  }
  return Object.fromEntries(
    names.map((name) => [name, { ...measurementOf(machine.events, name)!, console: machine.console(name), end: running.endOf(name) }]),
  );
}

describe('beside a hostile guest', () => {
  let alone: Record<string, Outcome>;
  beforeAll(async () => {
    alone = await outcomes('spin');
  }, TIMEOUT);

  it('there is something to compare', () => {
    const { control, vision, interrupts, smp } = alone;
    expect(control).toMatchObject({ end: { state: 'halted', reason: 'stopped' }, telemetry: { deadlineMisses: 0 } });
    expect(control!.telemetry!.periods).toBeGreaterThan(5000);
    expect(control!.console).toMatch(/t=5s jobs=5000 misses=0 worst=\d+ns/);
    expect(vision!.telemetry!.periods).toBeGreaterThan(3);
    for (const payload of [interrupts, smp]) {
      expect(payload).toMatchObject({ end: { state: 'halted', reason: 'debug-exit', code: 0x21 } });
      expect(payload!.console).toMatch(/\ndone\n$/);
    }
    expect(smp!.registers).toHaveLength(2);
    expect(new Set(Object.values(alone).map(({ ram }) => ram)).size).toBe(4);
  });

  it.each(MODES)('that does: $mode, every neighbour does exactly what it does without', { timeout: TIMEOUT }, async ({ mode, proof }) => {
    expect(await outcomes(mode, proof)).toEqual(alone);
  });
});
