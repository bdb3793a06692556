/**
 * What a device and the broker of a shared resource have in common: two rings of slots in shared memory, and a few words.
 *
 *     device (partition's thread)                       broker (a thread of its own)
 *     acquire() → fill words and data → submit()  ──▶   take() → do it → answer()
 *     completed() → release()                     ◀──
 *
 * A slot has words for a request and its answer, and room for data. Neither side ever waits for the other: a device without a free slot
 * leaves its request where the guest put it. Nothing in a port points anywhere: the broker cannot see guest memory, and what it finds in
 * a slot it checks as it would check a stranger's wish.
 *
 * **Generations.** Each life of a partition, and each reset of its device, is a generation of the port. It begins with the device saying so
 * (`begin`), at once and at any time; until the broker has agreed the device has no slot to use. The broker agrees when nothing of an
 * earlier generation is on its way any more: what had not been begun is dropped, what had been begun is carried out and its answer
 * thrown away. So a new life never meets requests of the old one that still move, and a partition that dies in the middle of anything
 * leaves nothing behind. Whoever ends a partition begins a generation in its name, so that its waiting requests go as well.
 */
import { ms } from '../base/index.ts';
import type { Nanos, PortBuffers } from '../contracts/index.ts';
import type { PortMetric } from './metric.ts';

// Words of the control block (Int32)
const GENERATION = 0;
/** The generation the broker has agreed to. */
const AGREED = 1;
/** The broker is gone for good. */
const CLOSED = 2;
const CONTROL_WORDS = 4;
/** Numbers behind them (Float64), each written by one thread: the broker's where nothing else is said. */
export const PORT_NUMBERS = [
  { name: 'served', unit: 'requests', column: 'done', what: 'carried out' },
  { name: 'bytesIn', unit: 'bytes', column: 'in', what: 'data from the partition' },
  { name: 'bytesOut', unit: 'bytes', column: 'out', what: 'data to the partition' },
  { name: 'refusedAccess', unit: 'requests', column: 'refused', what: 'writing without the right to' },
  { name: 'refusedWindow', unit: 'requests', column: 'refused', what: 'outside the window' },
  { name: 'refusedForm', unit: 'requests', column: 'refused', what: 'of no known kind, or of a size that there is not' },
  // Written by the device, in the partition's own thread.
  { name: 'refusedByDevice', unit: 'requests', column: 'refused', what: 'refused by the virtual device itself: its guest saw the limit, and the broker never heard of them' },
  { name: 'failed', unit: 'requests', column: 'failed', what: 'allowed, and the host could not' },
  { name: 'dropped', unit: 'requests', column: 'lost', what: 'thrown away because the partition or its device began anew' },
  { name: 'heldBack', unit: 'ns', column: 'held back', what: 'time for which the rate held back what waited' },
] as const satisfies readonly PortMetric[];
export type PortNumber = (typeof PORT_NUMBERS)[number]['name'];
/** What was done for a port so far. */
export type PortStatistics = Readonly<Record<PortNumber, number>>;

const INDEX_OF = Object.fromEntries(PORT_NUMBERS.map(({ name }, index) => [name, index])) as Readonly<Record<PortNumber, number>>;
const { served: SERVED, bytesIn: BYTES_IN, bytesOut: BYTES_OUT } = INDEX_OF;

/** The control block of any port, whatever its lanes are. */
export class PortControl {
  readonly #words: Int32Array;
  readonly #numbers: Float64Array;

  constructor({ control }: Pick<PortBuffers, 'control'>) {
    this.#words = new Int32Array(control, 0, CONTROL_WORDS);
    this.#numbers = new Float64Array(control, CONTROL_WORDS * 4, PORT_NUMBERS.length);
  }

  static create(): SharedArrayBuffer {
    return new SharedArrayBuffer(CONTROL_WORDS * 4 + PORT_NUMBERS.length * 8);
  }

  get generation(): number {
    return Atomics.load(this.#words, GENERATION);
  }

  /** The device, or whoever ends its partition: what was on its way does not count any more. */
  begin(): number {
    return Atomics.add(this.#words, GENERATION, 1) + 1;
  }

  /** Nothing of an earlier generation is on its way. */
  get settled(): boolean {
    return Atomics.load(this.#words, AGREED) === this.generation && !this.closed;
  }

  /** Broker: nothing before `generation` is on its way any more. */
  settle(generation: number): void {
    Atomics.store(this.#words, AGREED, generation);
    Atomics.notify(this.#words, AGREED);
  }

  /** Blocks until the present generation is settled, for at most `time`. False: it is not, or the broker is gone. */
  awaitSettled(time: Nanos): boolean {
    for (;;) {
      const { agreed } = this;
      if (this.settled) return true;
      if (this.closed || Atomics.wait(this.#words, AGREED, agreed, time / ms) === 'timed-out') return this.settled;
    }
  }

  /** The generation the broker last agreed to. */
  get agreed(): number {
    return Atomics.load(this.#words, AGREED);
  }

  /** The broker is gone: nothing will be answered any more. */
  get closed(): boolean {
    return Atomics.load(this.#words, CLOSED) !== 0;
  }

  close(): void {
    Atomics.store(this.#words, CLOSED, 1);
    // Whoever waits for an agreement looks again.
    Atomics.sub(this.#words, AGREED, 1);
    Atomics.notify(this.#words, AGREED);
  }

  /** One request was carried out, with so much data from the partition and to it. */
  countServed(bytesIn = 0, bytesOut = 0): void {
    this.#numbers[SERVED] = (this.#numbers[SERVED] as number) + 1;
    this.#numbers[BYTES_IN] = (this.#numbers[BYTES_IN] as number) + bytesIn;
    this.#numbers[BYTES_OUT] = (this.#numbers[BYTES_OUT] as number) + bytesOut;
  }

  count(number: PortNumber, by = 1): void {
    const index = INDEX_OF[number];
    this.#numbers[index] = (this.#numbers[index] as number) + by;
  }

  countHeldBack(time: Nanos): void {
    this.count('heldBack', time);
  }

  /** From any thread; each number is whole, though not all of the same moment. */
  get statistics(): PortStatistics {
    return Object.fromEntries(PORT_NUMBERS.map(({ name }, index) => [name, this.#numbers[index]])) as PortStatistics;
  }
}

/** What a ring of slots is made of. */
export interface SlotShape {
  /** Slots: requests that can be on their way at a time. */
  readonly depth: number;
  /** Bytes of data per slot. */
  readonly dataBytes: number;
}

/** Words of each slot: for the request and its answer, as the kind of resource lays them out. */
export const SLOT_WORDS = 16;
// Words of the ring block, before its two rings of slot numbers
const DEPTH = 0;
const DATA_BYTES = 1;
const SUBMITTED = 2;
const TAKEN = 3;
const ANSWERED = 4;
const COLLECTED = 5;
const RING_HEADER = 8;

/** A port with slots: what disks and everything else that is asked and answers has. */
export function createSlotPort({ depth, dataBytes }: SlotShape): PortBuffers {
  const rings = new SharedArrayBuffer((RING_HEADER + 2 * depth) * 4);
  new Int32Array(rings).set([depth, dataBytes]);
  return {
    control: PortControl.create(),
    lanes: { rings, words: new SharedArrayBuffer(depth * SLOT_WORDS * 4), data: new SharedArrayBuffer(depth * dataBytes) },
  };
}

/** Requests of a port with slots that its broker has not begun, seen from any thread. */
export function waitingSlots({ lanes }: Pick<PortBuffers, 'lanes'>): number {
  const { rings } = lanes;
  if (rings === undefined) return 0;
  const ring = new Int32Array(rings);
  const modulus = counterModulus(ring[DEPTH] as number);
  return (Atomics.load(ring, SUBMITTED) - Atomics.load(ring, TAKEN) + modulus) % modulus;
}

/** What both sides see of it. */
class SlotLanes {
  readonly control: PortControl;
  readonly depth: number;
  readonly dataBytes: number;
  protected readonly ring: Int32Array;
  readonly #words: readonly Int32Array[];
  readonly #data: readonly Uint8Array<SharedArrayBuffer>[];

  constructor(buffers: PortBuffers) {
    const { rings, words, data } = buffers.lanes;
    if (rings === undefined || words === undefined || data === undefined) throw new TypeError('this port has no slots');
    this.control = new PortControl(buffers);
    this.ring = new Int32Array(rings);
    this.depth = this.ring[DEPTH] as number;
    this.dataBytes = this.ring[DATA_BYTES] as number;
    this.#words = Array.from({ length: this.depth }, (_, slot) => new Int32Array(words, slot * SLOT_WORDS * 4, SLOT_WORDS));
    this.#data = Array.from({ length: this.depth }, (_, slot) => new Uint8Array(data, slot * this.dataBytes, this.dataBytes));
  }

  /** Request and answer of a slot. */
  words(slot: number): Int32Array {
    return this.#words[slot] as Int32Array;
  }

  data(slot: number): Uint8Array<SharedArrayBuffer> {
    return this.#data[slot] as Uint8Array<SharedArrayBuffer>;
  }

  /** Where entry `counter` of the first or second ring lies. */
  protected at(which: 0 | 1, counter: number): number {
    return RING_HEADER + which * this.depth + ((counter >>> 0) % this.depth);
  }
}

/** The device's side of a port with slots. One thread at a time. */
export class SlotFront extends SlotLanes {
  readonly #free: number[] = [];
  readonly #wakeBroker: () => void;
  #usable = false;
  #waiting = false;

  /** `wakeBroker` is called when there is something new for it. Begins a generation. */
  constructor(buffers: PortBuffers, wakeBroker: () => void) {
    super(buffers);
    this.#wakeBroker = wakeBroker;
    this.begin();
  }

  /** Whatever was on its way is forgotten: no slot of before will come back. */
  begin(): void {
    this.#usable = false;
    this.#free.length = 0;
    this.control.begin();
    this.#wakeBroker();
  }

  /** Slots that could be acquired now. */
  get free(): number {
    if (!this.#usable) this.#settle();
    return this.#free.length;
  }

  /** Requests on their way. */
  get inFlight(): number {
    return this.#usable ? this.depth - this.#free.length : 0;
  }

  /** A slot of its own for a request; undefined while there is none, or the last generation is still on its way. */
  acquire(): number | undefined {
    if (!this.#usable) this.#settle();
    return this.#free.pop();
  }

  /** Hands a filled slot over. The broker hears of it at the next {@link ring}. */
  submit(slot: number): void {
    const submitted = Atomics.load(this.ring, SUBMITTED);
    Atomics.store(this.ring, this.at(0, submitted), slot);
    Atomics.store(this.ring, SUBMITTED, (submitted + 1) % this.#modulus);
    this.#waiting = true;
  }

  /** Wakes the broker if something was submitted since the last call. */
  wake(): void {
    if (!this.#waiting) return;
    this.#waiting = false;
    this.#wakeBroker();
  }

  /** How many answers lie ready. */
  get answers(): number {
    if (!this.#usable) return 0;
    return (Atomics.load(this.ring, ANSWERED) - Atomics.load(this.ring, COLLECTED) + this.#modulus) % this.#modulus;
  }

  /** The slot that was answered next; undefined when there is none. It is the device's until {@link release}. */
  completed(): number | undefined {
    if (this.answers === 0) return undefined;
    const collected = Atomics.load(this.ring, COLLECTED);
    const slot = Atomics.load(this.ring, this.at(1, collected));
    Atomics.store(this.ring, COLLECTED, (collected + 1) % this.#modulus);
    return slot;
  }

  /** Gives a slot back: acquired and not submitted, or completed. */
  release(slot: number): void {
    this.#free.push(slot);
  }

  /** Counters run through a multiple of the depth, so that their remainder never jumps. */
  get #modulus(): number {
    return counterModulus(this.depth);
  }

  #settle(): void {
    if (!this.control.settled) return;
    this.#usable = true;
    Atomics.store(this.ring, COLLECTED, Atomics.load(this.ring, ANSWERED));
    this.#free.length = 0;
    for (let slot = this.depth - 1; slot >= 0; slot--) this.#free.push(slot);
  }
}

/** The broker's side of a port with slots. One thread. */
export class SlotBack extends SlotLanes {
  #taken = 0;
  #usable = false;

  /** To be called before looking at requests: sees to it that generations change. True: a new one may begin its work. */
  poll(): boolean {
    const { generation, agreed } = this.control;
    this.#usable = generation === agreed;
    if (this.#usable || this.#taken > 0) return false;
    const submitted = Atomics.load(this.ring, SUBMITTED);
    const dropped = (submitted - Atomics.load(this.ring, TAKEN) + this.#modulus) % this.#modulus;
    if (dropped > 0) this.control.count('dropped', dropped);
    Atomics.store(this.ring, TAKEN, submitted);
    this.control.settle(generation);
    this.#usable = generation === this.control.generation;
    return true;
  }

  /** The slot that waits next, left where it is; undefined when none waits. */
  head(): number | undefined {
    if (!this.#usable) return undefined;
    const taken = Atomics.load(this.ring, TAKEN);
    if (taken === Atomics.load(this.ring, SUBMITTED)) return undefined;
    const slot = Atomics.load(this.ring, this.at(0, taken));
    // A number from shared memory: it is looked at before it is believed.
    return slot >= 0 && slot < this.depth ? slot : 0;
  }

  /** Takes the slot that {@link head} showed. */
  take(): void {
    this.#taken++;
    Atomics.store(this.ring, TAKEN, (Atomics.load(this.ring, TAKEN) + 1) % this.#modulus);
  }

  /** The request in `slot` is carried out. Its device hears of it when it is woken; not at all when a new generation began meanwhile. */
  answer(slot: number): void {
    this.#taken--;
    if (this.control.generation !== this.control.agreed) {
      this.control.count('dropped');
      return;
    }
    const answered = Atomics.load(this.ring, ANSWERED);
    Atomics.store(this.ring, this.at(1, answered), slot);
    Atomics.store(this.ring, ANSWERED, (answered + 1) % this.#modulus);
  }

  get #modulus(): number {
    return counterModulus(this.depth);
  }
}

/** The largest multiple of the depth that fits an Int32 with room to add. */
function counterModulus(depth: number): number {
  return depth * Math.floor(2 ** 30 / depth);
}
