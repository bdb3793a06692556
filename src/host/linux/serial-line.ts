/**
 * A pseudo-terminal as a serial line of a partition's own: bytes leave by a write in the partition's thread, and a reader thread of its own
 * waits for those that come and wakes the partition. Nobody stands between.
 *
 * Spec: pty(7).
 * Not modelled: baud rates, modem lines.
 */
import { writeSync } from 'node:fs';
import { FrameRing, KiB } from '../../base/index.ts';
import type { AttachedLine } from '../../contracts/index.ts';
import { openTerminal, type Terminal } from './pty.ts';
import { startReader } from './reader-thread.ts';

const RING_BYTES = 64 * KiB;
/** What one read of the reader's gives at most. */
const LONGEST_PIECE = 9216;

/** `link` leads to the terminal. `alarm` is rung when bytes have arrived. Throws BH660 when there can be none, BH631 without koffi. */
export function openSerialLine(link: string, alarm: Int32Array): AttachedLine {
  return new SerialLine(openTerminal(link), alarm);
}

class SerialLine implements AttachedLine {
  readonly #terminal: Terminal;
  readonly #pieces = FrameRing.create(RING_BYTES);
  readonly #reader: Disposable;
  readonly #byte = new Uint8Array(1);
  readonly #piece = new Uint8Array(LONGEST_PIECE);
  #length = 0;
  #at = 0;
  #admitted = 0;

  constructor(terminal: Terminal, alarm: Int32Array) {
    this.#terminal = terminal;
    this.#reader = startReader({ file: terminal.master, frames: this.#pieces.buffer, alarm });
  }

  output(byte: number): void {
    this.#byte[0] = byte;
    try {
      writeSync(this.#terminal.master, this.#byte);
    } catch {
      // EAGAIN: nobody reads, and its buffer is full. A line loses what nobody takes.
    }
  }

  input(): number | undefined {
    if (this.#at === this.#length) {
      if (this.#admitted === 0) return undefined;
      this.#admitted--;
      this.#length = this.#pieces.shift(this.#piece);
      this.#at = 0;
    }
    return this.#piece[this.#at++];
  }

  admit(): boolean {
    this.#admitted = this.#pieces.length;
    return this.#admitted > 0 || this.#at < this.#length;
  }

  [Symbol.dispose](): void {
    this.#reader[Symbol.dispose]();
    this.#terminal[Symbol.dispose]();
  }
}
