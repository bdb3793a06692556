/** Bytes on their way to a guest: kept until they are acknowledged, to be sent again where they are not. */
import { KiB } from '../../../base/index.ts';

/** Twice what the host is asked for at once: a chunk that comes after "no more" fits as well. */
export const SEND_BUFFER_BYTES: number = 256 * KiB;

export class SendBuffer {
  #bytes: Uint8Array | undefined;
  #first = 0;
  #used = 0;
  /** What did not fit; the sender was told to stop, so there is little of it. */
  readonly #late: Uint8Array[] = [];

  /** Bytes that wait or are on their way. */
  get length(): number {
    return this.#used;
  }

  /** More than this should not be asked for now. */
  get isFull(): boolean {
    return this.#used > SEND_BUFFER_BYTES / 2;
  }

  push(bytes: Uint8Array): void {
    const fits = this.#late.length > 0 ? 0 : Math.min(bytes.length, SEND_BUFFER_BYTES - this.#used);
    this.#append(bytes.subarray(0, fits));
    if (fits < bytes.length) this.#late.push(bytes.slice(fits));
  }

  /** Copies `count` bytes, `offset` behind the oldest. They are there. */
  copy(offset: number, count: number, into: Uint8Array, at: number): void {
    const buffer = this.#bytes;
    if (buffer === undefined) return;
    const from = (this.#first + offset) % SEND_BUFFER_BYTES;
    const piece = Math.min(count, SEND_BUFFER_BYTES - from);
    into.set(buffer.subarray(from, from + piece), at);
    into.set(buffer.subarray(0, count - piece), at + piece);
  }

  /** The oldest `count` bytes arrived. */
  release(count: number): void {
    this.#first = (this.#first + count) % SEND_BUFFER_BYTES;
    this.#used -= count;
    for (let late = this.#late[0]; late !== undefined && this.#used < SEND_BUFFER_BYTES; late = this.#late[0]) {
      const fits = Math.min(late.length, SEND_BUFFER_BYTES - this.#used);
      this.#append(late.subarray(0, fits));
      if (fits === late.length) this.#late.shift();
      else this.#late[0] = late.subarray(fits);
    }
  }

  #append(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    const buffer = (this.#bytes ??= new Uint8Array(SEND_BUFFER_BYTES));
    const at = (this.#first + this.#used) % SEND_BUFFER_BYTES;
    const piece = Math.min(bytes.length, SEND_BUFFER_BYTES - at);
    buffer.set(bytes.subarray(0, piece), at);
    buffer.set(bytes.subarray(piece), 0);
    this.#used += bytes.length;
  }
}
