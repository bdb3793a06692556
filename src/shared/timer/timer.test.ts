/** A timer that partitions share: alarms come from its broker, never early, by rate, and each to its own partition. */
import { describe, expect, it } from 'vitest';
import { ms, s, us } from '../../base/index.ts';
import { ManualClock } from '../../board/testing.ts';
import type { Grant, Nanos } from '../../contracts/index.ts';
import { Broker } from '../broker.ts';
import { PortControl } from '../port.ts';
import { TimerBroker } from './timer-broker.ts';
import { TimerEnd } from './timer-end.ts';
import { ALARMS, TimerPort } from './timer-port.ts';

/** Partitions whose clocks go as the host's does, unless a test says otherwise. */
class SharedTimer {
  now: Nanos = 0;
  readonly clocks: readonly ManualClock[];
  readonly ends: readonly TimerEnd[];
  readonly alarms: readonly Int32Array[];
  readonly ports: readonly ReturnType<typeof TimerPort.create>[];
  readonly #broker: Broker;

  constructor(...grants: Partial<Grant>[]) {
    this.ports = grants.map(() => TimerPort.create());
    this.alarms = grants.map(() => new Int32Array(new SharedArrayBuffer(4)));
    const timer = new TimerBroker(
      grants.map((grant, n) => ({ grant: { partition: `p${n}`, access: 'rw', ...grant }, device: 'hpet', port: this.ports[n]!, alarm: this.alarms[n]! })),
      () => this.now,
    );
    this.#broker = new Broker(timer.ports, () => this.now, (now) => timer.idle(now));
    this.clocks = grants.map(() => new ManualClock());
    this.ends = this.clocks.map((clock, n) => new TimerEnd({ port: this.ports[n]!, alarm: new Int32Array(new SharedArrayBuffer(4)) }, clock));
  }

  /** The broker works until it would sleep; returns for how long. */
  serve(): Nanos {
    for (;;) {
      const sleep = this.#broker.round();
      if (sleep > 0) return sleep;
    }
  }

  /** Time passes for everybody; the broker wakes when it wanted to, and partitions see what it has done. */
  pass(time: Nanos): void {
    const end = this.now + time;
    for (let sleep = this.serve(); this.now < end; sleep = this.serve()) {
      const step = Math.min(sleep, end - this.now);
      this.now += step;
      this.serve();
      for (const clock of this.clocks) clock.advance(step);
      this.admit();
    }
  }

  admit(): void {
    for (const end of this.ends) end.admit();
    for (const clock of this.clocks) clock.advance(0);
  }
}

describe('a shared timer', () => {
  it('rings when it was set to, and the broker sleeps until then', () => {
    const timer = new SharedTimer({});
    const rung: Nanos[] = [];
    const { clock } = timer.ends[0]!;
    clock.at(3 * ms, () => rung.push(clock.now()));
    clock.at(1 * ms, () => rung.push(clock.now()));
    expect(timer.serve()).toBe(1 * ms);
    timer.pass(0.9 * ms);
    expect(rung).toEqual([]);
    timer.pass(4 * ms);
    expect(rung).toEqual([1 * ms, 3 * ms]);
    expect(timer.serve()).toBe(Number.POSITIVE_INFINITY);
  });

  it('never rings early by the partition’s own clock, which may be behind', () => {
    const timer = new SharedTimer({});
    const [own] = timer.clocks;
    let rung = false;
    timer.ends[0]!.clock.at(1 * ms, () => {
      rung = true;
    });
    timer.serve();
    timer.now = 2 * ms;
    timer.serve();
    timer.admit();
    expect([own!.now(), rung]).toEqual([0, false]);
    own!.advance(1 * ms);
    expect(rung).toBe(true);
  });

  it('forgets an alarm that is taken back, whether it was on its way or not', () => {
    const timer = new SharedTimer({});
    const { clock } = timer.ends[0]!;
    let rung = 0;
    const first = clock.at(1 * ms, () => rung++);
    const second = clock.at(1 * ms, () => rung++);
    timer.serve();
    first[Symbol.dispose]();
    timer.now = 1 * ms;
    timer.serve();
    timer.ends[0]!.admit();
    second[Symbol.dispose]();
    timer.pass(5 * ms);
    expect([rung, timer.ends[0]!.awaiting]).toEqual([0, false]);
  });

  it('takes more alarms than its port has room for', () => {
    const timer = new SharedTimer({});
    let rung = 0;
    for (let n = 1; n <= 3 * ALARMS; n++) timer.ends[0]!.clock.at(n * us, () => rung++);
    timer.pass(1 * ms);
    expect(rung).toBe(3 * ALARMS);
  });

  it('rings for each partition alone, and wakes no other', () => {
    const timer = new SharedTimer({}, {});
    let rung = 0;
    timer.ends[1]!.clock.at(1 * ms, () => rung++);
    timer.pass(2 * ms);
    expect([rung, timer.alarms[0]![0], timer.alarms[1]![0]]).toEqual([1, 0, 1]);
  });

  it('holds back who sets more than its rate allows, and nobody else', () => {
    const timer = new SharedTimer({ rate: { operationsPerSecond: 100 } }, {});
    const rung = [0, 0];
    for (const [n, { clock }] of timer.ends.entries()) {
      const again = (): void => {
        rung[n] = (rung[n] as number) + 1;
        clock.at(clock.now() + 1 * ms, again);
      };
      clock.at(1 * ms, again);
    }
    timer.pass(1 * s);
    // A hundred, and what it had saved up in a quarter of a second.
    expect(rung[0]).toBeGreaterThanOrEqual(100);
    expect(rung[0]).toBeLessThanOrEqual(126);
    expect(rung[1]).toBeGreaterThanOrEqual(990);
    expect(new PortControl(timer.ports[0]!).statistics.heldBack).toBeGreaterThan(0);
  });

  it('listens to no delay that is none, and forgets a former life', () => {
    const timer = new SharedTimer({});
    const port = new TimerPort(timer.ports[0]!);
    for (const [alarm, delay] of [Number.NaN, -1, Number.NEGATIVE_INFINITY].entries()) port.set(alarm, delay);
    expect(timer.serve()).toBe(Number.POSITIVE_INFINITY);
    expect([0, 1, 2].map((alarm) => port.rung(alarm))).toEqual([1, 1, 1]);
    port.set(3, 1 * ms);
    expect(timer.serve()).toBe(1 * ms);
    port.control.begin();
    timer.pass(5 * ms);
    expect([port.rung(3), port.control.settled]).toEqual([0, true]);
  });

  it('goes on by the partition’s own clock when its broker is gone', () => {
    const timer = new SharedTimer({});
    let rung = 0;
    timer.ends[0]!.clock.at(1 * ms, () => rung++);
    new PortControl(timer.ports[0]!).close();
    timer.ends[0]!.admit();
    timer.clocks[0]!.advance(1 * ms);
    expect(rung).toBe(1);
  });
});
