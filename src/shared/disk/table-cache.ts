/**
 * Tables of a qcow2 image (L2 tables, refcount blocks) as they are in memory: a bounded number of clusters, read when they are needed and
 * written when their owner says so. What was changed stays until then, so that the owner decides the order in which changes reach the file.
 */
import type { Bytes, ImageFile } from '../../contracts/index.ts';

/** What one step of its owner may need: tables it looks at and tables it makes. */
const SPARE_TABLES = 4;

export class CachedTable {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  offset: Bytes = -1;
  /** Bytes `[dirtyFrom, dirtyTo)` differ from the file's. */
  dirtyFrom = 0;
  dirtyTo = 0;
  /** When it was last used. */
  used = 0;

  constructor(size: Bytes) {
    this.bytes = new Uint8Array(size);
    this.view = new DataView(this.bytes.buffer);
  }

  get dirty(): boolean {
    return this.dirtyTo > this.dirtyFrom;
  }

  /** Bytes `[from, to)` were changed. */
  changed(from: number, to: number): void {
    this.dirtyFrom = this.dirty ? Math.min(this.dirtyFrom, from) : from;
    this.dirtyTo = Math.max(this.dirtyTo, to);
  }
}

export class TableCache {
  readonly #file: ImageFile;
  readonly #tableBytes: Bytes;
  readonly #capacity: number;
  readonly #tables = new Map<Bytes, CachedTable>();
  #clock = 0;

  constructor(file: ImageFile, tableBytes: Bytes, capacity: number) {
    this.#file = file;
    this.#tableBytes = tableBytes;
    this.#capacity = capacity;
  }

  get dirty(): boolean {
    for (const table of this.#tables.values()) if (table.dirty) return true;
    return false;
  }

  /** The table at `offset`. undefined: it cannot be read, or there is no room because every table waits to be written: see {@link full}. */
  get(offset: Bytes): CachedTable | undefined {
    const known = this.#tables.get(offset);
    if (known !== undefined) {
      known.used = ++this.#clock;
      return known;
    }
    const table = this.#room();
    if (table === undefined || !this.#file.read(offset, table.bytes)) return undefined;
    return this.#keep(table, offset);
  }

  /** A new table at `offset`, all zeros, wholly changed. undefined: see {@link full}. */
  make(offset: Bytes): CachedTable | undefined {
    this.#tables.delete(offset);
    const table = this.#room();
    if (table === undefined) return undefined;
    table.bytes.fill(0);
    table.changed(0, this.#tableBytes);
    return this.#keep(table, offset);
  }

  /** Forgets a table whose cluster is not one any more. */
  drop(offset: Bytes): void {
    this.#tables.delete(offset);
  }

  /** So few tables can be given up that some are to be written first. */
  get full(): boolean {
    let left = this.#capacity - this.#tables.size;
    for (const table of this.#tables.values()) if (!table.dirty) left++;
    return left < SPARE_TABLES;
  }

  /** Writes what was changed. False: the host could not; it stays changed. */
  write(): boolean {
    for (const table of this.#tables.values()) {
      if (!table.dirty) continue;
      if (!this.#file.write(table.offset + table.dirtyFrom, table.bytes.subarray(table.dirtyFrom, table.dirtyTo))) return false;
      table.dirtyFrom = 0;
      table.dirtyTo = 0;
    }
    return true;
  }

  #keep(table: CachedTable, offset: Bytes): CachedTable {
    table.offset = offset;
    table.used = ++this.#clock;
    this.#tables.set(offset, table);
    return table;
  }

  /** Memory for one more: new, or that of the table that was not used for longest. */
  #room(): CachedTable | undefined {
    if (this.#tables.size < this.#capacity) return new CachedTable(this.#tableBytes);
    let oldest: CachedTable | undefined;
    for (const table of this.#tables.values()) if (!table.dirty && table.used < (oldest?.used ?? Number.POSITIVE_INFINITY)) oldest = table;
    if (oldest !== undefined) this.#tables.delete(oldest.offset);
    return oldest;
  }
}
