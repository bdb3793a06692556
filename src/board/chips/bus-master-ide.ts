/**
 * One channel of a bus master IDE controller: the eight ports through which a driver hands it a table of physical regions.
 *
 * Spec: "Programming Interface for Bus Master IDE Controller", revision 1.0 ("BM"); Intel 82371SB (PIIX3) datasheet §2.7.
 * A table lies within 64 KiB; a count of 0 is 64 KiB.
 *
 * Not modelled: simplex controllers; a region that crosses 64 KiB is moved as it says.
 */
import type { AccessSize, DmaPort, Gpa } from '../../contracts/index.ts';
import type { AtaDevice } from '../storage/ata-device.ts';
import { type Descriptor, type DescriptorTable, type Move, ScatterGather } from '../storage/scatter-gather.ts';

// Register offsets (BM §2.0)
const COMMAND = 0;
const STATUS = 2;
const TABLE = 4;
export const BUS_MASTER_BYTES = 8;

const COMMAND_START = 1 << 0;
/** Towards memory. */
const COMMAND_WRITE_MEMORY = 1 << 3;
const STATUS_ACTIVE = 1 << 0;
const STATUS_ERROR = 1 << 1;
const STATUS_INTERRUPT = 1 << 2;
/** Notes from firmware to driver: drives 0 and 1 are set up for DMA. */
const STATUS_DRIVES_CAPABLE = 0x60;

const DESCRIPTOR_BYTES = 8;
const END_OF_TABLE = 0x8000_0000;
const MOST_REGION_BYTES = 0x1_0000;
/** A table does not cross 64 KiB: so many descriptors, then it is over, end mark or not. */
const MOST_TABLE_DESCRIPTORS = 0x1_0000 / DESCRIPTOR_BYTES;

export interface BusMasterIdeOptions {
  readonly dma: DmaPort;
  /** The driver started or stopped the engine. */
  readonly changed: () => void;
}

export interface BusMasterIdeState {
  readonly command: number;
  readonly status: number;
  readonly table: number;
  readonly index: number;
  readonly used: number;
}

export class BusMasterIde implements DescriptorTable {
  readonly #dma: DmaPort;
  readonly #changed: () => void;
  readonly #scatter = new ScatterGather();
  #command = 0;
  #status = 0;
  #table: Gpa = 0;

  constructor({ dma, changed }: BusMasterIdeOptions) {
    this.#dma = dma;
    this.#changed = changed;
  }

  get started(): boolean {
    return (this.#status & STATUS_ACTIVE) !== 0;
  }

  reset(): void {
    this.#command = 0;
    this.#status = 0;
    this.#table = 0;
    this.#scatter.rewind();
  }

  read(offset: number, size: AccessSize): number {
    let value = 0;
    for (let i = size - 1; i >= 0; i--) value = (value << 8) | this.#readByte(offset + i);
    return value >>> 0;
  }

  write(offset: number, size: AccessSize, value: number): void {
    for (let i = 0; i < size; i++) this.#writeByte(offset + i, (value >>> (8 * i)) & 0xff);
  }

  /** The drive raised its interrupt: all of its data is in memory by now. */
  interrupt(): void {
    this.#status |= STATUS_INTERRUPT;
  }

  /** Moves a piece of what `device` wants moved. After `short`, `refused` or `failed` the engine stands still. */
  move(device: AtaDevice): Move {
    const towardsMemory = (this.#command & COMMAND_WRITE_MEMORY) !== 0;
    if (towardsMemory !== (device.transfer.direction === 'in')) {
      device.abort();
      return this.#stop('refused');
    }
    const result = this.#scatter.move(device, this, this.#dma);
    if (result !== 'moved') return this.#stop(result);
    // BM §2.1: a table that is larger than the transfer leaves the engine active.
    if (device.transfer.direction === 'none' && this.#scatter.isUsedUp(this)) this.#status &= ~STATUS_ACTIVE;
    return result;
  }

  /** Of the table: BM §1.2. */
  fetch(index: number, descriptor: Descriptor): 'fetched' | 'end' | 'refused' {
    if (index >= MOST_TABLE_DESCRIPTORS) return 'end';
    if (index > 0) {
      const previous = this.#dma.read32(this.#descriptorAddress(index - 1) + 4);
      if (previous === undefined) return 'refused';
      if (previous & END_OF_TABLE) return 'end';
    }
    const at = this.#descriptorAddress(index);
    const address = this.#dma.read32(at);
    const count = this.#dma.read32(at + 4);
    if (address === undefined || count === undefined) return 'refused';
    descriptor.address = (address & ~1) >>> 0;
    descriptor.bytes = count & 0xfffe || MOST_REGION_BYTES;
    descriptor.interrupt = false;
    return 'fetched';
  }

  save(): BusMasterIdeState {
    const { index, used } = this.#scatter;
    return { command: this.#command, status: this.#status, table: this.#table, index, used };
  }

  restore(state: BusMasterIdeState): void {
    this.#command = state.command;
    this.#status = state.status;
    this.#table = state.table;
    this.#scatter.rewind();
    this.#scatter.index = state.index;
    this.#scatter.used = state.used;
  }

  #stop(why: Move): Move {
    this.#status &= ~STATUS_ACTIVE;
    if (why === 'refused') this.#status |= STATUS_ERROR;
    return why;
  }

  /** Within the 64 KiB of its first one. */
  #descriptorAddress(index: number): Gpa {
    const low = (this.#table + DESCRIPTOR_BYTES * index) & 0xffff;
    return ((this.#table & 0xffff_0000) >>> 0) + low;
  }

  #readByte(offset: number): number {
    switch (offset) {
      case COMMAND:
        return this.#command;
      case STATUS:
        return this.#status;
      default:
        return offset >= TABLE && offset < BUS_MASTER_BYTES ? (this.#table >>> (8 * (offset - TABLE))) & 0xff : 0;
    }
  }

  #writeByte(offset: number, value: number): void {
    if (offset === COMMAND) this.#writeCommand(value);
    else if (offset === STATUS) {
      const cleared = value & (STATUS_ERROR | STATUS_INTERRUPT);
      this.#status = (this.#status & ~(STATUS_DRIVES_CAPABLE | cleared)) | (value & STATUS_DRIVES_CAPABLE);
    } else if (offset >= TABLE && offset < BUS_MASTER_BYTES) {
      const shift = 8 * (offset - TABLE);
      this.#table = ((this.#table & ~(0xff << shift)) | ((value << shift) & ~3)) >>> 0;
    }
  }

  #writeCommand(value: number): void {
    const before = this.#command & COMMAND_START;
    this.#command = value & (COMMAND_START | COMMAND_WRITE_MEMORY);
    const now = this.#command & COMMAND_START;
    if (now === before) return;
    if (now) {
      this.#scatter.rewind();
      this.#status |= STATUS_ACTIVE;
    } else this.#status &= ~STATUS_ACTIVE;
    this.#changed();
  }
}
