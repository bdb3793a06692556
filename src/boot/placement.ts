/** Chooses where in a partition's RAM the pieces of a boot go, and refuses what does not fit or overlaps, naming both. */
import { BulkheadError, GiB, KiB, MiB } from '../base/index.ts';
import type { Bytes, Gpa, LoadSegment, MemoryMapEntry } from '../contracts/index.ts';
import { alignDown, alignUp, hex } from './bytes.ts';

export const PAGE_SIZE = 4 * KiB;
/** Above the interrupt vectors, the BIOS data area and the classic boot sector, which old guests overwrite or read. */
const LOW_START = 0x8000;
/** Conventional memory ends here. */
const LOW_END = 640 * KiB;

/** What a partition can have at most (BH209). */
const MOST_RAM = 3 * GiB;

interface Extent {
  readonly name: string;
  readonly start: Gpa;
  readonly end: Gpa;
}

export class Placement {
  /** Contiguous RAM, in address order. */
  readonly #ram: readonly Extent[];
  /** What is taken, in address order and without overlap. */
  readonly #taken: Extent[] = [];
  readonly #segments: LoadSegment[] = [];

  constructor(memoryMap: readonly MemoryMapEntry[]) {
    this.#ram = mergeRam(memoryMap);
  }

  /** What was placed so far, in the order it was placed. */
  get segments(): readonly LoadSegment[] {
    return this.#segments;
  }

  /** End of the RAM below 4 GiB: nothing that a 32-bit pointer must reach may lie behind it. */
  get ramEnd(): Gpa {
    return this.#ram.reduce((end, extent) => Math.max(end, Math.min(extent.end, 2 ** 32)), 0);
  }

  /** Keeps the others away from `[gpa, gpa + size)`. Throws BH320 outside of RAM, BH321 over another piece. */
  reserve(name: string, gpa: Gpa, size: Bytes): void {
    if (size === 0) return;
    const wanted: Extent = { name, start: gpa, end: gpa + size };
    if (!this.#ram.some((ram) => ram.start <= wanted.start && wanted.end <= ram.end)) {
      throw new BulkheadError(
        'BH320',
        `${name} needs ${extentText(wanted)}, which is not all RAM of the partition (it has ${listText(this.#ram)})`,
        {
          hint:
            wanted.end > this.ramEnd && wanted.end <= MOST_RAM
              ? `Give the partition at least ${Math.ceil(wanted.end / MiB)} MiB of memory, or load the image at another address.`
              : 'Load the image at another address: a partition has RAM below 640 KiB and from 1 MiB up to 3 GiB.',
        },
      );
    }
    const clash = this.#taken.find((taken) => overlap(taken, wanted));
    if (clash !== undefined) {
      throw new BulkheadError('BH321', `${name} (${extentText(wanted)}) overlaps ${clash.name} (${extentText(clash)})`, {
        hint: 'Load or link one of them at another address.',
      });
    }
    const position = this.#taken.findIndex((taken) => taken.start > wanted.start);
    this.#taken.splice(position < 0 ? this.#taken.length : position, 0, wanted);
  }

  /** Puts `data` at `gpa`, followed by zeros up to `size`. Throws as {@link reserve} does. */
  fixed(name: string, gpa: Gpa, data: Uint8Array, size: Bytes = data.length): void {
    this.reserve(name, gpa, size);
    if (data.length > 0) this.#segments.push({ gpa, data, name });
    // Written out, because RAM is not zero any more when a partition starts a second time.
    if (size > data.length)
      this.#segments.push({ gpa: gpa + data.length, data: new Uint8Array(size - data.length), name: `${name} (zeros)` });
  }

  /** Puts `data` into conventional memory, where early code of every kind can reach it; returns where. Throws BH322. */
  low(name: string, data: Uint8Array, alignment: number): Gpa {
    return this.#lowest(name, data, alignment, LOW_START, LOW_END);
  }

  /** Puts `data` as low as possible, but not below `from`; page-aligned. Throws BH322. */
  above(name: string, data: Uint8Array, from: Gpa): Gpa {
    return this.#lowest(name, data, PAGE_SIZE, from, 2 ** 32);
  }

  /** Puts `data` as high as possible, but all of it below `limit`; page-aligned. Throws BH322. */
  high(name: string, data: Uint8Array, limit: Gpa): Gpa {
    for (const ram of this.#ram.toReversed()) {
      let start = alignDown(Math.min(ram.end, limit) - data.length, PAGE_SIZE);
      for (const taken of this.#taken.toReversed()) {
        if (overlap(taken, { start, end: start + data.length })) start = alignDown(taken.start - data.length, PAGE_SIZE);
      }
      if (start >= Math.max(ram.start, 1 * MiB)) return this.#put(name, start, data);
    }
    return this.#noRoom(name, data, 1 * MiB, limit);
  }

  #lowest(name: string, data: Uint8Array, alignment: number, from: Gpa, limit: Gpa): Gpa {
    for (const ram of this.#ram) {
      let start = alignUp(Math.max(ram.start, from), alignment);
      for (const taken of this.#taken) {
        if (overlap(taken, { start, end: start + data.length })) start = alignUp(taken.end, alignment);
      }
      if (start + data.length <= Math.min(ram.end, limit)) return this.#put(name, start, data);
    }
    return this.#noRoom(name, data, from, limit);
  }

  #put(name: string, gpa: Gpa, data: Uint8Array): Gpa {
    this.fixed(name, gpa, data);
    return gpa;
  }

  #noRoom(name: string, data: Uint8Array, from: Gpa, limit: Gpa): never {
    throw new BulkheadError('BH322', `${name} (${sizeText(data.length)}) finds no free RAM between ${hex(from)} and ${hex(limit)}`, {
      hint: `Give the partition more memory. Taken: ${listText(this.#taken)}.`,
    });
  }
}

function mergeRam(memoryMap: readonly MemoryMapEntry[]): Extent[] {
  const merged: Extent[] = [];
  const sorted = memoryMap.filter((entry) => entry.kind === 'ram').toSorted((a, b) => a.base - b.base);
  for (const { base, size } of sorted) {
    const last = merged.at(-1);
    if (last !== undefined && last.end >= base) merged[merged.length - 1] = { ...last, end: Math.max(last.end, base + size) };
    else merged.push({ name: 'RAM', start: base, end: base + size });
  }
  return merged;
}

function overlap(a: { readonly start: Gpa; readonly end: Gpa }, b: { readonly start: Gpa; readonly end: Gpa }): boolean {
  return a.start < b.end && b.start < a.end;
}

function extentText(extent: Extent): string {
  return `${hex(extent.start)}–${hex(extent.end)}`;
}

function listText(extents: readonly Extent[]): string {
  return extents.map((extent) => `${extent.name} ${extentText(extent)}`).join(', ') || 'none';
}

function sizeText(size: Bytes): string {
  return size >= MiB ? `${(size / MiB).toFixed(1)} MiB` : `${Math.ceil(size / KiB)} KiB`;
}
