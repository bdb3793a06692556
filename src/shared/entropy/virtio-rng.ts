/**
 * Virtio entropy device: a guest leaves buffers, the device fills them with random bytes. How many a second is part of the grant; what a
 * guest asks beyond that waits in its own queue.
 *
 * Spec: VIRTIO 1.2 §5.4.
 * Not modelled: a configuration space and features (there are none).
 */
import { s } from '../../base/index.ts';
import type { Clock, Nanos, SharedEnd } from '../../contracts/index.ts';
import type { SplitQueue, VirtioDevice, VirtioHost } from '../virtio/index.ts';

const QUEUE_SIZE = 64;
/** §5.4.6.1: a buffer need not be filled. More at once would only make one guest wait for its own request. */
const LARGEST_PIECE = 4096;
/** Buffers filled before others get their turn. */
const BUFFERS_PER_CALL = 64;
/** Bytes that can be saved up while nothing is asked for, in time. */
const BURST_TIME: Nanos = s / 4;

/** Where the bytes come from: a partition's end of the host's generator. */
export interface EntropySource extends SharedEnd {
  /** Fills it with random bytes. */
  fill(target: Uint8Array): void;
  readonly bytesPerSecond: number;
}

export class VirtioRng implements VirtioDevice {
  readonly id = 4;
  readonly pciClass = 0xff_0000;
  readonly features: bigint = 0n;
  readonly queueSizes: readonly number[] = [QUEUE_SIZE];
  readonly configBytes = 0;
  readonly #source: EntropySource;
  readonly #clock: Clock;
  readonly #piece = new Uint8Array(LARGEST_PIECE);
  #queue: SplitQueue | undefined;
  /** When the allowance will be whole again. */
  #whole: Nanos = 0;
  #later: Disposable | undefined;

  constructor(source: EntropySource, clock: Clock) {
    this.#source = source;
    this.#clock = clock;
  }

  attach(_host: VirtioHost): void {}

  readConfig(): number {
    return 0;
  }

  writeConfig(): void {}

  activate(queues: readonly (SplitQueue | undefined)[]): void {
    this.#queue = queues[0];
    this.notify();
  }

  notify(): void {
    const queue = this.#queue;
    if (queue === undefined || this.#later !== undefined) return;
    const nanosPerByte = s / this.#source.bytesPerSecond;
    const savable = Math.max(1, Math.floor(BURST_TIME / nanosPerByte));
    let due = this.#clock.now();
    for (let count = 0; count < BUFFERS_PER_CALL; count++) {
      const chain = queue.take();
      if (chain === undefined) break;
      // A buffer without room costs as much as a byte: asking is not free. And crumbs would have the guest ask again and again.
      const wanted = Math.min(LARGEST_PIECE, chain.writableBytes, savable);
      const cost = Math.max(1, wanted) * nanosPerByte;
      const now = this.#clock.now();
      due = Math.ceil(this.#whole + cost - BURST_TIME);
      if (due > now) {
        queue.untake(chain);
        break;
      }
      const piece = this.#piece.subarray(0, wanted);
      this.#source.fill(piece);
      queue.complete(chain, chain.write(0, piece) ? wanted : 0);
      this.#whole = Math.max(this.#whole, now) + cost;
    }
    queue.announce();
    if (!queue.hasWaiting) return;
    this.#later = this.#clock.at(Math.max(due, this.#clock.now() + 1), () => {
      this.#later = undefined;
      this.notify();
    });
  }

  reset(): void {
    this.#queue = undefined;
    this.#later?.[Symbol.dispose]();
    this.#later = undefined;
  }

  dispose(): void {
    this.#later?.[Symbol.dispose]();
  }
}
