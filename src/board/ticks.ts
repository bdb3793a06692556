/**
 * Oscillators: from clock time to a count of ticks and back, in exact integers. Nothing here ticks; chips compute where their
 * counters stand when somebody looks.
 */
import { s } from '../base/index.ts';
import type { Clock, Nanos } from '../contracts/index.ts';

/** Whole periods of a `hertz` oscillator since time 0. Whole seconds apart, so that no product leaves 2^53. */
export function ticksAt(now: Nanos, hertz: number): number {
  const seconds = Math.floor(now / s);
  return seconds * hertz + Math.floor(((now - seconds * s) * hertz) / s);
}

/** The first nanosecond at which `ticksAt` reaches `ticks`. */
export function whenTicks(ticks: number, hertz: number): Nanos {
  const seconds = Math.floor(ticks / hertz);
  return seconds * s + Math.ceil(((ticks - seconds * hertz) * s) / hertz);
}

/** One pending deadline that can be moved: what a chip's interrupt output hangs on. */
export class Alarm {
  readonly #clock: Clock;
  readonly #due: () => void;
  #pending: Disposable | undefined;

  constructor(clock: Clock, fire: () => void) {
    this.#clock = clock;
    this.#due = () => {
      this.#pending = undefined;
      fire();
    };
  }

  /** Replaces whatever was set. */
  set(deadline: Nanos): void {
    this.cancel();
    this.#pending = this.#clock.at(deadline, this.#due);
  }

  cancel(): void {
    this.#pending?.[Symbol.dispose]();
    this.#pending = undefined;
  }
}
