/**
 * The header of a qcow2 image: read, judged and written. Nothing in it is believed before it is checked: an image may come from anywhere.
 *
 * Spec: QEMU's docs/interop/qcow2.txt, "Header", "Header extensions".
 * Not modelled: encryption, external data files, extended L2 entries, and images with further incompatible features: refused. Persistent
 * bitmaps are not kept up; writing marks them stale, as the format asks of programs that do not know them.
 */
import { BulkheadError } from '../../base/index.ts';
import type { Bytes, ImageFile } from '../../contracts/index.ts';

const MAGIC = 0x5146_49fb;
const VERSION_2_BYTES = 72;
const VERSION_3_BYTES = 104;
const LARGEST_HEADER = 4096;
// Incompatible features
const DIRTY = 1 << 0;
const CORRUPT = 1 << 1;
const EXTERNAL_DATA = 1 << 2;
const COMPRESSION_TYPE = 1 << 3;
const EXTENDED_L2 = 1 << 4;
const KNOWN_INCOMPATIBLE = DIRTY | CORRUPT | COMPRESSION_TYPE;
// Fields
const INCOMPATIBLE = 72;
const AUTOCLEAR = 88;
// Header extensions
const END_OF_EXTENSIONS = 0;
const BACKING_FORMAT = 0xe279_2aca;

const SMALLEST_CLUSTER_BITS = 9;
const LARGEST_CLUSTER_BITS = 21;
const LARGEST_L1_BYTES = 32 << 20;
const LARGEST_REFCOUNT_TABLE_BYTES = 8 << 20;
const LONGEST_BACKING_NAME = 1023;
const MOST_EXTENSIONS = 64;
const TWO_32 = 0x1_0000_0000;

export interface Qcow2Header {
  readonly version: 2 | 3;
  readonly clusterBits: number;
  readonly size: Bytes;
  readonly l1Entries: number;
  readonly l1Offset: Bytes;
  readonly refcountTableOffset: Bytes;
  readonly refcountTableClusters: number;
  /** A refcount has 2^this bits. */
  readonly refcountOrder: number;
  readonly snapshots: number;
  readonly compression: 'deflate' | 'zstd';
  /** As written in the image. */
  readonly backing?: { readonly reference: string; readonly format: string | undefined };
}

/** The file begins as a qcow2 image does. */
export function isQcow2(file: ImageFile): boolean {
  const magic = new Uint8Array(4);
  return file.size >= 4 && file.read(0, magic) && new DataView(magic.buffer).getUint32(0) === MAGIC;
}

/** Throws BH673 when it is no header, or one that this program cannot serve; BH674 when the image may be read but not written. */
export function readHeader(file: ImageFile): Qcow2Header {
  const refuse = (problem: string, hint?: string): never => {
    throw new BulkheadError('BH673', `${file.path}: ${problem}`, hint === undefined ? {} : { hint });
  };
  const bytes = new Uint8Array(LARGEST_HEADER);
  const view = new DataView(bytes.buffer);
  if (!file.read(0, bytes)) refuse('its header cannot be read');
  if (file.size < VERSION_2_BYTES || view.getUint32(0) !== MAGIC) refuse('it is no qcow2 image');
  const version = view.getUint32(4);
  if (version !== 2 && version !== 3) return refuse(`qcow2 version ${version} is not known`, 'versions 2 and 3 are');
  const clusterBits = view.getUint32(20);
  if (clusterBits < SMALLEST_CLUSTER_BITS || clusterBits > LARGEST_CLUSTER_BITS) return refuse(`clusters of 2^${clusterBits} bytes`);
  const clusterBytes = 2 ** clusterBits;
  if (view.getUint32(32) !== 0) return refuse('it is encrypted', 'convert it: `qemu-img convert -O qcow2`');
  const headerBytes = version === 2 ? VERSION_2_BYTES : view.getUint32(100);
  if (version === 3 && (headerBytes < VERSION_3_BYTES || headerBytes % 8 !== 0 || headerBytes > Math.min(clusterBytes, LARGEST_HEADER))) {
    return refuse(`a header of ${headerBytes} bytes`);
  }
  const compression = checkFeatures(file, version, headerBytes, view, refuse);
  const refcountOrder = version === 2 ? 4 : view.getUint32(96);
  if (refcountOrder > 6) return refuse(`refcounts of 2^${refcountOrder} bits`);

  const size = number64(view, 24);
  if (!(size <= 2 ** 52)) return refuse('it is larger than any disk');
  const l1Entries = view.getUint32(36);
  const l1Offset = number64(view, 40);
  const needed = Math.ceil(size / (clusterBytes * (clusterBytes / 8)));
  if (l1Entries * 8 > LARGEST_L1_BYTES || l1Entries < needed) return refuse(`an L1 table of ${l1Entries} entries for ${size} bytes`);
  const refcountTableOffset = number64(view, 48);
  const refcountTableClusters = view.getUint32(56);
  if (refcountTableClusters === 0 || refcountTableClusters * clusterBytes > LARGEST_REFCOUNT_TABLE_BYTES) {
    return refuse(`a refcount table of ${refcountTableClusters} clusters`);
  }
  for (const [what, offset] of [['L1 table', l1Entries === 0 ? clusterBytes : l1Offset], ['refcount table', refcountTableOffset]] as const) {
    if (offset % clusterBytes !== 0 || offset === 0 || offset > 2 ** 52) return refuse(`its ${what} is said to lie at ${offset}`);
  }
  const backing = readBacking(file, view, headerBytes, clusterBytes, refuse);
  return {
    version,
    clusterBits,
    size: Math.floor(size / 512) * 512,
    l1Entries,
    l1Offset,
    refcountTableOffset,
    refcountTableClusters,
    refcountOrder,
    snapshots: view.getUint32(60),
    compression,
    ...(backing === undefined ? {} : { backing }),
  };
}

type Refuse = (problem: string, hint?: string) => never;

function checkFeatures(file: ImageFile, version: number, headerBytes: number, view: DataView, refuse: Refuse): Qcow2Header['compression'] {
  if (version === 2) return 'deflate';
  const high = view.getUint32(INCOMPATIBLE);
  const features = view.getUint32(INCOMPATIBLE + 4);
  const convert = 'convert it: `qemu-img convert -O qcow2`';
  if (features & EXTERNAL_DATA) refuse('its data lies in another file', convert);
  if (features & EXTENDED_L2) refuse('it has extended L2 entries', convert);
  if (high !== 0 || (features & ~(KNOWN_INCOMPATIBLE | EXTERNAL_DATA | EXTENDED_L2)) !== 0) refuse('it has features that are not known here', convert);
  const hint = 'repair it: `qemu-img check -r all`';
  if (features & CORRUPT && !file.readOnly) throw new BulkheadError('BH674', `${file.path} is marked as corrupt: it can only be read`, { hint });
  if (features & DIRTY && !file.readOnly) {
    throw new BulkheadError('BH674', `${file.path} was not closed after writing with lazy refcounts: it can only be read`, { hint });
  }
  if ((features & COMPRESSION_TYPE) === 0) return 'deflate';
  const type = headerBytes > VERSION_3_BYTES ? view.getUint8(VERSION_3_BYTES) : 0;
  if (type > 1) refuse(`compression ${type} is not known`, convert);
  return type === 1 ? 'zstd' : 'deflate';
}

function readBacking(file: ImageFile, view: DataView, headerBytes: number, clusterBytes: number, refuse: Refuse): Qcow2Header['backing'] {
  const offset = number64(view, 8);
  const length = view.getUint32(16);
  if (offset === 0) return undefined;
  if (length === 0 || length > LONGEST_BACKING_NAME || offset + length > Math.max(clusterBytes, LARGEST_HEADER)) {
    return refuse(`its backing file has a name of ${length} bytes at ${offset}`);
  }
  const name = new Uint8Array(length);
  if (!file.read(offset, name)) return refuse('the name of its backing file cannot be read');
  return { reference: utf8(name), format: backingFormat(view, headerBytes) };
}

function backingFormat(view: DataView, headerBytes: number): string | undefined {
  let at = headerBytes;
  for (let count = 0; count < MOST_EXTENSIONS && at + 8 <= view.byteLength; count++) {
    const type = view.getUint32(at);
    const length = view.getUint32(at + 4);
    if (type === END_OF_EXTENSIONS || at + 8 + length > view.byteLength) return undefined;
    if (type === BACKING_FORMAT) return utf8(new Uint8Array(view.buffer, at + 8, length));
    at += 8 + Math.ceil(length / 8) * 8;
  }
  return undefined;
}

/** Before the first write: features that only hold while every writer knows them (bitmaps) are taken back. */
export function clearAutoclearFeatures(file: ImageFile, { version }: Qcow2Header): boolean {
  return version === 2 || file.write(AUTOCLEAR, new Uint8Array(8));
}

/** The image contradicts itself: whoever opens it next is to know. */
export function markCorrupt(file: ImageFile, { version }: Qcow2Header): void {
  const bytes = new Uint8Array(8);
  if (version === 2 || !file.read(INCOMPATIBLE, bytes)) return;
  bytes[7] = (bytes[7] as number) | CORRUPT;
  file.write(INCOMPATIBLE, bytes);
}

/** Where the header says the refcount table is. */
export function writeRefcountTablePlace(file: ImageFile, offset: Bytes, clusters: number): boolean {
  const bytes = new Uint8Array(12);
  const view = new DataView(bytes.buffer);
  put64(view, 0, offset);
  view.setUint32(8, clusters);
  return file.write(48, bytes);
}

const NEW_CLUSTER_BITS = 16;

/** An empty image of version 3 in an empty file, in front of `backing` if that is given. False: the host could not write it. */
export function createQcow2(file: ImageFile, size: Bytes, backing?: { readonly reference: string; readonly format: string }): boolean {
  const clusterBytes = 2 ** NEW_CLUSTER_BITS;
  const l1Entries = Math.max(1, Math.ceil(size / (clusterBytes * (clusterBytes / 8))));
  const l1Clusters = Math.ceil((l1Entries * 8) / clusterBytes);
  // header, refcount table, one refcount block, L1 table
  const bytes = new Uint8Array((3 + l1Clusters) * clusterBytes);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, MAGIC);
  view.setUint32(4, 3);
  view.setUint32(20, NEW_CLUSTER_BITS);
  put64(view, 24, size);
  view.setUint32(36, l1Entries);
  put64(view, 40, 3 * clusterBytes);
  put64(view, 48, clusterBytes);
  view.setUint32(56, 1);
  view.setUint32(96, 4);
  view.setUint32(100, VERSION_3_BYTES);
  if (backing !== undefined) {
    const format = encodeUtf8(backing.format);
    const name = encodeUtf8(backing.reference);
    view.setUint32(VERSION_3_BYTES, BACKING_FORMAT);
    view.setUint32(VERSION_3_BYTES + 4, format.length);
    bytes.set(format, VERSION_3_BYTES + 8);
    const at = VERSION_3_BYTES + 8 + Math.ceil(format.length / 8) * 8 + 8;
    bytes.set(name, at);
    put64(view, 8, at);
    view.setUint32(16, name.length);
  }
  put64(view, clusterBytes, 2 * clusterBytes);
  for (let cluster = 0; cluster < 3 + l1Clusters; cluster++) view.setUint16(2 * clusterBytes + 2 * cluster, 1);
  // A header without what it speaks of must never be seen: it comes last.
  return file.write(clusterBytes, bytes.subarray(clusterBytes)) && file.flush() && file.write(0, bytes.subarray(0, clusterBytes)) && file.flush();
}

export function number64(view: DataView, at: number): number {
  return view.getUint32(at) * TWO_32 + view.getUint32(at + 4);
}

export function put64(view: DataView, at: number, value: number): void {
  view.setUint32(at, Math.floor(value / TWO_32));
  view.setUint32(at + 4, value % TWO_32);
}

/** File names are UTF-8 on every host we run on. What is not stays recognisably wrong. */
function utf8(bytes: Uint8Array): string {
  let escaped = '';
  for (const byte of bytes) escaped += `%${byte.toString(16).padStart(2, '0')}`;
  try {
    return decodeURIComponent(escaped);
  } catch {
    return String.fromCharCode(...bytes);
  }
}

function encodeUtf8(text: string): Uint8Array {
  return Uint8Array.from(encodeURIComponent(text).match(/%[0-9A-F]{2}|[^%]/g) ?? [], (part) =>
    part.length === 3 ? Number.parseInt(part.slice(1), 16) : part.charCodeAt(0),
  );
}
