/** Commands that a drive has accepted into its queue, in the order they came: their slots, their frames, and when each is due. */
import type { Nanos } from '../../contracts/index.ts';
import { REGISTER_FIS_BYTES } from './fis.ts';

export interface QueuedCommand {
  readonly slot: number;
  readonly fis: readonly number[];
  readonly due: Nanos;
}

export class CommandQueue {
  /** Slots, in order. */
  readonly #order: Uint8Array;
  readonly #frames: Uint8Array;
  readonly #due: Float64Array;
  #length = 0;

  /** `slots` is how many there can be: a slot is in the queue once at most. */
  constructor(slots: number) {
    this.#order = new Uint8Array(slots);
    this.#frames = new Uint8Array(slots * REGISTER_FIS_BYTES);
    this.#due = new Float64Array(slots);
  }

  get length(): number {
    return this.#length;
  }

  /** When the first one is due; Infinity when there is none. */
  get due(): Nanos {
    return this.#length === 0 ? Number.POSITIVE_INFINITY : (this.#due[this.#order[0] as number] as number);
  }

  includes(slot: number): boolean {
    return this.#order.subarray(0, this.#length).includes(slot);
  }

  push(slot: number, fis: Uint8Array, due: Nanos): void {
    this.#order[this.#length++] = slot;
    this.frameOf(slot).set(fis);
    this.#due[slot] = due;
  }

  /** Takes the first one out; −1 when there is none. */
  shift(): number {
    if (this.#length === 0) return -1;
    const slot = this.#order[0] as number;
    this.#order.copyWithin(0, 1, this.#length--);
    return slot;
  }

  frameOf(slot: number): Uint8Array {
    return this.#frames.subarray(REGISTER_FIS_BYTES * slot, REGISTER_FIS_BYTES * (slot + 1));
  }

  clear(): void {
    this.#length = 0;
  }

  save(): QueuedCommand[] {
    return Array.from(this.#order.subarray(0, this.#length), (slot) => ({
      slot,
      fis: [...this.frameOf(slot)],
      due: this.#due[slot] as number,
    }));
  }

  restore(commands: readonly QueuedCommand[]): void {
    this.clear();
    for (const { slot, fis, due } of commands.slice(0, this.#order.length)) {
      this.push(slot, Uint8Array.from(fis.slice(0, REGISTER_FIS_BYTES)), due);
    }
  }
}
