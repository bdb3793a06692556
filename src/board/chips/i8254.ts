/**
 * 8254 programmable interval timer: three counters on a 1.193182 MHz clock.
 *
 * Nothing ticks: a counter's value and its OUT pin are functions of the clock and of when it was loaded. Only counter 0, whose
 * OUT pin interrupts, sets a deadline. Several periods that pass between two looks are one edge, as on a latched input.
 *
 * Spec: Intel 8254 datasheet (order 231164-005), cited as "8254, heading".
 * Not modelled: the one-clock delay between writing a count and loading it; the low half of counter 0's OUT in modes 2 and 3 is
 * seen in the status byte but not on its pin, where only the rising edge matters.
 */
import type { Clock, DeviceState } from '../../contracts/index.ts';
import { Alarm, ticksAt, whenTicks } from '../ticks.ts';

/** 14.31818 MHz / 12 (the PC's colour-burst crystal). */
export const PIT_HERTZ = 1_193_182;

// Control word (8254, "Control Word Format")
const READ_BACK = 3;
const ACCESS_LATCH = 0;
const ACCESS_LSB = 1;
const ACCESS_MSB = 2;
const READ_BACK_NO_COUNT = 1 << 5;
const READ_BACK_NO_STATUS = 1 << 4;
const STATUS_OUT = 1 << 7;
const STATUS_NULL_COUNT = 1 << 6;

const InterruptOnTerminalCount = 0;
const OneShot = 1;
const RateGenerator = 2;
const SquareWave = 3;
const SoftwareStrobe = 4;

type Counter = {
  mode: number;
  bcd: boolean;
  /** Control word bits 5:4: 1 low byte, 2 high byte, 3 low then high. */
  access: number;
  gate: boolean;
  /** Clocks per period, 1 to 0x10000. */
  count: number;
  /** Tick of the clock at which `count` was loaded; -1 while there is none, or while its trigger is awaited. */
  start: number;
  /** Counting suspended by GATE: ticks already counted; -1 while it runs. */
  suspended: number;
  /** In modes 2 and 3, the count that takes over at the end of the period; 0 for none. */
  next: number;
  /** Tick at which it does. */
  nextAt: number;
  written: boolean;
  /** Low byte of a two-byte write; -1 before it. */
  writeLow: number;
  readHigh: boolean;
  latchedCount: number;
  latchedStatus: number;
};

/** Undefined on the chip (8254, "Programming the 8254"); here the mode PC firmware leaves, whose OUT rests high. */
function powerOn(): Counter {
  return {
    mode: SquareWave,
    bcd: false,
    access: 3,
    gate: true,
    count: 0x10000,
    start: -1,
    suspended: -1,
    next: 0,
    nextAt: 0,
    written: false,
    writeLow: -1,
    readHigh: false,
    latchedCount: -1,
    latchedStatus: -1,
  };
}

export class I8254 {
  readonly #clock: Clock;
  readonly #output0: (level: boolean) => void;
  readonly #alarm: Alarm;
  #counters: [Counter, Counter, Counter] = [powerOn(), powerOn(), powerOn()];
  #pin0 = false;

  /** `output0` is counter 0's OUT: IRQ 0. */
  constructor(options: { clock: Clock; output0(level: boolean): void }) {
    this.#clock = options.clock;
    this.#output0 = options.output0;
    this.#alarm = new Alarm(options.clock, () => this.#deadline());
  }

  reset(): void {
    this.#counters = [powerOn(), powerOn(), powerOn()];
    this.#counters[2].gate = false; // port 0x61 bit 0 is low after reset
    this.#arm();
    this.#drive();
  }

  /** GATE of counter 2; those of 0 and 1 are tied high. */
  setGate2(level: boolean): void {
    const c = this.#counters[2];
    if (c.gate === level) return;
    const now = this.#now();
    this.#settle(c, now);
    c.gate = level;
    if (c.mode === OneShot || c.mode === 5) {
      if (level && c.written) c.start = now; // a rising edge triggers (8254, "Gate Pin Operations Summary")
    } else if (c.mode === RateGenerator || c.mode === SquareWave) {
      if (level) {
        if (c.start >= 0) c.start = now; // and reloads
        c.suspended = -1;
      } else if (c.start >= 0) c.suspended = now - c.start;
    } else if (level) {
      if (c.suspended >= 0) c.start = now - c.suspended;
      c.suspended = -1;
    } else if (c.start >= 0) c.suspended = now - c.start;
  }

  /** OUT of counter 2, bit 5 of port 0x61. */
  get output2(): boolean {
    return this.#out(this.#counters[2], this.#now());
  }

  /** Offsets 0–2 are the counters; 3, the control word, cannot be read. */
  read(offset: number): number {
    const c = this.#counters[offset];
    if (c === undefined) return 0xff;
    if (c.latchedStatus >= 0) {
      const status = c.latchedStatus;
      c.latchedStatus = -1;
      return status;
    }
    const value = c.latchedCount >= 0 ? c.latchedCount : this.#value(c, this.#now());
    const high = c.access === ACCESS_MSB || (c.access !== ACCESS_LSB && c.readHigh);
    if (c.access === 3) c.readHigh = !c.readHigh;
    if (c.access !== 3 || high) c.latchedCount = -1;
    return high ? value >> 8 : value & 0xff;
  }

  write(offset: number, value: number): void {
    if (offset === 3) this.#writeControl(value);
    else {
      const c = this.#counters[offset];
      if (c !== undefined) this.#writeCount(c, value);
    }
    // Latch commands and the other counters leave the pin alone.
    if (offset !== 0 && (offset !== 3 || value >> 4 === ACCESS_LATCH || value >> 6 !== 0)) return;
    this.#arm();
    this.#drive();
  }

  save(): DeviceState {
    return { version: 1, counters: this.#counters.map((c) => ({ ...c })), pin0: this.#pin0 };
  }

  /** The clock must stand where it stood at `save`. */
  restore(state: DeviceState): void {
    const saved = state as unknown as { counters: [Counter, Counter, Counter]; pin0: boolean };
    this.#counters = saved.counters.map((c) => ({ ...c })) as [Counter, Counter, Counter];
    this.#pin0 = saved.pin0;
    this.#output0(saved.pin0);
    this.#arm();
  }

  #now(): number {
    return ticksAt(this.#clock.now(), PIT_HERTZ);
  }

  #writeControl(value: number): void {
    const select = value >> 6;
    if (select === READ_BACK) {
      this.#counters.forEach((c, i) => {
        if (!(value & (2 << i))) return;
        if (!(value & READ_BACK_NO_STATUS)) this.#latchStatus(c);
        if (!(value & READ_BACK_NO_COUNT)) this.#latchCount(c);
      });
      return;
    }
    const c = this.#counters[select] as Counter;
    const access = (value >> 4) & 3;
    if (access === ACCESS_LATCH) {
      this.#latchCount(c);
      return;
    }
    const mode = (value >> 1) & 7;
    const gate = c.gate;
    Object.assign(c, powerOn(), { access, gate, mode: mode > 5 ? mode & 3 : mode, bcd: (value & 1) !== 0 });
  }

  /** A second latch before the first was read is ignored (8254, "Counter Latch Command"). */
  #latchCount(c: Counter): void {
    if (c.latchedCount < 0) c.latchedCount = this.#value(c, this.#now());
  }

  #latchStatus(c: Counter): void {
    if (c.latchedStatus >= 0) return;
    const now = this.#now();
    this.#settle(c, now);
    const nullCount = !c.written || c.next > 0;
    c.latchedStatus =
      (this.#out(c, now) ? STATUS_OUT : 0) | (nullCount ? STATUS_NULL_COUNT : 0) | (c.access << 4) | (c.mode << 1) | (c.bcd ? 1 : 0);
  }

  #writeCount(c: Counter, value: number): void {
    if (c.access === ACCESS_LSB) this.#load(c, value);
    else if (c.access === ACCESS_MSB) this.#load(c, value << 8);
    else if (c.writeLow < 0) {
      c.writeLow = value;
      if (c.mode === InterruptOnTerminalCount) c.start = -1; // the first byte stops the count and OUT goes low (8254, "Mode 0")
    } else {
      const low = c.writeLow;
      c.writeLow = -1;
      this.#load(c, (value << 8) | low);
    }
  }

  #load(c: Counter, raw: number): void {
    const now = this.#now();
    this.#settle(c, now);
    const count = c.bcd ? fromBcd(raw) || 10_000 : raw || 0x10000;
    const running = c.written && c.start >= 0;
    c.written = true;
    if ((c.mode === RateGenerator || c.mode === SquareWave) && running && c.suspended < 0) {
      if (c.next === 0) c.nextAt = now - ((now - c.start) % c.count) + c.count;
      c.next = count;
      return;
    }
    c.count = count;
    if (c.mode === OneShot || c.mode === 5) return; // the trigger loads it
    c.start = now;
    c.suspended = c.gate ? -1 : 0;
  }

  /** Brings in the count that was written during a period that is over by now. */
  #settle(c: Counter, now: number): void {
    if (c.next === 0 || c.suspended >= 0 || now < c.nextAt) return;
    c.start = c.nextAt;
    c.count = c.next;
    c.next = 0;
  }

  #elapsed(c: Counter, now: number): number {
    return c.suspended >= 0 ? c.suspended : now - c.start;
  }

  /** What the counting element holds, as a driver reads it. */
  #value(c: Counter, now: number): number {
    this.#settle(c, now);
    if (c.start < 0) return encode(c, c.count);
    const elapsed = this.#elapsed(c, now);
    switch (c.mode) {
      case RateGenerator:
        return encode(c, c.count - (elapsed % c.count));
      case SquareWave: {
        const even = c.count & ~1;
        return encode(c, even === 0 ? 1 : even - ((2 * (elapsed % c.count)) % even));
      }
      default:
        return encode(c, c.count - elapsed); // goes on past zero (8254, "Mode 0")
    }
  }

  #out(c: Counter, now: number): boolean {
    this.#settle(c, now);
    if (c.start < 0) return c.mode !== InterruptOnTerminalCount;
    const elapsed = this.#elapsed(c, now);
    switch (c.mode) {
      case InterruptOnTerminalCount:
      case OneShot:
        return elapsed >= c.count;
      case RateGenerator:
        return c.suspended >= 0 || elapsed % c.count !== c.count - 1;
      case SquareWave:
        return c.suspended >= 0 || elapsed % c.count < (c.count + 1) >> 1;
      default:
        return elapsed !== c.count; // the strobe lasts one clock
    }
  }

  /** Sets the deadline for counter 0's next rising edge. */
  #arm(): void {
    const c = this.#counters[0];
    const now = this.#now();
    this.#settle(c, now);
    if (c.start < 0) {
      this.#alarm.cancel();
      return;
    }
    const elapsed = now - c.start;
    if (c.mode === RateGenerator || c.mode === SquareWave) {
      this.#alarm.set(whenTicks(c.start + (Math.floor(elapsed / c.count) + 1) * c.count, PIT_HERTZ));
    } else {
      const edge = c.count + (c.mode === SoftwareStrobe ? 1 : 0);
      if (elapsed < edge) this.#alarm.set(whenTicks(c.start + edge, PIT_HERTZ));
      else this.#alarm.cancel();
    }
  }

  #deadline(): void {
    if (this.#counters[0].mode !== InterruptOnTerminalCount) this.#setPin(false);
    this.#setPin(true);
    this.#arm();
  }

  /** The steady level of IRQ 0 after a write: low only while mode 0 counts. */
  #drive(): void {
    const c = this.#counters[0];
    this.#setPin(c.mode !== InterruptOnTerminalCount || this.#out(c, this.#now()));
  }

  #setPin(level: boolean): void {
    if (level === this.#pin0) return;
    this.#pin0 = level;
    this.#output0(level);
  }
}

function fromBcd(value: number): number {
  return (value >> 12) * 1000 + ((value >> 8) & 15) * 100 + ((value >> 4) & 15) * 10 + (value & 15);
}

function encode(c: Counter, value: number): number {
  if (!c.bcd) return value & 0xffff;
  const decimal = ((value % 10_000) + 10_000) % 10_000;
  return (
    (Math.floor(decimal / 1000) << 12) | (Math.floor((decimal / 100) % 10) << 8) | (Math.floor((decimal / 10) % 10) << 4) | (decimal % 10)
  );
}
