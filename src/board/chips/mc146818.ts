/**
 * MC146818A real-time clock and CMOS RAM, with the PC/AT's bank of 128 bytes, century byte and NMI mask.
 *
 * The time is a function of the clock and of the wall time given at the start, so that a run can be repeated. Flags of register
 * C are worked out when somebody looks; only enabled interrupts set a deadline.
 *
 * Spec: Motorola MC146818A datasheet (ADI1010R1), cited by heading; CMOS layout: IBM PC/AT Technical Reference.
 * Not modelled: divider reset, square-wave output, daylight saving; the weekday always follows from the date.
 */
import { s, us } from '../../base/index.ts';
import type { Clock, DeviceState, Nanos } from '../../contracts/index.ts';
import { Alarm, ticksAt, whenTicks } from '../ticks.ts';

const CMOS_BYTES = 128;
const SECONDS = 0;
const SECONDS_ALARM = 1;
const MINUTES = 2;
const MINUTES_ALARM = 3;
const HOURS = 4;
const HOURS_ALARM = 5;
const WEEKDAY = 6;
const DAY = 7;
const MONTH = 8;
const YEAR = 9;
const A = 0x0a;
const B = 0x0b;
const C = 0x0c;
const D = 0x0d;
/** Where PCs keep the century, as the FADT says. */
export const RTC_CENTURY = 0x32;

// Register A ("Register A")
const UPDATE_IN_PROGRESS = 1 << 7;
const RATE = 0x0f;
const A_32KHZ_1024HZ = 0x26;
// Register B ("Register B")
const B_SET = 1 << 7;
const B_BINARY = 1 << 2;
const B_24_HOUR = 1 << 1;
// Enables in B, flags in C
const PERIODIC = 1 << 6;
const ALARM = 1 << 5;
const UPDATE = 1 << 4;
const SOURCES = PERIODIC | ALARM | UPDATE;
const IRQF = 1 << 7;
const D_VALID_RAM = 1 << 7;
const PM = 1 << 7;
/** Alarm bytes from here on match anything ("Time, Calendar, and Alarm Locations"). */
const DONT_CARE = 0xc0;

const CRYSTAL_HERTZ = 32_768;
/** Warning before an update and the update itself at 32.768 kHz ("Update Cycle"). */
const UPDATE_NANOS: Nanos = (244 + 1984) * us;
const NMI_MASK = 1 << 7;
const DAY_SECONDS = 86_400;

export interface RtcOptions {
  readonly clock: Clock;
  /** Seconds since 1970-01-01 UTC, now. */
  readonly wallTime: number;
  /** Top of RAM in bytes, for the memory-size bytes. */
  readonly memoryBytes: number;
  readonly vcpus: number;
  /** Further bytes of CMOS RAM by index: what a set-up program would have stored. */
  readonly settings?: ReadonlyMap<number, number>;
  /** IRQ 8. */
  interrupt(level: boolean): void;
}

export class Mc146818 {
  readonly #clock: Clock;
  readonly #options: RtcOptions;
  readonly #alarm: Alarm;
  readonly #cmos = new Uint8Array(CMOS_BYTES);
  #index = 0;
  #nmiMasked = false;
  #flags = 0;
  /** Up to when `#flags` accounts for what happened. */
  #flagsAt: Nanos = 0;
  /** Wall time in seconds at clock 0. */
  #epoch: number;

  constructor(options: RtcOptions) {
    this.#options = options;
    this.#clock = options.clock;
    this.#epoch = options.wallTime - this.#clockSeconds();
    this.#alarm = new Alarm(options.clock, () => this.#update());
    this.#fillCmos();
  }

  /** RESET clears interrupt enables and flags; time and RAM are on the battery ("RESET"). */
  reset(): void {
    this.#cmos[B] = (this.#byte(B) & ~SOURCES & ~B_SET) | B_24_HOUR;
    this.#flags = 0;
    this.#flagsAt = this.#clock.now();
    this.#nmiMasked = false;
    this.#update();
  }

  /** Bit 7 of port 0x70. */
  get nmiMasked(): boolean {
    return this.#nmiMasked;
  }

  /** Offset 0 is the index port, 1 the data port. */
  read(offset: number): number {
    if (offset === 0) return 0xff; // write-only on the AT
    switch (this.#index) {
      case A:
        return this.#byte(A) | (this.#updating() ? UPDATE_IN_PROGRESS : 0);
      case C: {
        this.#collectFlags();
        const value = this.#flags | (this.#flags & this.#byte(B) & SOURCES ? IRQF : 0);
        this.#flags = 0;
        this.#update();
        return value;
      }
      case D:
        return D_VALID_RAM;
      default:
        if (isTime(this.#index)) this.#showTime();
        return this.#byte(this.#index);
    }
  }

  write(offset: number, value: number): void {
    if (offset === 0) {
      this.#index = value & 0x7f;
      this.#nmiMasked = (value & NMI_MASK) !== 0;
      return;
    }
    this.#collectFlags();
    switch (this.#index) {
      case A:
        this.#cmos[A] = value & ~UPDATE_IN_PROGRESS;
        break;
      case B: {
        const wasSet = (this.#byte(B) & B_SET) !== 0;
        const isSet = (value & B_SET) !== 0;
        if (!wasSet && isSet) this.#showTime();
        // SET aborts an update and disables its interrupt ("Register B")
        this.#cmos[B] = isSet ? value & ~UPDATE : value;
        if (wasSet && !isSet) this.#takeTime();
        break;
      }
      case C:
      case D:
        break; // read-only
      default:
        if (isTime(this.#index)) {
          this.#showTime();
          this.#cmos[this.#index] = value;
          if (!(this.#byte(B) & B_SET)) this.#takeTime();
        } else this.#cmos[this.#index] = value;
    }
    this.#update();
  }

  save(): DeviceState {
    this.#collectFlags();
    return { version: 1, cmos: [...this.#cmos], index: this.#index, nmiMasked: this.#nmiMasked, flags: this.#flags, epoch: this.#epoch };
  }

  /** The clock must stand where it stood at `save`. */
  restore(state: DeviceState): void {
    const saved = state as unknown as { cmos: number[]; index: number; nmiMasked: boolean; flags: number; epoch: number };
    this.#cmos.set(saved.cmos.slice(0, CMOS_BYTES));
    this.#index = saved.index;
    this.#nmiMasked = saved.nmiMasked;
    this.#flags = saved.flags;
    this.#flagsAt = this.#clock.now();
    this.#epoch = saved.epoch;
    this.#update();
  }

  #fillCmos(): void {
    const { memoryBytes, vcpus, settings = new Map() } = this.#options;
    const above1M = Math.min(Math.max(0, memoryBytes - (1 << 20)) >>> 10, 0xffff);
    const above16M = Math.min(Math.floor(Math.max(0, memoryBytes - (16 << 20)) / 65_536), 0xffff);
    const word = (at: number, value: number) => this.#cmos.set([value & 0xff, value >> 8], at);
    this.#cmos[A] = A_32KHZ_1024HZ;
    this.#cmos[B] = B_24_HOUR;
    this.#cmos[0x14] = 0x06; // equipment: coprocessor, pointing device interface, EGA/VGA display
    word(0x15, 640);
    word(0x17, above1M);
    word(0x30, above1M);
    word(0x34, above16M);
    this.#cmos[0x5f] = Math.min(vcpus - 1, 0xff); // what QEMU-style firmware calls the number of further processors
    for (const [index, value] of settings) this.#cmos[index] = value;
    let sum = 0;
    for (let i = 0x10; i < 0x2e; i++) sum += this.#byte(i);
    this.#cmos.set([(sum >> 8) & 0xff, sum & 0xff], 0x2e); // the AT's checksum, high byte first
  }

  #byte(index: number): number {
    return this.#cmos[index] as number;
  }

  #clockSeconds(): number {
    return Math.floor(this.#clock.now() / s);
  }

  #running(): boolean {
    return (this.#byte(B) & B_SET) === 0;
  }

  /** The registers change at the second's end; UIP covers the time before. */
  #updating(): boolean {
    return this.#running() && s - (this.#clock.now() % s) <= UPDATE_NANOS;
  }

  /** Registers := wall time, in the format of register B. While SET holds them, they stay. */
  #showTime(): void {
    if (!this.#running()) return;
    const date = new Date((this.#epoch + this.#clockSeconds()) * 1000);
    const hour = date.getUTCHours();
    const year = date.getUTCFullYear();
    const encode = (value: number) => (this.#byte(B) & B_BINARY ? value : Math.floor(value / 10) * 16 + (value % 10));
    this.#cmos[SECONDS] = encode(date.getUTCSeconds());
    this.#cmos[MINUTES] = encode(date.getUTCMinutes());
    this.#cmos[HOURS] = this.#byte(B) & B_24_HOUR ? encode(hour) : encode(hour % 12 || 12) | (hour >= 12 ? PM : 0);
    this.#cmos[WEEKDAY] = encode(date.getUTCDay() + 1);
    this.#cmos[DAY] = encode(date.getUTCDate());
    this.#cmos[MONTH] = encode(date.getUTCMonth() + 1);
    this.#cmos[YEAR] = encode(year % 100);
    this.#cmos[RTC_CENTURY] = encode(Math.floor(year / 100) % 100);
  }

  /** Wall time := registers. Nonsense dates become whatever day the calendar arithmetic makes of them. */
  #takeTime(): void {
    const year = this.#decode(RTC_CENTURY) * 100 + this.#decode(YEAR);
    const date = new Date(0);
    date.setUTCFullYear(year, this.#decode(MONTH) - 1, this.#decode(DAY));
    date.setUTCHours(this.#hour(this.#byte(HOURS)), this.#decode(MINUTES), this.#decode(SECONDS));
    this.#epoch = date.getTime() / 1000 - this.#clockSeconds();
  }

  #decode(index: number): number {
    const raw = this.#byte(index);
    return this.#byte(B) & B_BINARY ? raw : (raw >> 4) * 10 + (raw & 15);
  }

  #hour(raw: number): number {
    const binary = (this.#byte(B) & B_BINARY) !== 0;
    if (this.#byte(B) & B_24_HOUR) return binary ? raw : (raw >> 4) * 10 + (raw & 15);
    const hour = raw & ~PM;
    const twelve = (binary ? hour : (hour >> 4) * 10 + (hour & 15)) % 12;
    return raw & PM ? twelve + 12 : twelve;
  }

  /** The first second after `after` (wall time) at which the alarm bytes match; undefined when none ever does. */
  #nextAlarm(after: number): number | undefined {
    const want = (index: number, decode: (raw: number) => number) => (this.#byte(index) >= DONT_CARE ? -1 : decode(this.#byte(index)));
    const second = want(SECONDS_ALARM, () => this.#decode(SECONDS_ALARM));
    const minute = want(MINUTES_ALARM, () => this.#decode(MINUTES_ALARM));
    const hour = this.#byte(HOURS_ALARM) >= DONT_CARE ? -1 : this.#hour(this.#byte(HOURS_ALARM));
    let t = after + 1;
    // At most 25 hours, 60 minutes and 60 seconds are skipped before a match, if there is one.
    for (let i = 0; i < 150; i++) {
      const ofDay = ((t % DAY_SECONDS) + DAY_SECONDS) % DAY_SECONDS;
      if (hour >= 0 && Math.floor(ofDay / 3600) !== hour) t += 3600 - (ofDay % 3600);
      else if (minute >= 0 && Math.floor(ofDay / 60) % 60 !== minute) t += 60 - (ofDay % 60);
      else if (second >= 0 && ofDay % 60 !== second) t++;
      else return t;
    }
    return undefined;
  }

  /** Crystal ticks per periodic interrupt; 0 for none ("Table 5"). */
  #period(): number {
    const rate = this.#byte(A) & RATE;
    return rate === 0 ? 0 : 1 << (rate < 3 ? rate + 6 : rate - 1);
  }

  /** Sets the flags of everything that happened since the last time. */
  #collectFlags(): void {
    const now = this.#clock.now();
    const since = this.#flagsAt;
    this.#flagsAt = now;
    const period = this.#period();
    if (period > 0 && Math.floor(ticksAt(now, CRYSTAL_HERTZ) / period) !== Math.floor(ticksAt(since, CRYSTAL_HERTZ) / period)) {
      this.#flags |= PERIODIC;
    }
    const second = Math.floor(now / s);
    const lastSecond = Math.floor(since / s);
    if (!this.#running() || second === lastSecond) return;
    this.#flags |= UPDATE;
    const alarm = this.#nextAlarm(this.#epoch + lastSecond);
    if (alarm !== undefined && alarm <= this.#epoch + second) this.#flags |= ALARM;
  }

  /** Drives IRQ 8, and sets the deadline for the next enabled event while it is low. */
  #update(): void {
    this.#collectFlags();
    const enabled = this.#byte(B) & SOURCES;
    const asserted = (this.#flags & enabled) !== 0;
    this.#options.interrupt(asserted);
    let next = Number.POSITIVE_INFINITY;
    if (!asserted) {
      const now = this.#clock.now();
      const period = this.#period();
      if (enabled & PERIODIC && period > 0) {
        next = whenTicks((Math.floor(ticksAt(now, CRYSTAL_HERTZ) / period) + 1) * period, CRYSTAL_HERTZ);
      }
      if (enabled & UPDATE && this.#running()) next = Math.min(next, (Math.floor(now / s) + 1) * s);
      if (enabled & ALARM && this.#running()) {
        const alarm = this.#nextAlarm(this.#epoch + Math.floor(now / s));
        if (alarm !== undefined) next = Math.min(next, (alarm - this.#epoch) * s);
      }
    }
    if (Number.isFinite(next)) this.#alarm.set(next);
    else this.#alarm.cancel();
  }
}

function isTime(index: number): boolean {
  return index === RTC_CENTURY || (index <= YEAR && index !== SECONDS_ALARM && index !== MINUTES_ALARM && index !== HOURS_ALARM);
}
