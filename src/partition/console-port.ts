/**
 * The partition's end of a console: two byte rings in shared memory, one per direction.
 *
 * Output never waits: a host that does not read loses the oldest bytes, and they are counted. Input is lossless: bytes stay in the
 * ring until the device takes them. The device sees only bytes that were *admitted* between two slices, so that input reaches the guest
 * at an instruction that is known, not whenever another thread happened to write.
 */
import { ByteRing } from '../base/index.ts';
import type { CharacterBackend } from '../contracts/index.ts';

/** The two directions of one console, ready to be posted to another thread. */
export interface ConsoleBuffers {
  /** Guest to host. */
  readonly output: SharedArrayBuffer;
  /** Host to guest. */
  readonly input: SharedArrayBuffer;
}

export class ConsolePort implements CharacterBackend {
  readonly #output: ByteRing;
  readonly #input: ByteRing;
  #admitted = 0;

  constructor(buffers: ConsoleBuffers) {
    this.#output = ByteRing.over(buffers.output);
    this.#input = ByteRing.over(buffers.input);
  }

  output(byte: number): void {
    this.#output.pushByteDroppingOldest(byte);
  }

  input(): number | undefined {
    if (this.#admitted === 0) return undefined;
    this.#admitted--;
    return this.#input.shift();
  }

  /** Between slices: lets the device see what has arrived by now. True when there is something it has not taken yet. */
  admit(): boolean {
    this.#admitted = this.#input.length;
    return this.#admitted > 0;
  }
}
