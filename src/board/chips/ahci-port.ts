/**
 * One port of an AHCI controller and the drive on its cable: the command list, the frames that come back, native command queuing.
 *
 * Spec: Serial ATA AHCI 1.3.1 ("AHCI") §3.3 (registers), §4.2 (memory structures), §5.3 (port state machine), §6 (errors), §10.4
 * (resets); Serial ATA 2.6 §13.6 (queued commands).
 *
 * Queued commands are begun in the order they came in, and end in that order. One write of the guest starts no more than
 * {@link STEP_MOVES} pieces of data and {@link STEP_COMMANDS} commands; the rest follows in steps of the partition's clock.
 *
 * Not modelled: port multipliers, FIS-based switching, link power states, device sleep, hot plug, BIST; DMA Setup frames; a PIO Setup
 * frame comes once for a command, not once for a block (each would overwrite the one before).
 */
import type { Clock, DmaPort, Gpa, Nanos } from '../../contracts/index.ts';
import {
  type AtaDevice,
  type AtaDeviceState,
  PACKET_BYTES,
  STATUS_BUSY,
  STATUS_DATA_REQUEST,
  STATUS_ERROR,
} from '../storage/ata-device.ts';
import {
  commandOf,
  DEVICE_BITS_STATUS,
  deviceBitsFis,
  kindOf,
  loadTaskFile,
  pioSetupFis,
  RECEIVED_DEVICE_BITS,
  RECEIVED_PIO_SETUP,
  RECEIVED_REGISTER,
  REGISTER_FIS_BYTES,
  registerFis,
  tagOf,
} from '../storage/fis.ts';
import { CommandQueue, type QueuedCommand } from '../storage/command-queue.ts';
import { HeldAlarm } from '../storage/held-alarm.ts';
import { type Descriptor, type DescriptorTable, ScatterGather } from '../storage/scatter-gather.ts';
import { AtaDisk } from './ata-disk.ts';

// Port registers (AHCI §3.3), by offset
const CLB = 0x00;
const CLBU = 0x04;
const FB = 0x08;
const FBU = 0x0c;
const IS = 0x10;
const IE = 0x14;
const CMD = 0x18;
const TFD = 0x20;
const SIG = 0x24;
const SSTS = 0x28;
const SCTL = 0x2c;
const SERR = 0x30;
const SACT = 0x34;
const CI = 0x38;
export const PORT_BYTES = 0x80;

// PxIS and PxIE (§3.3.5)
const IS_REGISTER_FIS = 1 << 0;
const IS_PIO_SETUP_FIS = 1 << 1;
const IS_DEVICE_BITS_FIS = 1 << 3;
const IS_DESCRIPTOR = 1 << 5;
const IS_CONNECT_CHANGE = 1 << 6;
const IS_OVERFLOW = 1 << 24;
const IS_INTERFACE_FATAL = 1 << 27;
const IS_BUS_DATA = 1 << 28;
const IS_BUS_FATAL = 1 << 29;
const IS_TASK_FILE_ERROR = 1 << 30;
/** Cleared by writing ones. */
const IS_CLEARABLE = 0xfd80_00af;
const IE_WRITABLE = 0xfdc0_00ff;
// PxCMD (§3.3.7)
const CMD_START = 1 << 0;
const CMD_SPIN_UP = 1 << 1;
const CMD_POWER_ON = 1 << 2;
const CMD_OVERRIDE = 1 << 3;
const CMD_RECEIVE_ENABLE = 1 << 4;
const CMD_SLOT_SHIFT = 8;
const CMD_RECEIVE_RUNNING = 1 << 14;
const CMD_LIST_RUNNING = 1 << 15;
const CMD_ATAPI = 1 << 24;
const CMD_LED = 1 << 25;
// PxSSTS (§3.3.10): a device and a link, at 3 Gb/s, active
const SSTS_ESTABLISHED = 0x123;
const SSTS_OFFLINE = 0x4;
// PxSCTL.DET (§3.3.11)
const DET = 0x0f;
const DET_RESET = 1;
const DET_OFFLINE = 4;
/** PxSERR.DIAG.X: the link came up anew. */
const SERR_EXCHANGED = 1 << 26;
/** PxSERR.ERR.P: a frame that makes no sense. */
const SERR_PROTOCOL = 1 << 10;
const SIG_NONE = 0xffff_ffff;
/** Of a port without a device (§3.3). */
const POWER_ON = { clb: 0, clbu: 0, fb: 0, fbu: 0, is: 0, ie: 0, cmd: 0, tfd: 0x7f, sig: SIG_NONE, sctl: 0, serr: 0, sact: 0, ci: 0 };

// Command header (§4.2.2)
const HEADER_BYTES = 32;
const HEADER_ATAPI = 1 << 5;
// Command table (§4.2.3)
const TABLE_PACKET = 0x40;
const TABLE_DESCRIPTORS = 0x80;
const DESCRIPTOR_BYTES = 16;
const DESCRIPTOR_INTERRUPT = 0x8000_0000;

const COMMAND_READ_QUEUED = 0x60;
const COMMAND_WRITE_QUEUED = 0x61;

export const SLOTS = 32;
/** Work between two turns of the vCPUs, and how long a drive takes over that much. */
const STEP_MOVES = 4;
const STEP_COMMANDS = 32;
const STEP_PAUSE: Nanos = 100_000;

export interface AhciPortOptions {
  readonly drive: AtaDevice | undefined;
  readonly dma: DmaPort;
  readonly clock: Clock;
  /** From a command to its first data or its end; queued commands overlap theirs. */
  readonly latency: Nanos;
  /** PxIS or PxIE changed. */
  readonly changed: () => void;
}

/** `ready`: to begin the next command; `waiting`: the drive takes its time; `moving`: data is on its way; `stopped`: a fatal error. */
type Phase = 'ready' | 'waiting' | 'moving' | 'stopped';

export interface AhciPortState {
  readonly registers: Readonly<typeof POWER_ON>;
  readonly phase: Phase;
  readonly slot: number;
  readonly isQueued: boolean;
  readonly isPacket: boolean;
  readonly queue: readonly QueuedCommand[];
  readonly table: Gpa;
  readonly descriptors: number;
  readonly index: number;
  readonly used: number;
  readonly bytes: number;
  readonly due: Nanos | null;
  readonly drive: AtaDeviceState | null;
}

export class AhciPort implements DescriptorTable {
  readonly #drive: AtaDevice | undefined;
  readonly #dma: DmaPort;
  readonly #clock: Clock;
  readonly #latency: Nanos;
  readonly #changed: () => void;
  readonly #alarm: HeldAlarm;
  readonly #scatter = new ScatterGather();
  readonly #hostFis = new Uint8Array(REGISTER_FIS_BYTES);
  readonly #deviceFis = new Uint8Array(REGISTER_FIS_BYTES);
  readonly #packet = new Uint8Array(PACKET_BYTES);
  readonly #registers: { -readonly [Register in keyof typeof POWER_ON]: number } = { ...POWER_ON };
  #phase: Phase = 'ready';
  /** The command that is carried out, or was last. */
  #slot = SLOTS - 1;
  #isQueued = false;
  #isPacket = false;
  readonly #queue = new CommandQueue(SLOTS);
  #table: Gpa = 0;
  #descriptors = 0;

  constructor({ drive, dma, clock, latency, changed }: AhciPortOptions) {
    this.#drive = drive;
    this.#dma = dma;
    this.#clock = clock;
    this.#latency = latency;
    this.#changed = changed;
    this.#alarm = new HeldAlarm(clock, () => this.#work());
  }

  /** An enabled interrupt is pending (§3.1.4). */
  get interrupting(): boolean {
    return (this.#registers.is & this.#registers.ie) !== 0;
  }

  /** Reset of the controller, with the link trained anew (§10.4.3); PxCLB and PxFB keep nothing either. */
  reset(): void {
    Object.assign(this.#registers, POWER_ON);
    this.#forget();
    this.#slot = SLOTS - 1;
    this.#resetDrive();
    this.#changed();
  }

  pause(): void {
    this.#alarm.hold();
  }

  resume(): void {
    this.#alarm.release();
  }

  read(offset: number): number {
    switch (offset) {
      case CLB:
        return this.#registers.clb;
      case CLBU:
        return this.#registers.clbu;
      case FB:
        return this.#registers.fb;
      case FBU:
        return this.#registers.fbu;
      case IS:
        return this.#registers.is >>> 0;
      case IE:
        return this.#registers.ie >>> 0;
      case CMD:
        return this.#readCommand();
      case TFD:
        return this.#registers.tfd;
      case SIG:
        return this.#registers.sig >>> 0;
      case SSTS:
        return this.#linkStatus();
      case SCTL:
        return this.#registers.sctl;
      case SERR:
        return this.#registers.serr >>> 0;
      case SACT:
        return this.#registers.sact >>> 0;
      case CI:
        return this.#registers.ci >>> 0;
      default:
        return 0;
    }
  }

  write(offset: number, value: number): void {
    switch (offset) {
      case CLB:
        this.#registers.clb = (value & ~0x3ff) >>> 0;
        break;
      case CLBU:
        this.#registers.clbu = value;
        break;
      case FB:
        this.#registers.fb = (value & ~0xff) >>> 0;
        break;
      case FBU:
        this.#registers.fbu = value;
        break;
      case IS:
        this.#registers.is &= ~(value & IS_CLEARABLE);
        this.#changed();
        break;
      case IE:
        this.#registers.ie = value & IE_WRITABLE;
        this.#changed();
        break;
      case CMD:
        this.#writeCommand(value);
        break;
      case SCTL:
        this.#writeControl(value);
        break;
      case SERR:
        this.#registers.serr &= ~value;
        if (!(this.#registers.serr & SERR_EXCHANGED)) this.#registers.is &= ~IS_CONNECT_CHANGE;
        this.#changed();
        break;
      case SACT:
        if (this.#registers.cmd & CMD_START) this.#registers.sact |= value;
        break;
      case CI:
        if (!(this.#registers.cmd & CMD_START)) break;
        this.#registers.ci |= value;
        this.#kick();
        break;
    }
  }

  save(): AhciPortState {
    return {
      registers: { ...this.#registers },
      phase: this.#phase,
      slot: this.#slot,
      isQueued: this.#isQueued,
      isPacket: this.#isPacket,
      queue: this.#queue.save(),
      table: this.#table,
      descriptors: this.#descriptors,
      index: this.#scatter.index,
      used: this.#scatter.used,
      bytes: this.#scatter.bytes,
      due: this.#alarm.due ?? null,
      drive: this.#drive?.save() ?? null,
    };
  }

  restore(state: AhciPortState): void {
    Object.assign(this.#registers, state.registers);
    this.#phase = state.phase;
    this.#slot = state.slot;
    this.#isQueued = state.isQueued;
    this.#isPacket = state.isPacket;
    this.#queue.restore(state.queue);
    this.#table = state.table;
    this.#descriptors = state.descriptors;
    this.#scatter.rewind();
    this.#scatter.index = state.index;
    this.#scatter.used = state.used;
    this.#scatter.bytes = state.bytes;
    if (state.drive !== null) this.#drive?.restore(state.drive);
    this.#alarm.cancel();
    this.#changed();
    if (state.due !== null) this.#alarm.at(state.due);
  }

  /** Of the table of the current command (§4.2.3.3). */
  fetch(index: number, descriptor: Descriptor): 'fetched' | 'end' | 'refused' {
    if (index >= this.#descriptors) return 'end';
    const at = this.#table + TABLE_DESCRIPTORS + DESCRIPTOR_BYTES * index;
    const low = this.#dma.read32(at);
    const high = this.#dma.read32(at + 4);
    const count = this.#dma.read32(at + 12);
    if (low === undefined || high === undefined || count === undefined) return 'refused';
    descriptor.address = address(low & ~1, high);
    descriptor.bytes = ((count & 0x3f_ffff) | 1) + 1;
    descriptor.interrupt = (count & DESCRIPTOR_INTERRUPT) !== 0;
    return 'fetched';
  }

  // Registers with a life of their own

  #readCommand(): number {
    const running = this.#registers.cmd & CMD_START ? CMD_LIST_RUNNING : 0;
    const receiving = this.#registers.cmd & CMD_RECEIVE_ENABLE ? CMD_RECEIVE_RUNNING : 0;
    return this.#registers.cmd | CMD_SPIN_UP | CMD_POWER_ON | running | receiving | (running === 0 ? 0 : this.#slot << CMD_SLOT_SHIFT);
  }

  #writeCommand(value: number): void {
    const before = this.#registers.cmd;
    this.#registers.cmd = value & (CMD_START | CMD_RECEIVE_ENABLE | CMD_ATAPI | CMD_LED);
    if (value & CMD_OVERRIDE) this.#registers.tfd &= ~(STATUS_BUSY | STATUS_DATA_REQUEST);
    if (before & CMD_START && !(this.#registers.cmd & CMD_START)) {
      // §3.3.13, §3.3.14: stopping the list forgets what was issued; a drive at work stays busy until a reset.
      const atWork = this.#phase === 'waiting' || this.#phase === 'moving';
      this.#registers.ci = 0;
      this.#registers.sact = 0;
      this.#forget();
      if (atWork) this.#drive?.abort();
      this.#slot = SLOTS - 1;
    }
  }

  #writeControl(value: number): void {
    const before = this.#registers.sctl & DET;
    this.#registers.sctl = value & 0xfff;
    const now = this.#registers.sctl & DET;
    if (now === before) return;
    // COMRESET is held as long as DET is 1, and over when it is 0 again (§10.4.2). PxCI and PxSACT outlive it.
    if (now === DET_RESET || now === DET_OFFLINE) {
      this.#forget();
      this.#registers.tfd = 0x7f;
      this.#registers.sig = SIG_NONE;
    } else if (before === DET_RESET || before === DET_OFFLINE) this.#resetDrive();
  }

  #linkStatus(): number {
    if ((this.#registers.sctl & DET) === DET_OFFLINE) return SSTS_OFFLINE;
    if (this.#drive === undefined || (this.#registers.sctl & DET) === DET_RESET) return 0;
    return SSTS_ESTABLISHED;
  }

  /** The link comes up: the drive says what it is (§10.1.1, §5.3.2). */
  #resetDrive(): void {
    this.#registers.tfd = 0x7f;
    this.#registers.sig = SIG_NONE;
    const drive = this.#drive;
    if (drive === undefined) return;
    drive.reset('hardware');
    this.#registers.serr |= SERR_EXCHANGED;
    this.#registers.is |= IS_CONNECT_CHANGE;
    this.#changed();
    this.#announce();
  }

  /** The first register frame after a reset is taken even while others are not (§3.3.7, FRE); the driver waits for BSY to clear. */
  #announce(): void {
    const drive = this.#drive;
    if (drive === undefined) return;
    const { taskFile } = drive;
    this.#registers.sig = (drive.signature << 8) | (taskFile.count & 0xff);
    this.#post(RECEIVED_REGISTER, registerFis(this.#deviceFis, taskFile, taskFile.status));
    this.#setTaskFile(taskFile.status, taskFile.error);
  }

  /** Work in progress is lost: the drive, the queue, the alarm. */
  #forget(): void {
    this.#alarm.cancel();
    this.#queue.clear();
    this.#phase = 'ready';
    this.#isQueued = false;
    this.#isPacket = false;
  }

  // Commands

  /** Something was issued: go on at once, unless the port is in the middle of something. */
  #kick(): void {
    if (this.#phase === 'ready' && (this.#alarm.due === undefined || this.#queue.length > 0)) this.#alarm.after(0);
  }

  /** A bounded piece of work; what is left goes on later. */
  #work(): void {
    let commands = 0;
    let moves = 0;
    while (commands < STEP_COMMANDS && moves < STEP_MOVES) {
      if (this.#phase === 'stopped') return;
      if (this.#phase === 'ready') {
        commands++;
        if (!this.#next()) return;
        continue;
      }
      if (this.#phase === 'waiting') this.#phase = 'moving';
      this.#move();
      moves++;
    }
    if (this.#phase !== 'stopped' && (this.#phase === 'moving' || this.#registers.ci !== 0 || this.#queue.length > 0))
      this.#alarm.after(STEP_PAUSE);
  }

  /** Begins the next command. False: there is none, or it has to wait. */
  #next(): boolean {
    const slot = nextBit(this.#registers.ci, this.#slot);
    if (slot >= 0) {
      this.#slot = slot;
      this.#issue(slot);
      return this.#settled();
    }
    if (this.#queue.length === 0) return false;
    if (this.#queue.due > this.#clock.now()) {
      this.#alarm.at(this.#queue.due);
      return false;
    }
    this.#beginQueued(this.#queue.shift());
    return true;
  }

  /** False: the command just issued waits for its drive. */
  #settled(): boolean {
    if (this.#phase !== 'waiting') return true;
    if (this.#latency === 0) return true;
    this.#alarm.after(this.#latency);
    return false;
  }

  #issue(slot: number): void {
    const drive = this.#drive;
    if (drive === undefined || this.#linkStatus() !== SSTS_ESTABLISHED) {
      this.#phase = 'stopped'; // no device sends anything back
      return;
    }
    const header = address(this.#registers.clb, this.#registers.clbu) + HEADER_BYTES * slot;
    const flags = this.#dma.read32(header);
    if (flags === undefined || !this.#readTable(header, flags) || !this.#dma.read(this.#table, this.#hostFis)) {
      this.#stop(IS_BUS_FATAL);
      return;
    }
    switch (kindOf(this.#hostFis)) {
      case 'command':
        this.#command(slot, flags, drive);
        break;
      case 'reset-on':
        drive.reset('software');
        this.#queue.clear();
        this.#registers.ci &= ~(1 << slot);
        break;
      case 'reset-off':
        this.#registers.ci &= ~(1 << slot);
        this.#announce();
        break;
      case 'invalid':
        this.#registers.serr |= SERR_PROTOCOL;
        this.#stop(IS_INTERFACE_FATAL);
        break;
    }
  }

  #readTable(header: Gpa, flags: number): boolean {
    const low = this.#dma.read32(header + 8);
    const high = this.#dma.read32(header + 12);
    if (low === undefined || high === undefined) return false;
    this.#table = address(low & ~0x7f, high);
    this.#descriptors = flags >>> 16;
    return true;
  }

  #command(slot: number, flags: number, drive: AtaDevice): void {
    const command = commandOf(this.#hostFis);
    const queued = command === COMMAND_READ_QUEUED || command === COMMAND_WRITE_QUEUED;
    if (queued && drive instanceof AtaDisk && tagOf(this.#hostFis) === slot && !this.#queue.includes(slot)) {
      // Accepted: PxCI clears, PxSACT stays until Set Device Bits (§5.3.8, Serial ATA 2.6 §13.6.4.1).
      this.#queue.push(slot, this.#hostFis, this.#clock.now() + this.#latency);
      this.#registers.ci &= ~(1 << slot);
      this.#setTaskFile(drive.taskFile.status & ~STATUS_ERROR, 0);
      return;
    }
    loadTaskFile(drive.taskFile, this.#hostFis);
    this.#isQueued = false;
    this.#isPacket = false;
    if (this.#queue.length > 0) {
      // A command that is not queued, or one whose tag is taken, ends all that are (Serial ATA 2.6 §13.6.2).
      this.#queue.clear();
      drive.abort();
      this.#finish(drive);
      return;
    }
    this.#scatter.rewind();
    this.#registers.tfd |= STATUS_BUSY;
    drive.execute(command);
    if (drive.transfer.direction === 'packet') {
      if (!(flags & HEADER_ATAPI) || !this.#dma.read(this.#table + TABLE_PACKET, this.#packet)) {
        drive.abort();
        this.#stop(flags & HEADER_ATAPI ? IS_BUS_FATAL : IS_INTERFACE_FATAL);
        return;
      }
      this.#isPacket = true;
      drive.packet(this.#packet);
    }
    this.#phase = 'waiting';
  }

  #beginQueued(slot: number): void {
    const drive = this.#drive;
    if (drive === undefined) return;
    this.#slot = slot;
    this.#isQueued = true;
    this.#isPacket = false;
    const header = address(this.#registers.clb, this.#registers.clbu) + HEADER_BYTES * slot;
    const flags = this.#dma.read32(header);
    if (flags === undefined || !this.#readTable(header, flags)) {
      this.#stop(IS_BUS_FATAL);
      return;
    }
    this.#hostFis.set(this.#queue.frameOf(slot));
    loadTaskFile(drive.taskFile, this.#hostFis);
    this.#scatter.rewind();
    drive.execute(commandOf(this.#hostFis));
    this.#phase = 'moving';
  }

  /** Moves a piece of the current command, or ends it. */
  #move(): void {
    const drive = this.#drive;
    if (drive === undefined) return;
    const { direction, dma } = drive.transfer;
    if (direction === 'none') {
      this.#finish(drive);
      return;
    }
    const before = this.#scatter.bytes;
    const result = this.#scatter.move(drive, this, this.#dma);
    const moved = this.#scatter.bytes - before;
    if (this.#scatter.interrupt) {
      this.#scatter.interrupt = false;
      this.#registers.is |= IS_DESCRIPTOR;
    }
    this.#dma.write32(address(this.#registers.clb, this.#registers.clbu) + HEADER_BYTES * this.#slot + 4, this.#scatter.bytes);
    if (result === 'refused') this.#stop(IS_BUS_DATA);
    else if (result === 'short') {
      // §6.1.6: the list is too short for what the drive moves; software has to recover the port.
      drive.abort();
      this.#stop(IS_OVERFLOW | IS_INTERFACE_FATAL);
    } else if (drive.transfer.direction === 'none') {
      if (!dma && !this.#isPacket && result === 'moved') this.#finishPio(drive, direction === 'in', moved);
      else this.#finish(drive);
    }
  }

  /** PIO data-in ends with the status in its PIO Setup frame, data-out with a register frame after it (§5.3.11). */
  #finishPio(drive: AtaDevice, toHost: boolean, bytes: number): void {
    const { taskFile } = drive;
    const status = taskFile.status | STATUS_DATA_REQUEST;
    const size = pioSetupFis(this.#deviceFis, taskFile, toHost, status, taskFile.status, Math.min(bytes, 0xfffe));
    this.#post(RECEIVED_PIO_SETUP, size);
    if (!toHost) {
      this.#finish(drive);
      return;
    }
    this.#setTaskFile(taskFile.status, taskFile.error);
    this.#phase = 'ready';
    this.#registers.ci &= ~(1 << this.#slot);
    this.#raise(IS_PIO_SETUP_FIS);
  }

  /** The drive says how the command ended. */
  #finish(drive: AtaDevice): void {
    const { taskFile } = drive;
    const { status, error } = taskFile;
    const bit = 1 << this.#slot;
    const failed = (status & STATUS_ERROR) !== 0;
    if (this.#isQueued) {
      this.#finishQueued(drive, failed);
      return;
    }
    this.#post(RECEIVED_REGISTER, registerFis(this.#deviceFis, taskFile, status));
    this.#setTaskFile(status, error);
    if (failed) {
      this.#stop(IS_REGISTER_FIS | IS_TASK_FILE_ERROR); // PxCI keeps the bit: software sees which it was (§6.2.2.1)
      return;
    }
    this.#phase = 'ready';
    this.#registers.ci &= ~bit;
    this.#raise(IS_REGISTER_FIS);
  }

  #finishQueued(drive: AtaDevice, failed: boolean): void {
    const { status, error } = drive.taskFile;
    const bit = 1 << this.#slot;
    this.#post(RECEIVED_DEVICE_BITS, deviceBitsFis(this.#deviceFis, status, error, failed ? 0 : bit));
    this.#setTaskFile((this.#registers.tfd & ~DEVICE_BITS_STATUS) | (status & DEVICE_BITS_STATUS), error);
    if (failed) {
      // The others are aborted with it; READ LOG EXT will say which one it was (Serial ATA 2.6 §13.6.4.3).
      if (drive instanceof AtaDisk) drive.noteQueuedError(this.#slot);
      this.#queue.clear();
      this.#stop(IS_DEVICE_BITS_FIS | IS_TASK_FILE_ERROR);
      return;
    }
    this.#phase = 'ready';
    this.#registers.sact &= ~bit;
    this.#raise(IS_DEVICE_BITS_FIS);
  }

  #stop(cause: number): void {
    this.#phase = 'stopped';
    this.#raise(cause);
  }

  #raise(bits: number): void {
    this.#registers.is |= bits;
    this.#changed();
  }

  #setTaskFile(status: number, error: number): void {
    this.#registers.tfd = ((error << 8) | status) & 0xffff;
  }

  #post(offset: number, bytes: number): void {
    if (this.#registers.cmd & CMD_RECEIVE_ENABLE)
      this.#dma.write(address(this.#registers.fb, this.#registers.fbu) + offset, this.#deviceFis.subarray(0, bytes));
  }
}

/** The next set bit after `last`, going round; −1 when there is none. */
function nextBit(bits: number, last: number): number {
  for (let step = 1; step <= SLOTS; step++) {
    const slot = (last + step) % SLOTS;
    if (bits & (1 << slot)) return slot;
  }
  return -1;
}

/** Above 2^53 nothing is RAM: it is kept out of reach, not rounded into it. */
function address(low: number, high: number): Gpa {
  return (high >>> 0) * 0x1_0000_0000 + (low >>> 0);
}
