/**
 * A qcow2 image, versions 2 and 3: read and written, on a backing image or alone.
 *
 * Changes of metadata are kept in memory and reach the file in an order in which it is a correct image after each step, whenever the
 * process is killed or the power fails: first data and refcounts, then L2 tables, then the L1 table, with the medium in between; a cluster
 * that is not used any more is given back last. All of that is done before a flush returns. So a crash can leave clusters that are counted
 * and not used (`qemu-img check` calls them leaked), never ones that are used and not counted.
 *
 * Clusters with internal snapshots are copied before they are written. Compressed clusters are read, and written anew uncompressed.
 *
 * Spec: QEMU's docs/interop/qcow2.txt.
 * Not modelled: what qcow2-header.ts refuses; internal snapshots are left as they are and cannot be taken or opened; images do not shrink.
 */
import { BulkheadError } from '../../base/index.ts';
import type { Bytes, ImageFile, ImageFiles } from '../../contracts/index.ts';
import type { DiskImage } from './disk-image.ts';
import { clearAutoclearFeatures, markCorrupt, put64, type Qcow2Header } from './qcow2-header.ts';
import { Qcow2Refcounts } from './qcow2-refcounts.ts';
import { type CachedTable, TableCache } from './table-cache.ts';

/** L2 tables kept in memory; each stands for 512 MiB, with clusters of 64 KiB. */
const CACHED_L2_BYTES = 4 << 20;
const FEWEST_L2_TABLES = 8;
const MOST_L2_TABLES = 512;
const TWO_32 = 0x1_0000_0000;

// An entry of an L1 or L2 table, as its upper and lower 32 bits
const COPIED_HIGH = 0x8000_0000;
const COMPRESSED_HIGH = 0x4000_0000;
const OFFSET_HIGH = 0x00ff_ffff;
const OFFSET_LOW = 0xffff_fe00;
/** Version 3: the cluster reads as zeros, whatever it holds. */
const ZERO_LOW = 1;

export class Qcow2Image implements DiskImage {
  readonly description: string;
  readonly size: Bytes;
  readonly clusterBytes: Bytes;
  readonly #file: ImageFile;
  readonly #inflate: ImageFiles['inflate'];
  readonly #header: Qcow2Header;
  readonly #backing: DiskImage | undefined;
  readonly #l1: DataView;
  readonly #changedL1 = new Set<number>();
  readonly #l2: TableCache;
  readonly #perL2: number;
  readonly #refcounts: Qcow2Refcounts;
  /** Where L2 tables lie; nobody else may write there. Made when the image is first written. */
  #l2Offsets: Set<Bytes> | undefined;
  /** A cluster of guest data on its way from one place to another. */
  readonly #whole: Uint8Array;
  /** The compressed cluster that was read last, by its place. */
  readonly #inflated: Uint8Array;
  #inflatedFrom = -1;
  /** From here on the file has never been written: it reads as zeros. */
  #virginFrom: Bytes;
  #dataDirty = false;
  #begun = false;
  #corrupt = false;

  /** Throws BH673 when its tables cannot be read. */
  constructor(file: ImageFile, header: Qcow2Header, backing: DiskImage | undefined, inflate: ImageFiles['inflate']) {
    this.#file = file;
    this.#header = header;
    this.#backing = backing;
    this.#inflate = inflate;
    this.size = header.size;
    this.clusterBytes = 2 ** header.clusterBits;
    const on = header.backing === undefined ? '' : `, on ${header.backing.reference} (${backing?.description ?? '?'})`;
    this.description = `qcow2 version ${header.version}${header.snapshots > 0 ? `, ${header.snapshots} snapshots` : ''}${on}`;
    this.#perL2 = this.clusterBytes / 8;
    const l1 = this.#readTable(header.l1Offset, header.l1Entries * 8, 'L1 table');
    this.#l1 = new DataView(l1.buffer);
    const refcountTable = this.#readTable(header.refcountTableOffset, header.refcountTableClusters * this.clusterBytes, 'refcount table');
    this.#refcounts = new Qcow2Refcounts(file, header, refcountTable);
    const tables = Math.min(MOST_L2_TABLES, Math.max(FEWEST_L2_TABLES, CACHED_L2_BYTES / this.clusterBytes));
    this.#l2 = new TableCache(file, this.clusterBytes, tables);
    this.#whole = new Uint8Array(this.clusterBytes);
    this.#inflated = new Uint8Array(this.clusterBytes);
    this.#virginFrom = Math.ceil(file.size / this.clusterBytes) * this.clusterBytes;
  }

  get readOnly(): boolean {
    return this.#file.readOnly;
  }

  get dirty(): boolean {
    return this.#dataDirty || this.#metadataDirty;
  }

  read(offset: Bytes, target: Uint8Array): boolean {
    for (let done = 0; done < target.length; ) {
      const within = (offset + done) % this.clusterBytes;
      const size = Math.min(target.length - done, this.clusterBytes - within);
      const part = size === target.length ? target : target.subarray(done, done + size);
      if (!this.#readCluster(offset + done - within, within, part)) return false;
      done += size;
    }
    return true;
  }

  write(offset: Bytes, source: Uint8Array): boolean {
    return this.#eachCluster(offset, source.length, (cluster, within, size, done) => {
      const part = size === source.length ? source : source.subarray(done, done + size);
      return this.#writeCluster(cluster, within, part);
    });
  }

  zero(offset: Bytes, size: Bytes, unmap: boolean): boolean {
    return this.#eachCluster(offset, size, (cluster, within, part) => {
      const isWhole = part === this.clusterBytes || offset + size >= this.size && cluster + within + part >= this.size && within === 0;
      if (isWhole && (this.#header.version === 3 || this.#backing === undefined)) return this.#clearCluster(cluster, unmap);
      return this.#writeCluster(cluster, within, new Uint8Array(part));
    });
  }

  discard(offset: Bytes, size: Bytes): boolean {
    // Version 2 has no way to say "zeros" in front of a backing image, and what was discarded must not show what lies behind.
    if (this.#header.version === 2 && this.#backing !== undefined) return true;
    return this.#eachCluster(offset, size, (cluster, _, part) => part < this.clusterBytes || this.#clearCluster(cluster, true));
  }

  flush(): boolean {
    if (!this.dirty) return true;
    if (!this.#writeOut() || !this.#file.flush()) return false;
    this.#dataDirty = false;
    return true;
  }

  [Symbol.dispose](): void {
    // Giving clusters back changes refcounts once more.
    if (!this.readOnly) for (let round = 0; round < 3 && this.dirty; round++) if (!this.flush()) break;
    this.#file[Symbol.dispose]();
    this.#backing?.[Symbol.dispose]();
  }

  // ── reading ──

  #readCluster(cluster: Bytes, within: number, target: Uint8Array): boolean {
    const place = this.#lookUp(cluster);
    if (place === undefined) return false;
    const { high, low } = place;
    if (high & COMPRESSED_HIGH) {
      if (!this.#inflateCluster(high, low)) return false;
      target.set(this.#inflated.subarray(within, within + target.length));
      return true;
    }
    const offset = offsetOf(high, low);
    if (low & ZERO_LOW && this.#header.version === 3) target.fill(0);
    else if (offset === 0) return this.#readBacking(cluster + within, target);
    else if (offset % this.clusterBytes !== 0) return false;
    else return this.#file.read(offset + within, target);
    return true;
  }

  #readBacking(offset: Bytes, target: Uint8Array): boolean {
    const available = Math.max(0, Math.min(target.length, (this.#backing?.size ?? 0) - offset));
    target.fill(0, available);
    return available === 0 || this.#backing?.read(offset, target.subarray(0, available)) === true;
  }

  /** Into {@link #inflated}. The lower bits say where, the others in how many sectors beyond the first. */
  #inflateCluster(high: number, low: number): boolean {
    const { offset, size } = this.#compressedAt(high, low);
    if (this.#inflatedFrom === offset) return true;
    if (offset > this.#virginFrom) return false;
    const compressed = new Uint8Array(size);
    this.#inflatedFrom = -1;
    if (!this.#file.read(offset, compressed) || !this.#inflate(this.#header.compression, compressed, this.#inflated)) return false;
    this.#inflatedFrom = offset;
    return true;
  }

  #compressedAt(high: number, low: number): { readonly offset: Bytes; readonly size: Bytes } {
    const bits = 62 - (this.#header.clusterBits - 8);
    const upper = high & 0x3fff_ffff;
    const shift = bits - 32;
    const sectors = upper >>> shift;
    const offset = (upper & ((1 << shift) - 1)) * TWO_32 + low;
    return { offset, size: (sectors + 1) * 512 - (offset % 512) };
  }

  /** The entry of a guest cluster; undefined when its table cannot be read. */
  #lookUp(cluster: Bytes): { readonly high: number; readonly low: number } | undefined {
    const index = cluster / this.clusterBytes;
    const l1 = Math.floor(index / this.#perL2);
    const offset = this.#l1Offset(l1);
    if (offset === 0) return UNALLOCATED;
    if (offset % this.clusterBytes !== 0) return undefined;
    const table = this.#l2Table(offset);
    if (table === undefined) return undefined;
    const at = (index % this.#perL2) * 8;
    return { high: table.view.getUint32(at), low: table.view.getUint32(at + 4) };
  }

  #l1Offset(index: number): Bytes {
    return offsetOf(this.#l1.getUint32(index * 8), this.#l1.getUint32(index * 8 + 4));
  }

  #l2Table(offset: Bytes): CachedTable | undefined {
    if (this.#l2.full && !this.#writeOut()) return undefined;
    return this.#l2.get(offset);
  }

  // ── writing ──

  /** Calls `step` for every cluster of a range, until one fails. */
  #eachCluster(offset: Bytes, size: Bytes, step: (cluster: Bytes, within: number, size: Bytes, done: Bytes) => boolean): boolean {
    if (this.#corrupt || this.readOnly || !this.#begin()) return false;
    for (let done = 0; done < size; ) {
      if ((this.#l2.full || this.#refcounts.full) && !this.#writeOut()) return false;
      const within = (offset + done) % this.clusterBytes;
      const part = Math.min(size - done, this.clusterBytes - within);
      if (!step(offset + done - within, within, part, done)) return false;
      done += part;
    }
    return true;
  }

  /** Before the first change. */
  #begin(): boolean {
    if (this.#begun) return true;
    this.#l2Offsets = new Set();
    for (let index = 0; index < this.#header.l1Entries; index++) {
      const offset = this.#l1Offset(index);
      if (offset !== 0) this.#l2Offsets.add(offset);
    }
    this.#begun = clearAutoclearFeatures(this.#file, this.#header);
    return this.#begun;
  }

  #writeCluster(cluster: Bytes, within: number, source: Uint8Array): boolean {
    const table = this.#tableToChange(cluster);
    if (table === undefined) return false;
    const at = ((cluster / this.clusterBytes) % this.#perL2) * 8;
    const high = table.view.getUint32(at);
    const low = table.view.getUint32(at + 4);
    const offset = offsetOf(high, low);
    const isZero = (low & ZERO_LOW) !== 0 && this.#header.version === 3;
    this.#dataDirty = true;
    if (high & COPIED_HIGH && (high & COMPRESSED_HIGH) === 0 && offset !== 0) {
      if (!this.#mayWrite(offset)) return false;
      if (!isZero) return this.#file.write(offset + within, source);
      this.#whole.fill(0);
      this.#whole.set(source, within);
      return this.#file.write(offset, this.#whole) && this.#setEntry(table, at, offset);
    }
    return this.#writeNewCluster(cluster, within, source, table, at);
  }

  /** Into a cluster of its own, with what was there before around it. */
  #writeNewCluster(cluster: Bytes, within: number, source: Uint8Array, table: CachedTable, at: number): boolean {
    const high = table.view.getUint32(at);
    const low = table.view.getUint32(at + 4);
    const isNothing = (high & COMPRESSED_HIGH) === 0 && (offsetOf(high, low) === 0 || (low & ZERO_LOW) !== 0);
    const isEmpty = isNothing && ((low & ZERO_LOW) !== 0 || cluster >= (this.#backing?.size ?? 0));
    const offset = this.#refcounts.allocate();
    if (offset === undefined || !this.#mayWrite(offset, true)) return false;
    const isVirgin = offset >= this.#virginFrom;
    this.#virginFrom = Math.max(this.#virginFrom, offset + this.clusterBytes);
    let written: boolean;
    if (source.length === this.clusterBytes || (isEmpty && isVirgin)) written = this.#file.write(offset + within, source);
    else {
      // What is there now, then what is new. The end of the disk may lie within the cluster: what is behind it does not matter.
      if (!this.#readCluster(cluster, 0, this.#whole)) return false;
      this.#whole.set(source, within);
      written = this.#file.write(offset, this.#whole);
    }
    if (!written) {
      this.#refcounts.giveUp(offset);
      return false;
    }
    this.#giveUp(high, low);
    return this.#setEntry(table, at, offset);
  }

  /** Reads as zeros from now on, and does not show the backing image. */
  #clearCluster(cluster: Bytes, unmap: boolean): boolean {
    const present = this.#lookUp(cluster);
    if (present === undefined) return false;
    const { high, low } = present;
    const holds = (high & COMPRESSED_HIGH) !== 0 || offsetOf(high, low) !== 0;
    const { version } = this.#header;
    if (version === 3 && low & ZERO_LOW && (high & COMPRESSED_HIGH) === 0 && !(unmap && holds)) return true;
    if (!holds && (version === 2 || cluster >= (this.#backing?.size ?? 0))) return true;
    const table = this.#tableToChange(cluster);
    if (table === undefined) return false;
    const at = ((cluster / this.clusterBytes) % this.#perL2) * 8;
    const keeps = !unmap && version === 3 && (high & COMPRESSED_HIGH) === 0 && (high & COPIED_HIGH) !== 0;
    if (!keeps) this.#giveUp(high, low);
    table.view.setUint32(at, keeps ? high : 0);
    table.view.setUint32(at + 4, version === 3 ? (keeps ? low : 0) | ZERO_LOW : 0);
    table.changed(at, at + 8);
    return true;
  }

  /** The L2 table of a guest cluster, where it may be changed: made, or copied from one that a snapshot uses too. */
  #tableToChange(cluster: Bytes): CachedTable | undefined {
    const index = Math.floor(cluster / this.clusterBytes / this.#perL2);
    const high = this.#l1.getUint32(index * 8);
    const offset = this.#l1Offset(index);
    if (offset % this.clusterBytes !== 0 || offset > this.#virginFrom) return this.#contradiction();
    if (offset !== 0 && high & COPIED_HIGH) return this.#l2Table(offset);
    const before = offset === 0 ? undefined : this.#l2Table(offset)?.bytes.slice();
    if (offset !== 0 && before === undefined) return undefined;
    const place = this.#refcounts.allocate();
    if (place === undefined || !this.#mayWrite(place, true)) return undefined;
    this.#virginFrom = Math.max(this.#virginFrom, place + this.clusterBytes);
    const table = this.#l2.make(place);
    if (table === undefined) return undefined;
    if (before !== undefined) {
      table.bytes.set(before);
      // Its clusters are the snapshot's as well, whatever their entries say.
      for (let at = 0; at < this.clusterBytes; at += 8) table.view.setUint32(at, table.view.getUint32(at) & ~COPIED_HIGH);
      this.#refcounts.giveUp(offset);
      this.#l2Offsets?.delete(offset);
      this.#l2.drop(offset);
    }
    this.#l2Offsets?.add(place);
    put64(this.#l1, index * 8, place);
    this.#l1.setUint32(index * 8, (this.#l1.getUint32(index * 8) | COPIED_HIGH) >>> 0);
    this.#changedL1.add(index);
    return table;
  }

  #setEntry(table: CachedTable, at: number, offset: Bytes): boolean {
    put64(table.view, at, offset);
    table.view.setUint32(at, (table.view.getUint32(at) | COPIED_HIGH) >>> 0);
    table.changed(at, at + 8);
    return true;
  }

  /** One use of what an entry refers to less, once nothing on the medium refers to it. */
  #giveUp(high: number, low: number): void {
    if (high & COMPRESSED_HIGH) {
      const { offset, size } = this.#compressedAt(high, low);
      const last = Math.floor((offset + size - 1) / this.clusterBytes);
      for (let cluster = Math.floor(offset / this.clusterBytes); cluster <= last; cluster++) this.#refcounts.giveUp(cluster * this.clusterBytes);
      this.#inflatedFrom = -1;
    } else if (offsetOf(high, low) !== 0) this.#refcounts.giveUp(offsetOf(high, low));
  }

  /** Guest data never goes where the image keeps its own tables: an image that says so contradicts itself. */
  #mayWrite(offset: Bytes, isNew = false): boolean {
    const { l1Offset, l1Entries } = this.#header;
    const inL1 = offset + this.clusterBytes > l1Offset && offset < l1Offset + l1Entries * 8;
    const beyond = !isNew && offset >= this.#virginFrom;
    const clash = offset % this.clusterBytes !== 0 || offset === 0 || inL1 || beyond || this.#l2Offsets?.has(offset) === true || this.#refcounts.holds(offset);
    if (clash) this.#contradiction();
    return !clash;
  }

  #contradiction(): undefined {
    if (!this.#corrupt && !this.readOnly) markCorrupt(this.#file, this.#header);
    this.#corrupt = true;
    return undefined;
  }

  // ── to the medium ──

  get #metadataDirty(): boolean {
    return this.#l2.dirty || this.#changedL1.size > 0 || this.#refcounts.dirty || this.#refcounts.waiting > 0;
  }

  #writeOut(): boolean {
    if (this.#corrupt || !this.#refcounts.write()) return false;
    if (this.#l2.dirty && !(this.#file.flush() && this.#l2.write())) return false;
    if (this.#changedL1.size > 0 && !(this.#file.flush() && this.#writeL1())) return false;
    if (this.#refcounts.waiting === 0) return true;
    if (!this.#file.flush()) return false;
    for (let left = Number.POSITIVE_INFINITY; this.#refcounts.waiting > 0 && this.#refcounts.waiting < left; ) {
      left = this.#refcounts.waiting;
      this.#refcounts.release((offset) => this.#file.punchHole(offset, this.clusterBytes));
      if (this.#refcounts.waiting > 0 && !this.#refcounts.write()) return false;
    }
    return true;
  }

  #writeL1(): boolean {
    const bytes = new Uint8Array(this.#l1.buffer);
    for (const index of this.#changedL1) {
      if (!this.#file.write(this.#header.l1Offset + index * 8, bytes.subarray(index * 8, index * 8 + 8))) return false;
    }
    this.#changedL1.clear();
    return true;
  }

  #readTable(offset: Bytes, size: Bytes, what: string): Uint8Array<ArrayBuffer> {
    const table = new Uint8Array(size);
    if (offset + size <= Math.ceil(this.#file.size / this.clusterBytes) * this.clusterBytes && this.#file.read(offset, table)) return table;
    throw new BulkheadError('BH673', `${this.#file.path}: its ${what} of ${size} bytes at ${offset} cannot be read`);
  }
}

const UNALLOCATED = { high: 0, low: 0 };

/** Bits 9 to 55 of an entry. */
function offsetOf(high: number, low: number): Bytes {
  return (high & OFFSET_HIGH) * TWO_32 + ((low & OFFSET_LOW) >>> 0);
}
