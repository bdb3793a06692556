/** A word in shared memory that a thread sleeps on: whoever has something for it counts the word up and wakes it. */
import { ms, us } from './units.ts';

/** Wakes whoever sleeps on `alarm`. What was written before is seen by whoever wakes. */
export function ring(alarm: Int32Array): void {
  Atomics.add(alarm, 0, 1);
  Atomics.notify(alarm, 0);
}

/** In nanoseconds: what a thread watches its alarm for at most, and at first. */
const LONGEST_WATCH = 200 * us;
const FIRST_WATCH = 25 * us;

/**
 * Sleeps on an alarm, and before that watches it for a while if that would have been enough lately: to wake a thread takes its host tens of
 * microseconds, which is more than a disk's broker needs to answer. The while doubles when a sleep turns out to have been short, and
 * is over for good when one was long, as with KVM's halt polling (Linux, Documentation/virt/kvm/halt-polling.rst).
 */
export class Sleeper {
  readonly #alarm: Int32Array;
  readonly #now: () => number;
  #watch = 0;

  /** `now`: monotonic time in nanoseconds. */
  constructor(alarm: Int32Array, now: () => number) {
    this.#alarm = alarm;
    this.#now = now;
  }

  /** Returns when the alarm does not show `signals` any more, at once if it does not now, and at the latest after `time` nanoseconds. Blocks the thread. */
  sleep(signals: number, time: number): void {
    const began = this.#now();
    const watched = Math.min(this.#watch, time);
    if (watched > 0) {
      do if (Atomics.load(this.#alarm, 0) !== signals) return;
      while (this.#now() - began < watched);
    }
    const outcome = Atomics.wait(this.#alarm, 0, signals, (time - watched) / ms);
    if (outcome === 'not-equal') return;
    if (this.#now() - began > LONGEST_WATCH) this.#watch = 0;
    else if (outcome === 'ok') this.#watch = Math.min(LONGEST_WATCH, Math.max(FIRST_WATCH, 2 * this.#watch));
  }
}
