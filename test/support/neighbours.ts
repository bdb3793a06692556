/** What hostile suites measure at an innocent neighbour: how long its requests take by the host's clock, and whether it gets its share. */

/** Times of requests, in milliseconds. */
export class Latencies {
  readonly #times: number[] = [];

  add(milliseconds: number): void {
    this.#times.push(milliseconds);
  }

  get count(): number {
    return this.#times.length;
  }

  /** The time that so large a part of the requests was answered within: 0.5 is the median, 1 the longest. NaN without any. */
  within(part: number): number {
    const sorted = this.#times.toSorted((a, b) => a - b);
    return sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))] ?? Number.NaN;
  }

  toString(): string {
    const [median, most, longest] = [0.5, 0.99, 1].map((part) => this.within(part).toFixed(3));
    return `median ${median} ms, 99 % within ${most} ms, longest ${longest} ms`;
  }
}

/** What was served at two ports so far, in the broker's own currency, and what waits at the first one now. To be read in this order. */
export interface PortsSeen {
  readonly theirs: number;
  readonly mine: number;
  readonly waiting: number;
}

/**
 * Whether a port gets its share whenever it wants it: looks at the counters before and after each filling of its queue, and adds up what
 * was served while something was waiting at the port all the time. That is a property of the broker and of no clock: however busy the
 * host is, and however late this thread looks, it holds.
 */
export class ShareWatch {
  readonly #see: () => PortsSeen;
  readonly #tolerance: number;
  #start: PortsSeen | undefined;
  #last: PortsSeen | undefined;
  #lead = 0;
  #contested = 0;

  /** Numbers that are read one after the other count as of one moment when the other port was served no more than `tolerance` meanwhile. */
  constructor(see: () => PortsSeen, tolerance: number) {
    this.#see = see;
    this.#tolerance = tolerance;
  }

  /** By how much the other port was ahead at most, in any stretch in which this one always had something waiting. */
  get lead(): number {
    return this.#lead;
  }

  /** Served to either in all such stretches. */
  get contested(): number {
    return this.#contested + (this.#start === undefined || this.#last === undefined ? 0 : served(this.#start, this.#last));
  }

  /** Before the queue is filled. What waits now has waited since the last filling. */
  look(): void {
    const seen = this.#moment();
    if (this.#start === undefined || seen === undefined || seen.waiting === 0) {
      this.#end();
      return;
    }
    this.#last = seen;
    this.#lead = Math.max(this.#lead, seen.theirs - this.#start.theirs - (seen.mine - this.#start.mine));
  }

  /** After the queue was filled. */
  filled(): void {
    const seen = this.#moment();
    // All that had been waiting may be gone, and with it for a moment the wish for more.
    if (seen === undefined || (this.#last !== undefined && seen.mine - this.#last.mine >= this.#last.waiting)) this.#end();
    if (seen !== undefined && seen.waiting > 0) this.#start ??= seen;
  }

  #end(): void {
    this.#contested = this.contested;
    this.#start = undefined;
    this.#last = undefined;
  }

  #moment(): PortsSeen | undefined {
    const seen = this.#see();
    // This thread may have been kept waiting in the middle of it: the other port's number before and after tells.
    return this.#see().theirs - seen.theirs > this.#tolerance ? undefined : seen;
  }
}

function served(from: PortsSeen, to: PortsSeen): number {
  return to.mine - from.mine + to.theirs - from.theirs;
}
