/**
 * The local APIC's timer: one-shot, periodic and TSC-deadline.
 *
 * Its input clock is 1 GHz before the divider, the same as the time-stamp counter: one tick of either is one nanosecond of the
 * partition's clock. The current count is a function of the clock; only expiry sets a deadline.
 *
 * Spec: Intel SDM 3A §11.5.4.
 */
import { us } from '../../base/index.ts';
import type { Clock, Nanos } from '../../contracts/index.ts';
import { Alarm } from '../ticks.ts';

/** LVT timer bits 18:17 (SDM 3A figure 11-8). */
export const TimerMode = { OneShot: 0, Periodic: 1, TscDeadline: 2 } as const;

/** A guest may ask for a period of 1 ns; expiries that come faster than this are one. */
const SHORTEST_PERIOD: Nanos = us;
/** Deadlines beyond the range of exact integers never come: 104 days. */
const LATEST: Nanos = Number.MAX_SAFE_INTEGER;

export type TimerState = { mode: number; divide: number; initial: number; start: Nanos; deadline: Nanos };

export class LocalApicTimer {
  readonly #clock: Clock;
  readonly #alarm: Alarm;
  readonly #expire: () => void;
  #r: TimerState = powerOn();

  constructor(options: { clock: Clock; expire(): void }) {
    this.#clock = options.clock;
    this.#expire = options.expire;
    this.#alarm = new Alarm(options.clock, () => this.#fire());
  }

  reset(): void {
    this.#r = powerOn();
    this.#alarm.cancel();
  }

  /** Going to or from TSC-deadline mode disarms (§11.5.4.1). */
  setMode(value: number): void {
    const r = this.#r;
    const mode = value === 3 ? TimerMode.OneShot : value; // 3 is reserved
    if (mode === r.mode) return;
    if (mode === TimerMode.TscDeadline || r.mode === TimerMode.TscDeadline) {
      r.initial = 0;
      r.deadline = 0;
    } else if (r.mode === TimerMode.Periodic && r.initial > 0) {
      r.start = this.#clock.now() - (r.initial - this.currentCount) * this.#divisor; // the running period becomes the one shot
    } else if (this.currentCount === 0) r.initial = 0; // an expired one-shot stays expired
    r.mode = mode;
    this.#arm();
  }

  /** The divide configuration register: bits 3, 1 and 0 (figure 11-10). */
  get divideConfiguration(): number {
    return this.#r.divide;
  }

  set divideConfiguration(value: number) {
    const r = this.#r;
    const counted = r.initial - this.currentCount;
    r.divide = value & 0x0b;
    r.start = this.#clock.now() - counted * this.#divisor;
    this.#arm();
  }

  get initialCount(): number {
    return this.#r.initial;
  }

  /** Starts the count; 0 stops it. Ignored in TSC-deadline mode. */
  set initialCount(value: number) {
    const r = this.#r;
    if (r.mode === TimerMode.TscDeadline) return;
    r.initial = value >>> 0;
    r.start = this.#clock.now();
    this.#arm();
  }

  get currentCount(): number {
    const r = this.#r;
    if (r.initial === 0 || r.mode === TimerMode.TscDeadline) return 0;
    const ticks = Math.floor((this.#clock.now() - r.start) / this.#divisor);
    if (r.mode === TimerMode.Periodic) return r.initial - (ticks % r.initial);
    return Math.max(0, r.initial - ticks);
  }

  /** IA32_TSC_DEADLINE; 0 when disarmed. */
  get deadline(): Nanos {
    return this.#r.deadline;
  }

  set deadline(value: Nanos) {
    if (this.#r.mode !== TimerMode.TscDeadline) return;
    this.#r.deadline = value;
    this.#arm();
  }

  save(): TimerState {
    return { ...this.#r };
  }

  restore(state: TimerState): void {
    this.#r = { ...state };
    this.#arm();
  }

  get #divisor(): number {
    const code = ((this.#r.divide >> 1) & 4) | (this.#r.divide & 3);
    return code === 7 ? 1 : 2 << code;
  }

  #arm(): void {
    const r = this.#r;
    const now = this.#clock.now();
    let next = 0;
    if (r.mode === TimerMode.TscDeadline) next = r.deadline;
    else if (r.initial > 0) {
      const period = r.initial * this.#divisor;
      if (r.mode === TimerMode.OneShot) next = r.start + period > now ? r.start + period : 0;
      else next = Math.max(r.start + (Math.floor((now - r.start) / period) + 1) * period, now + SHORTEST_PERIOD);
    }
    if (next > 0 && next < LATEST) this.#alarm.set(next);
    else this.#alarm.cancel();
  }

  #fire(): void {
    this.#r.deadline = 0;
    this.#expire();
    if (this.#r.mode === TimerMode.Periodic) this.#arm();
  }
}

function powerOn(): TimerState {
  return { mode: TimerMode.OneShot, divide: 0, initial: 0, start: 0, deadline: 0 };
}
