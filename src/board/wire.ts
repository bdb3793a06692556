/**
 * An Ethernet wire between network controllers of two partitions: a ring of frames in shared memory for each direction. Sending is a
 * copy and a wake-up; nobody stands between the two, and neither can make the other wait.
 *
 * A frame reaches its controller only when it was *admitted* between two slices of the receiving partition, so that it arrives at an
 * instruction that is known, not whenever the other thread happened to write.
 *
 * A wire that is full refuses frames: its ends have flow control. It is up while both partitions live.
 */
import { FrameRing, KiB } from '../base/index.ts';
import type { AttachedWire } from '../contracts/index.ts';

/** A burst of 64 KiB, as segmentation makes them, and as much again while the receiver is busy with the first; four times over. */
const RING_BYTES = 512 * KiB;

/** One end of a wire, ready to be posted to the thread of its partition. */
export interface WireBuffers {
  readonly outgoing: SharedArrayBuffer;
  readonly incoming: SharedArrayBuffer;
}

/** Two ends of one new wire. */
export function createWire(): readonly [WireBuffers, WireBuffers] {
  const outgoing = FrameRing.create(RING_BYTES).buffer;
  const incoming = FrameRing.create(RING_BYTES).buffer;
  return [
    { outgoing, incoming },
    { outgoing: incoming, incoming: outgoing },
  ];
}

/** Whoever held this end is gone, perhaps without a word: the other one sees its link go down. */
export function unplugWire(end: WireBuffers): void {
  FrameRing.over(end.incoming).reader = false;
}

export class WireEnd implements AttachedWire {
  readonly #outgoing: FrameRing;
  readonly #incoming: FrameRing;
  readonly #wakePeer: () => void;
  #changed: () => void = () => undefined;
  #admitted = 0;
  #connected: boolean;
  #missed: number;

  /** `wakePeer` is called whenever the other end should look: a frame, or this end coming and going. */
  constructor(buffers: WireBuffers, wakePeer: () => void) {
    this.#outgoing = FrameRing.over(buffers.outgoing);
    this.#incoming = FrameRing.over(buffers.incoming);
    this.#wakePeer = wakePeer;
    this.#incoming.reader = true;
    this.#connected = this.#outgoing.reader;
    this.#missed = this.#incoming.refused;
    wakePeer();
  }

  /** As of the last `admit`: a link does not go down in the middle of an instruction. */
  get connected(): boolean {
    return this.#connected;
  }

  get missed(): number {
    return this.#missed;
  }

  send(frame: Uint8Array): boolean {
    if (!this.#connected) return false;
    if (!this.#outgoing.push(frame)) return false;
    this.#wakePeer();
    return true;
  }

  drop(): void {
    this.#outgoing.countRefusal();
    this.#wakePeer();
  }

  receive(target: Uint8Array): number {
    if (this.#admitted === 0) return 0;
    this.#admitted--;
    return this.#incoming.shift(target);
  }

  listen(changed: () => void): void {
    this.#changed = changed;
  }

  admit(): void {
    const before = this.#admitted;
    this.#admitted = this.#incoming.length;
    const connected = this.#outgoing.reader;
    const missed = this.#incoming.refused;
    if (this.#admitted === before && connected === this.#connected && missed === this.#missed) return;
    this.#connected = connected;
    this.#missed = missed;
    this.#changed();
  }

  [Symbol.dispose](): void {
    this.#incoming.reader = false;
    this.#wakePeer();
  }
}
