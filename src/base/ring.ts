/**
 * A byte ring over shared memory: one producer thread, one consumer thread, no locks, nobody ever blocks.
 *
 * What happens when it is full is the producer's choice, call by call:
 * - `push` and `pushByte` refuse: nothing is lost, the producer keeps the rest. For what goes *to* a guest (typed input).
 * - `pushByteDroppingOldest` makes room by giving up the oldest bytes and counting them: the producer never waits for the consumer.
 *   For what comes *from* a guest (console output): a host that does not read can cost old output, never guest time.
 *
 * Head and tail are free-running 32-bit counters. The consumer takes bytes in two steps (copy, then a compare-and-exchange of the
 * head), so that it notices when the producer gave up bytes while it was copying them, and copies again.
 *
 * Not modelled: several producers or several consumers on one ring.
 */

const HEAD = 0;
const TAIL = 1;
const DROPPED = 2;
const HEADER_WORDS = 4;
const HEADER_BYTES = HEADER_WORDS * 4;

/** Dropping gives up a sixteenth of the ring at once, so that a flood pays for one compare-and-exchange per chunk, not per byte. */
const DROP_SHIFT = 4;
/** A flooding producer could in theory outrun every copy; then the consumer comes back later. */
const READ_ATTEMPTS = 8;

export class ByteRing {
  /** What to post to the other thread; `ByteRing.over` makes a ring of it there. */
  readonly buffer: SharedArrayBuffer;
  readonly capacity: number;
  readonly #words: Int32Array;
  readonly #bytes: Uint8Array;
  readonly #mask: number;

  private constructor(buffer: SharedArrayBuffer) {
    this.buffer = buffer;
    this.#words = new Int32Array(buffer, 0, HEADER_WORDS);
    this.#bytes = new Uint8Array(buffer, HEADER_BYTES);
    this.capacity = this.#bytes.length;
    this.#mask = this.capacity - 1;
  }

  /** `capacity` in bytes, rounded up to a power of two of at least 16. */
  static create(capacity: number): ByteRing {
    const rounded = 2 ** Math.max(4, Math.ceil(Math.log2(capacity)));
    return new ByteRing(new SharedArrayBuffer(HEADER_BYTES + rounded));
  }

  /** The same ring, seen from another thread. */
  static over(buffer: SharedArrayBuffer): ByteRing {
    return new ByteRing(buffer);
  }

  /** Bytes waiting for the consumer. */
  get length(): number {
    return (Atomics.load(this.#words, TAIL) - Atomics.load(this.#words, HEAD)) >>> 0;
  }

  /** Bytes given up so far because nobody read them in time; wraps at 2^32. */
  get dropped(): number {
    return Atomics.load(this.#words, DROPPED) >>> 0;
  }

  /** Producer. False, and nothing written, when the ring is full. */
  pushByte(byte: number): boolean {
    const tail = Atomics.load(this.#words, TAIL);
    if ((tail - Atomics.load(this.#words, HEAD)) >>> 0 >= this.capacity) return false;
    this.#bytes[tail & this.#mask] = byte;
    this.#publish(tail, 1);
    return true;
  }

  /** Producer. Takes as many of `bytes` as fit and returns how many; the caller keeps the rest. */
  push(bytes: Uint8Array): number {
    const tail = Atomics.load(this.#words, TAIL);
    const room = this.capacity - ((tail - Atomics.load(this.#words, HEAD)) >>> 0);
    const count = Math.min(room, bytes.length);
    for (let i = 0; i < count; i++) this.#bytes[(tail + i) & this.#mask] = bytes[i] as number;
    this.#publish(tail, count);
    return count;
  }

  /** Producer. Always succeeds; a full ring gives up its oldest bytes. */
  pushByteDroppingOldest(byte: number): void {
    const tail = Atomics.load(this.#words, TAIL);
    const head = Atomics.load(this.#words, HEAD);
    if ((tail - head) >>> 0 >= this.capacity) {
      const chunk = this.capacity >>> DROP_SHIFT;
      // Losing this race means that the consumer has just made room.
      if (Atomics.compareExchange(this.#words, HEAD, head, (head + chunk) | 0) === head) Atomics.add(this.#words, DROPPED, chunk);
    }
    this.#bytes[tail & this.#mask] = byte;
    this.#publish(tail, 1);
  }

  /** A consumer waits for an empty ring alone. */
  #publish(tail: number, count: number): void {
    Atomics.store(this.#words, TAIL, (tail + count) | 0);
    if (Atomics.load(this.#words, HEAD) === tail) Atomics.notify(this.#words, TAIL);
  }

  /** Consumer. Resolves when there is something to read, at once when there is something now. Keeps no process alive. */
  async arrival(): Promise<void> {
    const tail = Atomics.load(this.#words, TAIL);
    if (tail === Atomics.load(this.#words, HEAD)) await Atomics.waitAsync(this.#words, TAIL, tail).value;
  }

  /** Consumer. Moves up to `into.length` bytes out and returns how many. */
  read(into: Uint8Array): number {
    for (let attempt = 0; attempt < READ_ATTEMPTS; attempt++) {
      const head = Atomics.load(this.#words, HEAD);
      const count = Math.min((Atomics.load(this.#words, TAIL) - head) >>> 0, into.length);
      if (count === 0) return 0;
      for (let i = 0; i < count; i++) into[i] = this.#bytes[(head + i) & this.#mask] as number;
      if (Atomics.compareExchange(this.#words, HEAD, head, (head + count) | 0) === head) return count;
    }
    return 0;
  }

  /** Consumer. The oldest byte, taken out; undefined when there is none. */
  shift(): number | undefined {
    for (let attempt = 0; attempt < READ_ATTEMPTS; attempt++) {
      const head = Atomics.load(this.#words, HEAD);
      if (Atomics.load(this.#words, TAIL) === head) return undefined;
      const byte = this.#bytes[head & this.#mask];
      if (Atomics.compareExchange(this.#words, HEAD, head, (head + 1) | 0) === head) return byte;
    }
    return undefined;
  }
}
