/**
 * Bytes that several partitions reach: a piece of one SharedArrayBuffer, as an engine accesses it for its guest.
 *
 * Pieces of 1, 2, 4 and 8 bytes at a multiple of their size are accessed as one, in sequentially consistent order with every other such
 * access, whichever thread makes it (ECMA-262 §29.10). That is more than x86 promises its programs (SDM 3A §9.1.1, §9.2.2). Anything
 * else is taken apart into such pieces, from the lowest address up.
 *
 * Not modelled: x86's promise that unaligned accesses within one cache line are done as one.
 */
export class SharedWindow {
  readonly buffer: SharedArrayBuffer;
  readonly size: number;
  /** False: stores do nothing. */
  readonly writable: boolean;
  readonly #u8: Uint8Array;
  readonly #u16: Uint16Array;
  readonly #u32: Uint32Array;
  readonly #u64: BigUint64Array;

  /** The whole of `buffer`, whose length is a multiple of 8. */
  constructor(buffer: SharedArrayBuffer, writable: boolean) {
    this.buffer = buffer;
    this.size = buffer.byteLength;
    this.writable = writable;
    this.#u8 = new Uint8Array(buffer);
    this.#u16 = new Uint16Array(buffer);
    this.#u32 = new Uint32Array(buffer);
    this.#u64 = new BigUint64Array(buffer);
  }

  /** Loads an unsigned number; one access where `offset` is a multiple of `size`. Bytes beyond the end read as ones. */
  read(offset: number, size: 1 | 2 | 4): number {
    if (offset + size > this.size) return 2 ** (8 * size) - 1;
    if (size === 4 && (offset & 3) === 0) return Atomics.load(this.#u32, offset >>> 2);
    if (size === 2 && (offset & 1) === 0) return Atomics.load(this.#u16, offset >>> 1);
    if (size === 1) return Atomics.load(this.#u8, offset);
    let value = 0;
    for (let i = size - 1; i >= 0; i--) value = (value << 8) | Atomics.load(this.#u8, offset + i);
    return value >>> 0;
  }

  write(offset: number, size: 1 | 2 | 4, value: number): void {
    if (!this.writable || offset + size > this.size) return;
    if (size === 4 && (offset & 3) === 0) Atomics.store(this.#u32, offset >>> 2, value);
    else if (size === 2 && (offset & 1) === 0) Atomics.store(this.#u16, offset >>> 1, value);
    else for (let i = 0; i < size; i++) Atomics.store(this.#u8, offset + i, (value >>> (8 * i)) & 0xff);
  }

  /** Loads `size` bytes, all of them within the window, into `into` from `at` on. */
  load(offset: number, into: DataView, at: number, size: number): void {
    for (let done = 0; done < size; ) {
      const from = offset + done;
      const piece = largestPiece(from, size - done);
      if (piece === 8) into.setBigUint64(at + done, Atomics.load(this.#u64, from >>> 3), true);
      else if (piece === 4) into.setUint32(at + done, Atomics.load(this.#u32, from >>> 2), true);
      else if (piece === 2) into.setUint16(at + done, Atomics.load(this.#u16, from >>> 1), true);
      else into.setUint8(at + done, Atomics.load(this.#u8, from));
      done += piece;
    }
  }

  /** Stores `size` bytes, all of them within the window, of `from` from `at` on. */
  store(offset: number, from: DataView, at: number, size: number): void {
    if (!this.writable) return;
    for (let done = 0; done < size; ) {
      const to = offset + done;
      const piece = largestPiece(to, size - done);
      if (piece === 8) Atomics.store(this.#u64, to >>> 3, from.getBigUint64(at + done, true));
      else if (piece === 4) Atomics.store(this.#u32, to >>> 2, from.getUint32(at + done, true));
      else if (piece === 2) Atomics.store(this.#u16, to >>> 1, from.getUint16(at + done, true));
      else Atomics.store(this.#u8, to, from.getUint8(at + done));
      done += piece;
    }
  }

  /**
   * Stores `size` bytes of `from` (at `at`) if the window still has those at the beginning of `expected` there, in one access. False, and
   * nothing stored, when it has others. Only for what {@link isOnePiece}.
   */
  replace(offset: number, expected: DataView, from: DataView, at: number, size: number): boolean {
    if (!this.writable) return true;
    if (size === 8) {
      const old = expected.getBigUint64(0, true);
      return Atomics.compareExchange(this.#u64, offset >>> 3, old, from.getBigUint64(at, true)) === old;
    }
    if (size === 4) {
      const old = expected.getUint32(0, true);
      return Atomics.compareExchange(this.#u32, offset >>> 2, old, from.getUint32(at, true)) === old;
    }
    if (size === 2) {
      const old = expected.getUint16(0, true);
      return Atomics.compareExchange(this.#u16, offset >>> 1, old, from.getUint16(at, true)) === old;
    }
    const old = expected.getUint8(0);
    return Atomics.compareExchange(this.#u8, offset, old, from.getUint8(at)) === old;
  }

  /** `size` bytes at `offset` can be read and stored as one. */
  static isOnePiece(offset: number, size: number): boolean {
    return (size === 1 || size === 2 || size === 4 || size === 8) && offset % size === 0;
  }
}

function largestPiece(offset: number, left: number): number {
  if ((offset & 7) === 0 && left >= 8) return 8;
  if ((offset & 3) === 0 && left >= 4) return 4;
  if ((offset & 1) === 0 && left >= 2) return 2;
  return 1;
}
