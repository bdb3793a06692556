/**
 * Local APIC of one processor: priorities, the local vector table, IA32_APIC_BASE, and both register interfaces (the xAPIC's
 * memory window and the x2APIC's MSRs) over one register file.
 *
 * Spec: Intel SDM volume 3A chapter 11; sections are cited alone below.
 * Not modelled: SMIs, the arbitration priority register (reads as PPR), CMCI, focus processor checking, suppressed EOI broadcasts.
 */
import type { Clock } from '../../contracts/index.ts';
import { BROADCAST, DeliveryMode, type InterruptCommand } from './interrupt-messages.ts';
import {
  APR,
  BASE_ADDRESS,
  BASE_BSP,
  BASE_DEFINED,
  BASE_ENABLE,
  BASE_X2APIC,
  copy,
  CURRENT_COUNT,
  DFR,
  DIVIDE,
  EOI,
  ERROR_RECEIVED_VECTOR,
  ERROR_REGISTER,
  ERROR_SEND_VECTOR,
  ESR,
  FIRST_LEGAL_VECTOR,
  ICR,
  ICR_DEFINED,
  ICR_HIGH,
  ID,
  INITIAL_COUNT,
  IRR0,
  ISR0,
  LDR,
  Lvt,
  LVT0,
  LVT_ACTIVE_LOW,
  LVT_DELIVERY_STATUS,
  LVT_ENTRIES,
  LVT_LEVEL,
  LVT_MASKED,
  LVT_REMOTE_IRR,
  LVT_WRITABLE,
  powerOn,
  PPR,
  SELF_IPI,
  SVR,
  SVR_ENABLE,
  SVR_WRITABLE,
  TMR0,
  TPR,
  VERSION,
  VERSION_VALUE,
  x2apicDefined,
  type LocalApicRegisters,
} from './local-apic-registers.ts';
import { LocalApicTimer, type TimerState } from './local-apic-timer.ts';
import { clearBit, highest, setBit, testBit } from './vector-bits.ts';

export const APIC_WINDOW_BYTES = 0x1000;

export interface LocalApicPins {
  /** INTR of the core. */
  interrupt(level: boolean): void;
  nmi(): void;
  init(): void;
  startUp(vector: number): void;
  /** An EOI of a level-triggered interrupt, for the I/O APIC. */
  endOfInterrupt(vector: number): void;
  /** The guest wrote ICR. */
  interProcessor(command: InterruptCommand): void;
  /** INTA cycle on the 8259 pair: its vector. */
  acknowledgeExternal(): number;
}

export type LocalApicState = LocalApicRegisters & { timer: TimerState };

export class LocalApic {
  /** Initial APIC ID; never changes. */
  readonly id: number;
  readonly #bootstrap: boolean;
  readonly #x2apicCapable: boolean;
  readonly #pins: LocalApicPins;
  readonly #timer: LocalApicTimer;
  #r: LocalApicRegisters = powerOn();
  #output = false;
  /** Reused: IPIs are frequent. */
  readonly #command: InterruptCommand = { destination: 0, logical: false, mode: 0, vector: 0, level: false, shorthand: 0 };

  constructor(options: { id: number; bootstrap: boolean; x2apicCapable: boolean; clock: Clock; pins: LocalApicPins }) {
    this.id = options.id;
    this.#bootstrap = options.bootstrap;
    this.#x2apicCapable = options.x2apicCapable;
    this.#pins = options.pins;
    this.#timer = new LocalApicTimer({ clock: options.clock, expire: () => this.#trigger(Lvt.Timer) });
  }

  /** Power-up (§11.4.7.1). */
  reset(): void {
    this.#r = { ...powerOn(), lint: this.#r.lint };
    this.#timer.reset();
    this.#update();
  }

  /** What firmware leaves behind: virtual-wire mode, LINT0 = ExtINT, LINT1 = NMI (MultiProcessor Specification 1.4 §3.6.2.2). */
  enterVirtualWire(): void {
    this.#r.svr = SVR_ENABLE | 0x0f;
    this.#r.lvt[Lvt.Lint0] = DeliveryMode.ExtInt << 8;
    this.#r.lvt[Lvt.Lint1] = DeliveryMode.Nmi << 8;
    this.#update();
  }

  /** Whether `address` lies in the memory window as it stands now (§11.4.1). */
  ownsAddress(address: number): boolean {
    const r = this.#r;
    return address >= r.base && address < r.base + APIC_WINDOW_BYTES && r.globalEnable && !r.x2apic;
  }

  /** Offsets within the window: 32-bit registers at 16-byte steps (§11.4.1). Bytes and words read, but do not write. */
  read(address: number, size: number): number {
    const offset = address - this.#r.base;
    if ((offset & 0x0f) + size > 4) return 0;
    const value = this.#readRegister(offset >> 4);
    if (value === undefined) {
      this.#error(ERROR_REGISTER);
      return 0;
    }
    const shifted = value >>> (8 * (offset & 3));
    return size === 4 ? shifted : shifted & (size === 2 ? 0xffff : 0xff);
  }

  write(address: number, size: number, value: number): void {
    const offset = address - this.#r.base;
    if (offset & 0x0f || size !== 4) return;
    if (!this.#writeRegister(offset >> 4, value)) this.#error(ERROR_REGISTER);
  }

  /** IA32_APIC_BASE. */
  readBase(): bigint {
    const r = this.#r;
    return BigInt(r.base) | BigInt((this.#bootstrap ? BASE_BSP : 0) | (r.globalEnable ? BASE_ENABLE : 0) | (r.x2apic ? BASE_X2APIC : 0));
  }

  /** False (#GP) for reserved bits and the transitions figure 11-27 forbids. */
  writeBase(value: bigint): boolean {
    const r = this.#r;
    if (value & ~BASE_DEFINED) return false;
    const enable = (value & BigInt(BASE_ENABLE)) !== 0n;
    const x2apic = (value & BigInt(BASE_X2APIC)) !== 0n;
    if (x2apic && (!enable || !this.#x2apicCapable)) return false;
    if (x2apic && !r.globalEnable) return false; // disabled → x2APIC goes through xAPIC
    if (r.x2apic && enable && !x2apic) return false; // and back through disabled
    const base = Number(value & BASE_ADDRESS);
    if (r.globalEnable && !enable) {
      this.reset(); // §11.4.3: as after power-up when it is enabled again
      this.#r.globalEnable = false;
    }
    this.#r.base = base;
    if (enable) this.#r.globalEnable = true;
    this.#r.x2apic = x2apic;
    this.#update();
    return true;
  }

  /** MSRs 0x800–0x83F by number from 0x800 (table 11-6). undefined: #GP. */
  readMsr(register: number): bigint | undefined {
    const r = this.#r;
    if (!r.x2apic || register === DFR || register === ICR_HIGH || register === SELF_IPI || register === EOI) return undefined;
    if (register === ICR) return (BigInt(r.icrHigh) << 32n) | BigInt(r.icrLow);
    const value = this.#readRegister(register);
    return value === undefined ? undefined : BigInt(value >>> 0);
  }

  writeMsr(register: number, value: bigint): boolean {
    if (!this.#r.x2apic) return false;
    const low = Number(value & 0xffff_ffffn);
    const high = Number((value >> 32n) & 0xffff_ffffn);
    if (register === ICR) {
      if (low & ~ICR_DEFINED) return false;
      this.#r.icrHigh = high;
      return this.#writeRegister(ICR, low);
    }
    if (high !== 0 || low & ~x2apicDefined(register)) return false;
    if (register === SELF_IPI) {
      this.#accept(low & 0xff, false);
      return true;
    }
    if (register === DFR || register === LDR || register === ICR_HIGH) return false;
    return this.#writeRegister(register, low);
  }

  /** IA32_TSC_DEADLINE, in ticks of the time-stamp counter before any adjustment. */
  readDeadline(): bigint {
    return BigInt(this.#timer.deadline);
  }

  writeDeadline(value: bigint): void {
    this.#timer.deadline = Number(value);
  }

  /** CR8 (§11.8.6). */
  get taskPriority(): number {
    return this.#r.tpr >> 4;
  }

  set taskPriority(priority: number) {
    this.#r.tpr = (priority & 0x0f) << 4;
    this.#update();
  }

  /** PPR (§11.8.3.1). */
  get processorPriority(): number {
    const inService = Math.max(0, highest(this.#r.isr));
    return this.#r.tpr >> 4 >= inService >> 4 ? this.#r.tpr : inService & 0xf0;
  }

  /** Takes fixed interrupts at all. */
  get accepting(): boolean {
    return this.#r.globalEnable && (this.#r.svr & SVR_ENABLE) !== 0;
  }

  /** Whether a message to `destination` is meant for this APIC (§11.6.2). 8-bit senders have turned 0xFF into {@link BROADCAST}. */
  matches(destination: number, logical: boolean): boolean {
    const r = this.#r;
    if (!r.globalEnable) return false;
    if (destination === BROADCAST) return true;
    if (!logical) return destination === this.id;
    if (r.x2apic) {
      const ldr = this.#logicalId();
      return destination >>> 16 === ldr >>> 16 && (destination & ldr & 0xffff) !== 0;
    }
    const ldr = r.ldr >>> 24;
    if (r.dfr >>> 28 === 0x0f) return (ldr & destination & 0xff) !== 0;
    const cluster = destination >> 4;
    return (cluster === ldr >> 4 || cluster === 0x0f) && (ldr & destination & 0x0f) !== 0;
  }

  /** A message addressed to this APIC. False when it was not taken. */
  receive(mode: number, vector: number, level: boolean): boolean {
    if (!this.#r.globalEnable) return false;
    switch (mode) {
      case DeliveryMode.Fixed:
      case DeliveryMode.LowestPriority:
        return this.#accept(vector, level);
      case DeliveryMode.Nmi:
        this.#pins.nmi();
        return true;
      case DeliveryMode.Init:
        this.#init();
        return true;
      case DeliveryMode.StartUp:
        this.#pins.startUp(vector);
        return true;
      case DeliveryMode.ExtInt:
        this.#r.externalMessage = true;
        this.#update();
        return true;
      default:
        return false;
    }
  }

  /** LINT0 and LINT1. With the APIC globally disabled they are INTR and NMI (§11.4.3). */
  setLint(pin: 0 | 1, level: boolean): void {
    const r = this.#r;
    const rising = level && !r.lint[pin];
    const falling = !level && r.lint[pin];
    r.lint[pin] = level;
    const entry = r.lvt[Lvt.Lint0 + pin] as number;
    if (!r.globalEnable) {
      if (rising && pin === 1) this.#pins.nmi();
    } else if (((entry >> 8) & 7) === DeliveryMode.Fixed) {
      const asserted = level !== ((entry & LVT_ACTIVE_LOW) !== 0);
      if (asserted && (rising || falling || entry & LVT_LEVEL)) this.#trigger(pin === 0 ? Lvt.Lint0 : Lvt.Lint1);
    } else if (rising) this.#trigger(pin === 0 ? Lvt.Lint0 : Lvt.Lint1);
    this.#update();
  }

  /** INTA: the vector to deliver, now in service; -1 when there is none. */
  acknowledge(): number {
    const r = this.#r;
    const vector = this.#deliverable();
    if (vector >= 0) {
      clearBit(r.irr, vector);
      setBit(r.isr, vector);
      this.#update();
      return vector;
    }
    if (!this.#external()) return -1;
    r.externalMessage = false;
    const external = this.#pins.acknowledgeExternal();
    this.#update();
    return external;
  }

  save(): LocalApicState {
    return { ...copy(this.#r), timer: this.#timer.save() };
  }

  /** The clock must stand where it stood at `save`. */
  restore(state: LocalApicState): void {
    const { timer, ...registers } = state;
    this.#r = copy(registers);
    this.#timer.restore(timer);
    this.#update();
  }

  /** INIT: as power-up, but the ID, IA32_APIC_BASE and the pins stay (§11.4.7.3). */
  #init(): void {
    const { base, x2apic, lint } = this.#r;
    this.#r = { ...powerOn(), base, x2apic, lint };
    this.#timer.reset();
    this.#update();
    this.#pins.init();
  }

  #readRegister(register: number): number | undefined {
    const r = this.#r;
    switch (register) {
      case ID:
        return r.x2apic ? this.id : (this.id << 24) >>> 0;
      case VERSION:
        return VERSION_VALUE;
      case TPR:
        return r.tpr;
      case APR:
      case PPR:
        return this.processorPriority;
      case EOI:
        return 0;
      case LDR:
        return r.x2apic ? this.#logicalId() : r.ldr;
      case DFR:
        return r.dfr;
      case SVR:
        return r.svr;
      case ESR:
        return r.esr;
      case ICR:
        return r.icrLow;
      case ICR_HIGH:
        return r.icrHigh;
      case INITIAL_COUNT:
        return this.#timer.initialCount;
      case CURRENT_COUNT:
        return this.#timer.currentCount;
      case DIVIDE:
        return this.#timer.divideConfiguration;
    }
    if (register >= ISR0 && register < TMR0) return (r.isr[register - ISR0] as number) >>> 0;
    if (register >= TMR0 && register < IRR0) return (r.tmr[register - TMR0] as number) >>> 0;
    if (register >= IRR0 && register < ESR) return (r.irr[register - IRR0] as number) >>> 0;
    return r.lvt[register - LVT0];
  }

  /** False: no such register, or it cannot be written. */
  #writeRegister(register: number, value: number): boolean {
    const r = this.#r;
    switch (register) {
      case ID: // fixed; some systems write it back
        return !r.x2apic;
      case TPR:
        r.tpr = value & 0xff;
        break;
      case EOI:
        this.#endOfInterrupt();
        break;
      case LDR:
        r.ldr = (value & 0xff00_0000) >>> 0;
        break;
      case DFR:
        r.dfr = (value | 0x0fff_ffff) >>> 0;
        break;
      case SVR:
        r.svr = value & SVR_WRITABLE;
        // §11.4.7.2: software-disabled, every LVT entry is masked and stays so
        if (!(value & SVR_ENABLE)) for (let i = 0; i < LVT_ENTRIES; i++) r.lvt[i] = (r.lvt[i] as number) | LVT_MASKED;
        break;
      case ESR: // §11.5.3: the write makes the errors since the last one readable
        r.esr = r.errors;
        r.errors = 0;
        break;
      case ICR:
        r.icrLow = (value & ICR_DEFINED & ~LVT_DELIVERY_STATUS) >>> 0;
        this.#sendCommand();
        break;
      case ICR_HIGH:
        r.icrHigh = (value & 0xff00_0000) >>> 0;
        break;
      case INITIAL_COUNT:
        this.#timer.initialCount = value;
        break;
      case DIVIDE:
        this.#timer.divideConfiguration = value;
        break;
      default: {
        const entry = register - LVT0;
        if (entry < 0 || entry >= LVT_ENTRIES) return false;
        this.#writeLvt(entry, value);
      }
    }
    this.#update();
    return true;
  }

  #writeLvt(entry: number, value: number): void {
    const r = this.#r;
    const writable = LVT_WRITABLE[entry] as number;
    let next = (value & writable) | ((r.lvt[entry] as number) & LVT_REMOTE_IRR);
    if (!(next & LVT_LEVEL)) next &= ~LVT_REMOTE_IRR;
    if (!(r.svr & SVR_ENABLE)) next |= LVT_MASKED;
    r.lvt[entry] = next;
    if (entry === Lvt.Timer) this.#timer.setMode((next >> 17) & 3);
  }

  /** §11.6.1; what the destination does with it is the message bus's business. */
  #sendCommand(): void {
    const r = this.#r;
    const command = this.#command;
    command.vector = r.icrLow & 0xff;
    command.mode = (r.icrLow >> 8) & 7;
    command.logical = (r.icrLow & (1 << 11)) !== 0;
    command.shorthand = (r.icrLow >> 18) & 3;
    command.destination = r.x2apic ? r.icrHigh : r.icrHigh >>> 24 === 0xff ? BROADCAST : r.icrHigh >>> 24;
    // A level de-assert of INIT only synchronised arbitration IDs on the Pentium (§11.6.1, "Level").
    if (command.mode === DeliveryMode.Init && (r.icrLow & 0xc000) === 0x8000) return;
    if (command.mode <= DeliveryMode.LowestPriority && command.vector < FIRST_LEGAL_VECTOR) {
      this.#error(ERROR_SEND_VECTOR);
      return;
    }
    this.#pins.interProcessor(command);
  }

  /** §11.8.5. */
  #endOfInterrupt(): void {
    const r = this.#r;
    const vector = highest(r.isr);
    if (vector < 0) return;
    clearBit(r.isr, vector);
    if (!testBit(r.tmr, vector)) return;
    for (const pin of [0, 1] as const) {
      const entry = r.lvt[Lvt.Lint0 + pin] as number;
      if (!(entry & LVT_REMOTE_IRR) || (entry & 0xff) !== vector) continue;
      r.lvt[Lvt.Lint0 + pin] = entry & ~LVT_REMOTE_IRR;
      this.setLint(pin, r.lint[pin]);
    }
    this.#pins.endOfInterrupt(vector);
  }

  /** A local source fires: what its LVT entry says happens (§11.5.1). */
  #trigger(entry: number): void {
    const r = this.#r;
    const lvt = r.lvt[entry] as number;
    if (lvt & LVT_MASKED || !r.globalEnable) return;
    const mode = entry === Lvt.Timer || entry === Lvt.Error ? DeliveryMode.Fixed : (lvt >> 8) & 7;
    if (mode === DeliveryMode.Fixed) {
      const level = (entry === Lvt.Lint0 || entry === Lvt.Lint1) && (lvt & LVT_LEVEL) !== 0;
      if (lvt & LVT_REMOTE_IRR && level) return;
      if (this.#accept(lvt & 0xff, level) && level) r.lvt[entry] = lvt | LVT_REMOTE_IRR;
    } else if (mode === DeliveryMode.Nmi) this.#pins.nmi();
    else if (mode === DeliveryMode.Init) this.#init();
    // ExtINT follows the pin's level: see #external.
  }

  /** A fixed interrupt: into IRR (§11.8.4). */
  #accept(vector: number, level: boolean): boolean {
    const r = this.#r;
    if (!this.accepting) return false;
    if (vector < FIRST_LEGAL_VECTOR) {
      this.#error(ERROR_RECEIVED_VECTOR);
      return false;
    }
    setBit(r.irr, vector);
    if (level) setBit(r.tmr, vector);
    else clearBit(r.tmr, vector);
    this.#update();
    return true;
  }

  /** Each kind interrupts once until ESR is written: an error vector that is illegal itself must not recurse. */
  #error(bit: number): void {
    if (this.#r.errors & bit) return;
    this.#r.errors |= bit;
    this.#trigger(Lvt.Error);
  }

  /** In x2APIC mode LDR derives from the ID (§11.12.10.2). */
  #logicalId(): number {
    return (((this.id >>> 4) << 16) | (1 << (this.id & 0x0f))) >>> 0;
  }

  /** The vector that PPR lets through; -1 for none. */
  #deliverable(): number {
    const vector = highest(this.#r.irr);
    return vector >= 0 && vector >> 4 > this.processorPriority >> 4 ? vector : -1;
  }

  /** The 8259 pair asks, and this APIC lets it through. */
  #external(): boolean {
    const r = this.#r;
    if (!r.globalEnable) return r.lint[0];
    const entry = r.lvt[Lvt.Lint0] as number;
    return r.externalMessage || (r.lint[0] && !(entry & LVT_MASKED) && ((entry >> 8) & 7) === DeliveryMode.ExtInt);
  }

  #update(): void {
    const level = this.#deliverable() >= 0 || this.#external();
    if (level === this.#output) return;
    this.#output = level;
    this.#pins.interrupt(level);
  }
}
