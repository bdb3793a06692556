/**
 * The watchdog timer of the 6300ESB I/O controller hub: two stages that count down one after the other. The first one that is not
 * reloaded in time warns by an interrupt, the second resets the machine.
 *
 * Every write to a preload value or to the reload register needs the sequence 0x80, 0x86 at the reload register first. Enabling, locking
 * and the mode are in configuration space; what is locked stays so until the machine is reset, and the note that the watchdog bit
 * survives that reset.
 *
 * Spec: Intel 6300ESB I/O Controller Hub datasheet (300641), chapter 15 (watchdog timer, device 29 function 4).
 * Not modelled: SMI as the first stage's signal; the first stage's interrupt is INTA# here, not input 10 of the hub's own I/O APIC. The
 * level of WDT_TOUT# in free-running mode, which nothing on this board is wired to.
 */
import type { AccessSize, Clock, DeviceState, IoHandler, Nanos, PciFunctionDescription, PciFunctionPort } from '../../contracts/index.ts';
import { Alarm, ticksAt, whenTicks } from '../ticks.ts';

// Configuration space
const WDT_CONFIGURATION = 0x60;
const WDT_LOCK = 0x68;
// Its bits
const INTERRUPT_TYPE = 3;
const INTERRUPT_LINE = 0;
const FAST = 1 << 2;
const OUTPUT_DISABLED = 1 << 5;
const LOCK = 1 << 0;
const ENABLE = 1 << 1;
const FREE_RUNNING = 1 << 2;

// Memory registers
const WINDOW_BYTES = 16;
const PRELOAD_1 = 0x00;
const PRELOAD_2 = 0x04;
const INTERRUPT_STATUS = 0x08;
const RELOAD = 0x0c;
const PRELOAD_MASK = 0xf_ffff;
const RELOAD_COUNTER = 1 << 8;
const TIMED_OUT = 1 << 9;
const UNLOCK_FIRST = 0x80;
const UNLOCK_SECOND = 0x86;

/** The counter's 35 bits run at the PCI clock; a preload value lies in the upper 20 of them, or (fast) ten bits lower. */
const PCI_HERTZ = 33_000_000;
const SLOW_SHIFT = 2 ** 15;
const FAST_SHIFT = 2 ** 5;

export interface I6300esbOptions {
  readonly clock: Clock;
  /** Puts the function on the bus. */
  pci(description: PciFunctionDescription): PciFunctionPort;
  /** WDT_TOUT#: the machine is reset. */
  timedOut(): void;
}

export class I6300esb {
  readonly #clock: Clock;
  readonly #timedOut: () => void;
  readonly #port: PciFunctionPort;
  readonly #alarm: Alarm;
  #preload1 = PRELOAD_MASK;
  #preload2 = PRELOAD_MASK;
  /** 0: locked, 1: the first value came, 2: one write is free. */
  #unlocking = 0;
  #interrupt = false;
  #hasTimedOut = false;
  /** 0 while it stands still. */
  #stage: 0 | 1 | 2 = 0;
  /** PCI clock at which the stage ends. */
  #end = 0;
  #lock = 0;

  constructor(options: I6300esbOptions) {
    this.#clock = options.clock;
    this.#timedOut = options.timedOut;
    this.#alarm = new Alarm(options.clock, () => this.#expire());
    this.#port = options.pci({
      identity: { vendor: 0x8086, device: 0x25ab, classCode: 0x08_8000, revision: 1, subsystemVendor: 0x8086, subsystem: 0x25ab },
      bars: [{ kind: 'mmio', size: WINDOW_BYTES, handler: this.window }],
      interruptPin: true,
      registers: [
        { at: WDT_CONFIGURATION, bytes: Uint8Array.of(0, 0), writable: Uint8Array.of(INTERRUPT_TYPE | FAST | OUTPUT_DISABLED, 0) },
        { at: WDT_LOCK, bytes: Uint8Array.of(0), writable: Uint8Array.of(LOCK | ENABLE | FREE_RUNNING) },
      ],
      configured: (register) => this.#configured(register),
    });
  }

  /** `warm`: as the watchdog itself does it. Only power-on forgets that it did. */
  reset(kind: 'cold' | 'warm'): void {
    this.#preload1 = PRELOAD_MASK;
    this.#preload2 = PRELOAD_MASK;
    this.#unlocking = 0;
    this.#lock = 0;
    this.#stop();
    this.#port.setConfig(WDT_CONFIGURATION, 0);
    this.#port.setConfig(WDT_LOCK, 0);
    this.#setInterrupt(false);
    if (kind === 'cold') this.#hasTimedOut = false;
  }

  readonly window: IoHandler = {
    read: (offset: number, size: AccessSize): number => {
      const value = this.#read(offset & ~3) >>> (8 * (offset & 3));
      return size === 4 ? value : value & (size === 2 ? 0xffff : 0xff);
    },
    write: (offset: number, size: AccessSize, value: number): void => {
      if (offset === RELOAD && this.#unlock(value)) return;
      const unlocked = this.#unlocking === 2;
      this.#unlocking = 0;
      if (offset === INTERRUPT_STATUS && value & 1) this.#setInterrupt(false);
      else if (!unlocked) return;
      else if (offset === PRELOAD_1 && size === 4) this.#preload1 = value & PRELOAD_MASK;
      else if (offset === PRELOAD_2 && size === 4) this.#preload2 = value & PRELOAD_MASK;
      else if (offset === RELOAD && size !== 1) {
        if (value & TIMED_OUT) this.#hasTimedOut = false;
        if (value & RELOAD_COUNTER && this.#stage !== 0) this.#start();
      }
    },
  };

  /** Nanoseconds until the machine is reset if nobody reloads it; undefined while that is not to be. For inspection. */
  get remaining(): Nanos | undefined {
    if (this.#stage === 0 || this.#port.config(WDT_CONFIGURATION) & OUTPUT_DISABLED) return undefined;
    const rest = this.#stage === 1 ? this.#clocks(this.#preload2) : 0;
    return whenTicks(this.#end + rest, PCI_HERTZ) - this.#clock.now();
  }

  dispose(): void {
    this.#alarm.cancel();
  }

  save(): DeviceState {
    return {
      version: 1,
      preload1: this.#preload1,
      preload2: this.#preload2,
      unlocking: this.#unlocking,
      interrupt: this.#interrupt,
      hasTimedOut: this.#hasTimedOut,
      stage: this.#stage,
      end: this.#end,
      lock: this.#lock,
    };
  }

  restore(state: DeviceState): void {
    this.#preload1 = state['preload1'] as number;
    this.#preload2 = state['preload2'] as number;
    this.#unlocking = state['unlocking'] as number;
    this.#hasTimedOut = state['hasTimedOut'] as boolean;
    this.#stage = state['stage'] as 0 | 1 | 2;
    this.#end = state['end'] as number;
    this.#lock = state['lock'] as number;
    this.#setInterrupt(state['interrupt'] as boolean);
    if (this.#stage === 0) this.#alarm.cancel();
    else this.#alarm.set(whenTicks(this.#end, PCI_HERTZ));
  }

  #read(offset: number): number {
    switch (offset) {
      case PRELOAD_1:
        return this.#preload1;
      case PRELOAD_2:
        return this.#preload2;
      case INTERRUPT_STATUS:
        return this.#interrupt ? 1 : 0;
      case RELOAD:
        return this.#hasTimedOut ? TIMED_OUT : 0;
      default:
        return 0;
    }
  }

  /** True when `value` is the next of the two unlocking values. */
  #unlock(value: number): boolean {
    if (this.#unlocking === 0 && value === UNLOCK_FIRST) this.#unlocking = 1;
    else if (this.#unlocking === 1 && value === UNLOCK_SECOND) this.#unlocking = 2;
    else return false;
    return true;
  }

  #configured(register: number): void {
    if (register > WDT_LOCK || register + 3 < WDT_LOCK) return;
    if (this.#lock & LOCK) {
      this.#port.setConfig(WDT_LOCK, this.#lock);
      return;
    }
    const before = this.#lock;
    this.#lock = this.#port.config(WDT_LOCK);
    if (!((before ^ this.#lock) & ENABLE)) return;
    if (this.#lock & ENABLE) this.#start();
    else this.#stop();
  }

  /** From the beginning: the first stage, or in free-running mode the second, which is all there is of it. */
  #start(): void {
    this.#begin(this.#lock & FREE_RUNNING ? 2 : 1, ticksAt(this.#clock.now(), PCI_HERTZ));
  }

  #stop(): void {
    this.#stage = 0;
    this.#alarm.cancel();
  }

  #begin(stage: 1 | 2, at: number): void {
    this.#stage = stage;
    this.#end = at + this.#clocks(stage === 1 ? this.#preload1 : this.#preload2);
    this.#alarm.set(whenTicks(this.#end, PCI_HERTZ));
  }

  /** PCI clocks of a preload value. One of 0 counts as 1: the counter takes a period to see that it is over. */
  #clocks(preload: number): number {
    return Math.max(1, preload) * (this.#port.config(WDT_CONFIGURATION) & FAST ? FAST_SHIFT : SLOW_SHIFT);
  }

  #expire(): void {
    if (this.#stage === 1) {
      if ((this.#port.config(WDT_CONFIGURATION) & INTERRUPT_TYPE) === INTERRUPT_LINE) this.#setInterrupt(true);
      this.#begin(2, this.#end);
      return;
    }
    this.#hasTimedOut = true;
    if (this.#lock & FREE_RUNNING) {
      // Periods that have passed unseen are one.
      this.#begin(2, ticksAt(this.#clock.now(), PCI_HERTZ));
      return;
    }
    this.#stop();
    if (!(this.#port.config(WDT_CONFIGURATION) & OUTPUT_DISABLED)) this.#timedOut();
  }

  #setInterrupt(level: boolean): void {
    this.#interrupt = level;
    this.#port.setInterrupt(level);
  }
}
