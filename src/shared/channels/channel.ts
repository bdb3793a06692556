/**
 * Memory that several partitions share, and the doorbells they ring one another with.
 *
 * A doorbell is a bit for each vector in a word that one sender and one receiver have for themselves: ringing it again before it was
 * heard changes nothing, so a flood costs its receiver no more than a single ring. It is heard when it is *admitted* between two slices of
 * the receiving partition, at an instruction that is known. How many interrupts a second a sender may cause is part of its grant; the
 * receiver counts them by its own clock and leaves what is beyond for later.
 *
 * The bytes stay while partitions come and go. What waits for a partition that starts again is forgotten.
 */
import { s, SharedWindow } from '../../base/index.ts';
import type { Bytes, ChannelBackend, ChannelMember, ChannelMembership, Clock, Nanos, PortBuffers, SharedEnd } from '../../contracts/index.ts';
import { PortControl } from '../port.ts';

/** Doorbells of a member; a word has a bit for each. */
export const MOST_VECTORS = 32;
/** What a partition may cause in one go, as a part of a second's worth. */
const BURST_PER_SECOND = 1 / 50;
const SMALLEST_BURST = 4;

/** Interrupts a second, where a grant says nothing. */
export const DEFAULT_DOORBELLS = 10_000;

/** Lanes of a channel's port. */
interface ChannelLanes {
  readonly memory: SharedArrayBuffer;
  /** A word for each pair: receiver × members + sender. */
  readonly bells: SharedArrayBuffer;
}

/** What the thread of a member gets. */
export interface ChannelBuffers {
  readonly port: PortBuffers;
  readonly channel: ChannelMembership;
}

/** One end for each member, in their order. `size` in bytes, a multiple of 8. */
export function createChannel(size: Bytes, members: readonly (ChannelMember & { readonly alarm: Int32Array })[]): ChannelBuffers[] {
  const lanes: ChannelLanes = { memory: new SharedArrayBuffer(size), bells: new SharedArrayBuffer(members.length ** 2 * 4) };
  const alarms = members.map(({ alarm }) => alarm);
  const facts = members.map(({ writable, vectors, doorbellsPerSecond }) => ({ writable, vectors, doorbellsPerSecond }));
  return members.map((_, id) => ({ port: { control: PortControl.create(), lanes: { ...lanes } }, channel: { members: facts, id, alarms } }));
}

/** Doorbells a member has rung that were not heard yet, seen from any thread. */
export function waitingDoorbells({ port, channel: { members, id } }: ChannelBuffers): number {
  const words = new Int32Array((port.lanes as unknown as ChannelLanes).bells);
  let waiting = 0;
  for (let receiver = 0; receiver < members.length; receiver++) {
    for (let left = Atomics.load(words, receiver * members.length + id); left !== 0; left &= left - 1) waiting++;
  }
  return waiting;
}

export class ChannelEnd implements ChannelBackend, SharedEnd {
  readonly memory: SharedWindow;
  readonly id: number;
  readonly #members: readonly ChannelMember[];
  readonly #control: PortControl;
  readonly #bells: Int32Array;
  readonly #clock: Clock;
  readonly #alarms: readonly Int32Array[];
  readonly #wake: (alarm: Int32Array) => void;
  /** By sender: when its allowance will be whole again (GCRA's theoretical arrival time). */
  readonly #whole: Float64Array;
  #rung: (vector: number) => void = () => undefined;
  #later: Disposable | undefined;

  /** `wake` is called with the alarm of a member that should look. */
  constructor({ port, channel }: ChannelBuffers, clock: Clock, wake: (alarm: Int32Array) => void) {
    const { memory, bells } = port.lanes as unknown as ChannelLanes;
    const { members, id, alarms } = channel;
    this.memory = new SharedWindow(memory, members[id]?.writable === true);
    this.id = id;
    this.#members = members;
    this.#control = new PortControl(port);
    this.#bells = new Int32Array(bells);
    this.#clock = clock;
    this.#alarms = alarms;
    this.#wake = wake;
    this.#whole = new Float64Array(members.length);
    this.forget();
  }

  ring(peer: number, vector: number): void {
    const receiver = this.#members[peer];
    if (receiver === undefined || vector >= receiver.vectors) {
      this.#control.count('refusedByDevice');
      return;
    }
    const before = Atomics.or(this.#bells, peer * this.#members.length + this.id, 1 << vector);
    this.#control.countServed();
    // It waits already: whoever it is for knows.
    if ((before & (1 << vector)) === 0) this.#wake(this.#alarms[peer] as Int32Array);
  }

  listen(rung: (vector: number) => void): void {
    this.#rung = rung;
  }

  /** Doorbells that wait to be heard are not heard any more. */
  forget(): void {
    for (let sender = 0; sender < this.#members.length; sender++) Atomics.store(this.#bells, this.#word(sender), 0);
  }

  /** Between slices: lets the device hear what was rung by now, as far as each sender's grant allows. */
  admit(): void {
    let next = Number.POSITIVE_INFINITY;
    for (let sender = 0; sender < this.#members.length; sender++) {
      if (Atomics.load(this.#bells, this.#word(sender)) !== 0) next = Math.min(next, this.#hear(sender));
    }
    this.#later?.[Symbol.dispose]();
    this.#later = next === Number.POSITIVE_INFINITY ? undefined : this.#clock.at(next, () => this.admit());
  }

  [Symbol.dispose](): void {
    this.#later?.[Symbol.dispose]();
  }

  /** Returns when the rest may be heard; Infinity: there is none. */
  #hear(sender: number): Nanos {
    const { doorbellsPerSecond } = this.#members[sender] as ChannelMember;
    const word = this.#word(sender);
    const interval = s / doorbellsPerSecond;
    const tolerance = (Math.max(SMALLEST_BURST, doorbellsPerSecond * BURST_PER_SECOND) - 1) * interval;
    const now = this.#clock.now();
    for (let left = Atomics.load(this.#bells, word); left !== 0; ) {
      const due = this.#whole[sender] as number;
      if (due - tolerance > now) return Math.ceil(due - tolerance);
      const vector = 31 - Math.clz32(left & -left);
      this.#whole[sender] = Math.max(due, now) + interval;
      // Before it is heard: a ring from now on is another one.
      Atomics.and(this.#bells, word, ~(1 << vector));
      left &= ~(1 << vector);
      this.#rung(vector);
    }
    return Number.POSITIVE_INFINITY;
  }

  #word(sender: number): number {
    return this.id * this.#members.length + sender;
  }
}
