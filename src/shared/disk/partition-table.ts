/**
 * Partitions of a disk, for windows that name one.
 *
 * Spec: UEFI 2.10 §5.2.3 (protective MBR), §5.3 (GUID partition table); the MBR as PCs have had it since DOS 2, with logical partitions.
 * Not modelled: sectors that are not 512 bytes; the GPT's second copy.
 */
import { type Bytes, SECTOR_BYTES } from '../../contracts/index.ts';
import type { DiskImage } from './disk-image.ts';

export interface DiskPartition {
  /** As systems count them: 1 to 4 in the MBR, logical ones from 5; by entry in the GPT. */
  readonly number: number;
  readonly offset: Bytes;
  readonly size: Bytes;
}

const MBR_ENTRIES = 0x1be;
const MBR_ENTRY_BYTES = 16;
const MBR_SIGNATURE = 0xaa55;
const TYPE_PROTECTIVE = 0xee;
const TYPES_EXTENDED = [0x05, 0x0f, 0x85];
const MOST_LOGICAL = 60;

const GPT_SIGNATURE = 'EFI PART';
const GPT_ENTRY_SIZES = [128, 256, 512];
const MOST_GPT_ENTRIES = 128;

/** Empty where there is no table. Entries that do not lie within the disk are left out. */
export function partitionsOf(image: DiskImage): DiskPartition[] {
  const mbr = sector(image, 0);
  if (mbr === undefined || mbr.getUint16(510, true) !== MBR_SIGNATURE) return [];
  const entries = mbrEntries(mbr);
  const partitions = entries.some(({ type }) => type === TYPE_PROTECTIVE) ? guidPartitions(image) : mbrPartitions(image, entries);
  return partitions.filter(({ offset, size }) => size > 0 && offset + size <= image.size);
}

interface MbrEntry {
  readonly number: number;
  readonly type: number;
  readonly first: number;
  readonly sectors: number;
}

function mbrEntries(view: DataView): MbrEntry[] {
  return [0, 1, 2, 3].map((index) => {
    const at = MBR_ENTRIES + index * MBR_ENTRY_BYTES;
    return { number: index + 1, type: view.getUint8(at + 4), first: view.getUint32(at + 8, true), sectors: view.getUint32(at + 12, true) };
  });
}

function mbrPartitions(image: DiskImage, entries: readonly MbrEntry[]): DiskPartition[] {
  const primary = entries.filter(({ type, sectors }) => type !== 0 && sectors > 0 && !TYPES_EXTENDED.includes(type)).map(({ number, first, sectors }) => placed(number, first, sectors));
  const extended = entries.find(({ type }) => TYPES_EXTENDED.includes(type));
  return extended === undefined ? primary : [...primary, ...logicalPartitions(image, extended.first)];
}

/** A chain of tables, each with one partition and the place of the next table. A loop ends with the numbers. */
function logicalPartitions(image: DiskImage, extended: number): DiskPartition[] {
  const partitions: DiskPartition[] = [];
  for (let table = extended; partitions.length < MOST_LOGICAL; ) {
    const view = sector(image, table);
    if (view === undefined || view.getUint16(510, true) !== MBR_SIGNATURE) break;
    const [own, next] = mbrEntries(view);
    if (own === undefined || own.type === 0) break;
    partitions.push(placed(5 + partitions.length, table + own.first, own.sectors));
    if (next === undefined || next.type === 0) break;
    table = extended + next.first;
  }
  return partitions;
}

function guidPartitions(image: DiskImage): DiskPartition[] {
  const header = sector(image, 1);
  if (header === undefined || [...GPT_SIGNATURE].some((letter, index) => header.getUint8(index) !== letter.charCodeAt(0))) return [];
  const first = Number(header.getBigUint64(72, true));
  const count = Math.min(MOST_GPT_ENTRIES, header.getUint32(80, true));
  const size = header.getUint32(84, true);
  if (!GPT_ENTRY_SIZES.includes(size) || first * SECTOR_BYTES + count * size > image.size) return [];
  const bytes = new Uint8Array(count * size);
  if (!image.read(first * SECTOR_BYTES, bytes)) return [];
  const view = new DataView(bytes.buffer);
  return Array.from({ length: count }, (_, index) => index).flatMap((index) => {
    const at = index * size;
    if (bytes.subarray(at, at + 16).every((byte) => byte === 0)) return [];
    const start = Number(view.getBigUint64(at + 32, true));
    return [placed(index + 1, start, Number(view.getBigUint64(at + 40, true)) - start + 1)];
  });
}

function placed(number: number, first: number, sectors: number): DiskPartition {
  return { number, offset: first * SECTOR_BYTES, size: sectors * SECTOR_BYTES };
}

function sector(image: DiskImage, number: number): DataView | undefined {
  const bytes = new Uint8Array(SECTOR_BYTES);
  return (number + 1) * SECTOR_BYTES <= image.size && image.read(number * SECTOR_BYTES, bytes) ? new DataView(bytes.buffer) : undefined;
}
