/**
 * Moves the data of a device to and from the pieces of RAM that a table of descriptors names, a bounded piece of work at a time.
 *
 * The table is the guest's: it may be endless, name the same bytes twice, or no RAM at all. So one call looks at no more than
 * {@link MOST_DESCRIPTORS} of them and moves no more than {@link MOST_BYTES}; all that is kept between calls is a descriptor's number and
 * how much of it is used up.
 */
import type { Bytes, DmaPort, Gpa } from '../../contracts/index.ts';
import type { AtaDevice } from './ata-device.ts';

/** Per call of `move`. */
export const MOST_BYTES = 64 * 1024;
/** At 2 bytes each, the least that a descriptor can have, these still make a sector. */
export const MOST_DESCRIPTORS = 512;

/** One descriptor, as its table read it. */
export interface Descriptor {
  address: Gpa;
  bytes: Bytes;
  /** The guest wants to be told when it is used up. */
  interrupt: boolean;
}

export interface DescriptorTable {
  /** Reads descriptor `index` into `descriptor`. `end`: there is none; `refused`: it lies outside RAM. */
  fetch(index: number, descriptor: Descriptor): 'fetched' | 'end' | 'refused';
}

/**
 * `moved`: go on. `short`: the table has no room for what is left. `refused`: a table or a piece lies outside RAM; the device has been
 * told to abort. `failed`: the device ended the command with an error.
 */
export type Move = 'moved' | 'short' | 'refused' | 'failed';

export class ScatterGather {
  /** Where the next byte goes: descriptor and how much of it is used up. */
  index = 0;
  used: Bytes = 0;
  /** Moved since `rewind`. */
  bytes: Bytes = 0;
  /** A descriptor that asks for an interrupt has been used up; to be cleared by the reader. */
  interrupt = false;
  readonly #scratch = new Uint8Array(MOST_BYTES);
  readonly #addresses = new Float64Array(MOST_DESCRIPTORS);
  readonly #lengths = new Uint32Array(MOST_DESCRIPTORS);
  /** Of the pieces listed. */
  #count = 0;
  readonly #descriptor: Descriptor = { address: 0, bytes: 0, interrupt: false };

  rewind(): void {
    this.index = 0;
    this.used = 0;
    this.bytes = 0;
    this.interrupt = false;
  }

  /** Moves a piece of what `device` wants moved. */
  move(device: AtaDevice, table: DescriptorTable, dma: DmaPort): Move {
    const { direction, remaining } = device.transfer;
    const wanted = Math.min(remaining, MOST_BYTES);
    const { index, used, interrupt } = this;
    const found = this.#gather(table, wanted);
    if (found < 0) {
      device.abort();
      return 'refused';
    }
    const usable = found === remaining ? found : found - (found % device.granularity);
    if (usable === 0) {
      this.index = index;
      this.used = used;
      this.interrupt = interrupt;
      return 'short';
    }
    if (usable < found) {
      // What is left of the last descriptors waits for the next call: walk once more, to the byte.
      this.index = index;
      this.used = used;
      this.interrupt = interrupt;
      this.#gather(table, usable);
    }
    const scratch = this.#scratch.subarray(0, usable);
    if (direction === 'in' && !device.read(scratch)) return 'failed';
    if (!this.#copy(dma, direction === 'in', scratch)) {
      device.abort();
      return 'refused';
    }
    if (direction === 'out' && !device.write(scratch)) return 'failed';
    this.bytes += usable;
    return 'moved';
  }

  /** Nothing of the table is left unused. */
  isUsedUp(table: DescriptorTable): boolean {
    return this.used === 0 && table.fetch(this.index, this.#descriptor) === 'end';
  }

  /** Lists pieces of at most `wanted` bytes together and moves the cursor behind them. −1: the table is not in RAM. */
  #gather(table: DescriptorTable, wanted: Bytes): number {
    const descriptor = this.#descriptor;
    let bytes = 0;
    let count = 0;
    let interrupt = this.interrupt;
    while (bytes < wanted && count < MOST_DESCRIPTORS) {
      const result = table.fetch(this.index, descriptor);
      if (result === 'refused') return -1;
      if (result === 'end') break;
      // The guest may have made it shorter since the last call.
      const left = Math.max(0, descriptor.bytes - this.used);
      const piece = Math.min(left, wanted - bytes);
      this.#addresses[count] = descriptor.address + this.used;
      this.#lengths[count++] = piece;
      bytes += piece;
      this.used += piece;
      if (piece < left) break;
      this.index++;
      this.used = 0;
      interrupt ||= descriptor.interrupt;
    }
    this.interrupt = interrupt;
    this.#count = count;
    return bytes;
  }

  #copy(dma: DmaPort, toMemory: boolean, data: Uint8Array): boolean {
    let at = 0;
    for (let i = 0; i < this.#count; i++) {
      const length = this.#lengths[i] as number;
      if (length === 0) continue;
      const address = this.#addresses[i] as number;
      const piece = data.subarray(at, at + length);
      if (!(toMemory ? dma.write(address, piece) : dma.read(address, piece))) return false;
      at += length;
    }
    return true;
  }
}
