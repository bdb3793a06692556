/**
 * One request of a driver: the buffers of a descriptor chain, copied out of guest memory once and checked. What the guest does to its
 * descriptors afterwards changes nothing.
 *
 * Spec: VIRTIO 1.2 §2.7.4 (message framing), §2.7.5 (descriptor table): buffers the device reads come first, those it writes behind them.
 */
import type { Bytes, DmaPort, Gpa } from '../../contracts/index.ts';

const FIRST_CAPACITY = 16;

/** One direction of a chain: consecutive bytes, wherever their pieces lie. */
class Pieces {
  total: Bytes = 0;
  #count = 0;
  #addresses = new Float64Array(FIRST_CAPACITY);
  #lengths = new Uint32Array(FIRST_CAPACITY);
  /** The piece of the last access and the offset it begins at: accesses mostly go forward. */
  #piece = 0;
  #start = 0;

  clear(): void {
    this.total = 0;
    this.#count = 0;
    this.#piece = 0;
    this.#start = 0;
  }

  add(address: Gpa, length: Bytes): void {
    if (this.#count === this.#lengths.length) this.#grow();
    this.#addresses[this.#count] = address;
    this.#lengths[this.#count++] = length;
    this.total += length;
  }

  /** Calls `move` for each part of `[offset, offset + bytes.length)`; false when it does not lie within, or `move` says so. */
  each(offset: number, bytes: Uint8Array, move: (address: Gpa, part: Uint8Array) => boolean): boolean {
    if (offset < 0 || offset + bytes.length > this.total) return false;
    if (offset < this.#start) {
      this.#piece = 0;
      this.#start = 0;
    }
    let done = 0;
    while (done < bytes.length) {
      const length = this.#lengths[this.#piece] as number;
      const within = offset + done - this.#start;
      if (within >= length) {
        this.#start += length;
        this.#piece++;
        continue;
      }
      const size = Math.min(bytes.length - done, length - within);
      const part = size === bytes.length ? bytes : bytes.subarray(done, done + size);
      if (!move((this.#addresses[this.#piece] as number) + within, part)) return false;
      done += size;
    }
    return true;
  }

  #grow(): void {
    const addresses = new Float64Array(this.#addresses.length * 2);
    const lengths = new Uint32Array(addresses.length);
    addresses.set(this.#addresses);
    lengths.set(this.#lengths);
    this.#addresses = addresses;
    this.#lengths = lengths;
  }
}

export class Chain {
  /** The descriptor it begins with: what the driver knows it by. */
  head = 0;
  readonly #dma: DmaPort;
  readonly #readable = new Pieces();
  readonly #writable = new Pieces();
  readonly #fetch: (address: Gpa, part: Uint8Array) => boolean;
  readonly #store: (address: Gpa, part: Uint8Array) => boolean;

  constructor(dma: DmaPort) {
    this.#dma = dma;
    this.#fetch = (address, part) => this.#dma.read(address, part);
    this.#store = (address, part) => this.#dma.write(address, part);
  }

  /** Bytes the driver wrote for the device. */
  get readableBytes(): Bytes {
    return this.#readable.total;
  }

  /** Bytes the driver left room for. */
  get writableBytes(): Bytes {
    return this.#writable.total;
  }

  /** Fills `target` from `offset` of what the driver wrote. False when there is less, or DMA was refused (bus mastering went off). */
  read(offset: number, target: Uint8Array): boolean {
    return this.#readable.each(offset, target, this.#fetch);
  }

  /** Puts `source` at `offset` of the room the driver left. False when there is less, or DMA was refused. */
  write(offset: number, source: Uint8Array): boolean {
    return this.#writable.each(offset, source, this.#store);
  }

  /** The queue's own: begins anew. */
  begin(head: number): void {
    this.head = head;
    this.#readable.clear();
    this.#writable.clear();
  }

  /** The queue's own. */
  add(address: Gpa, length: Bytes, writable: boolean): void {
    (writable ? this.#writable : this.#readable).add(address, length);
  }
}
