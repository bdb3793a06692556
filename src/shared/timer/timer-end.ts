/**
 * A partition's end of a shared timer: a clock whose alarms are another thread's. It shows the partition's own time; what is set for a moment
 * goes off when the broker says so and that moment has come here as well.
 */
import { ring } from '../../base/index.ts';
import type { Clock, LinkedPort, Nanos, SharedEnd } from '../../contracts/index.ts';
import { ALARMS, TimerPort } from './timer-port.ts';

interface SetAlarm {
  readonly number: number;
  readonly setting: number;
  readonly deadline: Nanos;
  readonly fire: () => void;
  /** The broker has said so, and the moment has not come here. */
  waiting?: Disposable;
}

export class TimerEnd implements SharedEnd {
  /** For the devices in front of the timer. */
  readonly clock: Clock;
  readonly #own: Clock;
  readonly #port: TimerPort;
  readonly #alarm: Int32Array;
  readonly #set = new Set<SetAlarm>();
  readonly #free: number[] = Array.from({ length: ALARMS }, (_, alarm) => alarm);

  constructor({ port, alarm }: Pick<LinkedPort, 'port' | 'alarm'>, own: Clock) {
    this.#own = own;
    this.#port = new TimerPort(port);
    this.#alarm = alarm;
    this.clock = { now: () => own.now(), at: (deadline, fire) => this.#at(deadline, fire) };
  }

  get awaiting(): boolean {
    return this.#set.size > 0 && !this.#port.control.closed;
  }

  admit(): void {
    // A timer without its broker is better late than never.
    const { closed } = this.#port.control;
    for (const set of this.#set) {
      if (!closed && this.#port.rung(set.number) !== set.setting) continue;
      this.#release(set);
      set.waiting = this.#own.at(set.deadline, set.fire);
    }
  }

  [Symbol.dispose](): void {
    this.#set.clear();
    this.#port.control.begin();
    ring(this.#alarm);
  }

  #at(deadline: Nanos, fire: () => void): Disposable {
    const number = this.#free.pop();
    if (number === undefined) return this.#own.at(deadline, fire);
    const setting = this.#port.set(number, Math.max(0, deadline - this.#own.now()));
    const set: SetAlarm = { number, setting, deadline, fire };
    this.#set.add(set);
    ring(this.#alarm);
    return {
      [Symbol.dispose]: () => {
        set.waiting?.[Symbol.dispose]();
        if (this.#set.has(set)) this.#release(set);
      },
    };
  }

  #release(set: SetAlarm): void {
    this.#set.delete(set);
    this.#free.push(set.number);
  }
}
