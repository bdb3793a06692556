/** Numbered records on a disk: where each one goes, and what it is. Later ones overwrite earlier ones at the same place. */

/** Records between two flushes. */
export const BATCH = 6;
export const RECORD_SECTORS = 3;
const PLACES = 5000;
export const DISK_SECTORS: number = PLACES * (RECORD_SECTORS + 1);

/** Scattered, so that clusters are made all over the disk. */
export function sectorOf(record: number): number {
  return (Math.imul(record, 2_654_435_761) >>> 0) % PLACES * (RECORD_SECTORS + 1);
}

export function recordBytes(record: number, sectors: number): Uint8Array {
  const bytes = new Uint8Array(sectors * 512);
  const words = new Uint32Array(bytes.buffer);
  for (let index = 0; index < words.length; index++) words[index] = record + index;
  return bytes;
}
