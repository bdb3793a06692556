/**
 * PIIX3, function 0: the PCI-to-ISA bridge, of which the interrupt routing matters.
 *
 *     INTA# of slot n ──▶ PIRQ (n − 1) mod 4 ─┬─▶ I/O APIC pin 16 + PIRQ
 *                                             └─▶ the ISA line in its route register ──▶ both controllers
 *
 * The second way is the chip's own; the first is how boards with an I/O APIC wire the same four lines, and what the ACPI and MP tables
 * of a partition announce.
 *
 * Spec: Intel 82371FB/82371SB (PIIX/PIIX3) datasheet, order 290550-002, §2.2 (function 0), §2.2.8 (PIRQRC).
 * Not modelled: X-bus chip selects, DMA, top-of-memory and SMI registers keep what is written to them.
 */
import type { AccessSize, DeviceState, IrqLine } from '../../contracts/index.ts';
import { PciConfigSpace, type PciFunction } from './pci-function.ts';

export const PIRQS = 4;
const PIRQ_ROUTE = 0x60;
const ROUTE_OFF = 0x80;
const ROUTE_LINE = 0x0f;
/** §2.2.8: the lines a PIRQ can be routed to. */
const ROUTABLE: readonly number[] = [3, 4, 5, 6, 7, 9, 10, 11, 12, 14, 15];
/** Registers that only keep what software writes: ISA timing, X-bus select, top of memory, miscellaneous, SMI. */
const KEPT: readonly (readonly [register: number, initial: number])[] = [
  [0x4c, 0x4d],
  [0x4e, 0x03],
  [0x4f, 0x00],
  [0x69, 0x02],
  [0x6a, 0x00],
  [0x70, 0x80],
  [0x76, 0x0c],
  [0x77, 0x0c],
  [0x78, 0x02],
  [0x79, 0x00],
  [0x80, 0x00],
  [0x82, 0x00],
];

export interface Piix3Lines {
  /** I/O APIC pin of a PIRQ. */
  pin(pirq: number): IrqLine;
  /** An ISA line, shared with whoever else drives it. */
  isa(line: number): IrqLine;
}

/** Which of the four lines INTA# of a slot reaches. */
export function pirqOfSlot(slot: number): number {
  return (slot + PIRQS - 1) % PIRQS;
}

export class Piix3 implements PciFunction {
  readonly name = 'piix3';
  readonly #lines: Piix3Lines;
  readonly #config = new PciConfigSpace({ vendor: 0x8086, device: 0x7000, classCode: 0x06_0100, command: 0x0108 });
  readonly #isa = new Map<number, IrqLine>();
  readonly #pins: (IrqLine | undefined)[] = new Array<undefined>(PIRQS).fill(undefined);
  /** How many functions hold each PIRQ. */
  readonly #held = new Uint32Array(PIRQS);

  constructor(lines: Piix3Lines) {
    this.#lines = lines;
    this.#config.preset(0x04, 2, 0x0007); // I/O, memory and bus mastering cannot be turned off
    this.#config.preset(0x06, 2, 0x0200);
    for (const [register, initial] of KEPT) {
      this.#config.preset(register, 1, initial);
      this.#config.allowWrites(register, 1, 0xff);
    }
    for (let pirq = 0; pirq < PIRQS; pirq++) {
      this.#config.preset(PIRQ_ROUTE + pirq, 1, ROUTE_OFF);
      this.#config.allowWrites(PIRQ_ROUTE + pirq, 1, ROUTE_OFF | ROUTE_LINE);
    }
  }

  /** A wire to the PIRQ that INTA# of `slot` reaches. Call it once for each function that drives one. */
  wire(slot: number): (level: boolean) => void {
    const pirq = pirqOfSlot(slot);
    this.#pins[pirq] ??= this.#lines.pin(pirq);
    let held = false;
    return (level) => {
      if (level === held) return;
      held = level;
      this.#held[pirq] = (this.#held[pirq] as number) + (level ? 1 : -1);
      this.#drive();
    };
  }

  /** PIRQs that something is wired to. */
  get wired(): readonly number[] {
    return [...this.#pins.keys()].filter((pirq) => this.#pins[pirq] !== undefined);
  }

  /** The ISA line of a PIRQ; undefined while it is routed to none. */
  route(pirq: number): number | undefined {
    const value = this.#config.read(PIRQ_ROUTE + pirq, 1);
    const line = value & ROUTE_LINE;
    return (value & ROUTE_OFF) === 0 && ROUTABLE.includes(line) ? line : undefined;
  }

  /** As firmware writes the route register. */
  setRoute(pirq: number, line: number): void {
    this.writeConfig(PIRQ_ROUTE + pirq, 1, line);
  }

  readConfig(register: number, size: AccessSize): number {
    return this.#config.read(register, size);
  }

  writeConfig(register: number, size: AccessSize, value: number): void {
    this.#config.write(register, size, value);
    this.#drive();
  }

  announceSiblings(): void {
    this.#config.announceSiblings();
  }

  reset(): void {
    this.#config.reset();
    this.#drive();
  }

  save(): DeviceState {
    return { version: 1, config: this.#config.save() };
  }

  restore(state: DeviceState): void {
    this.#config.restore(state['config'] as string);
    this.#drive();
  }

  /** Lines are released before others are taken, so that a line two PIRQs share keeps its level. */
  #drive(): void {
    let wanted = 0;
    for (let pirq = 0; pirq < PIRQS; pirq++) {
      const asserted = (this.#held[pirq] as number) > 0;
      this.#pins[pirq]?.set(asserted);
      const line = this.route(pirq);
      if (asserted && line !== undefined) wanted |= 1 << line;
    }
    for (const [line, wire] of this.#isa) if ((wanted & (1 << line)) === 0) wire.set(false);
    for (const line of ROUTABLE) {
      if ((wanted & (1 << line)) === 0) continue;
      let wire = this.#isa.get(line);
      if (wire === undefined) {
        wire = this.#lines.isa(line);
        this.#isa.set(line, wire);
      }
      wire.set(true);
    }
  }
}

/**
 * Which ISA lines firmware would route the PIRQs to: of those that no device of the partition drives, the ones a PC uses first.
 * Fewer than four are shared; the SCI's is the last resort.
 */
export function chooseRoutes(taken: readonly number[]): readonly number[] {
  const free = PREFERRED.filter((line) => !taken.includes(line)).slice(0, PIRQS);
  const lines = free.length === 0 ? [SCI] : free;
  return Array.from({ length: PIRQS }, (_, pirq) => lines[pirq % lines.length] as number);
}

const PREFERRED: readonly number[] = [10, 11, 5, 15, 14, 12, 7, 6, 4, 3];
const SCI = 9;
