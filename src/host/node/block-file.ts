/**
 * A raw image file as a disk or CD-ROM. Calls block: they are made in the thread of the partition that owns the file, and by nobody else.
 * What the host refuses (a full file system, a medium gone bad) becomes `false`; the first refusal is told in words.
 */
import { accessSync, closeSync, constants, fdatasyncSync, fstatSync, openSync, readSync, statSync, writeSync } from 'node:fs';
import { BulkheadError } from '../../base/index.ts';
import { type BlockBackend, type Bytes, SECTOR_BYTES } from '../../contracts/index.ts';

/** Gives the space of a range back to the file system; it reads as zeros afterwards. False: it cannot. */
export type PunchHole = (file: number, offset: Bytes, size: Bytes) => boolean;

export interface BlockFileOptions {
  readonly readOnly: boolean;
  /** Absent, or it cannot do it to this file: discarding is not offered to the guest. */
  readonly punchHole?: PunchHole | undefined;
  /** The first time that the host refuses to read, write, flush or discard. */
  readonly refused?: (what: string) => void;
}

export interface BlockFile extends BlockBackend, Disposable {}

/** Throws BH506 when the file cannot be opened as asked or is not whole sectors. */
export function openBlockFile(path: string, options: BlockFileOptions): BlockFile {
  return new RawFile(path, options);
}

class RawFile implements BlockFile {
  readonly sectors: number;
  readonly readOnly: boolean;
  readonly discard?: (sector: number, count: number) => boolean;
  readonly #path: string;
  readonly #file: number;
  readonly #refused: ((what: string) => void) | undefined;
  #hasRefused = false;
  #isOpen = true;

  constructor(path: string, { readOnly, punchHole, refused }: BlockFileOptions) {
    this.#path = path;
    this.readOnly = readOnly;
    this.#refused = refused;
    let size: number;
    try {
      this.#file = openSync(path, readOnly ? 'r' : 'r+');
      const status = fstatSync(this.#file);
      if (!status.isFile()) throw new Error('it is no regular file');
      size = status.size;
    } catch (cause) {
      throw new BulkheadError('BH506', `cannot open ${path}: ${(cause as Error).message}`, { cause });
    }
    if (size === 0 || size % SECTOR_BYTES !== 0) {
      closeSync(this.#file);
      throw new BulkheadError('BH506', `${path} has ${size} bytes: a disk is whole sectors of ${SECTOR_BYTES} bytes`);
    }
    this.sectors = size / SECTOR_BYTES;
    // Asked about a place behind the end, where it changes nothing.
    if (punchHole !== undefined && !readOnly && punchHole(this.#file, size, SECTOR_BYTES)) {
      this.discard = (sector, count) =>
        this.#attempt('discard', () => {
          if (!punchHole(this.#file, sector * SECTOR_BYTES, count * SECTOR_BYTES)) throw new Error('the host makes no hole');
        });
    }
  }

  read(sector: number, target: Uint8Array): boolean {
    return this.#attempt('read', () => this.#move(readSync, sector, target));
  }

  write(sector: number, source: Uint8Array): boolean {
    return !this.readOnly && this.#attempt('write', () => this.#move(writeSync, sector, source));
  }

  flush(): boolean {
    return this.readOnly || this.#attempt('flush', () => fdatasyncSync(this.#file));
  }

  [Symbol.dispose](): void {
    if (this.#isOpen) closeSync(this.#file);
    this.#isOpen = false;
  }

  /** A call may move less than all: at a signal, or where the disk is full. */
  #move(
    call: (file: number, bytes: Uint8Array, offset: number, length: number, position: number) => number,
    sector: number,
    bytes: Uint8Array,
  ): void {
    for (let done = 0; done < bytes.length; ) {
      const moved = call(this.#file, bytes, done, bytes.length - done, sector * SECTOR_BYTES + done);
      if (moved <= 0) throw new Error('the file has become shorter');
      done += moved;
    }
  }

  #attempt(what: string, act: () => void): boolean {
    try {
      act();
      return true;
    } catch (error) {
      if (!this.#hasRefused) this.#refused?.(`${this.#path}: cannot ${what}: ${(error as Error).message}`);
      this.#hasRefused = true;
      return false;
    }
  }
}

/** What there is at a path, for somebody who wants to put a disk on it. */
export type InspectedBlockFile =
  | { readonly status: 'found'; readonly path: string; readonly identity: string; readonly size: Bytes; readonly writable: boolean }
  | { readonly status: 'missing'; readonly reason: string };

/** Never throws. `path` is absolute. */
export function inspectBlockFile(path: string): InspectedBlockFile {
  try {
    const status = statSync(path, { bigint: true });
    if (!status.isFile()) return { status: 'missing', reason: 'it is no regular file' };
    accessSync(path, constants.R_OK);
    return { status: 'found', path, identity: `${status.dev}:${status.ino}`, size: Number(status.size), writable: isWritable(path) };
  } catch (error) {
    return { status: 'missing', reason: reasonOf(error) };
  }
}

function isWritable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

function reasonOf(error: unknown): string {
  const { code } = error as NodeJS.ErrnoException;
  if (code === 'ENOENT') return 'there is no such file';
  if (code === 'EACCES') return 'permission denied';
  return error instanceof Error ? error.message : String(error);
}
