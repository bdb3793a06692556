/** A raw image: the bytes of the disk, one after the other. */
import { KiB } from '../../base/index.ts';
import type { Bytes, ImageFile } from '../../contracts/index.ts';
import type { DiskImage } from './disk-image.ts';

const SECTOR = 512;
const ZEROS = new Uint8Array(64 * KiB);

export class RawImage implements DiskImage {
  readonly description: string = 'raw';
  readonly size: Bytes;
  readonly clusterBytes: Bytes = 4 * KiB;
  readonly #file: ImageFile;
  #dirty = false;

  constructor(file: ImageFile) {
    this.#file = file;
    // What is no whole sector cannot be a disk's.
    this.size = Math.floor(file.size / SECTOR) * SECTOR;
  }

  get readOnly(): boolean {
    return this.#file.readOnly;
  }

  get dirty(): boolean {
    return this.#dirty;
  }

  read(offset: Bytes, target: Uint8Array): boolean {
    return this.#file.read(offset, target);
  }

  write(offset: Bytes, source: Uint8Array): boolean {
    this.#dirty = true;
    return this.#file.write(offset, source);
  }

  zero(offset: Bytes, size: Bytes, unmap: boolean): boolean {
    this.#dirty = true;
    if (unmap && this.#file.punchHole(offset, size)) return true;
    for (let done = 0; done < size; done += ZEROS.length) {
      if (!this.#file.write(offset + done, ZEROS.subarray(0, Math.min(ZEROS.length, size - done)))) return false;
    }
    return true;
  }

  /** Where the host cannot take the room back, nothing changes: that is allowed too. */
  discard(offset: Bytes, size: Bytes): boolean {
    this.#dirty = true;
    this.#file.punchHole(offset, size);
    return true;
  }

  flush(): boolean {
    this.#dirty = false;
    if (this.#file.flush()) return true;
    this.#dirty = true;
    return false;
  }

  [Symbol.dispose](): void {
    if (this.#dirty) this.flush();
    this.#file[Symbol.dispose]();
  }
}
