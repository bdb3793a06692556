/**
 * 82093AA I/O APIC: 24 pins, each with a redirection entry.
 *
 * Pins carry electrical levels; a pin's entry says which level means "asserted". Pins 16–23, PCI's, idle high behind pull-ups.
 * An edge on a masked pin is lost, as on the chip.
 *
 * Spec: Intel 82093AA datasheet (order 290566-001), cited as §3.x.
 * Not modelled: SMI delivery, the 3-wire APIC bus's arbitration, the EOI register of later versions (this is 0x11).
 */
import type { AccessSize, DeviceState } from '../../contracts/index.ts';
import { BROADCAST } from './interrupt-messages.ts';

export const IO_APIC_PINS = 24;
export const IO_APIC_WINDOW_BYTES = 0x1000;
/** The first pin that is a PCI line. */
export const FIRST_PCI_PIN = 16;

const IOREGSEL = 0x00;
const IOWIN = 0x10;
const IOAPICID = 0;
const IOAPICVER = 1;
const IOAPICARB = 2;
const FIRST_ENTRY = 0x10;
const VERSION_VALUE = ((IO_APIC_PINS - 1) << 16) | 0x11;

// Redirection entry, low half (§3.2.4)
const LOGICAL = 1 << 11;
const ACTIVE_LOW = 1 << 13;
const REMOTE_IRR = 1 << 14;
const LEVEL = 1 << 15;
const MASKED = 1 << 16;
const LOW_WRITABLE = 0x1afff;
const HIGH_WRITABLE = 0xff00_0000;

export interface IoApicPins {
  /** An interrupt message. False when no processor took it. */
  deliver(destination: number, logical: boolean, mode: number, vector: number, level: boolean): boolean;
}

export class I82093aa {
  readonly #pins: IoApicPins;
  readonly #initialId: number;
  readonly #low = new Array<number>(IO_APIC_PINS).fill(MASKED);
  readonly #high = new Array<number>(IO_APIC_PINS).fill(0);
  #lines = 0xff_0000;
  #id: number;
  #select = 0;

  /** `id`: what firmware would have programmed and the tables announce. */
  constructor(options: { id: number; pins: IoApicPins }) {
    this.#pins = options.pins;
    this.#initialId = options.id & 0x0f;
    this.#id = this.#initialId;
  }

  reset(): void {
    this.#low.fill(MASKED);
    this.#high.fill(0);
    this.#id = this.#initialId;
    this.#select = 0;
  }

  /** Electrical level of a pin. */
  setPin(pin: number, level: boolean): void {
    const bit = 1 << pin;
    const changed = ((this.#lines & bit) !== 0) !== level;
    this.#lines = level ? this.#lines | bit : this.#lines & ~bit;
    const entry = this.#low[pin] as number;
    if (entry & LEVEL) this.#serviceLevel(pin);
    else if (changed && !(entry & MASKED) && this.#asserted(pin)) this.#send(pin);
  }

  /** §3.0: two 32-bit registers; IOREGSEL selects what IOWIN shows. */
  read(offset: number, size: AccessSize): number {
    const register = offset & ~3;
    const value = register === IOREGSEL ? this.#select : register === IOWIN ? this.#readSelected() : 0;
    const shifted = value >>> (8 * (offset & 3));
    return size === 4 ? shifted : shifted & (size === 2 ? 0xffff : 0xff);
  }

  write(offset: number, size: AccessSize, value: number): void {
    if (offset === IOREGSEL) this.#select = value & 0xff;
    else if (offset === IOWIN && size === 4) this.#writeSelected(value);
  }

  /** A local APIC ended a level-triggered interrupt: pins that still ask, ask again. */
  endOfInterrupt(vector: number): void {
    for (let pin = 0; pin < IO_APIC_PINS; pin++) {
      const entry = this.#low[pin] as number;
      if (!(entry & REMOTE_IRR) || (entry & 0xff) !== vector) continue;
      this.#low[pin] = entry & ~REMOTE_IRR;
      this.#serviceLevel(pin);
    }
  }

  save(): DeviceState {
    return { version: 1, id: this.#id, select: this.#select, lines: this.#lines, low: [...this.#low], high: [...this.#high] };
  }

  restore(state: DeviceState): void {
    const saved = state as unknown as { id: number; select: number; lines: number; low: number[]; high: number[] };
    this.#id = saved.id;
    this.#select = saved.select;
    this.#lines = saved.lines;
    for (let pin = 0; pin < IO_APIC_PINS; pin++) {
      this.#low[pin] = saved.low[pin] ?? MASKED;
      this.#high[pin] = saved.high[pin] ?? 0;
    }
  }

  #readSelected(): number {
    switch (this.#select) {
      case IOAPICID:
      case IOAPICARB:
        return this.#id << 24;
      case IOAPICVER:
        return VERSION_VALUE;
    }
    const pin = (this.#select - FIRST_ENTRY) >> 1;
    if (pin < 0 || pin >= IO_APIC_PINS) return 0;
    return (this.#select & 1 ? (this.#high[pin] as number) : (this.#low[pin] as number)) >>> 0;
  }

  #writeSelected(value: number): void {
    if (this.#select === IOAPICID) this.#id = (value >>> 24) & 0x0f;
    const pin = (this.#select - FIRST_ENTRY) >> 1;
    if (pin < 0 || pin >= IO_APIC_PINS) return;
    if (this.#select & 1) {
      this.#high[pin] = (value & HIGH_WRITABLE) >>> 0;
      return;
    }
    const old = this.#low[pin] as number;
    let next = (value & LOW_WRITABLE) | (old & REMOTE_IRR);
    if (!(next & LEVEL)) next &= ~REMOTE_IRR; // switching to edge forgets the interrupt in service: how version 0x11 is told to end one
    this.#low[pin] = next;
    this.#serviceLevel(pin);
  }

  #asserted(pin: number): boolean {
    const high = (this.#lines & (1 << pin)) !== 0;
    return high !== (((this.#low[pin] as number) & ACTIVE_LOW) !== 0);
  }

  #serviceLevel(pin: number): void {
    const entry = this.#low[pin] as number;
    if ((entry & (LEVEL | MASKED | REMOTE_IRR)) !== LEVEL || !this.#asserted(pin)) return;
    // Set first: the EOI may come while the message is still being delivered.
    this.#low[pin] = entry | REMOTE_IRR;
    if (!this.#send(pin)) this.#low[pin] = (this.#low[pin] as number) & ~REMOTE_IRR;
  }

  #send(pin: number): boolean {
    const entry = this.#low[pin] as number;
    const id = (this.#high[pin] as number) >>> 24;
    const destination = id === 0xff ? BROADCAST : id;
    return this.#pins.deliver(destination, (entry & LOGICAL) !== 0, (entry >> 8) & 7, entry & 0xff, (entry & LEVEL) !== 0);
  }
}
