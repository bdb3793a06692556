/**
 * A shared timer's broker: it sleeps until the next alarm of any partition is due and wakes that one. Who sets more alarms than its rate
 * allows hears of them later; whose alarms are due at the same time are served in turn, by weight.
 */
import { ring } from '../../base/index.ts';
import type { GrantedPort, Nanos } from '../../contracts/index.ts';
import type { ServedPort } from '../broker.ts';
import type { FairShare } from '../fair-queue.ts';
import { ALARMS, TimerPort } from './timer-port.ts';

export class TimerBroker {
  readonly ports: readonly ServedPort[];
  readonly #alarms: readonly PortAlarms[];

  /** `now` is monotonic host time. */
  constructor(ports: readonly GrantedPort[], now: () => Nanos) {
    this.#alarms = ports.map((port) => new PortAlarms(port, now));
    this.ports = this.#alarms;
  }

  /** While nobody wants anything, or nobody may: how long until an alarm that is not due yet is. */
  idle(now: Nanos): Nanos {
    let next = Number.POSITIVE_INFINITY;
    for (const { due } of this.#alarms) for (let alarm = 0; alarm < ALARMS; alarm++) if ((due[alarm] as number) > now) next = Math.min(next, due[alarm] as number);
    return next - now;
  }
}

class PortAlarms implements ServedPort {
  readonly share: FairShare;
  /** By alarm: when it is due; Infinity: not set. */
  readonly due: Float64Array = new Float64Array(ALARMS).fill(Number.POSITIVE_INFINITY);
  readonly #port: TimerPort;
  readonly #alarm: Int32Array;
  readonly #now: () => Nanos;
  /** By alarm: the settings that were seen. */
  readonly #seen = new Int32Array(ALARMS);
  #first = 0;

  constructor({ grant, port, alarm }: GrantedPort, now: () => Nanos) {
    this.share = { weight: grant.weight ?? 1, rate: grant.rate };
    this.#port = new TimerPort(port);
    this.#alarm = alarm;
    this.#now = now;
  }

  poll(): void {
    const { control } = this.#port;
    const { generation } = control;
    if (control.agreed !== generation) {
      this.due.fill(Number.POSITIVE_INFINITY);
      control.settle(generation);
    }
    for (let alarm = 0; alarm < ALARMS; alarm++) {
      const settings = this.#port.settings(alarm);
      if (settings === this.#seen[alarm]) continue;
      this.#seen[alarm] = settings;
      this.due[alarm] = this.#now() + this.#port.delay(alarm);
    }
  }

  /** One for the earliest alarm, when that is due. */
  cost(): number {
    this.#first = 0;
    for (let alarm = 1; alarm < ALARMS; alarm++) if ((this.due[alarm] as number) < (this.due[this.#first] as number)) this.#first = alarm;
    return (this.due[this.#first] as number) <= this.#now() ? 1 : 0;
  }

  serve(): void {
    this.due[this.#first] = Number.POSITIVE_INFINITY;
    this.#port.ring(this.#first, this.#seen[this.#first] as number);
    this.#port.control.countServed();
    ring(this.#alarm);
  }

  heldBack(time: Nanos): void {
    this.#port.control.countHeldBack(time);
  }
}
