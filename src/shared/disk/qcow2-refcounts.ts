/**
 * How often each cluster of a qcow2 image is used: the refcount table, its blocks, and the search for clusters that nobody uses.
 *
 * Changes are kept in memory until {@link write}. A cluster that was given up is used anew only after {@link release}, which its image calls
 * once nothing on the medium refers to it any more.
 *
 * Spec: QEMU's docs/interop/qcow2.txt, "Host cluster management".
 */
import type { Bytes, ImageFile } from '../../contracts/index.ts';
import { number64, put64, type Qcow2Header, writeRefcountTablePlace } from './qcow2-header.ts';
import { type CachedTable, TableCache } from './table-cache.ts';

/** Blocks kept in memory; each stands for 2 GiB, with clusters of 64 KiB and refcounts of 16 bits. */
const CACHED_BLOCKS = 32;
const LARGEST_TABLE_BYTES = 8 << 20;

export class Qcow2Refcounts {
  readonly #file: ImageFile;
  readonly #clusterBytes: Bytes;
  readonly #bits: number;
  readonly #perBlock: number;
  readonly #blocks: TableCache;
  #table: Uint8Array;
  #tableView: DataView;
  #tableOffset: Bytes;
  /** Entries of the table that differ from the file's. */
  readonly #changedEntries = new Set<number>();
  /** The table moved: header and old table are to follow. */
  #moved: { readonly from: Bytes; readonly bytes: Bytes } | undefined;
  /** No cluster below is free, as far as anybody knows. */
  #hint = 0;
  /** Clusters that are not used any more, and not free yet. */
  readonly #givenUp: number[] = [];

  constructor(file: ImageFile, header: Qcow2Header, table: Uint8Array) {
    this.#file = file;
    this.#clusterBytes = 2 ** header.clusterBits;
    this.#bits = 2 ** header.refcountOrder;
    this.#perBlock = (this.#clusterBytes * 8) / this.#bits;
    this.#blocks = new TableCache(file, this.#clusterBytes, CACHED_BLOCKS);
    this.#table = table;
    this.#tableView = new DataView(table.buffer, table.byteOffset, table.length);
    this.#tableOffset = header.refcountTableOffset;
  }

  /** Something differs from the file. */
  get dirty(): boolean {
    return this.#changedEntries.size > 0 || this.#moved !== undefined || this.#blocks.dirty;
  }

  /** Memory is full of changes: they are to be written before anything else. */
  get full(): boolean {
    return this.#blocks.full;
  }

  /** Clusters that wait for {@link release}. */
  get waiting(): number {
    return this.#givenUp.length;
  }

  /** Whether the cluster at `offset` holds refcounts or their table. */
  holds(offset: Bytes): boolean {
    if (offset >= this.#tableOffset && offset < this.#tableOffset + this.#table.length) return true;
    return this.#blockOffsets().has(offset);
  }

  /** A cluster that nobody used, used once from now on: its offset. undefined: the image cannot grow, or the host failed. */
  allocate(): Bytes | undefined {
    // Behind the end of the file nothing is used, in an image that is what it says.
    const end = Math.max(this.#hint, Math.ceil(this.#file.size / this.#clusterBytes)) + 4 * this.#perBlock;
    for (let cluster = this.#hint; cluster < end; cluster++) {
      const block = this.#blockFor(cluster, true);
      if (block === undefined) return undefined;
      // Making the block may have used this very cluster.
      if (this.#get(block, cluster) !== 0) continue;
      this.#put(block, cluster, 1);
      this.#hint = cluster + 1;
      return cluster * this.#clusterBytes;
    }
    return undefined;
  }

  /** How often the cluster at `offset` is used; undefined when the host failed. */
  count(offset: Bytes): number | undefined {
    const cluster = Math.floor(offset / this.#clusterBytes);
    if (!this.#covered(cluster)) return 0;
    const block = this.#blockFor(cluster, false);
    return block === undefined ? undefined : this.#get(block, cluster);
  }

  /** One use of the cluster at `offset` less, once {@link release} is called. */
  giveUp(offset: Bytes): void {
    this.#givenUp.push(Math.floor(offset / this.#clusterBytes));
  }

  /**
   * Nothing on the medium refers to what was given up: it is free. `freed` hears of clusters that nobody uses any more. Some may be left
   * waiting, when memory is full of changes: until the next {@link write}.
   */
  release(freed: (offset: Bytes) => void): void {
    while (!this.#blocks.full) {
      const cluster = this.#givenUp.pop();
      if (cluster === undefined) return;
      const block = this.#covered(cluster) ? this.#blockFor(cluster, false) : undefined;
      const count = block === undefined ? 0 : this.#get(block, cluster);
      // A count that is 0 already was wrong before.
      if (block === undefined || count === 0) continue;
      this.#put(block, cluster, count - 1);
      if (count > 1) continue;
      this.#hint = Math.min(this.#hint, cluster);
      freed(cluster * this.#clusterBytes);
    }
  }

  /** Writes blocks, then what refers to them, with the medium in between. False: the host could not. */
  write(): boolean {
    if (!this.#blocks.write()) return false;
    if (this.#moved === undefined && this.#changedEntries.size === 0) return true;
    if (!this.#file.flush()) return false;
    if (this.#moved !== undefined) return this.#writeMoved(this.#moved);
    for (const entry of this.#changedEntries) {
      if (!this.#file.write(this.#tableOffset + entry * 8, this.#table.subarray(entry * 8, entry * 8 + 8))) return false;
    }
    this.#changedEntries.clear();
    return true;
  }

  #writeMoved({ from, bytes }: { readonly from: Bytes; readonly bytes: Bytes }): boolean {
    if (!this.#file.write(this.#tableOffset, this.#table) || !this.#file.flush()) return false;
    if (!writeRefcountTablePlace(this.#file, this.#tableOffset, this.#table.length / this.#clusterBytes) || !this.#file.flush()) return false;
    this.#changedEntries.clear();
    this.#moved = undefined;
    for (let at = 0; at < bytes; at += this.#clusterBytes) this.giveUp(from + at);
    return true;
  }

  /** There is a block for it. */
  #covered(cluster: number): boolean {
    const entry = Math.floor(cluster / this.#perBlock);
    return entry * 8 < this.#table.length && this.#entry(entry) !== 0;
  }

  #entry(entry: number): Bytes {
    const offset = number64(this.#tableView, entry * 8);
    return offset % this.#clusterBytes === 0 && offset < 2 ** 52 ? offset : 0;
  }

  #blockFor(cluster: number, make: boolean): CachedTable | undefined {
    const entry = Math.floor(cluster / this.#perBlock);
    if (entry * 8 >= this.#table.length && !(make && this.#growTable(entry))) return undefined;
    const offset = this.#entry(entry);
    if (offset !== 0) return this.#blocks.get(offset);
    return make ? this.#makeBlock(entry) : undefined;
  }

  /** A new block describes itself: it lies in the first cluster it stands for. */
  #makeBlock(entry: number): CachedTable | undefined {
    const cluster = entry * this.#perBlock;
    const block = this.#blocks.make(cluster * this.#clusterBytes);
    if (block === undefined) return undefined;
    this.#put(block, cluster, 1);
    put64(this.#tableView, entry * 8, cluster * this.#clusterBytes);
    this.#changedEntries.add(entry);
    this.#offsets?.add(cluster * this.#clusterBytes);
    return block;
  }

  /** A larger table, in new clusters one behind the other at the beginning of what it adds. */
  #growTable(entry: number): boolean {
    if (this.#moved !== undefined) return false;
    const needed = (entry + 1) * 8;
    const bytes = Math.ceil(Math.max(needed, this.#table.length * 2) / this.#clusterBytes) * this.#clusterBytes;
    if (bytes > LARGEST_TABLE_BYTES) return false;
    const table = new Uint8Array(bytes);
    table.set(this.#table);
    const from = { from: this.#tableOffset, bytes: this.#table.length };
    this.#table = table;
    this.#tableView = new DataView(table.buffer);
    const block = this.#makeBlock(entry);
    const clusters = bytes / this.#clusterBytes;
    if (block === undefined || clusters + 1 > this.#perBlock) return false;
    const first = entry * this.#perBlock + 1;
    for (let cluster = first; cluster < first + clusters; cluster++) this.#put(block, cluster, 1);
    this.#tableOffset = first * this.#clusterBytes;
    this.#moved = from;
    return true;
  }

  #offsets: Set<Bytes> | undefined;

  #blockOffsets(): ReadonlySet<Bytes> {
    if (this.#offsets === undefined) {
      this.#offsets = new Set();
      for (let entry = 0; entry * 8 < this.#table.length; entry++) {
        const offset = this.#entry(entry);
        if (offset !== 0) this.#offsets.add(offset);
      }
    }
    return this.#offsets;
  }

  #get({ view, bytes }: CachedTable, cluster: number): number {
    const index = cluster % this.#perBlock;
    switch (this.#bits) {
      case 8:
        return view.getUint8(index);
      case 16:
        return view.getUint16(index * 2);
      case 32:
        return view.getUint32(index * 4);
      case 64:
        return number64(view, index * 8);
      default: {
        // Refcounts smaller than a byte begin at its least significant bit.
        const perByte = 8 / this.#bits;
        const shift = (index % perByte) * this.#bits;
        return ((bytes[Math.floor(index / perByte)] as number) >> shift) & ((1 << this.#bits) - 1);
      }
    }
  }

  #put(block: CachedTable, cluster: number, count: number): void {
    const index = cluster % this.#perBlock;
    const { view, bytes } = block;
    const from = Math.floor((index * this.#bits) / 8);
    block.changed(from, from + Math.max(1, this.#bits / 8));
    switch (this.#bits) {
      case 8:
        view.setUint8(index, count);
        return;
      case 16:
        view.setUint16(index * 2, count);
        return;
      case 32:
        view.setUint32(index * 4, count);
        return;
      case 64:
        put64(view, index * 8, count);
        return;
      default: {
        const shift = from * 8 === index * this.#bits ? 0 : (index * this.#bits) % 8;
        const mask = ((1 << this.#bits) - 1) << shift;
        bytes[from] = ((bytes[from] as number) & ~mask) | ((count << shift) & mask);
      }
    }
  }
}
