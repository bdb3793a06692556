/**
 * An interrupt delay of the 82540EM (RDTR with RADV, TIDV with TADV): restarted by every event, but never held back beyond its absolute
 * limit.
 *
 * Spec: SDM (Intel 317453) §13.4.30 (RDTR), §13.4.44 (TIDV).
 */
import type { Clock, Nanos } from '../../contracts/index.ts';
import { Alarm } from '../ticks.ts';

export type SavedDelay = { readonly due: Nanos; readonly latest: Nanos };

export class InterruptDelay {
  readonly #clock: Clock;
  readonly #alarm: Alarm;
  readonly #fire: () => void;
  /** When it fires; -1 while nothing is delayed. */
  #due: Nanos = -1;
  #latest: Nanos = 0;
  /** An alarm is pending, perhaps for an earlier time than `due`: moving it later is left until it fires. */
  #armed = false;

  constructor(clock: Clock, fire: () => void) {
    this.#clock = clock;
    this.#fire = fire;
    this.#alarm = new Alarm(clock, () => this.#ring());
  }

  /** `limit` 0: none. */
  restart(delay: Nanos, limit: Nanos): void {
    const now = this.#clock.now();
    if (this.#due < 0) this.#latest = limit > 0 ? now + limit : Number.MAX_SAFE_INTEGER;
    this.#due = Math.min(now + delay, this.#latest);
    if (!this.#armed) this.#arm();
  }

  flush(): void {
    if (this.#due < 0) return;
    this.cancel();
    this.#fire();
  }

  cancel(): void {
    this.#alarm.cancel();
    this.#armed = false;
    this.#due = -1;
  }

  save(): SavedDelay {
    return { due: this.#due, latest: this.#latest };
  }

  restore(state: SavedDelay): void {
    this.cancel();
    this.#due = state.due;
    this.#latest = state.latest;
    if (this.#due >= 0) this.#arm();
  }

  #arm(): void {
    this.#armed = true;
    this.#alarm.set(this.#due);
  }

  #ring(): void {
    this.#armed = false;
    if (this.#due < 0) return;
    if (this.#clock.now() < this.#due) this.#arm();
    else this.flush();
  }
}
