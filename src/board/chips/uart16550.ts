/**
 * 16550A UART: the chip alone.
 *
 * The transmitter is infinitely fast. The receiver is not: it takes bytes from the line at the programmed speed, one FIFO's worth
 * at a time and only when there is room, so that nothing the far side sent is ever lost; what does not fit waits there.
 *
 * Spec: National Semiconductor PC16550D datasheet, section 8 (cited as §8.x).
 * Not modelled: bit timing, parity and framing errors, received breaks, DMA mode signals.
 */
import { ms, s, us } from '../../base/index.ts';
import type { CharacterBackend, Clock, DeviceState, Nanos } from '../../contracts/index.ts';
import { Alarm } from '../ticks.ts';

// Register offsets; the first two change meaning with LCR.DLAB (§8.0, table I).
const RBR_THR = 0;
const IER = 1;
const IIR_FCR = 2;
const LCR = 3;
const MCR = 4;
const LSR = 5;
const MSR = 6;
const SCR = 7;

// IER (§8.7)
const IER_RX_READY = 1 << 0;
const IER_TX_EMPTY = 1 << 1;
const IER_LINE_STATUS = 1 << 2;
const IER_MODEM_STATUS = 1 << 3;
const IER_DEFINED = 0x0f;
// IIR, highest priority first (§8.6, table III)
const IIR_NONE = 0x01;
const IIR_LINE_STATUS = 0x06;
const IIR_RX_READY = 0x04;
const IIR_RX_TIMEOUT = 0x0c;
const IIR_TX_EMPTY = 0x02;
const IIR_MODEM_STATUS = 0x00;
const IIR_FIFOS_ON = 0xc0;
// FCR (§8.5)
const FCR_ENABLE = 1 << 0;
const FCR_CLEAR_RX = 1 << 1;
/** By FCR bits 7:6. */
const TRIGGER_LEVELS = [1, 4, 8, 14] as const;
// LCR, MCR, LSR, MSR (§8.1, §8.8, §8.4, §8.9)
const LCR_STOP_BITS = 1 << 2;
const LCR_PARITY = 1 << 3;
const LCR_DLAB = 1 << 7;
const MCR_DTR = 1 << 0;
const MCR_RTS = 1 << 1;
const MCR_OUT1 = 1 << 2;
const MCR_OUT2 = 1 << 3;
const MCR_LOOPBACK = 1 << 4;
const MCR_DEFINED = 0x1f;
const LSR_DATA_READY = 1 << 0;
const LSR_OVERRUN = 1 << 1;
const LSR_TRANSMITTER_EMPTY = 0x60; // THRE and TEMT
const MSR_CTS = 1 << 4;
const MSR_DSR = 1 << 5;
const MSR_RI = 1 << 6;
const MSR_DCD = 1 << 7;

const FIFO_DEPTH = 16;
/** The PC's UART crystal, 1.8432 MHz. */
const CRYSTAL_HERTZ = 1_843_200;
/** How often an idle line is looked at while the driver waits for an interrupt, and at most while it polls. */
const IDLE_POLL: Nanos = 4 * ms;
const BUSY_POLL: Nanos = 100 * us;

export interface UartPins {
  /** INTR behind the IRQ buffer, which MCR.OUT2 enables on every PC. */
  interrupt(level: boolean): void;
}

type State = {
  ier: number;
  fcr: number;
  lcr: number;
  mcr: number;
  scr: number;
  divisor: number;
  overrun: boolean;
  txEmptyPending: boolean;
  modemDelta: number;
  rx: number[];
  /** The line has nothing new before this. */
  nextByte: Nanos;
  /** The last look found nothing. */
  idle: boolean;
  /** When the last byte came in or was read, for the character timeout. */
  lastActivity: Nanos;
};

function powerOn(): State {
  return {
    ier: 0,
    fcr: 0,
    lcr: 0,
    mcr: 0,
    scr: 0,
    divisor: 12,
    overrun: false,
    txEmptyPending: false,
    modemDelta: 0,
    rx: [],
    nextByte: 0,
    idle: true,
    lastActivity: 0,
  };
}

export class Uart16550 {
  readonly #pins: UartPins;
  readonly #clock: Clock;
  readonly #line: CharacterBackend;
  readonly #alarm: Alarm;
  #r = powerOn();
  #output = false;
  /** When `#alarm` goes off; in the past when it did or is not set. */
  #armedAt: Nanos = -1;

  constructor(options: { clock: Clock; line: CharacterBackend; pins: UartPins }) {
    this.#clock = options.clock;
    this.#line = options.line;
    this.#pins = options.pins;
    this.#alarm = new Alarm(options.clock, () => this.poll());
  }

  reset(): void {
    this.#r = powerOn();
    this.#update();
  }

  /** Looks whether the far side sent something; the line does so by itself, but later. */
  poll(): void {
    this.#fill();
    this.#update();
  }

  read(offset: number): number {
    const r = this.#r;
    const dlab = (r.lcr & LCR_DLAB) !== 0;
    switch (offset) {
      case RBR_THR:
        return dlab ? r.divisor & 0xff : this.#readReceiver();
      case IER:
        return dlab ? r.divisor >> 8 : r.ier;
      case IIR_FCR:
        return this.#readInterruptIdentification();
      case LCR:
        return r.lcr;
      case MCR:
        return r.mcr;
      case LSR:
        return this.#readLineStatus();
      case MSR:
        return this.#readModemStatus();
      case SCR:
        return r.scr;
      default:
        return 0xff;
    }
  }

  write(offset: number, value: number): void {
    const r = this.#r;
    const dlab = (r.lcr & LCR_DLAB) !== 0;
    switch (offset) {
      case RBR_THR:
        if (dlab) r.divisor = (r.divisor & 0xff00) | value;
        else this.#writeTransmitter(value);
        break;
      case IER:
        if (dlab) r.divisor = (value << 8) | (r.divisor & 0xff);
        else this.#writeInterruptEnable(value);
        break;
      case IIR_FCR:
        this.#writeFifoControl(value);
        break;
      case LCR:
        r.lcr = value;
        break;
      case MCR:
        this.#writeModemControl(value);
        break;
      case SCR:
        r.scr = value;
        break;
      // LSR is for factory test only (§8.4); MSR's inputs are outputs of the far side (§8.9).
    }
    this.#update();
  }

  save(): DeviceState {
    return { version: 1, ...this.#r, rx: [...this.#r.rx] };
  }

  /** The clock must stand where it stood at `save`. */
  restore(state: DeviceState): void {
    const { version: _, ...registers } = state as unknown as State & { version: number };
    this.#r = { ...registers, rx: [...registers.rx] };
    this.#update();
  }

  get #depth(): number {
    return this.#r.fcr & FCR_ENABLE ? FIFO_DEPTH : 1;
  }

  /** Start bit, 5–8 data bits, parity, stop bits at crystal / (16 × divisor). */
  get #characterNanos(): Nanos {
    const { lcr, divisor } = this.#r;
    const bits = 1 + 5 + (lcr & 3) + (lcr & LCR_PARITY ? 1 : 0) + (lcr & LCR_STOP_BITS ? 2 : 1);
    return Math.ceil((bits * 16 * Math.max(1, divisor) * s) / CRYSTAL_HERTZ);
  }

  /** Takes what has come down the line by now, as far as there is room. In loopback SIN is disconnected (§8.8). */
  #fill(): void {
    const r = this.#r;
    const now = this.#clock.now();
    if (now < r.nextByte || r.mcr & MCR_LOOPBACK) return;
    let taken = 0;
    while (r.rx.length < this.#depth) {
      const byte = this.#line.input();
      if (byte === undefined) break;
      r.rx.push(byte & 0xff);
      taken++;
    }
    r.idle = taken === 0;
    if (taken > 0) r.lastActivity = now;
    r.nextByte = now + (taken > 0 ? taken * this.#characterNanos : BUSY_POLL);
  }

  #readReceiver(): number {
    const r = this.#r;
    this.#fill();
    const byte = r.rx.shift() ?? 0;
    r.lastActivity = this.#clock.now();
    this.#fill();
    this.#update();
    return byte;
  }

  /** §8.6: reading IIR acknowledges "transmitter empty", and only when that is the interrupt it reports. */
  #readInterruptIdentification(): number {
    const pending = this.#pending();
    if (pending === IIR_TX_EMPTY) {
      this.#r.txEmptyPending = false;
      this.#update();
    }
    return pending | (this.#r.fcr & FCR_ENABLE ? IIR_FIFOS_ON : 0);
  }

  /** §8.4: reading LSR clears the error bits. */
  #readLineStatus(): number {
    const r = this.#r;
    this.#fill();
    const status = LSR_TRANSMITTER_EMPTY | (r.rx.length > 0 ? LSR_DATA_READY : 0) | (r.overrun ? LSR_OVERRUN : 0);
    r.overrun = false;
    this.#update();
    return status;
  }

  /** §8.9: reading MSR clears the change bits. */
  #readModemStatus(): number {
    const status = this.#modemLines() | this.#r.modemDelta;
    this.#r.modemDelta = 0;
    this.#update();
    return status;
  }

  /** §8.8: in loopback the modem inputs are the modem outputs. Otherwise the far side is always there and ready. */
  #modemLines(): number {
    const { mcr } = this.#r;
    if (!(mcr & MCR_LOOPBACK)) return MSR_CTS | MSR_DSR | MSR_DCD;
    return (mcr & MCR_RTS ? MSR_CTS : 0) | (mcr & MCR_DTR ? MSR_DSR : 0) | (mcr & MCR_OUT1 ? MSR_RI : 0) | (mcr & MCR_OUT2 ? MSR_DCD : 0);
  }

  #writeTransmitter(byte: number): void {
    const r = this.#r;
    // Filling THR drops the interrupt before it comes back: on an edge-triggered line the driver needs that edge.
    r.txEmptyPending = false;
    this.#update();
    if (r.mcr & MCR_LOOPBACK) {
      if (r.rx.length < this.#depth) r.rx.push(byte);
      else r.overrun = true; // §8.4: the FIFO is kept, the shift register overwritten
      r.lastActivity = this.#clock.now();
    } else this.#line.output(byte);
    r.txEmptyPending = true;
  }

  /** §8.7: enabling "transmitter empty" while it is empty raises it at once; drivers rely on this to start output. */
  #writeInterruptEnable(value: number): void {
    const r = this.#r;
    if (!(r.ier & IER_TX_EMPTY) && value & IER_TX_EMPTY) r.txEmptyPending = true;
    r.ier = value & IER_DEFINED;
  }

  /** §8.5: changing the enable bit clears both FIFOs. */
  #writeFifoControl(value: number): void {
    const r = this.#r;
    if ((value ^ r.fcr) & FCR_ENABLE || value & FCR_CLEAR_RX) r.rx = [];
    r.fcr = value & FCR_ENABLE ? value & 0xc9 : 0;
  }

  #writeModemControl(value: number): void {
    const r = this.#r;
    const before = this.#modemLines();
    r.mcr = value & MCR_DEFINED;
    const changed = before ^ this.#modemLines();
    // §8.9, bits 3:0: changes, of RI only its trailing edge.
    r.modemDelta |= (changed >> 4) & (changed & MSR_RI && !(before & MSR_RI) ? 0x0b : 0x0f);
  }

  #pending(): number {
    const r = this.#r;
    if (r.ier & IER_LINE_STATUS && r.overrun) return IIR_LINE_STATUS;
    if (r.ier & IER_RX_READY && r.rx.length > 0) {
      if (r.rx.length >= this.#trigger) return IIR_RX_READY;
      if (this.#clock.now() >= this.#timeoutAt) return IIR_RX_TIMEOUT;
    }
    if (r.ier & IER_TX_EMPTY && r.txEmptyPending) return IIR_TX_EMPTY;
    if (r.ier & IER_MODEM_STATUS && r.modemDelta !== 0) return IIR_MODEM_STATUS;
    return IIR_NONE;
  }

  get #trigger(): number {
    return this.#r.fcr & FCR_ENABLE ? (TRIGGER_LEVELS[this.#r.fcr >> 6] as number) : 1;
  }

  /** §8.10: four character times without a byte in or out. */
  get #timeoutAt(): Nanos {
    return this.#r.lastActivity + 4 * this.#characterNanos;
  }

  #update(): void {
    const r = this.#r;
    // In loopback OUT2 is inactive at its pin (§8.8).
    const buffered = (r.mcr & (MCR_OUT2 | MCR_LOOPBACK)) === MCR_OUT2;
    const level = buffered && this.#pending() !== IIR_NONE;
    if (level !== this.#output) {
      this.#output = level;
      this.#pins.interrupt(level);
    }
    this.#arm();
  }

  /** The next moment the receiver may have something to report, while its interrupt is wanted and nothing waits to be read. */
  #arm(): void {
    const r = this.#r;
    if (!(r.ier & IER_RX_READY) || r.mcr & MCR_LOOPBACK || r.rx.length >= this.#trigger) {
      this.#alarm.cancel();
      this.#armedAt = -1;
      return;
    }
    const now = this.#clock.now();
    const idle = r.idle ? now + IDLE_POLL : Math.max(r.nextByte, now + 1);
    const timeout = this.#timeoutAt;
    const at = r.rx.length === 0 ? idle : timeout > now ? Math.min(Math.max(r.nextByte, now + 1), timeout) : idle;
    // A write moves an idle look-out by next to nothing; leave it where it is.
    if (this.#armedAt > now && at >= this.#armedAt && at - this.#armedAt < IDLE_POLL) return;
    this.#armedAt = at;
    this.#alarm.set(at);
  }
}
