/**
 * When a connection sends again, and how much it sends at once: the retransmission timer and the congestion window.
 *
 * Spec: RFC 6298 (timer), RFC 5681 (congestion control), RFC 6582 (recovery of several losses), RFC 6928 (initial window).
 */
import { KiB, ms, s } from '../../../base/index.ts';
import type { Nanos } from '../../../contracts/index.ts';

/** RFC 6298 §2: the first, and the bounds. Guests are near: 200 ms is what their own stacks use at least. */
const FIRST_TIMEOUT: Nanos = 1 * s;
const SHORTEST_TIMEOUT: Nanos = 200 * ms;
const LONGEST_TIMEOUT: Nanos = 30 * s;
const INITIAL_SEGMENTS = 10;
/** Nothing a guest's buffers take needs more. */
const LARGEST_WINDOW: number = 1024 * KiB;
/** RFC 3465 §2.3: one acknowledgement of a large packet does not open the window without bound. */
const LARGEST_GROWTH: number = 120 * KiB;
const FIRST_THRESHOLD: number = 256 * KiB;
/** RFC 5681 §3.2. */
const DUPLICATES_OF_A_LOSS = 3;

/** How far `a` is ahead of `b`, in sequence numbers that wrap. */
export function ahead(a: number, b: number): number {
  return (a - b) | 0;
}

export class RetransmissionTimer {
  timeout: Nanos = FIRST_TIMEOUT;
  #smoothed: Nanos = 0;
  #variation: Nanos = 0;
  /** The byte whose way there and back is being measured; never one that was sent twice (RFC 6298 §3). */
  #measured: number | undefined;
  #measuredAt: Nanos = 0;

  /** The byte `sequence` is sent for the first time. */
  sent(sequence: number, now: Nanos): void {
    if (this.#measured !== undefined) return;
    this.#measured = sequence;
    this.#measuredAt = now;
  }

  /** Something is sent again: what is being measured says nothing any more. */
  disturbed(): void {
    this.#measured = undefined;
  }

  /** Everything before `sequence` arrived (§2.2, §2.3). Backing off is over. */
  acknowledged(sequence: number, now: Nanos): void {
    if (this.#measured !== undefined && ahead(sequence, this.#measured) > 0) {
      this.#measured = undefined;
      const sample = Math.max(0, now - this.#measuredAt);
      if (this.#smoothed === 0) {
        this.#smoothed = sample;
        this.#variation = sample / 2;
      } else {
        this.#variation += (Math.abs(this.#smoothed - sample) - this.#variation) / 4;
        this.#smoothed += (sample - this.#smoothed) / 8;
      }
    }
    const computed = Math.min(Math.max(this.#smoothed + 4 * this.#variation, SHORTEST_TIMEOUT), LONGEST_TIMEOUT);
    this.timeout = this.#smoothed === 0 ? FIRST_TIMEOUT : computed;
  }

  /** §5.5. */
  backOff(): void {
    this.timeout = Math.min(this.timeout * 2, LONGEST_TIMEOUT);
    this.disturbed();
  }
}

export class CongestionWindow {
  /** Bytes that may be in flight. */
  bytes = 0;
  readonly #mss: number;
  #threshold = FIRST_THRESHOLD;
  #duplicates = 0;
  /** While recovering: what had been sent when the loss was noticed. */
  #recoverUntil: number | undefined;

  constructor(mss: number) {
    this.#mss = mss;
    this.bytes = INITIAL_SEGMENTS * mss;
  }

  /** `count` new bytes arrived, up to `acknowledgement`. True: the next one after them was lost as well, and is to be sent again. */
  acknowledged(acknowledgement: number, count: number): boolean {
    this.#duplicates = 0;
    if (this.#recoverUntil === undefined) {
      const growth = this.bytes < this.#threshold ? Math.min(count, LARGEST_GROWTH) : Math.max(1, (this.#mss * Math.min(count, this.bytes)) / this.bytes);
      this.bytes = Math.min(Math.floor(this.bytes + growth), LARGEST_WINDOW);
      return false;
    }
    if (ahead(acknowledgement, this.#recoverUntil) < 0) {
      this.bytes = Math.max(this.#mss, this.bytes - count + this.#mss);
      return true;
    }
    this.#recoverUntil = undefined;
    this.bytes = this.#threshold;
    return false;
  }

  /** The guest got something it did not expect. True: the oldest byte was lost, and is to be sent again. */
  duplicate(inFlight: number, furthest: number): boolean {
    this.#duplicates++;
    if (this.#recoverUntil !== undefined) {
      this.bytes = Math.min(this.bytes + this.#mss, LARGEST_WINDOW);
      return false;
    }
    if (this.#duplicates !== DUPLICATES_OF_A_LOSS) return false;
    this.#lower(inFlight);
    this.bytes = this.#threshold + DUPLICATES_OF_A_LOSS * this.#mss;
    this.#recoverUntil = furthest;
    return true;
  }

  /** Nothing was heard for too long; `first`: since something arrived (§3.1, equation 4). */
  timedOut(inFlight: number, first: boolean): void {
    if (first) this.#lower(inFlight);
    this.bytes = this.#mss;
    this.#recoverUntil = undefined;
    this.#duplicates = 0;
  }

  #lower(inFlight: number): void {
    this.#threshold = Math.max(Math.floor(inFlight / 2), 2 * this.#mss);
  }
}
