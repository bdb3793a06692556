/**
 * 82540EM Gigabit Ethernet controller ("e1000"): registers, interrupts, and the wiring of its transmitter, receiver, EEPROM and PHY to
 * a PCI function and to one end of a wire.
 *
 * Frames leave as soon as the driver moves the tail pointer, at most a bounded share per register access; the rest follows at the
 * line's own speed, 1 Gb/s of virtual time. A wire that is full holds the transmitter back as flow control does (IEEE 802.3 annex 31B),
 * no longer than the longest pause there is; then frames are dropped, so that a neighbour that hangs costs nobody else anything.
 *
 * Spec: "PCI/PCI-X Family of Gigabit Ethernet Controllers Software Developer's Manual" (Intel 317453), cited as SDM.
 * Not modelled: flash memory, wake-up, LEDs, the statistics of errors a wire does not have, ASF and manageability, speeds other than
 * 1000 Mb/s, the low-memory TCP features of later members of the family.
 */
import { us } from '../../base/index.ts';
import type { AccessSize, Clock, DeviceState, IoHandler, Nanos, PciFunctionDescription, PciFunctionPort, WirePort } from '../../contracts/index.ts';
import { MAXIMUM_FRAME_BYTES } from '../ethernet.ts';
import { Alarm } from '../ticks.ts';
import { InterruptDelay, type SavedDelay } from './i82540em-delay.ts';
import { Eeprom, Phy } from './i82540em-link.ts';
import { Receiver } from './i82540em-receive.ts';
import {
  CAUSES,
  CTRL,
  CTRL_PHY_RST,
  CTRL_RST,
  CTRL_SLU,
  EECD,
  EERD,
  ICR,
  ICS,
  IMC,
  IMS,
  INITIAL,
  ITR,
  KEPT,
  LSC,
  MDAC,
  MDIC,
  MTA,
  MTA_WORDS,
  RADV,
  RAH,
  RAH_AV,
  RAL,
  RCTL,
  RCTL_EN,
  RCTL_LBM,
  RDT,
  RDTR,
  RECEIVE_ADDRESSES,
  REGISTER_BYTES,
  RXO,
  RXT0,
  STATISTICS,
  STATUS,
  STATUS_FD,
  STATUS_LU,
  STATUS_SPEED_1000,
  TADV,
  TCTL,
  TDH,
  TDT,
  TIDV,
  VFTA,
  VFTA_WORDS,
  WINDOW_BYTES,
} from './i82540em-registers.ts';
import { Statistics } from './i82540em-statistics.ts';
import { Transmitter } from './i82540em-transmit.ts';

/** Frames taken from the wire in one go; the next go follows when the line would have brought as many. */
const FRAMES_PER_CALL = 64;
const PAUSE_RETRY: Nanos = 20 * us;
/** 65,535 quanta of 512 bit times (IEEE 802.3 §31B.2). */
const LONGEST_PAUSE: Nanos = 33_553_920;
const NANOS_PER_BYTE = 8;
/** Preamble, check sequence and gap between two frames. */
const OVERHEAD_BYTES = 24;
/** Unit of the interrupt delay timers (SDM §13.4.30) and of the throttle (§13.4.18). */
const DELAY_UNIT: Nanos = 1024;
const THROTTLE_UNIT: Nanos = 256;
const RETRY_AT_ONCE: Nanos = 1 * us;

// The I/O window (SDM §13.2.2): a register's address, and the register
const IO_BYTES = 64;
const IODATA = 4;

/** What `i82540em` is on the bus (SDM §4.1, table 4-1). */
const IDENTITY = { vendor: 0x8086, device: 0x100e, classCode: 0x02_0000, revision: 2, subsystemVendor: 0x8086, subsystem: 0x001e };
const POWER_MANAGEMENT = 0x01;

export interface I82540emOptions {
  readonly clock: Clock;
  readonly wire: WirePort;
  /** The station address in its EEPROM. */
  readonly address: Uint8Array;
  /** Puts the function on the bus. */
  pci(description: PciFunctionDescription): PciFunctionPort;
}

export class I82540em {
  readonly #clock: Clock;
  readonly #wire: WirePort;
  readonly #port: PciFunctionPort;
  #plugged = false;
  readonly #registers = new Uint32Array(REGISTER_BYTES / 4);
  readonly #statistics = new Statistics(this.#registers);
  readonly #eeprom: Eeprom;
  readonly #phy: Phy;
  readonly #transmitter: Transmitter;
  readonly #receiver: Receiver;
  /** A frame from the wire that waits for a descriptor. */
  readonly #held = new Uint8Array(MAXIMUM_FRAME_BYTES);
  #heldBytes = 0;
  readonly #looped = new Uint8Array(MAXIMUM_FRAME_BYTES);
  #icr = 0;
  #ims = 0;
  #pin = false;
  /** The throttle lets no interrupt through before this. */
  #quietUntil: Nanos = 0;
  #ioAddress = 0;
  #link = false;
  #missed = 0;
  /** When the wire began to refuse; -1 while it takes what it is given. */
  #refusedSince: Nanos = -1;
  readonly #transmitting: Alarm;
  readonly #receiving: Alarm;
  readonly #throttle: Alarm;
  readonly #receiveDelay: InterruptDelay;
  readonly #transmitDelay: InterruptDelay;
  #bytesOut = 0;
  /** The line is busy with what was sent, and with what was taken from it, until then. */
  #transmitAgain: Nanos = 0;
  #receiveAgain: Nanos = 0;

  constructor(options: I82540emOptions) {
    this.#clock = options.clock;
    this.#wire = options.wire;
    this.#eeprom = new Eeprom(options.address, IDENTITY);
    this.#phy = new Phy(() => this.#wire.connected);
    this.#transmitting = new Alarm(options.clock, () => this.#transmit());
    this.#receiving = new Alarm(options.clock, () => this.#receive());
    this.#throttle = new Alarm(options.clock, () => this.#updateInterrupt());
    this.#receiveDelay = new InterruptDelay(options.clock, () => this.#raise(RXT0));
    this.#transmitDelay = new InterruptDelay(options.clock, () => this.#raise(this.#delayedCauses));
    this.#port = options.pci({
      identity: IDENTITY,
      bars: [{ kind: 'mmio', size: WINDOW_BYTES, handler: this.window }, undefined, { kind: 'pio', size: IO_BYTES, handler: this.#ioWindow }],
      interruptPin: true,
      msi: 1,
      // Version 2 of the power management interface, D3 without PME; only the power state can be written (PCI PM 1.1 §3.2).
      capabilities: [{ id: POWER_MANAGEMENT, body: Uint8Array.of(0x22, 0, 0, 0, 0, 0), writable: Uint8Array.of(0, 0, 3, 0, 0, 0) }],
      configured: () => this.#redrive(),
    });
    this.#plugged = true;
    const { dma } = this.#port;
    const registers = this.#registers;
    this.#receiver = new Receiver({ dma, registers, cause: (causes) => this.#raise(causes) });
    this.#transmitter = new Transmitter({
      dma,
      registers,
      transmit: (frame, length) => this.#send(frame, length),
      cause: (causes, delayed) => this.#transmitted(causes, delayed),
      segmented: () => this.#statistics.count(STATISTICS.TSCTC),
    });
    this.#wire.listen(() => this.#wireChanged());
    this.reset();
  }

  /** PCI reset and CTRL.RST: everything but the PHY and what the EEPROM holds. */
  reset(): void {
    this.#resetMac();
    this.#phy.reset();
    this.#link = this.#linkUp;
  }

  /** The 128 KiB memory window. Registers are 32 bits wide; narrower writes are not (SDM §13.2.1). */
  readonly window: IoHandler = {
    read: (offset: number, size: AccessSize): number => {
      const value = this.#read(offset & ~3);
      if (size === 4) return value;
      return (value >>> (8 * (offset & 3))) & (size === 2 ? 0xffff : 0xff);
    },
    write: (offset: number, size: AccessSize, value: number): void => {
      if (size === 4) this.#write(offset & ~3, value);
    },
  };

  readonly #ioWindow: IoHandler = {
    read: (offset: number, size: AccessSize): number => {
      if (offset < IODATA) return part(this.#ioAddress, offset, size);
      return offset < 2 * IODATA ? part(this.#read(this.#ioAddress), offset - IODATA, size) : 0;
    },
    write: (offset: number, size: AccessSize, value: number): void => {
      if (size !== 4) return;
      if (offset === 0) this.#ioAddress = value & (WINDOW_BYTES - 4);
      else if (offset === IODATA) this.#write(this.#ioAddress, value);
    },
  };

  save(): DeviceState {
    const registers: Record<string, number> = {};
    for (const [index, value] of this.#registers.entries()) if (value !== 0) registers[`0x${(index * 4).toString(16)}`] = value;
    return {
      version: 1,
      registers,
      icr: this.#icr,
      ims: this.#ims,
      pin: this.#pin,
      quietUntil: this.#quietUntil,
      ioAddress: this.#ioAddress,
      link: this.#link,
      refusedSince: this.#refusedSince,
      held: [...this.#held.subarray(0, this.#heldBytes)],
      eeprom: this.#eeprom.save(),
      phy: this.#phy.save(),
      transmitter: this.#transmitter.save(),
      receiveDelay: this.#receiveDelay.save(),
      transmitDelay: this.#transmitDelay.save(),
      delayedCauses: this.#delayedCauses,
    };
  }

  restore(state: DeviceState): void {
    this.#resetMac();
    const registers = state['registers'] as Record<string, number>;
    this.#registers.fill(0);
    for (const [offset, value] of Object.entries(registers)) this.#registers[Number(offset) >> 2] = value;
    this.#icr = state['icr'] as number;
    this.#ims = state['ims'] as number;
    this.#pin = state['pin'] as boolean;
    this.#quietUntil = state['quietUntil'] as number;
    this.#ioAddress = state['ioAddress'] as number;
    this.#link = state['link'] as boolean;
    this.#refusedSince = state['refusedSince'] as number;
    const held = state['held'] as number[];
    this.#held.set(held);
    this.#heldBytes = held.length;
    this.#eeprom.restore(state['eeprom'] as Record<string, unknown>);
    this.#phy.restore(state['phy'] as Record<string, unknown>);
    this.#transmitter.restore(state['transmitter'] as Record<string, unknown>);
    this.#receiveDelay.restore(state['receiveDelay'] as SavedDelay);
    this.#transmitDelay.restore(state['transmitDelay'] as SavedDelay);
    this.#delayedCauses = state['delayedCauses'] as number;
    this.#redrive();
    this.#updateInterrupt();
    // The cable may be another one than when the state was saved, and work may be waiting at either end.
    this.#transmitting.set(this.#clock.now());
    this.#receiving.set(this.#clock.now());
  }

  dispose(): void {
    this.#cancelAlarms();
  }

  #cancelAlarms(): void {
    for (const alarm of [this.#transmitting, this.#receiving, this.#throttle]) alarm.cancel();
    this.#receiveDelay.cancel();
    this.#transmitDelay.cancel();
  }

  // ── registers ──

  #read(offset: number): number {
    if (offset >= REGISTER_BYTES) return 0;
    switch (offset) {
      case STATUS:
        return STATUS_FD | STATUS_SPEED_1000 | (this.#link ? STATUS_LU : 0);
      case EECD:
        return this.#eeprom.readControl();
      case EERD:
        return this.#eeprom.readDirect();
      case MDIC:
        return this.#phy.readControl();
      case ICR: {
        const causes = this.#icr;
        this.#icr = 0;
        this.#updateInterrupt();
        return causes;
      }
      case IMS:
        return this.#ims;
    }
    const value = this.#registers[offset >> 2] as number;
    this.#statistics.afterRead(offset);
    return value;
  }

  #write(offset: number, value: number): void {
    if (offset >= REGISTER_BYTES) return;
    switch (offset) {
      case CTRL:
        this.#writeControl(value);
        return;
      case EECD:
        this.#eeprom.writeControl(value);
        return;
      case EERD:
        this.#eeprom.writeDirect(value);
        return;
      case MDIC:
        this.#phy.writeControl(value);
        this.#updateLink();
        this.#raise(MDAC);
        return;
      case ICR:
        this.#icr &= ~value;
        this.#updateInterrupt();
        return;
      case ICS:
        this.#raise(value & CAUSES);
        return;
      case IMS:
        this.#ims |= value & CAUSES;
        this.#updateInterrupt();
        return;
      case IMC:
        this.#ims &= ~value;
        this.#updateInterrupt();
        return;
    }
    const mask = KEPT.get(offset) ?? (isTable(offset) ? 0xffff_ffff : 0);
    if (mask === 0) return;
    this.#registers[offset >> 2] = value & mask;
    switch (offset) {
      case TCTL:
      case TDT:
      case TDH:
        this.#transmit();
        break;
      case RCTL:
      case RDT:
        this.#receive();
        break;
      case RDTR:
        // FPD: report what is delayed now (SDM §13.4.30).
        if (value & 0x8000_0000) this.#receiveDelay.flush();
        break;
    }
  }

  #writeControl(value: number): void {
    if (value & CTRL_RST) {
      this.#resetMac();
    } else {
      this.#registers[CTRL >> 2] = value & (KEPT.get(CTRL) as number);
      if (value & CTRL_PHY_RST) this.#phy.reset();
    }
    this.#updateLink();
  }

  #resetMac(): void {
    const registers = this.#registers;
    registers.fill(0);
    for (const [offset, value] of INITIAL) registers[offset >> 2] = value;
    const address = new Uint8Array(6);
    this.#eeprom.address(address);
    const view = new DataView(address.buffer);
    registers[RAL >> 2] = view.getUint32(0, true);
    registers[RAH >> 2] = RAH_AV | view.getUint16(4, true);
    this.#transmitter.reset();
    this.#icr = 0;
    this.#ims = 0;
    this.#heldBytes = 0;
    this.#quietUntil = 0;
    this.#refusedSince = -1;
    this.#transmitAgain = 0;
    this.#receiveAgain = 0;
    this.#ioAddress = 0;
    this.#delayedCauses = 0;
    this.#missed = this.#wire.missed;
    this.#cancelAlarms();
    this.#updateInterrupt();
  }

  // ── interrupts ──

  #delayedCauses = 0;

  #raise(causes: number): void {
    this.#icr |= causes;
    this.#updateInterrupt();
  }

  /** Descriptors with IDE report after the delay, or with the first that has none (SDM §13.4.44–13.4.46). */
  #transmitted(causes: number, delayed: boolean): void {
    const delay = (this.#registers[TIDV >> 2] as number) * DELAY_UNIT;
    if (!delayed || delay === 0) {
      this.#raise(causes);
      return;
    }
    this.#delayedCauses |= causes;
    this.#transmitDelay.restart(delay, (this.#registers[TADV >> 2] as number) * DELAY_UNIT);
  }

  #received(): void {
    const delay = (this.#registers[RDTR >> 2] as number) * DELAY_UNIT;
    if (delay === 0) this.#raise(RXT0);
    else this.#receiveDelay.restart(delay, (this.#registers[RADV >> 2] as number) * DELAY_UNIT);
  }

  #updateInterrupt(): void {
    const wanted = (this.#icr & this.#ims) !== 0;
    if (!wanted) {
      if (this.#pin) {
        this.#pin = false;
        this.#port.setInterrupt(false);
      }
      return;
    }
    if (this.#pin) return;
    const interval = (this.#registers[ITR >> 2] as number) * THROTTLE_UNIT;
    const now = this.#clock.now();
    if (interval > 0 && now < this.#quietUntil) {
      this.#throttle.set(this.#quietUntil);
      return;
    }
    this.#quietUntil = now + interval;
    this.#pin = true;
    if (this.#port.usesMessages) this.#port.signal(0);
    else this.#port.setInterrupt(true);
  }

  /** The driver changed how interrupts travel: the level goes out the new way. The board may ask before it has plugged the function in. */
  #redrive(): void {
    if (this.#plugged && !this.#port.usesMessages) this.#port.setInterrupt(this.#pin);
  }

  // ── link and frames ──

  get #linkUp(): boolean {
    return this.#phy.link && ((this.#registers[CTRL >> 2] as number) & CTRL_SLU) !== 0;
  }

  get #loopback(): boolean {
    return ((this.#registers[RCTL >> 2] as number) & RCTL_LBM) !== 0 || this.#phy.loopback;
  }

  #updateLink(): void {
    const up = this.#linkUp;
    if (up === this.#link) return;
    this.#link = up;
    if (!up) this.#phy.linkDropped();
    this.#raise(LSC);
  }

  #wireChanged(): void {
    this.#updateLink();
    const { missed } = this.#wire;
    if (missed !== this.#missed) {
      this.#statistics.count(STATISTICS.MPC, (missed - this.#missed) >>> 0);
      this.#missed = missed;
      this.#raise(RXO);
    }
    this.#receive();
  }

  #transmit(): void {
    const now = this.#clock.now();
    if (now < this.#transmitAgain) return;
    this.#bytesOut = 0;
    switch (this.#transmitter.run()) {
      case 'busy':
        this.#transmitAgain = now + Math.max(RETRY_AT_ONCE, Math.max(this.#bytesOut, this.#transmitter.fetched) * NANOS_PER_BYTE);
        this.#transmitting.set(this.#transmitAgain);
        break;
      case 'refused':
        this.#transmitting.set(now + PAUSE_RETRY);
        break;
      case 'idle':
        this.#transmitting.cancel();
        break;
    }
  }

  /** A frame without FCS leaves. False: it is to be offered again. */
  #send(packet: Uint8Array, length: number): boolean {
    if (length === 0 || length > MAXIMUM_FRAME_BYTES) return true;
    const frame = packet.subarray(0, length);
    if (this.#loopback) {
      this.#looped.set(frame);
      if (this.#take(this.#looped, length)) this.#statistics.countFrame(packet, length, 'sent');
      return true;
    }
    if (!this.#link) return true;
    if (!this.#wire.send(frame)) {
      const now = this.#clock.now();
      if (this.#refusedSince < 0) this.#refusedSince = now;
      if (now - this.#refusedSince < LONGEST_PAUSE) return false;
      this.#wire.drop?.();
      return true;
    }
    this.#refusedSince = -1;
    this.#bytesOut += length + OVERHEAD_BYTES;
    this.#statistics.countFrame(packet, length, 'sent');
    return true;
  }

  /** Takes frames from the wire while there are descriptors for them. */
  #receive(): void {
    // What is being received at the line's speed goes on when its time has come.
    if (this.#loopback || this.#clock.now() < this.#receiveAgain) return;
    const enabled = ((this.#registers[RCTL >> 2] as number) & RCTL_EN) !== 0 && this.#link;
    let bytes = 0;
    for (let frame = 0; frame < FRAMES_PER_CALL; frame++) {
      const fresh = this.#heldBytes === 0;
      if (fresh) this.#heldBytes = this.#wire.receive(this.#held);
      if (this.#heldBytes === 0) return;
      // A receiver that is off hears nothing; one without descriptors keeps the frame in its packet buffer.
      if (enabled && !this.#take(this.#held, this.#heldBytes)) {
        if (fresh) this.#statistics.count(STATISTICS.RNBC);
        return;
      }
      bytes += this.#heldBytes + OVERHEAD_BYTES;
      this.#heldBytes = 0;
    }
    this.#receiveAgain = this.#clock.now() + bytes * NANOS_PER_BYTE;
    this.#receiving.set(this.#receiveAgain);
  }

  /** False: no descriptor is free. */
  #take(frame: Uint8Array, bytes: number): boolean {
    switch (this.#receiver.receive(frame, bytes)) {
      case 'waits':
        return false;
      case 'too-long':
        this.#statistics.count(STATISTICS.ROC);
        return true;
      case 'too-short':
        this.#statistics.count(STATISTICS.RLEC);
        return true;
      case 'filtered':
        this.#statistics.count(STATISTICS.TPR);
        return true;
      case 'stored':
        this.#statistics.countFrame(frame, bytes, 'received');
        this.#received();
        return true;
    }
  }
}

/** The multicast, address and VLAN tables. */
function isTable(offset: number): boolean {
  return (
    (offset >= MTA && offset < MTA + 4 * MTA_WORDS) ||
    (offset >= RAL && offset < RAL + 8 * RECEIVE_ADDRESSES) ||
    (offset >= VFTA && offset < VFTA + 4 * VFTA_WORDS)
  );
}

function part(value: number, shift: number, size: AccessSize): number {
  const shifted = value >>> (8 * shift);
  return size === 4 ? shifted : shifted & (size === 2 ? 0xffff : 0xff);
}
