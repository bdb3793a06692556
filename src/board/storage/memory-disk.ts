/** A disk in memory: for tests, and where there is no file. */
import { type BlockBackend, SECTOR_BYTES } from '../../contracts/index.ts';

export class MemoryDisk implements BlockBackend {
  readonly bytes: Uint8Array;
  readonly readOnly: boolean;
  /** Reads and writes of this sector fail; −1 for none. */
  badSector = -1;
  /** Times everything written was asked to be on the medium. */
  flushes = 0;
  readonly discarded: (readonly [sector: number, count: number])[] = [];

  constructor(sectors: number, readOnly = false) {
    this.bytes = new Uint8Array(sectors * SECTOR_BYTES);
    this.readOnly = readOnly;
  }

  get sectors(): number {
    return this.bytes.length / SECTOR_BYTES;
  }

  read(sector: number, target: Uint8Array): boolean {
    if (!this.#inside(sector, target.length)) return false;
    const at = sector * SECTOR_BYTES;
    target.set(this.bytes.subarray(at, at + target.length));
    return true;
  }

  write(sector: number, source: Uint8Array): boolean {
    if (this.readOnly || !this.#inside(sector, source.length)) return false;
    this.bytes.set(source, sector * SECTOR_BYTES);
    return true;
  }

  flush(): boolean {
    this.flushes++;
    return true;
  }

  discard(sector: number, count: number): boolean {
    this.discarded.push([sector, count]);
    this.bytes.fill(0, sector * SECTOR_BYTES, (sector + count) * SECTOR_BYTES);
    return true;
  }

  #inside(sector: number, bytes: number): boolean {
    const end = sector + bytes / SECTOR_BYTES;
    return sector >= 0 && end <= this.sectors && !(this.badSector >= sector && this.badSector < end);
  }
}
