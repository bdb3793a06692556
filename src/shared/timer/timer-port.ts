/** What a partition and the broker of a shared timer have in common: for each alarm, how long from now, and two counts. */
import type { Nanos, PortBuffers } from '../../contracts/index.ts';
import { PortControl } from '../port.ts';

/** Alarms that one device may have set at a time: what asks for more waits by the partition's own clock. */
export const ALARMS = 16;

/** An alarm that is taken back is left to go off: nobody listens. */
export class TimerPort {
  readonly control: PortControl;
  readonly #delays: Float64Array;
  readonly #set: Int32Array;
  readonly #rung: Int32Array;

  constructor(port: PortBuffers) {
    this.control = new PortControl(port);
    this.#delays = new Float64Array(port.lanes['delays'] as SharedArrayBuffer);
    this.#set = new Int32Array(port.lanes['set'] as SharedArrayBuffer);
    this.#rung = new Int32Array(port.lanes['rung'] as SharedArrayBuffer);
  }

  static create(): PortBuffers {
    const lane = (bytes: number): SharedArrayBuffer => new SharedArrayBuffer(ALARMS * bytes);
    return { control: PortControl.create(), lanes: { delays: lane(8), set: lane(4), rung: lane(4) } };
  }

  /** The device: `alarm` is to go off after `delay`; returns the count to look for in {@link rung}. */
  set(alarm: number, delay: Nanos): number {
    this.#delays[alarm] = delay;
    return (Atomics.add(this.#set, alarm, 1) + 1) | 0;
  }

  rung(alarm: number): number {
    return Atomics.load(this.#rung, alarm);
  }

  /** The broker: how often `alarm` has been set, and what it was set to last. Whoever set it may say anything. */
  settings(alarm: number): number {
    return Atomics.load(this.#set, alarm);
  }

  delay(alarm: number): Nanos {
    const delay = this.#delays[alarm] as number;
    return delay >= 0 ? delay : 0;
  }

  ring(alarm: number, setting: number): void {
    Atomics.store(this.#rung, alarm, setting);
  }
}
