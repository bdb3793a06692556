/**
 * One request of a driver: the buffers of a descriptor chain, copied out of guest memory once and checked. What the guest does to its
 * descriptors afterwards changes nothing.
 *
 * Spec: VIRTIO 1.2 §2.7.4 (message framing), §2.7.5 (descriptor table): buffers the device reads come first, those it writes behind them.
 */
import type { Bytes, DmaPort, Gpa } from '../../contracts/index.ts';

const FIRST_CAPACITY = 16;

/** What is done with a part of a chain: the `size` bytes at `address`, which belong to `bytes` at `at`. */
type Move = (address: Gpa, bytes: Uint8Array, at: number, size: Bytes) => boolean;

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

  /** Calls `move` for each part of `[offset, offset + size)`, which belongs to `bytes` at 0; false when it does not lie within, or `move` says so. */
  each(offset: number, bytes: Uint8Array, size: Bytes, move: Move): boolean {
    if (offset < 0 || offset + size > this.total) return false;
    if (offset < this.#start) {
      this.#piece = 0;
      this.#start = 0;
    }
    let done = 0;
    while (done < size) {
      const length = this.#lengths[this.#piece] as number;
      const within = offset + done - this.#start;
      if (within >= length) {
        this.#start += length;
        this.#piece++;
        continue;
      }
      const part = Math.min(size - done, length - within);
      if (!move((this.#addresses[this.#piece] as number) + within, bytes, done, part)) return false;
      done += part;
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
  readonly #fetch: Move;
  readonly #store: Move;

  constructor(dma: DmaPort) {
    this.#dma = dma;
    this.#fetch = (address, bytes, at, size) => this.#dma.read(address, bytes, at, size);
    this.#store = (address, bytes, at, size) => this.#dma.write(address, bytes, at, size);
  }

  /** Bytes the driver wrote for the device. */
  get readableBytes(): Bytes {
    return this.#readable.total;
  }

  /** Bytes the driver left room for. */
  get writableBytes(): Bytes {
    return this.#writable.total;
  }

  /** Fills `target`, or the first `size` bytes of it, from `offset` of what the driver wrote. False when there is less, or DMA was refused (bus mastering went off). */
  read(offset: number, target: Uint8Array, size: Bytes = target.length): boolean {
    return this.#readable.each(offset, target, size, this.#fetch);
  }

  /** Puts `source`, or the first `size` bytes of it, at `offset` of the room the driver left. False when there is less, or DMA was refused. */
  write(offset: number, source: Uint8Array, size: Bytes = source.length): boolean {
    return this.#writable.each(offset, source, size, this.#store);
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
