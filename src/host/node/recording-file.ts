/** The file that a recording is written to, in large pieces: what pcap and pcapng have in common. */
import { closeSync, fstatSync, openSync, writeSync } from 'node:fs';
import { BulkheadError } from '../../base/index.ts';

/** Everything that fails throws BH630; from then on the file is closed, and what is written is dropped. */
export class RecordingFile implements Disposable {
  readonly #path: string;
  readonly #buffer: Uint8Array;
  #file: number;
  #flushed = 0;
  /** Bytes of the buffer that wait to be written; who fills it moves this on. */
  used = 0;

  /** A new file, or one that is continued where there is one. */
  constructor(path: string, mode: 'new' | 'append', buffer: Uint8Array) {
    this.#path = path;
    this.#buffer = buffer;
    this.#file = attempt(path, () => openSync(path, mode === 'new' ? 'w' : 'a'));
  }

  get isOpen(): boolean {
    return this.#file >= 0;
  }

  /** Nothing stands in the file. */
  get isEmpty(): boolean {
    return attempt(this.#path, () => fstatSync(this.#file)).size === 0;
  }

  /** Bytes written since it was opened, those that wait included. */
  get size(): number {
    return this.#flushed + this.used;
  }

  /** What was put into the buffer is in the file. */
  flush(): void {
    const { used } = this;
    this.used = 0;
    if (!this.isOpen || used === 0) return;
    this.#flushed += used;
    try {
      for (let at = 0; at < used; ) at += writeSync(this.#file, this.#buffer, at, used - at);
    } catch (error) {
      this.#close();
      throw recordingError(this.#path, error);
    }
  }

  [Symbol.dispose](): void {
    try {
      this.flush();
    } finally {
      this.#close();
    }
  }

  #close(): void {
    if (this.isOpen) closeSync(this.#file);
    this.#file = -1;
  }
}

/** Carries out what the host may refuse. Throws BH630. */
export function attempt<Result>(path: string, action: () => Result): Result {
  try {
    return action();
  } catch (error) {
    throw recordingError(path, error);
  }
}

function recordingError(path: string, cause: unknown): BulkheadError {
  return new BulkheadError('BH630', `${path}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
}
