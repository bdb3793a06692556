/**
 * Files of the host behind shared disks, with blocking calls: they are made in the thread of a disk's broker, and by nobody else. What the
 * host refuses becomes `false`, and is told in words the first time.
 */
import { closeSync, constants, existsSync, fdatasyncSync, fstatSync, fsyncSync, ftruncateSync, openSync, readSync, writeSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import zlib from 'node:zlib';
import { BulkheadError } from '../../base/index.ts';
import type { Bytes, ImageFile, ImageFiles } from '../../contracts/index.ts';
import type { PunchHole } from './block-file.ts';

/** Takes a lock on an open file; false: somebody else has one. */
export type LockFile = (file: number, mode: 'shared' | 'alone') => boolean;

export interface HostImageFilesOptions {
  readonly punchHole?: PunchHole | undefined;
  /** Absent: nobody is kept off. */
  readonly lock?: LockFile | undefined;
  /** The first time that the host refuses something. */
  readonly refused?: (what: string) => void;
}

export function hostImageFiles(options: HostImageFilesOptions = {}): ImageFiles {
  return {
    open: (path, access) => new HostImageFile(path, access === 'ro' ? constants.O_RDONLY : constants.O_RDWR, options),
    create(path) {
      const file = new HostImageFile(path, constants.O_RDWR | constants.O_CREAT | constants.O_EXCL, options);
      syncFolder(dirname(path));
      return file;
    },
    exists: (path) => existsSync(path),
    // A prefix of a protocol (`json:`, `nbd:`) is a name like any other here, and no such file will be found.
    resolve: (path, reference) => resolve(dirname(path), reference.startsWith('file:') ? reference.slice(5) : reference),
    inflate,
  };
}

/** What was compressed may be followed by anything: the format does not say where it ends. */
function inflate(format: 'deflate' | 'zstd', source: Uint8Array, target: Uint8Array): boolean {
  try {
    const limit = { maxOutputLength: target.length };
    const bytes =
      format === 'deflate'
        ? zlib.inflateRawSync(source, { ...limit, windowBits: 12 })
        : zlib.zstdDecompressSync(source.subarray(0, zstdFrameBytes(source)), limit);
    if (bytes.length !== target.length) return false;
    target.set(bytes);
    return true;
  } catch {
    return false;
  }
}

/** Length of the first frame (RFC 8878 §3.1.1): zlib refuses what follows it. */
function zstdFrameBytes(source: Uint8Array): number {
  const descriptor = source[4] ?? 0;
  const isSingle = (descriptor & 0x20) !== 0;
  const sizeBytes = [isSingle ? 1 : 0, 2, 4, 8][descriptor >> 6] as number;
  const dictionaryBytes = [0, 1, 2, 4][descriptor & 3] as number;
  let at = 5 + (isSingle ? 0 : 1) + dictionaryBytes + sizeBytes;
  for (let last = false; !last && at + 3 <= source.length; ) {
    const header = (source[at] as number) | ((source[at + 1] as number) << 8) | ((source[at + 2] as number) << 16);
    last = (header & 1) !== 0;
    // A block of type 1 is one byte, repeated.
    at += 3 + (((header >> 1) & 3) === 1 ? 1 : header >> 3);
  }
  return at + (descriptor & 0x04 ? 4 : 0);
}

/** A new file survives a power failure when its folder is on the medium too. */
function syncFolder(path: string): void {
  const folder = openSync(path, constants.O_RDONLY);
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

class HostImageFile implements ImageFile {
  readonly path: string;
  readonly readOnly: boolean;
  readonly #file: number;
  readonly #options: HostImageFilesOptions;
  #size: Bytes;
  #hasRefused = false;
  #isOpen = true;

  constructor(path: string, flags: number, options: HostImageFilesOptions) {
    this.path = path;
    this.readOnly = (flags & (constants.O_RDWR | constants.O_WRONLY)) === 0;
    this.#options = options;
    try {
      this.#file = openSync(path, flags, 0o644);
    } catch (cause) {
      throw new BulkheadError('BH670', `cannot open ${path}: ${(cause as Error).message}`, { cause });
    }
    const status = fstatSync(this.#file);
    this.#size = status.size;
    const problem = status.isFile() ? undefined : 'it is no regular file';
    if (problem !== undefined) {
      closeSync(this.#file);
      throw new BulkheadError('BH670', `cannot open ${path}: ${problem}`);
    }
    if (options.lock?.(this.#file, this.readOnly ? 'shared' : 'alone') === false) {
      closeSync(this.#file);
      throw new BulkheadError('BH671', `${path} is in use by another program`, { hint: 'end the machine that runs on it, or give this one an overlay of its own' });
    }
  }

  get size(): Bytes {
    return this.#size;
  }

  read(offset: Bytes, target: Uint8Array): boolean {
    return this.#attempt('read', () => {
      let done = 0;
      while (done < target.length) {
        const count = readSync(this.#file, target, done, target.length - done, offset + done);
        if (count === 0) break;
        done += count;
      }
      target.fill(0, done);
    });
  }

  write(offset: Bytes, source: Uint8Array): boolean {
    return this.#attempt('write', () => {
      let done = 0;
      while (done < source.length) done += writeSync(this.#file, source, done, source.length - done, offset + done);
      this.#size = Math.max(this.#size, offset + source.length);
    });
  }

  resize(size: Bytes): boolean {
    return this.#attempt('resize', () => {
      ftruncateSync(this.#file, size);
      this.#size = size;
    });
  }

  flush(): boolean {
    return this.readOnly || this.#attempt('flush', () => fdatasyncSync(this.#file));
  }

  punchHole(offset: Bytes, size: Bytes): boolean {
    return this.#options.punchHole?.(this.#file, offset, size) === true;
  }

  [Symbol.dispose](): void {
    if (this.#isOpen) closeSync(this.#file);
    this.#isOpen = false;
  }

  #attempt(what: string, act: () => void): boolean {
    try {
      act();
      return true;
    } catch (error) {
      if (!this.#hasRefused) this.#options.refused?.(`${this.path}: cannot ${what}: ${(error as Error).message}`);
      this.#hasRefused = true;
      return false;
    }
  }
}
