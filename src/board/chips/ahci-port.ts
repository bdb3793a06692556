/**
 * One port of an AHCI controller and the drive on its cable: its registers, the link, the frames that come back. What software issues is
 * carried out by {@link AhciCommandList}.
 *
 * Spec: Serial ATA AHCI 1.3.1 ("AHCI") §3.3 (registers), §5.3 (port state machine), §10.4 (resets).
 * Not modelled: port multipliers, FIS-based switching, link power states, device sleep, hot plug, BIST.
 */
import type { Clock, DmaPort, Nanos } from '../../contracts/index.ts';
import { type AtaDevice, type AtaDeviceState, STATUS_BUSY, STATUS_DATA_REQUEST } from '../storage/ata-device.ts';
import { RECEIVED_REGISTER, REGISTER_FIS_BYTES, registerFis } from '../storage/fis.ts';
import { address, AhciCommandList, type CommandListPort, type CommandListState } from './ahci-command-list.ts';
import {
  CI,
  CLB,
  CLBU,
  CMD,
  CMD_ATAPI,
  CMD_LED,
  CMD_LIST_RUNNING,
  CMD_OVERRIDE,
  CMD_POWER_ON,
  CMD_RECEIVE_ENABLE,
  CMD_RECEIVE_RUNNING,
  CMD_SLOT_SHIFT,
  CMD_SPIN_UP,
  CMD_START,
  DET,
  DET_OFFLINE,
  DET_RESET,
  FB,
  FBU,
  IE,
  IE_WRITABLE,
  IS,
  IS_CLEARABLE,
  IS_CONNECT_CHANGE,
  POWER_ON,
  SACT,
  SCTL,
  SERR,
  SERR_EXCHANGED,
  SIG,
  SIG_NONE,
  SSTS,
  SSTS_ESTABLISHED,
  SSTS_OFFLINE,
  TFD,
  type PortRegisters,
} from './ahci-port-registers.ts';

export { SLOTS } from './ahci-command-list.ts';
export { PORT_BYTES } from './ahci-port-registers.ts';

export interface AhciPortOptions {
  readonly drive: AtaDevice | undefined;
  readonly dma: DmaPort;
  readonly clock: Clock;
  /** From a command to its first data or its end; queued commands overlap theirs. */
  readonly latency: Nanos;
  /** PxIS or PxIE changed. */
  readonly changed: () => void;
}

export interface AhciPortState extends CommandListState {
  readonly registers: Readonly<PortRegisters>;
  readonly drive: AtaDeviceState | null;
}

export class AhciPort implements CommandListPort {
  readonly registers: PortRegisters = { ...POWER_ON };
  readonly drive: AtaDevice | undefined;
  readonly dma: DmaPort;
  readonly clock: Clock;
  readonly latency: Nanos;
  readonly #changed: () => void;
  readonly #list: AhciCommandList;
  readonly #deviceFis = new Uint8Array(REGISTER_FIS_BYTES);

  constructor({ drive, dma, clock, latency, changed }: AhciPortOptions) {
    this.drive = drive;
    this.dma = dma;
    this.clock = clock;
    this.latency = latency;
    this.#changed = changed;
    this.#list = new AhciCommandList(this);
  }

  /** An enabled interrupt is pending (§3.1.4). */
  get interrupting(): boolean {
    return (this.registers.is & this.registers.ie) !== 0;
  }

  /** Reset of the controller, with the link trained anew (§10.4.3); PxCLB and PxFB keep nothing either. */
  reset(): void {
    Object.assign(this.registers, POWER_ON);
    this.#list.reset();
    this.#resetDrive();
    this.#changed();
  }

  pause(): void {
    this.#list.pause();
  }

  resume(): void {
    this.#list.resume();
  }

  read(offset: number): number {
    switch (offset) {
      case CLB:
        return this.registers.clb;
      case CLBU:
        return this.registers.clbu;
      case FB:
        return this.registers.fb;
      case FBU:
        return this.registers.fbu;
      case IS:
        return this.registers.is >>> 0;
      case IE:
        return this.registers.ie >>> 0;
      case CMD:
        return this.#readCommand();
      case TFD:
        return this.registers.tfd;
      case SIG:
        return this.registers.sig >>> 0;
      case SSTS:
        return this.#linkStatus();
      case SCTL:
        return this.registers.sctl;
      case SERR:
        return this.registers.serr >>> 0;
      case SACT:
        return this.registers.sact >>> 0;
      case CI:
        return this.registers.ci >>> 0;
      default:
        return 0;
    }
  }

  write(offset: number, value: number): void {
    switch (offset) {
      case CLB:
        this.registers.clb = (value & ~0x3ff) >>> 0;
        break;
      case CLBU:
        this.registers.clbu = value;
        break;
      case FB:
        this.registers.fb = (value & ~0xff) >>> 0;
        break;
      case FBU:
        this.registers.fbu = value;
        break;
      case IS:
        this.registers.is &= ~(value & IS_CLEARABLE);
        this.#changed();
        break;
      case IE:
        this.registers.ie = value & IE_WRITABLE;
        this.#changed();
        break;
      case CMD:
        this.#writeCommand(value);
        break;
      case SCTL:
        this.#writeControl(value);
        break;
      case SERR:
        this.registers.serr &= ~value;
        if (!(this.registers.serr & SERR_EXCHANGED)) this.registers.is &= ~IS_CONNECT_CHANGE;
        this.#changed();
        break;
      case SACT:
        if (this.registers.cmd & CMD_START) this.registers.sact |= value;
        break;
      case CI:
        if (!(this.registers.cmd & CMD_START)) break;
        this.registers.ci |= value;
        this.#list.kick();
        break;
    }
  }

  save(): AhciPortState {
    return { registers: { ...this.registers }, ...this.#list.save(), drive: this.drive?.save() ?? null };
  }

  restore(state: AhciPortState): void {
    Object.assign(this.registers, state.registers);
    if (state.drive !== null) this.drive?.restore(state.drive);
    this.#changed();
    this.#list.restore(state);
  }

  isEstablished(): boolean {
    return this.#linkStatus() === SSTS_ESTABLISHED;
  }

  raise(bits: number): void {
    this.registers.is |= bits;
    this.#changed();
  }

  setTaskFile(status: number, error: number): void {
    this.registers.tfd = ((error << 8) | status) & 0xffff;
  }

  post(offset: number, frame: Uint8Array): void {
    if (this.registers.cmd & CMD_RECEIVE_ENABLE) this.dma.write(address(this.registers.fb, this.registers.fbu) + offset, frame);
  }

  // Registers with a life of their own

  #readCommand(): number {
    const running = this.registers.cmd & CMD_START ? CMD_LIST_RUNNING : 0;
    const receiving = this.registers.cmd & CMD_RECEIVE_ENABLE ? CMD_RECEIVE_RUNNING : 0;
    return this.registers.cmd | CMD_SPIN_UP | CMD_POWER_ON | running | receiving | (running === 0 ? 0 : this.#list.slot << CMD_SLOT_SHIFT);
  }

  #writeCommand(value: number): void {
    const before = this.registers.cmd;
    this.registers.cmd = value & (CMD_START | CMD_RECEIVE_ENABLE | CMD_ATAPI | CMD_LED);
    if (value & CMD_OVERRIDE) this.registers.tfd &= ~(STATUS_BUSY | STATUS_DATA_REQUEST);
    if (before & CMD_START && !(this.registers.cmd & CMD_START)) this.#list.stopList();
  }

  #writeControl(value: number): void {
    const before = this.registers.sctl & DET;
    this.registers.sctl = value & 0xfff;
    const now = this.registers.sctl & DET;
    if (now === before) return;
    // COMRESET is held as long as DET is 1, and over when it is 0 again (§10.4.2). PxCI and PxSACT outlive it.
    if (now === DET_RESET || now === DET_OFFLINE) {
      this.#list.forget();
      this.registers.tfd = 0x7f;
      this.registers.sig = SIG_NONE;
    } else if (before === DET_RESET || before === DET_OFFLINE) this.#resetDrive();
  }

  #linkStatus(): number {
    if ((this.registers.sctl & DET) === DET_OFFLINE) return SSTS_OFFLINE;
    if (this.drive === undefined || (this.registers.sctl & DET) === DET_RESET) return 0;
    return SSTS_ESTABLISHED;
  }

  /** The link comes up: the drive says what it is (§10.1.1, §5.3.2). */
  #resetDrive(): void {
    this.registers.tfd = 0x7f;
    this.registers.sig = SIG_NONE;
    const drive = this.drive;
    if (drive === undefined) return;
    drive.reset('hardware');
    this.registers.serr |= SERR_EXCHANGED;
    this.registers.is |= IS_CONNECT_CHANGE;
    this.#changed();
    this.announce();
  }

  /** The first register frame after a reset is taken even while others are not (§3.3.7, FRE); the driver waits for BSY to clear. */
  announce(): void {
    const drive = this.drive;
    if (drive === undefined) return;
    const { taskFile } = drive;
    this.registers.sig = (drive.signature << 8) | (taskFile.count & 0xff);
    this.post(RECEIVED_REGISTER, this.#deviceFis.subarray(0, registerFis(this.#deviceFis, taskFile, taskFile.status)));
    this.setTaskFile(taskFile.status, taskFile.error);
  }
}
