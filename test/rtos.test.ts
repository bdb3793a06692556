// Our RTOS on the software engine: it keeps its periods in guest time, talks at its console, and its crashes are contained.
import { describe, expect, it } from 'vitest';
import { device as encoderCard } from '../examples/devices/encoder-card.ts';
import { s } from '../src/base/index.ts';
import { Guest } from './support/guest.ts';

const control = (): Guest => new Guest('guests/rtos/images/control.elf', { models: ['telemetry'], own: { encoder: encoderCard }, instructionsPerMicrosecond: 100 });
const vision = (): Guest => new Guest('guests/rtos/images/vision.elf', { models: ['telemetry'], instructionsPerMicrosecond: 200 });

/** Time to boot and calibrate its clocks. */
const STARTED = 0.5 * s;

describe('control, in 32-bit protected mode', () => {
  it('runs its 1 kHz task without missing a deadline, and reports it', () => {
    const guest = control();
    guest.run({ instructions: 3e8, time: STARTED });
    const before = guest.partition.telemetry?.periods ?? 0;
    guest.run({ instructions: 3e8, time: s });
    const telemetry = guest.partition.telemetry;
    expect((telemetry?.periods ?? 0) - before).toBeGreaterThan(980);
    expect((telemetry?.periods ?? 0) - before).toBeLessThan(1020);
    expect(telemetry?.deadlineMisses).toBe(0);
    expect(guest.console).toContain('HCTL-2016 at port 0x300');
  });

  it('answers at its console while it controls', () => {
    const guest = control();
    guest.run({ instructions: 3e8, time: STARTED });
    guest.type('tasks\r');
    guest.run({ instructions: 1e8, time: 0.2 * s });
    expect(guest.lines.find((line) => /^control +15 /.test(line))).toBeDefined();
    expect(guest.partition.telemetry?.deadlineMisses).toBe(0);
  });

  it('is the same in every run, down to the instruction', () => {
    const run = (): unknown => {
      const guest = control();
      guest.run({ instructions: 3e8, time: 0.3 * s });
      return [guest.console, guest.partition.retired, guest.partition.telemetry, guest.partition.registers()];
    };
    expect(run()).toEqual(run());
  });

  it('crashes alone: a triple fault ends it, with its registers', () => {
    const guest = control();
    guest.run({ instructions: 3e8, time: STARTED });
    guest.type('crash triple\r');
    guest.run({ instructions: 1e8, time: 0.2 * s });
    expect(guest.partition.end).toMatchObject({ state: 'crashed', report: { kind: 'triple-fault', vcpus: [{ id: 0 }] } });
  });
});

describe('vision, in 64-bit mode', () => {
  it('filters its images in time', () => {
    const guest = vision();
    guest.run({ instructions: 2e8, time: STARTED });
    expect(guest.console).toContain('64-bit, started through PVH');
    expect(guest.partition.telemetry?.periods).toBeGreaterThan(10);
    expect(guest.partition.telemetry?.deadlineMisses).toBe(0);
    expect(guest.log.filter((line) => line.includes('undefined instruction'))).toEqual([]);
  });
});

describe.each(['selftest32', 'selftest64'])('the kernel of %s', (name) => {
  it('passes its own checks: task order, time-outs, priority inheritance, queues', () => {
    const guest = new Guest(`guests/rtos/images/${name}.elf`, { cpus: 1, cmdline: '', instructionsPerMicrosecond: 1000 });
    guest.run({ instructions: 3e9 });
    expect(guest.console).not.toMatch(/^fail/m);
    expect(guest.partition.end).toMatchObject({ state: 'halted', reason: 'debug-exit', code: 33 });
  });
});
