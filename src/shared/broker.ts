/**
 * A broker: it stands between the ports of partitions and a resource of the host, in a thread of its own. It serves one request after the
 * other, whose turn it is by {@link FairQueue}, and sleeps while there is nothing to do.
 *
 * Everything here is one round of work; what a round is made in (a thread that blocks, one with an event loop, a test) is the caller's.
 */
import { ms, Sleeper } from '../base/index.ts';
import type { Nanos } from '../contracts/index.ts';
import { FairQueue, type FairShare } from './fair-queue.ts';

/** A port as its broker serves it. */
export interface ServedPort {
  readonly share: FairShare;
  /** Before each look at it: a new generation may have begun. */
  poll(): void;
  /** What its next request costs, in bytes (at least 1); 0: none waits. */
  cost(): number;
  /** Carries out the next request. */
  serve(): void;
  /** The rate limit held a waiting request back for so long. */
  heldBack?(time: Nanos): void;
}

/** Requests served between two looks at commands. */
const REQUESTS_PER_ROUND = 64;

export class Broker {
  readonly #ports: readonly ServedPort[];
  readonly #queue: FairQueue;
  readonly #now: () => Nanos;
  readonly #idle: ((now: Nanos) => Nanos) | undefined;
  readonly #costOf: (port: number) => number;
  readonly #heldSince: (Nanos | undefined)[] = [];

  /**
   * `now` is monotonic host time. `idle` is called when nobody wants anything, or nobody may: what the resource does for itself; it returns
   * when to be asked again.
   */
  constructor(ports: readonly ServedPort[], now: () => Nanos, idle?: (now: Nanos) => Nanos) {
    this.#ports = ports;
    this.#queue = new FairQueue(ports.map(({ share }) => share));
    this.#now = now;
    this.#idle = idle;
    this.#costOf = (port) => (this.#ports[port] as ServedPort).cost();
  }

  /** Serves what it may, up to a limit. Returns how long to sleep before the next round, unless woken: 0, not at all; Infinity, until then. */
  round(): Nanos {
    for (let count = 0; count < REQUESTS_PER_ROUND; count++) {
      for (const port of this.#ports) port.poll();
      const now = this.#now();
      const port = this.#queue.next(now, this.#costOf);
      this.#countHeldBack(now, port);
      if (port < 0) {
        const { delay } = this.#queue;
        return Math.min(delay, this.#idle?.(now) ?? Number.POSITIVE_INFINITY);
      }
      (this.#ports[port] as ServedPort).serve();
    }
    return 0;
  }

  /** Time since the last look at a port that wanted something then, and was not to have it. */
  #countHeldBack(now: Nanos, served: number): void {
    for (let index = 0; index < this.#ports.length; index++) {
      const since = this.#heldSince[index];
      if (since !== undefined) this.#ports[index]?.heldBack?.(now - since);
      this.#heldSince[index] = index !== served && this.#queue.isHeldBack(index) ? now : undefined;
    }
  }
}

// Words that a broker's thread and the machine share (Int32)
/** Counts whatever the broker should look at; it sleeps on this word. */
const SIGNAL = 0;
const STOP = 1;
const COMMAND_WORDS = 2;

/** The words by which a broker is woken and stopped. */
export class BrokerCommand {
  readonly buffer: SharedArrayBuffer;
  readonly #words: Int32Array;

  constructor(buffer: SharedArrayBuffer = new SharedArrayBuffer(COMMAND_WORDS * 4)) {
    this.buffer = buffer;
    this.#words = new Int32Array(buffer);
  }

  /** What the broker sleeps on, for others to wake it: count it up and notify. */
  get alarm(): Int32Array {
    return new Int32Array(this.buffer, SIGNAL * 4, 1);
  }

  /** To be read before looking for requests, and handed to {@link wait}. */
  get signals(): number {
    return Atomics.load(this.#words, SIGNAL);
  }

  stop(): void {
    Atomics.store(this.#words, STOP, 1);
    this.wake();
  }

  get stopRequested(): boolean {
    return Atomics.load(this.#words, STOP) !== 0;
  }

  wake(): void {
    Atomics.add(this.#words, SIGNAL, 1);
    Atomics.notify(this.#words, SIGNAL);
  }

  /** Sleeps for at most `time`, or not at all when a signal came since `signals` was read. Blocks the thread. */
  wait(signals: number, time: Nanos): void {
    Atomics.wait(this.#words, SIGNAL, signals, time / ms);
  }

  /** The same for a thread with an event loop: resolves instead of blocking. */
  async waitAsync(signals: number, time: Nanos): Promise<void> {
    await Atomics.waitAsync(this.#words, SIGNAL, signals, time / ms).value;
  }
}

/** Serves until it is told to stop. Blocks the calling thread. `now` is monotonic host time. */
export function runBroker(broker: Broker, command: BrokerCommand, now: () => Nanos): void {
  const sleeper = new Sleeper(command.alarm, now);
  while (!command.stopRequested) {
    const { signals } = command;
    const sleep = broker.round();
    if (sleep > 0) sleeper.sleep(signals, sleep);
  }
}
