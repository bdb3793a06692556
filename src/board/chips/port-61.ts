/**
 * System control port B (0x61): speaker gate, and what the timer's counter 2 and the refresh circuit show.
 *
 * Spec: Intel 82371SB (PIIX3) datasheet §2.5.5.1, "NMISC".
 * Not modelled: a speaker; parity and I/O-channel check errors, which never happen here (their enables can be written and read).
 */
import type { Clock } from '../../contracts/index.ts';
import type { I8254 } from './i8254.ts';

const TIMER_2_GATE = 1 << 0;
const WRITABLE = 0x0f;
const REFRESH_TOGGLE = 1 << 4;
const TIMER_2_OUT = 1 << 5;
/** DRAM refresh request of a PC/AT. */
const REFRESH_NANOS = 15_085;

export class Port61 {
  readonly #timer: I8254;
  readonly #clock: Clock;
  #value = 0;

  constructor(options: { timer: I8254; clock: Clock }) {
    this.#timer = options.timer;
    this.#clock = options.clock;
  }

  reset(): void {
    this.write(0, 0);
  }

  read(_offset: number): number {
    const refresh = Math.floor(this.#clock.now() / REFRESH_NANOS) & 1 ? REFRESH_TOGGLE : 0;
    return this.#value | refresh | (this.#timer.output2 ? TIMER_2_OUT : 0);
  }

  write(_offset: number, value: number): void {
    this.#value = value & WRITABLE;
    this.#timer.setGate2((value & TIMER_2_GATE) !== 0);
  }
}
