/** A controller's one appointment with itself: when it goes on with its work. While it is held (its device is paused) work waits. */
import type { Clock, Nanos } from '../../contracts/index.ts';
import { Alarm } from '../ticks.ts';

export class HeldAlarm {
  readonly #clock: Clock;
  readonly #alarm: Alarm;
  readonly #fire: () => void;
  #due: Nanos | undefined;
  #held = false;

  constructor(clock: Clock, fire: () => void) {
    this.#clock = clock;
    this.#fire = fire;
    this.#alarm = new Alarm(clock, () => this.#ring());
  }

  /** When it rings; undefined when it is not set. */
  get due(): Nanos | undefined {
    return this.#due;
  }

  get held(): boolean {
    return this.#held;
  }

  /** Replaces what was set. `delay` 0 rings at once, inside this call, unless it is held. */
  after(delay: Nanos): void {
    this.at(this.#clock.now() + delay);
  }

  at(due: Nanos): void {
    this.#alarm.cancel();
    this.#due = due;
    if (this.#held) return;
    if (due <= this.#clock.now()) this.#ring();
    else this.#alarm.set(due);
  }

  cancel(): void {
    this.#alarm.cancel();
    this.#due = undefined;
  }

  hold(): void {
    this.#held = true;
    this.#alarm.cancel();
  }

  release(): void {
    if (!this.#held) return;
    this.#held = false;
    if (this.#due !== undefined) this.at(this.#due);
  }

  #ring(): void {
    if (this.#held) return;
    this.#due = undefined;
    this.#fire();
  }
}
