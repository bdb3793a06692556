/**
 * A ring of frames over shared memory: one producer thread, one consumer thread, no locks, nobody ever waits. It carries one direction
 * of an Ethernet wire between two partitions.
 *
 * A frame lies in one piece: a length word, its bytes, and padding to the next word. One that does not fit before the end of the ring
 * leaves a mark there and starts at the beginning. A full ring refuses; what becomes of the frame is the producer's choice.
 *
 * Head and tail are free-running 32-bit counters of bytes; each is written by one side only.
 *
 * Not modelled: several producers or several consumers on one ring.
 */

const HEAD = 0;
const TAIL = 1;
/** Frames ever put in, and ever taken out. */
const PUT = 2;
const TAKEN = 3;
const REFUSED = 4;
/** Whether somebody is there to take frames out. */
const READER = 5;
const HEADER_WORDS = 8;
const HEADER_BYTES = HEADER_WORDS * 4;
const LENGTH_BYTES = 4;
/** In place of a length: the rest up to the end of the ring is unused. */
const SKIP = 0xffff_ffff;

export class FrameRing {
  /** What to post to the other thread; `FrameRing.over` makes a ring of it there. */
  readonly buffer: SharedArrayBuffer;
  readonly capacity: number;
  readonly #words: Int32Array;
  readonly #bytes: Uint8Array;
  /** The same bytes, for the length words. */
  readonly #lengths: Uint32Array;
  readonly #mask: number;

  private constructor(buffer: SharedArrayBuffer) {
    this.buffer = buffer;
    this.#words = new Int32Array(buffer, 0, HEADER_WORDS);
    this.#bytes = new Uint8Array(buffer, HEADER_BYTES);
    this.#lengths = new Uint32Array(buffer, HEADER_BYTES);
    this.capacity = this.#bytes.length;
    this.#mask = this.capacity - 1;
  }

  /** `capacity` in bytes, rounded up to a power of two of at least 64. */
  static create(capacity: number): FrameRing {
    const rounded = 2 ** Math.max(6, Math.ceil(Math.log2(capacity)));
    return new FrameRing(new SharedArrayBuffer(HEADER_BYTES + rounded));
  }

  /** The same ring, seen from another thread. */
  static over(buffer: SharedArrayBuffer): FrameRing {
    return new FrameRing(buffer);
  }

  /** Frames waiting for the consumer. */
  get length(): number {
    return (Atomics.load(this.#words, PUT) - Atomics.load(this.#words, TAKEN)) >>> 0;
  }

  /** Consumer. Bytes of the oldest frame; 0 when none waits. */
  get nextLength(): number {
    return this.length === 0 ? 0 : (this.#lengths[(this.#front() & this.#mask) >>> 2] as number);
  }

  /** Frames the producer gave up because they did not fit; wraps at 2^32. */
  get refused(): number {
    return Atomics.load(this.#words, REFUSED) >>> 0;
  }

  /** The consumer says whether it is there. Coming, it starts with what is put in from now on. */
  set reader(present: boolean) {
    if (present) {
      const { length } = this;
      for (let frame = 0; frame < length; frame++) this.#drop();
    }
    Atomics.store(this.#words, READER, present ? 1 : 0);
  }

  get reader(): boolean {
    return Atomics.load(this.#words, READER) === 1;
  }

  /** Producer. False, and nothing put in, when there is no room (never, for a frame longer than half the ring). */
  push(frame: Uint8Array): boolean {
    const head = Atomics.load(this.#words, HEAD);
    let tail = Atomics.load(this.#words, TAIL);
    const size = LENGTH_BYTES + roundUp(frame.length);
    const toEnd = this.capacity - (tail & this.#mask);
    const skipped = toEnd < size ? toEnd : 0;
    if (size > this.capacity / 2 || ((tail - head) >>> 0) + skipped + size > this.capacity) return false;
    if (skipped > 0) {
      this.#lengths[(tail & this.#mask) >>> 2] = SKIP;
      tail = (tail + skipped) | 0;
    }
    const at = tail & this.#mask;
    this.#lengths[at >>> 2] = frame.length;
    this.#bytes.set(frame, at + LENGTH_BYTES);
    Atomics.store(this.#words, TAIL, (tail + size) | 0);
    Atomics.add(this.#words, PUT, 1);
    return true;
  }

  /** Producer. Notes that a frame was given up. */
  countRefusal(): void {
    Atomics.add(this.#words, REFUSED, 1);
  }

  /** Consumer. Copies the oldest frame to `target`, cut when that is too small, and returns how many bytes; 0 when there is none. */
  shift(target: Uint8Array): number {
    if (this.length === 0) return 0;
    const at = this.#front() & this.#mask;
    const length = this.#lengths[at >>> 2] as number;
    const count = Math.min(length, target.length);
    target.set(this.#bytes.subarray(at + LENGTH_BYTES, at + LENGTH_BYTES + count));
    this.#drop();
    return count;
  }

  /** Where the oldest frame lies, past the unused end. */
  #front(): number {
    const head = Atomics.load(this.#words, HEAD);
    const at = head & this.#mask;
    return this.#lengths[at >>> 2] === SKIP ? head + this.capacity - at : head;
  }

  #drop(): void {
    const front = this.#front();
    const size = LENGTH_BYTES + roundUp(this.#lengths[(front & this.#mask) >>> 2] as number);
    Atomics.store(this.#words, HEAD, (front + size) | 0);
    Atomics.add(this.#words, TAKEN, 1);
  }
}

function roundUp(bytes: number): number {
  return (bytes + 3) & ~3;
}
