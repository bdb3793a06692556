/**
 * The command list of an AHCI port: fetches what software issues, drives the disk or CD-ROM drive through it, reports how it ended.
 *
 * Queued commands are begun in the order they came in, and end in that order. One write of the guest starts no more than
 * {@link STEP_MOVES} pieces of data and {@link STEP_COMMANDS} commands; the rest follows in steps of the partition's clock.
 *
 * Spec: Serial ATA AHCI 1.3.1 ("AHCI") §4.2 (memory structures), §5.3 (port state machine), §6 (errors); Serial ATA 2.6 §13.6 (queued
 * commands).
 * Not modelled: DMA Setup frames; a PIO Setup frame comes once for a command, not once for a block (each would overwrite the one before).
 */
import type { Clock, DmaPort, Gpa, Nanos } from '../../contracts/index.ts';
import { type AtaDevice, PACKET_BYTES, STATUS_BUSY, STATUS_DATA_REQUEST, STATUS_ERROR } from '../storage/ata-device.ts';
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
import {
  IS_BUS_DATA,
  IS_BUS_FATAL,
  IS_DESCRIPTOR,
  IS_DEVICE_BITS_FIS,
  IS_INTERFACE_FATAL,
  IS_OVERFLOW,
  IS_PIO_SETUP_FIS,
  IS_REGISTER_FIS,
  IS_TASK_FILE_ERROR,
  SERR_PROTOCOL,
  type PortRegisters,
} from './ahci-port-registers.ts';
import { AtaDisk } from './ata-disk.ts';

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

/** The port around the list. */
export interface CommandListPort {
  readonly registers: PortRegisters;
  readonly drive: AtaDevice | undefined;
  readonly dma: DmaPort;
  readonly clock: Clock;
  /** From a command to its first data or its end; queued commands overlap theirs. */
  readonly latency: Nanos;
  /** The link is up. */
  isEstablished(): boolean;
  /** Writes a frame to where software receives them. */
  post(offset: number, frame: Uint8Array): void;
  /** Sets bits of PxIS. */
  raise(bits: number): void;
  setTaskFile(status: number, error: number): void;
  /** The drive says what it is. */
  announce(): void;
}

/** `ready`: to begin the next command; `waiting`: the drive takes its time; `moving`: data is on its way; `stopped`: a fatal error. */
type Phase = 'ready' | 'waiting' | 'moving' | 'stopped';

export interface CommandListState {
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
}

export class AhciCommandList implements DescriptorTable {
  readonly #port: CommandListPort;
  readonly #registers: PortRegisters;
  readonly #drive: AtaDevice | undefined;
  readonly #dma: DmaPort;
  readonly #clock: Clock;
  readonly #latency: Nanos;
  readonly #alarm: HeldAlarm;
  readonly #scatter = new ScatterGather();
  readonly #hostFis = new Uint8Array(REGISTER_FIS_BYTES);
  readonly #deviceFis = new Uint8Array(REGISTER_FIS_BYTES);
  readonly #packet = new Uint8Array(PACKET_BYTES);
  #phase: Phase = 'ready';
  /** The command that is carried out, or was last. */
  #slot = SLOTS - 1;
  #isQueued = false;
  #isPacket = false;
  readonly #queue = new CommandQueue(SLOTS);
  #table: Gpa = 0;
  #descriptors = 0;

  constructor(port: CommandListPort) {
    this.#port = port;
    this.#registers = port.registers;
    this.#drive = port.drive;
    this.#dma = port.dma;
    this.#clock = port.clock;
    this.#latency = port.latency;
    this.#alarm = new HeldAlarm(port.clock, () => this.#work());
  }

  /** The command that is carried out, or was last: PxCMD.CCS. */
  get slot(): number {
    return this.#slot;
  }

  /** The port is reset: the next command is the one in slot 0. */
  reset(): void {
    this.forget();
    this.#slot = SLOTS - 1;
  }

  pause(): void {
    this.#alarm.hold();
  }

  resume(): void {
    this.#alarm.release();
  }

  /** §3.3.13, §3.3.14: stopping the list forgets what was issued; a drive at work stays busy until a reset. */
  stopList(): void {
    const atWork = this.#phase === 'waiting' || this.#phase === 'moving';
    this.#registers.ci = 0;
    this.#registers.sact = 0;
    this.reset();
    if (atWork) this.#drive?.abort();
  }

  save(): CommandListState {
    return {
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
    };
  }

  /** The drive must have been restored. */
  restore(state: CommandListState): void {
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
    this.#alarm.cancel();
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

  /** Work in progress is lost: the drive, the queue, the alarm. */
  forget(): void {
    this.#alarm.cancel();
    this.#queue.clear();
    this.#phase = 'ready';
    this.#isQueued = false;
    this.#isPacket = false;
  }

  /** Something was issued: go on at once, unless the port is in the middle of something. */
  kick(): void {
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
    if (drive === undefined || !this.#port.isEstablished()) {
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
        this.#port.announce();
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
      this.#port.setTaskFile(drive.taskFile.status & ~STATUS_ERROR, 0);
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
    this.#post(RECEIVED_PIO_SETUP, pioSetupFis(this.#deviceFis, taskFile, toHost, status, taskFile.status, Math.min(bytes, 0xfffe)));
    if (!toHost) {
      this.#finish(drive);
      return;
    }
    this.#port.setTaskFile(taskFile.status, taskFile.error);
    this.#phase = 'ready';
    this.#registers.ci &= ~(1 << this.#slot);
    this.#port.raise(IS_PIO_SETUP_FIS);
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
    this.#port.setTaskFile(status, error);
    if (failed) {
      this.#stop(IS_REGISTER_FIS | IS_TASK_FILE_ERROR); // PxCI keeps the bit: software sees which it was (§6.2.2.1)
      return;
    }
    this.#phase = 'ready';
    this.#registers.ci &= ~bit;
    this.#port.raise(IS_REGISTER_FIS);
  }

  #finishQueued(drive: AtaDevice, failed: boolean): void {
    const { status, error } = drive.taskFile;
    const bit = 1 << this.#slot;
    this.#post(RECEIVED_DEVICE_BITS, deviceBitsFis(this.#deviceFis, status, error, failed ? 0 : bit));
    this.#port.setTaskFile((this.#registers.tfd & ~DEVICE_BITS_STATUS) | (status & DEVICE_BITS_STATUS), error);
    if (failed) {
      // The others are aborted with it; READ LOG EXT will say which one it was (Serial ATA 2.6 §13.6.4.3).
      if (drive instanceof AtaDisk) drive.noteQueuedError(this.#slot);
      this.#queue.clear();
      this.#stop(IS_DEVICE_BITS_FIS | IS_TASK_FILE_ERROR);
      return;
    }
    this.#phase = 'ready';
    this.#registers.sact &= ~bit;
    this.#port.raise(IS_DEVICE_BITS_FIS);
  }

  #stop(cause: number): void {
    this.#phase = 'stopped';
    this.#port.raise(cause);
  }

  #post(offset: number, bytes: number): void {
    this.#port.post(offset, this.#deviceFis.subarray(0, bytes));
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
export function address(low: number, high: number): Gpa {
  return (high >>> 0) * 0x1_0000_0000 + (low >>> 0);
}
