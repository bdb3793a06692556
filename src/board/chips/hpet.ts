/**
 * High precision event timers: a 64-bit counter at 100 MHz and three comparators, each one-shot or periodic.
 *
 * Nothing ticks: the counter is a function of the clock, and each comparator has a deadline while it can match. Interrupts go to the
 * lines of the 8254 and the real-time clock (legacy replacement), to an I/O APIC pin of the driver's choice, or out as messages.
 *
 * Spec: IA-PC HPET Specification 1.0a (Intel, October 2004), cited as §.
 * Not modelled: matches while the counter is halted; periods shorter than the minimum tick that ACPI is told of (1 µs), which fire at
 * that pace.
 */
import type { AccessSize, Clock, DeviceState, IoHandler, IrqLine, MsiSink, Nanos } from '../../contracts/index.ts';
import { Alarm } from '../ticks.ts';

export const HPET_BYTES = 0x400;
export const HPET_TIMERS = 3;
/** Nanoseconds of one tick, and what the capability register says of it in femtoseconds (§2.3.4). */
const TICK: Nanos = 10;
const PERIOD_FEMTOSECONDS = 10_000_000;
/** In ticks: no interrupts are lost at this distance (§3.2.4). */
export const HPET_MINIMUM_TICK = 100;
/** Low half of the capability register; ACPI announces it as well: vendor, legacy routes, 64 bits, timers, revision (§2.3.4). */
export const HPET_BLOCK_ID = ((0x8086 << 16) | (1 << 15) | (1 << 13) | ((HPET_TIMERS - 1) << 8) | 1) >>> 0;

// Registers (§2.3.3): low halves; the high ones are 4 further
const CAPABILITIES = 0x000;
const CONFIGURATION = 0x010;
const INTERRUPT_STATUS = 0x020;
const COUNTER = 0x0f0;
const FIRST_TIMER = 0x100;
const TIMER_STRIDE = 0x20;
const TIMER_CONFIGURATION = 0x00;
const TIMER_COMPARATOR = 0x08;
const TIMER_MESSAGE = 0x10;
const HIGH = 4;

// General configuration (§2.3.5)
const ENABLE = 1 << 0;
const LEGACY_ROUTES = 1 << 1;
// Timer configuration (§2.3.8)
const LEVEL_TRIGGERED = 1 << 1;
const INTERRUPT_ENABLE = 1 << 2;
const PERIODIC = 1 << 3;
const PERIODIC_CAPABLE = 1 << 4;
const SIZE_CAPABLE = 1 << 5;
const SET_ACCUMULATOR = 1 << 6;
const NARROW = 1 << 8;
const ROUTE_SHIFT = 9;
const MESSAGES = 1 << 14;
const MESSAGES_CAPABLE = 1 << 15;
const WRITABLE = LEVEL_TRIGGERED | INTERRUPT_ENABLE | PERIODIC | SET_ACCUMULATOR | NARROW | (0x1f << ROUTE_SHIFT) | MESSAGES;

const WRAP_32 = 2n ** 32n;
const WRAP_64 = 2n ** 64n;
/** A match further away than this many ticks (over a year) is none. */
const HORIZON = 2n ** 52n;

export interface HpetPins {
  /** I/O APIC lines that the timers may drive, by number. */
  readonly lines: ReadonlyMap<number, IrqLine>;
  readonly msi: MsiSink;
  /** Lines of the 8254 and of the real-time clock, while {@link HpetPins.replaceLegacy} holds. */
  readonly legacy: readonly [IrqLine, IrqLine];
  /** Timers 0 and 1 take the place of the 8254 and of the real-time clock (§2.4.8), or give it back. */
  replaceLegacy(on: boolean): void;
}

class Comparator {
  configuration = 0;
  /** What the counter is compared with; in periodic mode it moves on. */
  value = WRAP_64 - 1n;
  /** Last value written: the period. */
  period = 0n;
  messageData = 0;
  messageAddress = 0;
  readonly alarm: Alarm;

  constructor(clock: Clock, fire: () => void) {
    this.alarm = new Alarm(clock, fire);
  }

  reset(): void {
    this.configuration = 0;
    this.value = WRAP_64 - 1n;
    this.period = 0n;
    this.messageData = 0;
    this.messageAddress = 0;
    this.alarm.cancel();
  }

  get wrap(): bigint {
    return this.configuration & NARROW ? WRAP_32 : WRAP_64;
  }
}

export class Hpet implements IoHandler {
  readonly #clock: Clock;
  readonly #pins: HpetPins;
  readonly #routes: number;
  readonly #timers: readonly Comparator[];
  #configuration = 0;
  #status = 0;
  /** The counter at `#since`, or while it is halted. */
  #low = 0;
  #high = 0;
  #since: Nanos = 0;

  constructor(options: { clock: Clock; pins: HpetPins }) {
    this.#clock = options.clock;
    this.#pins = options.pins;
    this.#routes = [...options.pins.lines.keys()].reduce((mask, line) => mask | 2 ** line, 0) >>> 0;
    this.#timers = Array.from({ length: HPET_TIMERS }, (_, index) => new Comparator(options.clock, () => this.#match(index)));
  }

  reset(): void {
    if (this.#configuration & LEGACY_ROUTES) this.#pins.replaceLegacy(false);
    this.#configuration = 0;
    this.#status = 0;
    this.#low = 0;
    this.#high = 0;
    for (const timer of this.#timers) timer.reset();
    for (const line of this.#pins.lines.values()) line.set(false);
  }

  read(offset: number, size: AccessSize): number {
    const value = this.#register(offset & ~3);
    if (size === 4) return value;
    return (value >>> (8 * (offset & 3))) & (size === 2 ? 0xffff : 0xff);
  }

  /** Aligned 32- and 64-bit accesses only (§2.3.2); the bus has made two of the latter. */
  write(offset: number, size: AccessSize, value: number): void {
    if (size !== 4 || offset & 3) return;
    if (offset >= FIRST_TIMER) {
      const timer = this.#timers[Math.floor((offset - FIRST_TIMER) / TIMER_STRIDE)];
      if (timer !== undefined) this.#writeTimer(timer, (offset - FIRST_TIMER) % TIMER_STRIDE, value);
      return;
    }
    switch (offset) {
      case CONFIGURATION:
        this.#configure(value & (ENABLE | LEGACY_ROUTES));
        break;
      case INTERRUPT_STATUS:
        this.#acknowledge(value);
        break;
      case COUNTER:
      case COUNTER + HIGH:
        this.#writeCounter(offset, value);
        break;
    }
  }

  save(): DeviceState {
    this.#settle();
    return {
      version: 1,
      configuration: this.#configuration,
      status: this.#status,
      low: this.#low,
      high: this.#high,
      since: this.#since,
      timers: this.#timers.map((timer) => ({
        configuration: timer.configuration,
        value: `${timer.value}`,
        period: `${timer.period}`,
        messageData: timer.messageData,
        messageAddress: timer.messageAddress,
      })),
    };
  }

  restore(state: DeviceState): void {
    this.#configuration = state['configuration'] as number;
    this.#status = state['status'] as number;
    this.#low = state['low'] as number;
    this.#high = state['high'] as number;
    this.#since = state['since'] as number;
    const timers = state['timers'] as readonly { configuration: number; value: string; period: string; messageData: number; messageAddress: number }[];
    for (const [index, timer] of this.#timers.entries()) {
      const saved = timers[index];
      if (saved === undefined) continue;
      timer.configuration = saved.configuration;
      timer.value = BigInt(saved.value);
      timer.period = BigInt(saved.period);
      timer.messageData = saved.messageData;
      timer.messageAddress = saved.messageAddress;
      this.#arm(timer);
    }
    this.#pins.replaceLegacy((this.#configuration & LEGACY_ROUTES) !== 0);
    this.#driveLevels();
  }

  #register(offset: number): number {
    if (offset >= FIRST_TIMER) {
      const timer = this.#timers[Math.floor((offset - FIRST_TIMER) / TIMER_STRIDE)];
      return timer === undefined ? 0 : this.#readTimer(timer, (offset - FIRST_TIMER) % TIMER_STRIDE);
    }
    switch (offset) {
      case CAPABILITIES:
        return HPET_BLOCK_ID;
      case CAPABILITIES + HIGH:
        return PERIOD_FEMTOSECONDS;
      case CONFIGURATION:
        return this.#configuration;
      case INTERRUPT_STATUS:
        return this.#status;
      case COUNTER:
        return (this.#low + this.#elapsed()) % 2 ** 32;
      case COUNTER + HIGH:
        return (this.#high + Math.floor((this.#low + this.#elapsed()) / 2 ** 32)) % 2 ** 32;
      default:
        return 0;
    }
  }

  #readTimer(timer: Comparator, offset: number): number {
    switch (offset) {
      case TIMER_CONFIGURATION:
        return timer.configuration | PERIODIC_CAPABLE | SIZE_CAPABLE | MESSAGES_CAPABLE;
      case TIMER_CONFIGURATION + HIGH:
        return this.#routes;
      case TIMER_COMPARATOR:
        this.#advance(timer);
        return Number(timer.value % WRAP_32);
      case TIMER_COMPARATOR + HIGH:
        return Number((timer.value / WRAP_32) % WRAP_32);
      case TIMER_MESSAGE:
        return timer.messageData;
      case TIMER_MESSAGE + HIGH:
        return timer.messageAddress;
      default:
        return 0;
    }
  }

  #writeTimer(timer: Comparator, offset: number, value: number): void {
    switch (offset) {
      case TIMER_CONFIGURATION: {
        const before = timer.configuration;
        timer.configuration = value & WRITABLE;
        // The narrow comparator has no upper half (§2.3.8, Tn_32MODE_CNF).
        if (timer.configuration & NARROW) {
          timer.value %= WRAP_32;
          timer.period %= WRAP_32;
        }
        if ((before ^ timer.configuration) & LEVEL_TRIGGERED) this.#acknowledge(1 << this.#timers.indexOf(timer));
        this.#driveLevels();
        break;
      }
      case TIMER_COMPARATOR:
        this.#writeComparator(timer, (old) => (old / WRAP_32) * WRAP_32 + BigInt(value));
        timer.configuration &= ~SET_ACCUMULATOR;
        break;
      case TIMER_COMPARATOR + HIGH:
        if (!(timer.configuration & NARROW)) this.#writeComparator(timer, (old) => (old % WRAP_32) + BigInt(value) * WRAP_32);
        break;
      case TIMER_MESSAGE:
        timer.messageData = value;
        return;
      case TIMER_MESSAGE + HIGH:
        timer.messageAddress = value;
        return;
      default:
        return;
    }
    this.#arm(timer);
  }

  /** In periodic mode a write sets the period, and the accumulator as well only after VAL_SET (§2.3.9). */
  #writeComparator(timer: Comparator, change: (old: bigint) => bigint): void {
    const periodic = (timer.configuration & PERIODIC) !== 0;
    if (!periodic || timer.configuration & SET_ACCUMULATOR) timer.value = change(timer.value);
    timer.period = change(periodic ? timer.period : timer.value);
    if (timer.configuration & NARROW) timer.period %= WRAP_32;
  }

  #configure(value: number): void {
    const changed = this.#configuration ^ value;
    if (changed & ENABLE) {
      if (value & ENABLE) this.#since = this.#clock.now();
      else this.#settle();
    }
    this.#configuration = value;
    if (changed & LEGACY_ROUTES) {
      for (const line of this.#pins.legacy) line.set(false);
      this.#pins.replaceLegacy((value & LEGACY_ROUTES) !== 0);
    }
    this.#driveLevels();
    if (changed & ENABLE) for (const timer of this.#timers) this.#arm(timer);
  }

  /** Written while it is halted, as it should be (§2.3.7), or while it runs. */
  #writeCounter(offset: number, value: number): void {
    this.#settle();
    if (offset === COUNTER) this.#low = value;
    else this.#high = value;
    for (const timer of this.#timers) this.#arm(timer);
  }

  #acknowledge(mask: number): void {
    this.#status &= ~mask;
    this.#driveLevels();
  }

  /** Ticks since `#since`; 0 while halted. */
  #elapsed(): number {
    return this.#configuration & ENABLE ? Math.floor((this.#clock.now() - this.#since) / TICK) : 0;
  }

  /** Folds what has passed into the stored value. */
  #settle(): void {
    const elapsed = this.#elapsed();
    const sum = this.#low + elapsed;
    this.#low = sum % 2 ** 32;
    this.#high = (this.#high + Math.floor(sum / 2 ** 32)) % 2 ** 32;
    this.#since += elapsed * TICK;
  }

  #counter(): bigint {
    return (BigInt(this.#high) * WRAP_32 + BigInt(this.#low) + BigInt(this.#elapsed())) % WRAP_64;
  }

  /** Sets the deadline of the next match. `after`: one that has just been is not it. */
  #arm(timer: Comparator, after = false): void {
    if (!(this.#configuration & ENABLE)) {
      timer.alarm.cancel();
      return;
    }
    this.#advance(timer);
    const { wrap } = timer;
    let distance = (((timer.value - this.#counter()) % wrap) + wrap) % wrap;
    if (after && distance === 0n) distance = wrap;
    if (distance > HORIZON) {
      timer.alarm.cancel();
      return;
    }
    const ticks = Math.max(after ? HPET_MINIMUM_TICK : 0, Number(distance));
    timer.alarm.set(this.#since + (this.#elapsed() + ticks) * TICK);
  }

  /** Moves a periodic comparator past the counter: after a halt, or when matches were closer together than they can be served. */
  #advance(timer: Comparator): void {
    const { wrap, period } = timer;
    if (!(timer.configuration & PERIODIC) || period === 0n || !(this.#configuration & ENABLE)) return;
    const behind = (((this.#counter() - timer.value) % wrap) + wrap) % wrap;
    // The upper half of the circle lies ahead.
    if (behind === 0n || behind > wrap / 2n) return;
    timer.value = (timer.value + (behind / period + (behind % period === 0n ? 0n : 1n)) * period) % wrap;
  }

  #match(index: number): void {
    const timer = this.#timers[index] as Comparator;
    if (timer.configuration & PERIODIC && timer.period > 0n) {
      const { wrap, period } = timer;
      const behind = (((this.#counter() - timer.value) % wrap) + wrap) % wrap;
      timer.value = (timer.value + (behind / period + 1n) * period) % wrap;
    }
    this.#interrupt(index, timer);
    this.#arm(timer, true);
  }

  #interrupt(index: number, timer: Comparator): void {
    const { configuration } = timer;
    if (configuration & LEVEL_TRIGGERED && !(configuration & MESSAGES)) {
      this.#status |= 1 << index;
      this.#driveLevels();
    } else if (configuration & INTERRUPT_ENABLE) {
      if (configuration & MESSAGES) this.#pins.msi.send(timer.messageAddress, timer.messageData);
      else this.#line(index, timer)?.pulse();
    }
  }

  /** Legacy routes outrank the driver's choice for timers 0 and 1 (§2.4.8). */
  #line(index: number, timer: Comparator): IrqLine | undefined {
    if (this.#configuration & LEGACY_ROUTES && index < 2) return this.#pins.legacy[index];
    return this.#pins.lines.get((timer.configuration >>> ROUTE_SHIFT) & 0x1f);
  }

  /** A line is high while any level-triggered timer on it has its status bit set. */
  #driveLevels(): void {
    const high = new Set<IrqLine>();
    for (const [index, timer] of this.#timers.entries()) {
      const line = this.#line(index, timer);
      const active = (this.#status >> index) & 1 && timer.configuration & LEVEL_TRIGGERED && timer.configuration & INTERRUPT_ENABLE;
      if (line !== undefined && active) high.add(line);
    }
    for (const line of this.#pins.lines.values()) line.set(high.has(line));
    if (this.#configuration & LEGACY_ROUTES) for (const line of this.#pins.legacy) line.set(high.has(line));
  }
}
