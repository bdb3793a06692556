import { describe, expect, it } from 'vitest';
import { ms } from '../base/index.ts';
import { ExitReason } from '../contracts/index.ts';
import type { RunningPartition } from './partition.ts';
import { type Program, type ScriptedParts, scriptedPartition } from './testing.ts';

const spin: Program = () => undefined;
const halt: Program = () => ExitReason.Halt;

/** Advances until the partition ended or `slices` are done. */
function run(partition: RunningPartition, slices: number): void {
  for (let slice = 0; slice < slices && partition.end === undefined; slice++) partition.advance();
}

describe('turns', () => {
  it('give each vCPU a quantum, in order, again and again', () => {
    const order: string[] = [];
    const note: Program = (vcpu) => {
      if (order.at(-1) !== `${vcpu.id}`) order.push(`${vcpu.id}`);
      return undefined;
    };
    const { partition, vcpus } = scriptedPartition({ programs: () => [note, note, note], quantum: 100 });
    run(partition, 7);
    expect(order.join('')).toBe('0120120');
    expect(vcpus.map((vcpu) => vcpu.total)).toEqual([300, 200, 200]);
  });

  it('end early at PAUSE, so that a spinning core does not hold up the one it waits for', () => {
    let released = false;
    const waiting: Program = () => (released ? undefined : ExitReason.Yield);
    const releasing: Program = (vcpu) => {
      if (vcpu.total === 50) released = true;
      return undefined;
    };
    const { partition, vcpus } = scriptedPartition({ programs: () => [waiting, releasing], quantum: 1000 });
    run(partition, 2);
    expect([vcpus[0]?.total, released]).toEqual([1, true]);
  });

  it('are the same in every run', () => {
    const trace = (): number[] => {
      const seen: number[] = [];
      const programs = ({ clock, pins }: ScriptedParts): Program[] => {
        const busy: Program = (vcpu) => {
          seen.push(vcpu.id * 1e9 + clock.now());
          if (vcpu.total % 37 === 0) return ExitReason.Yield;
          if (vcpu.total % 101 === 0) pins[1 - vcpu.id]?.setInterruptPin(true);
          return vcpu.total % 251 === 0 ? ExitReason.Halt : undefined;
        };
        return [busy, busy];
      };
      const { partition, clock, pins } = scriptedPartition({ programs, quantum: 64 });
      const wake = (): void => {
        for (const wires of pins) wires.setInterruptPin(true);
        clock.at(clock.now() + 900, wake);
      };
      clock.at(900, wake);
      run(partition, 500);
      return seen;
    };
    const first = trace();
    expect(first.length).toBeGreaterThan(1000);
    expect(trace()).toEqual(first);
  });

  it('skip a vCPU that sleeps in HLT until an interrupt reaches it', () => {
    const programs = (): Program[] => [halt, spin];
    const { partition, vcpus, pins } = scriptedPartition({ programs, quantum: 100 });
    run(partition, 5);
    expect(vcpus.map((vcpu) => vcpu.total)).toEqual([1, 400]);
    pins[0]?.setInterruptPin(true);
    run(partition, 2);
    expect([vcpus[0]?.interrupts, vcpus[0]?.total]).toEqual([1, 2]);
  });

  it('give a vCPU in MWAIT its turn again once another one has stored what it waits for', () => {
    const programs = (): Program[] => [halt, spin];
    const { partition, vcpus } = scriptedPartition({ programs, quantum: 100 });
    run(partition, 5);
    expect(vcpus.map((vcpu) => vcpu.total)).toEqual([1, 400]);
    vcpus[0]?.wake();
    run(partition, 2);
    expect(vcpus[0]?.total).toBe(2);
  });

  it('do not lose an interrupt that a vCPU raises on itself on its way into HLT', () => {
    const programs = ({ pins }: ScriptedParts): Program[] => [
      (vcpu) => {
        if (vcpu.total === 0) pins[0]?.setInterruptPin(true);
        return ExitReason.Halt;
      },
    ];
    const { partition, vcpus } = scriptedPartition({ programs });
    run(partition, 3);
    expect(vcpus[0]?.interrupts).toBe(1);
  });

  it('leave application processors out until they get their SIPI', () => {
    const { partition, vcpus, pins } = scriptedPartition({ programs: () => [spin, spin], quantum: 10, startAll: false });
    run(partition, 4);
    expect(vcpus[1]?.total).toBe(0);
    pins[1]?.inject({ kind: 'sipi', vector: 0x9a });
    run(partition, 2);
    expect(vcpus[1]?.total).toBe(10);
  });
});

describe('hardware that fails', () => {
  it('ends the partition after the instruction, with the cause in its report', () => {
    const programs = ({ power }: ScriptedParts): Program[] => [
      (vcpu) => {
        if (vcpu.total === 4) {
          power.fail('the card is on fire');
          power.fail('and the fan has stopped');
        }
        return undefined;
      },
    ];
    const { partition } = scriptedPartition({ programs });
    run(partition, 3);
    expect(partition.end).toMatchObject({ state: 'crashed', report: { kind: 'device', cause: 'the card is on fire', retired: 5 } });
  });
});

describe('timers', () => {
  it('fire at exactly the instruction they are due at, whatever the quantum', () => {
    for (const quantum of [7, 1000, 20_000]) {
      const fired: number[] = [];
      const { partition, clock } = scriptedPartition({ programs: () => [spin], quantum });
      for (const at of [1, 333, 334, 20_001]) clock.at(at, () => fired.push(clock.now()));
      while (clock.now() <= 20_001) partition.advance();
      expect(fired).toEqual([1, 333, 334, 20_001]);
    }
  });

  it('set by a running guest shorten its slice to end there', () => {
    const fired: number[] = [];
    const programs = ({ clock }: ScriptedParts): Program[] => [
      (vcpu) => {
        if (vcpu.total === 100) clock.at(clock.now() + 50, () => fired.push(clock.now()));
        return undefined;
      },
    ];
    const { partition } = scriptedPartition({ programs });
    run(partition, 2);
    expect(fired).toEqual([150]);
  });

  it('do not cost the vCPU that they interrupt its turn', () => {
    const { partition, vcpus, clock } = scriptedPartition({ programs: () => [spin, spin], quantum: 1000 });
    clock.at(400, () => {});
    run(partition, 2);
    expect(vcpus.map((vcpu) => vcpu.total)).toEqual([1000, 0]);
  });
});

describe('idle time', () => {
  /** Sleeps; a periodic 1 ms timer wakes it for one instruction. */
  const ticking = ({ clock, pins }: ScriptedParts): Program[] => {
    let due = 0;
    const tick = (): void => {
      pins[0]?.setInterruptPin(true);
      due += ms;
      clock.at(due, tick);
    };
    due = ms;
    clock.at(due, tick);
    return [halt];
  };

  it('is skipped to the next timer at once when the pace is free', () => {
    const { partition, vcpus, clock } = scriptedPartition({ programs: ticking });
    run(partition, 1000);
    expect(vcpus[0]?.interrupts).toBeGreaterThan(100);
    expect(Math.floor(clock.now() / ms)).toBe(vcpus[0]?.interrupts);
  });

  it('is slept through on the host when the pace is the host’s, and not a nanosecond less', () => {
    let host = 1_000_000;
    const { partition, vcpus } = scriptedPartition({ programs: ticking, pace: 'host', hostNow: () => host });
    expect(partition.advance()).toBe(1); // the HLT itself took a nanosecond
    host += 1;
    const sleep = partition.advance();
    expect(sleep).toBe(ms - 1);
    host += sleep - 1;
    expect(partition.advance()).toBe(1);
    host += 1;
    run(partition, 2);
    expect(vcpus[0]?.interrupts).toBe(1);
  });

  it('makes up for time a busy guest lost, without sleeping', () => {
    let host = 0;
    const { partition, vcpus } = scriptedPartition({ programs: ticking, pace: 'host', hostNow: () => host });
    partition.advance();
    host = 10 * ms;
    for (let i = 0; i < 100 && partition.advance() === 0; i++);
    expect(vcpus[0]?.interrupts).toBe(10);
  });

  it('makes up for lost time twice as fast as it passes where neighbours have to answer meanwhile', () => {
    let host = 0;
    const { partition, clock } = scriptedPartition({ programs: () => [halt], pace: 'host', hostNow: () => host, hasNeighbours: true });
    clock.at(100 * ms, () => undefined);
    partition.advance();
    host = 40 * ms; // somebody else had the processor
    expect([partition.advance(), clock.now()]).toEqual([20 * ms, 1]);
    host = 50 * ms;
    partition.admitInput();
    expect(clock.now()).toBe(20 * ms + 1);
    host = 80 * ms;
    partition.advance();
    expect(clock.now()).toBe(80 * ms);
    expect(partition.advance()).toBe(20 * ms);
  });

  it('ends early for input, which arrives at the time it was typed', () => {
    let host = 0;
    const { partition, clock } = scriptedPartition({ programs: ticking, pace: 'host', hostNow: () => host });
    run(partition, 2);
    host = 400_000;
    partition.admitInput();
    expect(clock.now()).toBe(400_000);
  });

  it('lasts until there is input when no timer is set', () => {
    const { partition } = scriptedPartition({ programs: () => [halt] });
    partition.advance();
    expect(partition.advance()).toBe(Number.POSITIVE_INFINITY);
    expect(partition.end).toBeUndefined();
  });

  it('never lets virtual time run ahead of the host by more than a slice', () => {
    let host = 0;
    const { partition, clock } = scriptedPartition({ programs: () => [spin], pace: 'host', hostNow: () => host });
    for (let i = 0; i < 100; i++) {
      const sleep = partition.advance();
      expect(clock.now() - sleep).toBeLessThanOrEqual(host);
      host += sleep;
    }
    expect(clock.now()).toBe(100 * 20_000);
  });
});

describe('life', () => {
  it('ends with the status of debug-exit, at the instruction that wrote it', () => {
    const programs = ({ power }: ScriptedParts): Program[] => [
      (vcpu) => {
        if (vcpu.total === 9) power.request('debug-exit', 0x21);
        return undefined;
      },
    ];
    const { partition, vcpus } = scriptedPartition({ programs });
    run(partition, 3);
    expect(partition.end).toEqual({ state: 'halted', reason: 'debug-exit', code: 0x21 });
    expect(vcpus[0]?.total).toBe(10);
  });

  it('ends at power-off', () => {
    const programs = ({ power }: ScriptedParts): Program[] => [() => void power.request('power-off', 0)];
    const { partition } = scriptedPartition({ programs });
    run(partition, 3);
    expect(partition.end).toEqual({ state: 'halted', reason: 'power-off' });
  });

  it('starts over in place at a reset: boot content back in RAM, the rest zero, time going on', () => {
    const programs = ({ power, memory, clock }: ScriptedParts): Program[] => [
      (vcpu) => {
        if (vcpu.total === 5) {
          memory.write(0x1000, Uint8Array.of(9, 9));
          power.request('reset', 0);
        }
        if (vcpu.total > 5) power.request('debug-exit', clock.now());
        return undefined;
      },
    ];
    const segments = [{ gpa: 0x1000, data: Uint8Array.of(7), name: 'image' }];
    const { partition, memory } = scriptedPartition({ programs, segments });
    run(partition, 5);
    expect([...(memory.read(0x1000, 2) ?? [])]).toEqual([7, 0]);
    expect([partition.resets, partition.end]).toEqual([1, { state: 'halted', reason: 'debug-exit', code: 6 }]);
  });

  it('ends when every core sleeps with interrupts off: nothing can wake it', () => {
    const programs = (): Program[] => [
      (vcpu) => {
        vcpu.interruptsEnabled = false;
        return ExitReason.Halt;
      },
    ];
    const { partition } = scriptedPartition({ programs });
    run(partition, 5);
    expect(partition.end).toEqual({ state: 'halted', reason: 'interrupts-off' });
  });

  it('crashes at a triple fault, with every core’s registers', () => {
    const programs = (): Program[] => [spin, (vcpu) => (vcpu.total === 3 ? ExitReason.Shutdown : undefined)];
    const { partition } = scriptedPartition({ programs, quantum: 10 });
    run(partition, 5);
    const end = partition.end;
    if (end?.state !== 'crashed') expect.unreachable();
    expect(end.report).toMatchObject({ kind: 'triple-fault', cause: 'triple fault', vcpu: 1, retired: 14, guestTime: 14 });
    expect(end.report.vcpus.map(({ id, retired }) => [id, retired])).toEqual([
      [0, 10],
      [1, 4],
    ]);
  });

  it('crashes, and throws nothing, when the engine or a device throws', () => {
    const programs = (): Program[] => [
      () => {
        throw new TypeError('a bug of ours');
      },
    ];
    const { partition } = scriptedPartition({ programs });
    run(partition, 5);
    expect(partition.end).toMatchObject({ state: 'crashed', report: { kind: 'host-error', cause: 'TypeError: a bug of ours' } });
  });

  it('refuses boot content that is not in RAM, naming it', () => {
    const segments = [{ gpa: 0xfff0, data: new Uint8Array(0x20), name: 'initrd' }];
    expect(() => scriptedPartition({ programs: () => [spin], segments })).toThrow(/initrd at 0xfff0\+0x20/);
  });
});
