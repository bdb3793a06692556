/**
 * The 82C54 of a PCI-1710: counter 0 for the user, on a 100 kHz clock or an outside one; counters 1 and 2 in a row on 10 MHz, which pace
 * the converter.
 *
 * Spec: Intel 82C54 datasheet (control word, modes 0, 2 and 3); PCI-1710 user's manual, appendix C.
 * Not modelled: modes 1, 4 and 5 (the gates are tied high); BCD counting; the read-back command's status bytes.
 */
import type { Clock, DeviceState, Nanos } from '../../contracts/index.ts';
import { ticksAt, whenTicks } from '../ticks.ts';

export const PACER_HERTZ = 10_000_000;
export const INTERNAL_HERTZ = 100_000;

const READ_BACK = 3;
const ACCESS_LATCH = 0;
const ACCESS_LSB = 1;
const ACCESS_MSB = 2;
const ACCESS_BOTH = 3;
const RATE_GENERATOR = 2;
const SQUARE_WAVE = 3;

interface Counter {
  mode: number;
  access: number;
  /** 1 to 65,536; 0 while none was written since the control word. */
  count: number;
  /** Tick of its clock at which `count` was loaded. */
  start: number;
  /** Low byte of a two-byte write; -1 before it. */
  low: number;
  readHigh: boolean;
  latch: number;
}

const fresh = (): Counter => ({ mode: 0, access: ACCESS_BOTH, count: 0, start: 0, low: -1, readHigh: false, latch: -1 });

export class Pci1710Counters {
  readonly #clock: Clock;
  #counters: readonly [Counter, Counter, Counter] = [fresh(), fresh(), fresh()];
  /** Of counter 0. */
  #hertz = INTERNAL_HERTZ;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  reset(): void {
    this.#counters = [fresh(), fresh(), fresh()];
    this.#hertz = INTERNAL_HERTZ;
  }

  /** Counter 0 gets another clock. What it has counted so far stays. */
  setClock(hertz: number): void {
    if (hertz === this.#hertz) return;
    const [counter] = this.#counters;
    const elapsed = this.#elapsed(0);
    this.#hertz = hertz;
    counter.start = this.#ticks(0) - elapsed;
  }

  /** Clocks of 10 MHz between two pulses of counters 1 and 2 in a row; 0 while they make none. */
  get pacerTicks(): number {
    const [, first, second] = this.#counters;
    const paces = (counter: Counter) => counter.count > 0 && (counter.mode === RATE_GENERATOR || counter.mode === SQUARE_WAVE);
    return paces(first) && paces(second) ? first.count * second.count : 0;
  }

  /** When the pacer's period `n` (from 1) ends, counted from when both counters were loaded. */
  pulseTime(n: number): Nanos {
    const [, first, second] = this.#counters;
    return whenTicks(Math.max(first.start, second.start) + n * this.pacerTicks, PACER_HERTZ);
  }

  /** Periods of the pacer that are over. */
  get pulses(): number {
    const ticks = this.pacerTicks;
    const [, first, second] = this.#counters;
    return ticks === 0 ? 0 : Math.max(0, Math.floor((this.#ticks(1) - Math.max(first.start, second.start)) / ticks));
  }

  read(index: number): number {
    const counter = this.#counters[index];
    if (counter === undefined) return 0xff;
    const value = counter.latch >= 0 ? counter.latch : this.#value(index);
    const high = counter.access === ACCESS_MSB || (counter.access === ACCESS_BOTH && counter.readHigh);
    if (counter.access === ACCESS_BOTH) counter.readHigh = !counter.readHigh;
    if (counter.access !== ACCESS_BOTH || high) counter.latch = -1;
    return high ? value >> 8 : value & 0xff;
  }

  /** Index 3 is the control word. */
  write(index: number, value: number): void {
    if (index === 3) this.#control(value);
    else {
      const counter = this.#counters[index];
      if (counter !== undefined) this.#writeCount(index, counter, value);
    }
  }

  save(): DeviceState {
    return { version: 1, counters: this.#counters.map((counter) => ({ ...counter })), hertz: this.#hertz };
  }

  restore(state: DeviceState): void {
    const [first, second, third] = state['counters'] as readonly [Counter, Counter, Counter];
    this.#counters = [{ ...first }, { ...second }, { ...third }];
    this.#hertz = state['hertz'] as number;
  }

  #control(value: number): void {
    const select = value >> 6;
    if (select === READ_BACK) {
      for (const [index, counter] of this.#counters.entries()) {
        if (value & (2 << index) && !(value & 0x20) && counter.latch < 0) counter.latch = this.#value(index);
      }
      return;
    }
    const counter = this.#counters[select] as Counter;
    const access = (value >> 4) & 3;
    if (access === ACCESS_LATCH) {
      if (counter.latch < 0) counter.latch = this.#value(select);
      return;
    }
    const mode = (value >> 1) & 7;
    Object.assign(counter, fresh(), { access, mode: mode > 5 ? mode & 3 : mode });
  }

  #writeCount(index: number, counter: Counter, value: number): void {
    let raw = value;
    if (counter.access === ACCESS_MSB) raw = value << 8;
    else if (counter.access !== ACCESS_LSB) {
      if (counter.low < 0) {
        counter.low = value;
        return;
      }
      raw = (value << 8) | counter.low;
      counter.low = -1;
    }
    counter.count = raw === 0 ? 0x1_0000 : raw;
    counter.start = this.#ticks(index);
  }

  #value(index: number): number {
    const counter = this.#counters[index] as Counter;
    if (counter.count === 0) return 0;
    const elapsed = this.#elapsed(index);
    const repeats = counter.mode === RATE_GENERATOR || counter.mode === SQUARE_WAVE;
    return (counter.count - (repeats ? elapsed % counter.count : elapsed)) & 0xffff;
  }

  /** Clocks since it was loaded. Counter 2's clock is counter 1's output. */
  #elapsed(index: number): number {
    const elapsed = Math.max(0, this.#ticks(index) - (this.#counters[index] as Counter).start);
    return index === 2 ? Math.floor(elapsed / Math.max(1, this.#counters[1].count)) : elapsed;
  }

  #ticks(index: number): number {
    return ticksAt(this.#clock.now(), index === 0 ? this.#hertz : PACER_HERTZ);
  }
}
