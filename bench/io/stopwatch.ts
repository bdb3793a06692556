/**
 * A stopwatch for guests, by the host's clock: a guest writes what happens, and reads how long it took. Guest time is no use here: a
 * partition in virtual time does not see how long the host takes.
 *
 *     offset 0   write 1: start, 2: stop, 3: forget all     read: intervals
 *            4   write: how long an interval is to be, ns; what is kept is how far from that it is     read: median, ns
 *            8   read: 99th of 100, ns
 *           12   read: longest, ns
 *           16   read: all of them together, µs
 *
 * Not modelled: more than 100,000 intervals, which are not kept.
 */
import { defineDevice } from 'bulkhead/device';

const MOST = 100_000;
const START = 1;
const STOP = 2;
const RESET = 3;
const FLOATING = 0xffff_ffff;

class Stopwatch {
  #intervals: number[] = [];
  #sorted: number[] | undefined;
  #started: number | undefined;
  #wanted = 0;

  read(offset: number): number {
    this.#sorted ??= this.#intervals.toSorted((a, b) => a - b);
    const sorted = this.#sorted;
    const at = (part: number): number => Math.round((sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? 0) * 1e6);
    switch (offset) {
      case 0: return sorted.length;
      case 4: return at(0.5);
      case 8: return at(0.99);
      case 12: return at(1);
      case 16: return Math.round(sorted.reduce((sum, interval) => sum + interval, 0) * 1e3);
      default: return FLOATING;
    }
  }

  write(offset: number, value: number): void {
    const now = performance.now();
    if (offset === 4) this.#wanted = value / 1e6;
    if (offset !== 0) return;
    if (value === START) this.#started = now;
    else if (value === STOP && this.#started !== undefined) {
      if (this.#intervals.length < MOST) this.#intervals.push(Math.abs(now - this.#started - this.#wanted));
      this.#started = undefined;
      this.#sorted = undefined;
    } else if (value === RESET) this.reset();
  }

  reset(): void {
    this.#intervals = [];
    this.#sorted = undefined;
    this.#started = undefined;
    this.#wanted = 0;
  }
}

export const device = defineDevice({
  title: "A stopwatch by the host's clock",
  places: [{ ranges: [{ space: 'pio', base: 0x580, size: 32 }], irqs: [] }],
  options: {},
  attach: () => {
    const chip = new Stopwatch();
    return { chip, handlers: [{ read: (offset, size) => (size === 4 ? chip.read(offset) : FLOATING), write: (offset, size, value) => (size === 4 ? chip.write(offset, value) : undefined) }] };
  },
});
