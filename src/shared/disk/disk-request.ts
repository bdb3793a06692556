/** What a disk's device asks of its broker, in the words of a slot, and what it hears. */
import { KiB } from '../../base/index.ts';
import { SECTOR_BYTES } from '../../contracts/index.ts';

/** Data of one request: what neighbours wait for at most, when somebody else's is being served. */
export const DISK_SLOT_BYTES: number = 64 * KiB;
/** Requests in flight where a grant does not say. */
export const DEFAULT_DEPTH = 64;
/** Sectors of one discard or write-zeroes request. */
export const MOST_CLEARED_SECTORS: number = (4 * 1024 * KiB) / SECTOR_BYTES;

// Words of a slot
export const OPERATION = 0;
export const FLAGS = 1;
export const SECTOR_LOW = 2;
export const SECTOR_HIGH = 3;
export const SECTORS = 4;
/** The answer. */
export const STATUS = 5;

export const OP_READ = 1;
export const OP_WRITE = 2;
export const OP_FLUSH = 3;
/** What was there does not matter any more. */
export const OP_DISCARD = 4;
/** Reads as zeros from now on. */
export const OP_ZERO = 5;

/** Of a write: it is on the medium before it is answered. */
export const FLAG_DURABLE = 1 << 0;
/** Of write-zeroes: the room may be given back to the host. */
export const FLAG_UNMAP = 1 << 1;

export const STATUS_OK = 0;
export const STATUS_ERROR = 1;

const TWO_32 = 0x1_0000_0000;

export function sectorOf(words: Int32Array): number {
  return ((words[SECTOR_HIGH] as number) >>> 0) * TWO_32 + ((words[SECTOR_LOW] as number) >>> 0);
}

export function putSector(words: Int32Array, sector: number): void {
  words[SECTOR_LOW] = sector % TWO_32 | 0;
  words[SECTOR_HIGH] = Math.floor(sector / TWO_32);
}

// Numbers of the `disk` lane (Float64): what the broker found when it opened the image. Written before the first generation is agreed to.
export const DISK_SECTORS = 0;
export const DISK_READ_ONLY = 1;
/** Bytes that the image allocates at a time: what a guest does well to write at once. */
export const DISK_CLUSTER_BYTES = 2;
export const DISK_NUMBERS = 4;
