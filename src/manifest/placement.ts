/** Where on the board the RAM of each partition lies, when the manifest leaves that open. */
import { KiB, MiB } from '../base/index.ts';

export interface WantedMemory {
  readonly size: number;
  /** undefined: anywhere. */
  readonly base: number | undefined;
}

export const PAGE = 4 * KiB;
/** Large pages can map what is aligned so (SDM 3A §4.5.4): fewer TLB misses on hardware. */
const LARGE_PAGE = 2 * MiB;

/**
 * A base for each, in the same order; undefined where nothing fits. What is placed by hand stays where it is, right or wrong; the
 * others take the first gap, in the order of the manifest, so that adding a partition at the end moves none of them.
 */
export function place(wanted: readonly WantedMemory[], boardSize: number): (number | undefined)[] {
  const taken = wanted.flatMap(({ base, size }) => (base === undefined ? [] : [{ start: base, end: base + size }]));
  return wanted.map(({ base, size }) => {
    if (base !== undefined) return base;
    const alignment = size >= LARGE_PAGE ? LARGE_PAGE : PAGE;
    taken.sort((a, b) => a.start - b.start);
    let start = 0;
    for (const gapEnd of taken) {
      if (start + size <= gapEnd.start) break;
      start = Math.max(start, Math.ceil(gapEnd.end / alignment) * alignment);
    }
    if (start + size > boardSize) return undefined;
    taken.push({ start, end: start + size });
    return start;
  });
}
