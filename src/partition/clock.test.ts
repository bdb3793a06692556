import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { VirtualClock } from './clock.ts';

/** A vCPU in the middle of an I/O instruction. */
function runningVcpu(retired: number) {
  return {
    retired,
    limited: undefined as number | undefined,
    limit(instructions: number) {
      this.limited = instructions;
    },
  };
}

describe('time', () => {
  it('is retired instructions at the rate of the modelled core', () => {
    const clock = new VirtualClock(1000);
    clock.beginRun(runningVcpu(0), 500);
    clock.endRun(500);
    expect(clock.now()).toBe(500);
  });

  it('counts the instructions of a run that is under way', () => {
    const clock = new VirtualClock(500);
    const vcpu = runningVcpu(0);
    clock.beginRun(vcpu, 1000);
    vcpu.retired = 250;
    expect(clock.now()).toBe(500);
  });

  it('loses no fraction of a nanosecond however the instructions are sliced', () => {
    const whole = new VirtualClock(1700);
    whole.beginRun(runningVcpu(0), 1e6);
    whole.endRun(1_000_001);
    const sliced = new VirtualClock(1700);
    for (let left = 1_000_001, slice = 1; left > 0; slice = (slice * 7) % 1013 || 1) {
      const count = Math.min(slice, left);
      sliced.beginRun(runningVcpu(0), count);
      sliced.endRun(count);
      left -= count;
    }
    expect(sliced.now()).toBe(whole.now());
  });

  it('skips idle time forwards, never backwards', () => {
    const clock = new VirtualClock(1000);
    clock.skipTo(5_000);
    clock.skipTo(4_000);
    expect(clock.now()).toBe(5_000);
  });
});

describe('deadlines', () => {
  it('fire in order of time, then of arrival, and only when due', () => {
    const clock = new VirtualClock(1000);
    const fired: string[] = [];
    clock.at(20, () => fired.push('late'));
    clock.at(10, () => fired.push('first'));
    clock.at(10, () => fired.push('second'));
    clock.skipTo(19);
    clock.fireDue();
    expect(fired).toEqual(['first', 'second']);
    clock.skipTo(20);
    clock.fireDue();
    expect(fired).toEqual(['first', 'second', 'late']);
  });

  it('can be cancelled, before and after they fired', () => {
    const clock = new VirtualClock(1000);
    let fired = 0;
    const cancelled = clock.at(10, () => fired++);
    const kept = clock.at(11, () => fired++);
    cancelled[Symbol.dispose]();
    clock.skipTo(20);
    clock.fireDue();
    kept[Symbol.dispose]();
    cancelled[Symbol.dispose]();
    expect([fired, clock.nextDeadline]).toEqual([1, Number.POSITIVE_INFINITY]);
  });

  it('that re-arm themselves in the past do not keep the guest from running', () => {
    const clock = new VirtualClock(1000);
    let fired = 0;
    const again = (): void => {
      fired++;
      clock.at(0, again);
    };
    clock.at(0, again);
    clock.fireDue();
    expect(fired).toBe(1);
    clock.fireDue();
    expect(fired).toBe(2);
  });

  it('bound the budget of the next run exactly', () => {
    const clock = new VirtualClock(1500);
    clock.at(1_001, () => {});
    expect(clock.budget(20_000)).toBe(1502); // 1501.5 instructions: the 1502nd reaches 1001 ns
    expect(clock.budget(100)).toBe(100);
    clock.skipTo(5_000);
    expect(clock.budget(20_000)).toBe(1);
  });

  it('set during a run shorten it to end exactly there', () => {
    const clock = new VirtualClock(1000);
    const vcpu = runningVcpu(300);
    clock.beginRun(vcpu, 20_000);
    clock.at(1_000, () => {});
    expect(vcpu.limited).toBe(700);
    clock.at(2_000, () => {}); // beyond the nearer one: no change
    expect(vcpu.limited).toBe(700);
    clock.at(100, () => {}); // already past: at the next instruction boundary
    expect(vcpu.limited).toBe(0);
  });

  it('beyond the slice leave it alone', () => {
    const clock = new VirtualClock(1000);
    const vcpu = runningVcpu(300);
    clock.beginRun(vcpu, 500);
    clock.at(1_000, () => {});
    expect(vcpu.limited).toBeUndefined();
  });

  it('are bounded in number; what is turned away is counted', () => {
    const clock = new VirtualClock(1000);
    for (let i = 0; i < 5_000; i++) clock.at(i, () => {});
    expect(clock.refused).toBe(5_000 - 4_096);
  });

  it('come out sorted whatever is set and cancelled', () => {
    fc.assert(
      fc.property(fc.array(fc.record({ at: fc.nat(1000), cancel: fc.boolean() }), { maxLength: 200 }), (steps) => {
        const clock = new VirtualClock(1000);
        const fired: number[] = [];
        const expected: number[] = [];
        const handles = steps.map(({ at }) => clock.at(at, () => fired.push(at)));
        for (const [i, { at, cancel }] of steps.entries()) {
          if (cancel) handles[i]?.[Symbol.dispose]();
          else expected.push(at);
        }
        clock.skipTo(1000);
        clock.fireDue();
        expect(fired).toEqual(expected.sort((a, b) => a - b));
      }),
    );
  });
});
