/**
 * Who is served next: by weight and rate, never by who came first or asks most.
 *
 * Among sources with something to do, deficit round robin (M. Shreedhar, G. Varghese: "Efficient Fair Queuing Using Deficit Round
 * Robin", SIGCOMM 1995): in each round a source may use up its weight's worth, and what it could not use it keeps while it has work. A
 * source that has used up its rate (a token bucket for bytes, one for operations) does not take part until it has earned the next
 * request. An idle source saves nothing up but what its bucket holds.
 *
 * Rounds are counted, not walked: a choice takes time proportional to the number of sources, whatever the weights and costs are.
 */
import { ms, s } from '../base/index.ts';
import type { Nanos, RateLimit } from '../contracts/index.ts';

export interface FairShare {
  readonly weight: number;
  readonly rate?: RateLimit | undefined;
}

/** In a round, the source with the greatest weight may use this much. Others wait for no more than that, and one request. */
const LARGEST_QUANTUM = 64 * 1024;
/** How long a bucket takes to fill, where no burst is given. */
const BURST_TIME: Nanos = 250 * ms;

class TokenBucket {
  readonly #perNano: number;
  readonly #size: number;
  #tokens: number;
  #filled: Nanos = 0;

  constructor(perSecond: number, size: number) {
    this.#perNano = perSecond / s;
    this.#size = Math.max(1, size);
    this.#tokens = this.#size;
  }

  /** How long until `cost` may be taken: 0 when it may now. What is more than the whole bucket may be taken from a full one. */
  delay(cost: number, now: Nanos): Nanos {
    this.#tokens = Math.min(this.#size, this.#tokens + Math.max(0, now - this.#filled) * this.#perNano);
    this.#filled = now;
    const missing = Math.min(cost, this.#size) - this.#tokens;
    return missing <= 0 ? 0 : Math.ceil(missing / this.#perNano);
  }

  take(cost: number): void {
    this.#tokens -= cost;
  }
}

class Source {
  readonly quantum: number;
  deficit = 0;
  /** Cost of what it wants next; 0: nothing, or not now. */
  cost = 0;
  /** It wants something, and its rate is used up. */
  heldBack = false;
  readonly #bytes: TokenBucket | undefined;
  readonly #operations: TokenBucket | undefined;

  constructor({ weight, rate }: FairShare, largestWeight: number) {
    this.quantum = (LARGEST_QUANTUM * weight) / largestWeight;
    const { bytesPerSecond, operationsPerSecond, burst } = rate ?? {};
    if (bytesPerSecond !== undefined) this.#bytes = new TokenBucket(bytesPerSecond, burst ?? (bytesPerSecond * BURST_TIME) / s);
    if (operationsPerSecond !== undefined) this.#operations = new TokenBucket(operationsPerSecond, (operationsPerSecond * BURST_TIME) / s);
  }

  delay(cost: number, now: Nanos): Nanos {
    return Math.max(this.#bytes?.delay(cost, now) ?? 0, this.#operations?.delay(1, now) ?? 0);
  }

  charge(cost: number): void {
    this.deficit -= cost;
    this.#bytes?.take(cost);
    this.#operations?.take(1);
  }
}

export class FairQueue {
  /** After {@link next} said −1: how long until somebody may be served who must wait now; Infinity when nobody wants anything. */
  delay: Nanos = Number.POSITIVE_INFINITY;
  readonly #sources: readonly Source[];
  #turn = 0;
  /** The source whose turn it is has had its quantum of this round. */
  #visited = false;

  /** Weights are greater than 0. */
  constructor(shares: readonly FairShare[]) {
    const largest = Math.max(1, ...shares.map(({ weight }) => weight));
    this.#sources = shares.map((share) => new Source(share, largest));
  }

  /** At the last {@link next}, its rate was used up and it wanted something. */
  isHeldBack(source: number): boolean {
    return this.#sources[source]?.heldBack === true;
  }

  /** The source to serve now, charged for it; −1: none may be. `costOf` is what a source wants next, in bytes; 0: nothing. */
  next(now: Nanos, costOf: (source: number) => number): number {
    this.delay = Number.POSITIVE_INFINITY;
    let active = 0;
    let rounds = Number.POSITIVE_INFINITY;
    for (let index = 0; index < this.#sources.length; index++) {
      const source = this.#sources[index] as Source;
      const cost = costOf(index);
      const wait = cost > 0 ? source.delay(cost, now) : 0;
      source.cost = wait > 0 ? 0 : cost;
      source.heldBack = wait > 0;
      if (wait > 0) this.delay = Math.min(this.delay, wait);
      if (source.cost === 0) {
        source.deficit = 0;
        continue;
      }
      active++;
      rounds = Math.min(rounds, Math.ceil((source.cost - source.deficit) / source.quantum));
    }
    if (active === 0) return -1;
    // Rounds in which nobody would have enough.
    if (rounds > 1) for (const source of this.#sources) if (source.cost > 0) source.deficit += (rounds - 1) * source.quantum;
    for (let step = 0; step <= 2 * this.#sources.length; step++) {
      const source = this.#sources[this.#turn] as Source;
      if (source.cost > 0 && !this.#visited) source.deficit += source.quantum;
      this.#visited = true;
      if (source.cost > 0 && source.deficit >= source.cost) {
        source.charge(source.cost);
        return this.#turn;
      }
      this.#turn = (this.#turn + 1) % this.#sources.length;
      this.#visited = false;
    }
    return -1;
  }
}
