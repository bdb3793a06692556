/**
 * 8259A programmable interrupt controller, and the cascaded pair of a PC/AT with its edge/level control registers.
 *
 * Spec: Intel 8259A datasheet (order 231468-003), cited as "8259A, heading"; ELCR: Intel 82371SB (PIIX3) datasheet §2.5.9.
 * An edge-triggered request stays latched until it is acknowledged, as in the PIC cell of PC chipsets.
 *
 * Not modelled: MCS-80/85 call addresses, buffered mode's EN pin, a request that vanishes when an edge input falls early.
 */
import type { DeviceState } from '../../contracts/index.ts';

// ICW1, told apart from OCW2 and OCW3 by bit 4 (8259A, "Initialization Command Word 1")
const ICW1 = 1 << 4;
const ICW1_IC4 = 1 << 0;
const ICW1_SINGLE = 1 << 1;
const ICW1_LEVEL = 1 << 3;
const ICW4_AUTO_EOI = 1 << 1;
const ICW4_FULLY_NESTED = 1 << 4;
// OCW2 bits 7:5 (8259A, "Operation Control Word 2")
const OCW2_ROTATE = 1 << 7;
const OCW2_SPECIFIC = 1 << 6;
const OCW2_EOI = 1 << 5;
// OCW3, bit 3 set (8259A, "Operation Control Word 3")
const OCW3 = 1 << 3;
const OCW3_READ_ISR = 1 << 0;
const OCW3_READ_REGISTER = 1 << 1;
const OCW3_POLL = 1 << 2;
const OCW3_SPECIAL_MASK = 1 << 5;
const OCW3_SET_SPECIAL_MASK = 1 << 6;

const CASCADE_INPUT = 2;
/** A request that is gone at INTA reads as level 7 (8259A, "Interrupt Sequence"). */
const SPURIOUS_LEVEL = 7;
const POLL_INTERRUPT = 1 << 7;

type ChipState = {
  lines: number;
  irr: number;
  isr: number;
  imr: number;
  /** Bit set: input is level-triggered (ELCR). */
  elcr: number;
  /** ICW1.LTIM: all inputs are. */
  allLevel: boolean;
  vectorBase: number;
  /** Which of ICW2…ICW4 the next data write is; 0 when initialised. */
  expecting: number;
  needsIcw4: boolean;
  single: boolean;
  autoEoi: boolean;
  rotateOnAutoEoi: boolean;
  fullyNested: boolean;
  specialMask: boolean;
  readIsr: boolean;
  poll: boolean;
  /** The input with the highest priority. */
  first: number;
};

function powerOn(): ChipState {
  return {
    lines: 0,
    irr: 0,
    isr: 0,
    imr: 0,
    elcr: 0,
    allLevel: false,
    vectorBase: 0,
    expecting: 0,
    needsIcw4: false,
    single: false,
    autoEoi: false,
    rotateOnAutoEoi: false,
    fullyNested: false,
    specialMask: false,
    readIsr: false,
    poll: false,
    first: 0,
  };
}

/** One chip. Its INT output is `interrupt`. */
export class I8259 {
  readonly #interrupt: (level: boolean) => void;
  /** Inputs wired as levels whatever ELCR says: the cascade, whose request must follow the slave's INT output. */
  readonly #wiredLevel: number;
  /** Inputs that ELCR may switch. */
  readonly #elcrMask: number;
  #r = powerOn();
  #output = false;

  constructor(options: { interrupt(level: boolean): void; wiredLevel: number; elcrMask: number }) {
    this.#interrupt = options.interrupt;
    this.#wiredLevel = options.wiredLevel;
    this.#elcrMask = options.elcrMask;
  }

  reset(): void {
    this.#r = { ...powerOn(), lines: this.#r.lines };
    this.#update();
  }

  setLine(input: number, level: boolean): void {
    const r = this.#r;
    const bit = 1 << input;
    if (level) {
      if (!(r.lines & bit) || this.#levelTriggered & bit) r.irr |= bit;
      r.lines |= bit;
    } else {
      if (this.#levelTriggered & bit) r.irr &= ~bit;
      r.lines &= ~bit;
    }
    this.#update();
  }

  /** INTA: moves the first request into service. The level, or {@link SPURIOUS_LEVEL} with nothing in service. */
  acknowledge(): number {
    const r = this.#r;
    const level = this.#pending();
    if (level < 0) return SPURIOUS_LEVEL;
    if (!(this.#levelTriggered & (1 << level))) r.irr &= ~(1 << level);
    if (!r.autoEoi) r.isr |= 1 << level;
    else if (r.rotateOnAutoEoi) r.first = (level + 1) & 7;
    this.#update();
    return level;
  }

  get vectorBase(): number {
    return this.#r.vectorBase;
  }

  /** Offset 0 is the command port (A0 = 0), 1 the data port. */
  read(offset: number): number {
    const r = this.#r;
    if (r.poll) {
      r.poll = false;
      const pending = this.#pending();
      return pending < 0 ? 0 : POLL_INTERRUPT | this.acknowledge(); // 8259A, "Poll Command": the read is the INTA
    }
    if (offset === 1) return r.imr;
    return r.readIsr ? r.isr : r.irr;
  }

  write(offset: number, value: number): void {
    if (offset === 1) this.#writeData(value);
    else if (value & ICW1) this.#initialize(value);
    else if (value & OCW3) this.#writeOcw3(value);
    else this.#writeOcw2(value);
    this.#update();
  }

  readElcr(): number {
    return this.#r.elcr;
  }

  writeElcr(value: number): void {
    const r = this.#r;
    r.elcr = value & this.#elcrMask;
    r.irr = (r.irr & ~this.#levelTriggered) | (r.lines & this.#levelTriggered);
    this.#update();
  }

  save(): ChipState {
    return { ...this.#r };
  }

  restore(state: ChipState): void {
    this.#r = { ...state };
    this.#update();
  }

  get #levelTriggered(): number {
    return this.#r.allLevel ? 0xff : this.#r.elcr | this.#wiredLevel;
  }

  /** 8259A, "Initialization Command Word 1": what ICW1 alone sets up. */
  #initialize(value: number): void {
    const r = this.#r;
    r.allLevel = (value & ICW1_LEVEL) !== 0;
    r.irr = r.lines & this.#levelTriggered; // the edge-sense circuit is reset: a high input must first go low
    r.imr = 0;
    r.isr = 0;
    r.first = 0;
    r.specialMask = false;
    r.readIsr = false;
    r.poll = false;
    r.autoEoi = false;
    r.rotateOnAutoEoi = false;
    r.fullyNested = false;
    r.needsIcw4 = (value & ICW1_IC4) !== 0;
    r.single = (value & ICW1_SINGLE) !== 0;
    r.expecting = 2;
  }

  #writeData(value: number): void {
    const r = this.#r;
    switch (r.expecting) {
      case 2:
        r.vectorBase = value & 0xf8;
        r.expecting = r.single ? (r.needsIcw4 ? 4 : 0) : 3;
        break;
      case 3: // ICW3 names the slave's input or identity; the pair's wiring is fixed
        r.expecting = r.needsIcw4 ? 4 : 0;
        break;
      case 4:
        r.autoEoi = (value & ICW4_AUTO_EOI) !== 0;
        r.fullyNested = (value & ICW4_FULLY_NESTED) !== 0;
        r.expecting = 0;
        break;
      default:
        r.imr = value;
    }
  }

  #writeOcw2(value: number): void {
    const r = this.#r;
    const rotate = (value & OCW2_ROTATE) !== 0;
    const specific = (value & OCW2_SPECIFIC) !== 0;
    if (value & OCW2_EOI) {
      const level = specific ? value & 7 : this.#highest(r.specialMask ? r.isr & ~r.imr : r.isr);
      if (level < 0) return;
      r.isr &= ~(1 << level);
      if (rotate) r.first = (level + 1) & 7;
    } else if (!specific) r.rotateOnAutoEoi = rotate;
    else if (rotate) r.first = (value + 1) & 7; // "set priority": the named level becomes the lowest
  }

  #writeOcw3(value: number): void {
    const r = this.#r;
    if (value & OCW3_POLL) r.poll = true;
    if (value & OCW3_READ_REGISTER) r.readIsr = (value & OCW3_READ_ISR) !== 0;
    if (value & OCW3_SET_SPECIAL_MASK) r.specialMask = (value & OCW3_SPECIAL_MASK) !== 0;
  }

  /** The level in `bits` that comes first in the rotated order; -1 for none. */
  #highest(bits: number): number {
    if (bits === 0) return -1;
    for (let i = 0; i < 8; i++) {
      const level = (this.#r.first + i) & 7;
      if (bits & (1 << level)) return level;
    }
    return -1;
  }

  /** The request that may interrupt now; -1 for none. */
  #pending(): number {
    const r = this.#r;
    const request = this.#highest(r.irr & ~r.imr);
    if (request < 0) return -1;
    let inService = r.specialMask ? r.isr & ~r.imr : r.isr;
    if (r.fullyNested) inService &= ~this.#wiredLevel; // 8259A, "Special Fully Nested Mode": the slave may interrupt again
    const blocking = this.#highest(inService);
    return blocking < 0 || ((request - r.first) & 7) < ((blocking - r.first) & 7) ? request : -1;
  }

  #update(): void {
    const level = this.#r.expecting === 0 && this.#pending() >= 0;
    if (level === this.#output) return;
    this.#output = level;
    this.#interrupt(level);
  }
}

/** The PC/AT's two chips: 15 inputs, the slave on input 2 of the master. */
export class I8259Pair {
  readonly master: I8259;
  readonly slave: I8259;

  /** `interrupt` is the master's INT pin, the INTR of the PC. */
  constructor(interrupt: (level: boolean) => void) {
    // ELCR bits of the timer, keyboard, cascade, RTC and coprocessor inputs are reserved (PIIX3 §2.5.9).
    this.master = new I8259({ interrupt, wiredLevel: 1 << CASCADE_INPUT, elcrMask: 0xf8 });
    this.slave = new I8259({ interrupt: (level) => this.master.setLine(CASCADE_INPUT, level), wiredLevel: 0, elcrMask: 0xde });
  }

  /** ISA interrupt 0–15; the cascade (2) is not an input. */
  setLine(irq: number, level: boolean): void {
    if (irq >= 8) this.slave.setLine(irq - 8, level);
    else if (irq !== CASCADE_INPUT) this.master.setLine(irq, level);
  }

  /** Both INTA cycles: the vector. */
  acknowledge(): number {
    const level = this.master.acknowledge();
    return level === CASCADE_INPUT ? this.slave.vectorBase + this.slave.acknowledge() : this.master.vectorBase + level;
  }

  /** 0x4D0 and 0x4D1. */
  readElcr(offset: number): number {
    return offset === 0 ? this.master.readElcr() : this.slave.readElcr();
  }

  writeElcr(offset: number, value: number): void {
    if (offset === 0) this.master.writeElcr(value);
    else this.slave.writeElcr(value);
  }

  reset(): void {
    this.slave.reset();
    this.master.reset();
  }

  save(): DeviceState {
    return { version: 1, master: this.master.save(), slave: this.slave.save() };
  }

  restore(state: DeviceState): void {
    const { slave, master } = state as unknown as { slave: ChipState; master: ChipState };
    this.slave.restore(slave);
    this.master.restore(master);
  }
}
