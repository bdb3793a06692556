/**
 * Global system interrupts: from a device's line to the pins of the interrupt controllers, as a PC wires them.
 *
 *     ISA 0–15   both controllers; the timer's line 0 is I/O APIC pin 2; the lines are active high and idle low
 *     16–23      I/O APIC only; PCI's, active low behind pull-ups
 */
import { BulkheadError } from '../base/index.ts';
import type { IrqLine } from '../contracts/index.ts';
import { FIRST_PCI_PIN, type I82093aa, IO_APIC_PINS } from './chips/i82093aa.ts';
import type { I8259Pair } from './chips/i8259.ts';

const CASCADE = 2;
const NOWHERE: IrqLine = { set: () => undefined, pulse: () => undefined };
/** MADT and MP table say the same. */
export const TIMER_IO_APIC_PIN = 2;

export class InterruptLines {
  readonly #pic: I8259Pair;
  readonly #ioapic: I82093aa;
  /** How many drivers hold each line. */
  readonly #asserted = new Uint8Array(IO_APIC_PINS);
  readonly #owners = new Map<number, string>();

  constructor(options: { pic: I8259Pair; ioapic: I82093aa }) {
    this.#pic = options.pic;
    this.#ioapic = options.ioapic;
  }

  /** Gives the line to `owner`. Throws BH212 when there is no such line, BH211 when another device has it. */
  own(pin: number, owner: string): IrqLine {
    if (!Number.isInteger(pin) || pin < 0 || pin >= IO_APIC_PINS || pin === CASCADE) {
      throw new BulkheadError('BH212', `${owner}: there is no interrupt line ${pin}`);
    }
    const other = this.#owners.get(pin);
    if (other !== undefined && other !== owner) {
      throw new BulkheadError('BH211', `${owner} drives interrupt line ${pin}, which belongs to ${other}`, {
        hint: `choose another \`irq:\` for the one of them that is yours to place`,
      });
    }
    this.#owners.set(pin, owner);
    return this.#line(pin);
  }

  /** A wire to a line that belongs to nobody alone: what the interrupt router drives. Lines that do not exist are connected to nothing. */
  share(pin: number): IrqLine {
    return pin >= 0 && pin < IO_APIC_PINS && pin !== CASCADE ? this.#line(pin) : NOWHERE;
  }

  /** In line order; what `bulkhead inspect irq` prints. */
  owners(): { readonly pin: number; readonly owner: string }[] {
    return [...this.#owners].map(([pin, owner]) => ({ pin, owner })).sort((a, b) => a.pin - b.pin);
  }

  #line(pin: number): IrqLine {
    let held = false;
    const set = (level: boolean) => {
      if (level === held) return;
      held = level;
      const before = this.#asserted[pin] as number;
      const after = Math.max(0, level ? before + 1 : before - 1);
      this.#asserted[pin] = after;
      if (before > 0 !== after > 0) this.#drive(pin, after > 0);
    };
    return {
      set,
      pulse: () => {
        set(true);
        set(false);
      },
    };
  }

  #drive(pin: number, asserted: boolean): void {
    if (pin >= FIRST_PCI_PIN) {
      this.#ioapic.setPin(pin, !asserted);
      return;
    }
    this.#pic.setLine(pin, asserted);
    this.#ioapic.setPin(pin === 0 ? TIMER_IO_APIC_PIN : pin, asserted);
  }
}
