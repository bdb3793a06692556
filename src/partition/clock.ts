/**
 * A partition's virtual time. It advances in two ways only:
 *
 *     now = retired instructions / instructionsPerMicrosecond + idle time skipped
 *
 * so that it depends on nothing but what the guest did: the same input at the same instruction gives the same run. The vCPUs of a
 * partition take turns on this one clock, which keeps every core's time-stamp counter monotonic and equal.
 *
 * While a vCPU runs, `now()` includes what it has retired so far. A deadline that is set during a run and lies before the end of
 * the slice shortens the slice (`Vcpu.limit`), so that timers fire at the instruction they are due at.
 *
 * Not modelled: cores of different speed, time that passes inside one instruction.
 */
import type { Clock, Nanos, TimeBase, Vcpu } from '../contracts/index.ts';

/** Devices arm a handful of timers each; more than this is a device model gone wrong, not a busy guest. */
const MAXIMUM_DEADLINES = 4096;

const INERT: Disposable = { [Symbol.dispose]: () => {} };

/** One entry of the heap. A class: guests arm timers thousands of times a second, and an object literal with a computed name is slow to make. */
class Deadline implements Disposable {
  readonly at: Nanos;
  /** Order of creation: deadlines at the same time fire in the order they were set. */
  readonly sequence: number;
  readonly fire: () => void;
  readonly #cancel: (deadline: Deadline) => void;
  /** Place in the heap; −1: fired or cancelled. */
  index: number;

  constructor(at: Nanos, sequence: number, fire: () => void, index: number, cancel: (deadline: Deadline) => void) {
    this.at = at;
    this.sequence = sequence;
    this.fire = fire;
    this.index = index;
    this.#cancel = cancel;
  }

  [Symbol.dispose](): void {
    this.#cancel(this);
  }
}

export class VirtualClock implements Clock {
  readonly #instructionsPerMicrosecond: number;
  #nanos: Nanos = 0;
  /** What is left of retired instructions after whole nanoseconds, in thousandths of `instructionsPerMicrosecond`; kept so that no time is lost. */
  #fraction = 0;
  #running: Pick<Vcpu, 'retired' | 'limit'> | undefined;
  #budget = 0;
  readonly #heap: Deadline[] = [];
  #sequence = 0;
  /** Takes a deadline out of the heap, wherever it is in it. */
  readonly #cancel = (deadline: Deadline): void => {
    const index = deadline.index;
    if (index < 0) return;
    deadline.index = -1;
    const last = this.#heap.pop() as Deadline;
    if (last === deadline) return;
    last.index = index;
    this.#heap[index] = last;
    this.#rise(last);
    this.#sink(last);
  };
  #refused = 0;

  constructor(instructionsPerMicrosecond: number) {
    this.#instructionsPerMicrosecond = instructionsPerMicrosecond;
  }

  now(): Nanos {
    const running = this.#running;
    return running === undefined ? this.#nanos : this.#nanos + this.#whole(running.retired);
  }

  timeBase(into: TimeBase): void {
    into.nanos = this.#nanos;
    into.thousandths = this.#fraction;
    into.instructionsPerMicrosecond = this.#instructionsPerMicrosecond;
  }

  /** The nearest deadline; Infinity when there is none. */
  get nextDeadline(): Nanos {
    return this.#heap[0]?.at ?? Number.POSITIVE_INFINITY;
  }

  /** Deadlines turned away because {@link MAXIMUM_DEADLINES} were pending. */
  get refused(): number {
    return this.#refused;
  }

  at(at: Nanos, fire: () => void): Disposable {
    if (this.#heap.length >= MAXIMUM_DEADLINES) {
      this.#refused++;
      return INERT;
    }
    const deadline = new Deadline(at, this.#sequence++, fire, this.#heap.length, this.#cancel);
    this.#heap.push(deadline);
    this.#rise(deadline);
    const running = this.#running;
    if (running !== undefined && deadline.index === 0) {
      // Inside an I/O call of a running vCPU: it must come back for this deadline, not for the end of its slice.
      const retired = running.retired;
      const further = Math.max(0, this.#instructionsTo(at) - retired);
      if (retired + further < this.#budget) {
        this.#budget = retired + further;
        running.limit(further);
      }
    }
    return deadline;
  }

  /** How many instructions, at most `quantum` and at least 1, a vCPU may retire before the next deadline is due. */
  budget(quantum: number): number {
    const next = this.#heap[0];
    return next === undefined ? quantum : Math.max(1, Math.min(quantum, this.#instructionsTo(next.at)));
  }

  /** From here to `endRun`, `now()` counts what `vcpu` retires. */
  beginRun(vcpu: Pick<Vcpu, 'retired' | 'limit'>, budget: number): void {
    this.#running = vcpu;
    this.#budget = budget;
  }

  endRun(retired: number): void {
    this.#running = undefined;
    const thousandths = retired * 1000 + this.#fraction;
    const whole = Math.floor(thousandths / this.#instructionsPerMicrosecond);
    this.#nanos += whole;
    this.#fraction = thousandths - whole * this.#instructionsPerMicrosecond;
  }

  /** Idle time passes: moves to `time`, if that lies ahead. Does not fire anything. */
  skipTo(time: Nanos): void {
    if (time > this.#nanos) this.#nanos = time;
  }

  /**
   * Fires what is due, earliest first. Deadlines set while firing wait for the next call, even when they lie in the past: a device
   * that re-arms itself at once must not keep the vCPUs from running.
   */
  fireDue(): void {
    const newest = this.#sequence;
    for (let next = this.#heap[0]; next !== undefined && next.at <= this.#nanos && next.sequence < newest; next = this.#heap[0]) {
      this.#cancel(next);
      next.fire();
    }
  }

  /** Nanoseconds that `retired` instructions of the current run have brought. */
  #whole(retired: number): Nanos {
    return Math.floor((retired * 1000 + this.#fraction) / this.#instructionsPerMicrosecond);
  }

  /** Instructions from the start of the current (or next) run until now() reaches `time`. */
  #instructionsTo(time: Nanos): number {
    return Math.ceil(((time - this.#nanos) * this.#instructionsPerMicrosecond - this.#fraction) / 1000);
  }

  #rise(deadline: Deadline): void {
    const heap = this.#heap;
    let index = deadline.index;
    while (index > 0) {
      const parentIndex = (index - 1) >> 1;
      const parent = heap[parentIndex] as Deadline;
      if (!before(deadline, parent)) break;
      heap[index] = parent;
      parent.index = index;
      index = parentIndex;
    }
    heap[index] = deadline;
    deadline.index = index;
  }

  #sink(deadline: Deadline): void {
    const heap = this.#heap;
    let index = deadline.index;
    for (;;) {
      const left = 2 * index + 1;
      if (left >= heap.length) break;
      const right = left + 1;
      const childIndex = right < heap.length && before(heap[right] as Deadline, heap[left] as Deadline) ? right : left;
      const child = heap[childIndex] as Deadline;
      if (!before(child, deadline)) break;
      heap[index] = child;
      child.index = index;
      index = childIndex;
    }
    heap[index] = deadline;
    deadline.index = index;
  }
}

function before(a: Deadline, b: Deadline): boolean {
  return a.at < b.at || (a.at === b.at && a.sequence < b.sequence);
}
