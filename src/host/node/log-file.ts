/**
 * A log that cannot fill the disk: one file and a few older ones, `name.log`, `name.log.1`, … Writing is synchronous, so that the last
 * line before a crash of ours is there too; callers write in batches.
 */
import { closeSync, fstatSync, mkdirSync, openSync, renameSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { BulkheadError, MiB } from '../../base/index.ts';

export interface LogFileLimits {
  /** A file this large makes way for a new one. */
  readonly fileBytes: number;
  /** Older files kept beside the current one. */
  readonly kept: number;
}

const DEFAULT_LIMITS: LogFileLimits = { fileBytes: 8 * MiB, kept: 3 };

export class LogFile implements Disposable {
  readonly path: string;
  readonly #limits: LogFileLimits;
  #descriptor: number;
  #size: number;
  #lost = 0;

  /** Appends to what is there; makes the folders on the way. Throws BH620 when it cannot be opened. */
  constructor(path: string, limits: LogFileLimits = DEFAULT_LIMITS) {
    this.path = path;
    this.#limits = limits;
    try {
      mkdirSync(dirname(path), { recursive: true });
      this.#descriptor = openSync(path, 'a');
      this.#size = fstatSync(this.#descriptor).size;
    } catch (cause) {
      throw new BulkheadError('BH620', `cannot write the log ${path}: ${(cause as Error).message}`, {
        cause,
        hint: 'choose another place with --log-dir',
      });
    }
  }

  /** Bytes that could not be written: the disk is full. A run goes on without its log. */
  get lost(): number {
    return this.#lost;
  }

  write(text: string): void {
    if (text === '') return;
    const bytes = Buffer.from(text);
    try {
      if (this.#size > 0 && this.#size + bytes.length > this.#limits.fileBytes) this.#rotate();
      writeSync(this.#descriptor, bytes);
      this.#size += bytes.length;
    } catch {
      this.#lost += bytes.length;
    }
  }

  [Symbol.dispose](): void {
    try {
      closeSync(this.#descriptor);
    } catch {
      // Nothing is lost by a descriptor that is closed already.
    }
  }

  #rotate(): void {
    closeSync(this.#descriptor);
    for (let age = this.#limits.kept; age > 0; age--) {
      const from = age === 1 ? this.path : `${this.path}.${age - 1}`;
      try {
        renameSync(from, `${this.path}.${age}`);
      } catch {
        // There is no file of that age yet.
      }
    }
    this.#descriptor = openSync(this.path, 'w');
    this.#size = 0;
  }
}
