/**
 * A partition's RAM: one shared, fixed-size WebAssembly memory.
 *
 *     0 ──────────── ramOffset ─────────────────────────────────────────────────── end
 *     │ the engine's │ guest-physical 0 … top of RAM, linearly │ beside RAM: display │
 *                                                              │ memory, ROMs        │
 *
 * Every guest-physical address below the top of RAM has its own byte at `ramOffset + gpa`, holes included (the VGA window,
 * 0xA0000–0xBFFFF), so that translated code adds one constant. Bytes under a hole exist but `offsetOf` never hands them out;
 * the host commits pages on first touch, so they cost nothing.
 *
 * Not modelled: RAM above 4 GiB (one 32-bit WebAssembly memory holds it all).
 */
import { BulkheadError, GiB, KiB, MiB } from '../base/index.ts';
import type { Bytes, Gpa, MappedRange, MemoryObserver, PhysicalMemory, RamRegion } from '../contracts/index.ts';

/** Bytes that an engine keeps free beside RAM for what {@link GuestMemory.reserve} hands out: address space until it is touched. */
export const BESIDE_RAM_BYTES: Bytes = 64 * MiB;
const PAGE = 4 * KiB;
const WASM_PAGE = 64 * KiB;
/** What one 32-bit memory can hold, less one page so that `offset + size` never wraps to 0. */
const MAXIMUM_BYTES = 4 * GiB - WASM_PAGE;
/** Where the PC keeps its display memory: a hole in RAM. */
const VGA_WINDOW_BASE = 0xa0000;
const VGA_WINDOW_END = 0xc0000;

/** The RAM of a PC with `size` bytes: everything from 0 but the VGA window. */
export function pcRamRegions(size: Bytes): RamRegion[] {
  if (size <= VGA_WINDOW_END) return [{ base: 0, size: Math.min(size, VGA_WINDOW_BASE), access: 'rw' }];
  return [
    { base: 0, size: VGA_WINDOW_BASE, access: 'rw' },
    { base: VGA_WINDOW_END, size: size - VGA_WINDOW_END, access: 'rw' },
  ];
}

/** `[base, end)` without a hole: one or several neighbouring regions. */
interface Run {
  readonly base: Gpa;
  readonly end: Gpa;
}

export class GuestMemory implements PhysicalMemory {
  readonly memory: WebAssembly.Memory;
  readonly regions: readonly RamRegion[];
  readonly bytes: Uint8Array<SharedArrayBuffer>;
  /** Offset of guest-physical address 0 in `bytes`; a multiple of 64 KiB. */
  readonly ramOffset: number;
  map: readonly MappedRange[];
  readonly #runs: readonly Run[];
  readonly #overlays: MappedRange[] = [];
  readonly #observers = new Set<MemoryObserver>();
  /** Next byte that `reserve` can give. */
  #unreserved: number;
  #lastBase = 0;
  #lastEnd = 0;

  /** What lies in `memory` from the end of `regions` on is free. */
  constructor(memory: WebAssembly.Memory, regions: readonly RamRegion[], ramOffset: number) {
    this.memory = memory;
    this.regions = regions;
    this.ramOffset = ramOffset;
    this.bytes = new Uint8Array(memory.buffer as SharedArrayBuffer);
    this.#runs = joinNeighbours(regions);
    const widest = this.#runs.reduce((a, b) => (b.end - b.base > a.end - a.base ? b : a), { base: 0, end: 0 });
    this.#lastBase = widest.base;
    this.#lastEnd = widest.end;
    this.#unreserved = roundUp(ramOffset + (this.#runs.at(-1)?.end ?? 0), PAGE);
    this.map = this.#mapOfRam();
  }

  offsetOf(gpa: Gpa, size: Bytes): number {
    if (gpa >= this.#lastBase && gpa + size <= this.#lastEnd && size >= 0) return this.ramOffset + gpa;
    return this.#search(gpa, size);
  }

  write(gpa: Gpa, data: Uint8Array): boolean {
    const offset = this.offsetOf(gpa, data.length);
    if (offset < 0) return false;
    this.bytes.set(data, offset);
    return true;
  }

  read(gpa: Gpa, size: Bytes): Uint8Array | undefined {
    const offset = this.offsetOf(gpa, size);
    if (offset < 0) return undefined;
    const copy = new Uint8Array(size);
    copy.set(this.bytes.subarray(offset, offset + size));
    return copy;
  }

  reserve(size: Bytes, owner: string): number {
    const offset = this.#unreserved;
    const end = offset + roundUp(size, PAGE);
    if (end > this.bytes.length) {
      const left = this.bytes.length - offset;
      throw new BulkheadError('BH401', `${owner} needs ${mebibytes(size)} beside the RAM of its partition, where ${mebibytes(left)} are left`, {
        hint: 'give it less memory of its own, or the partition fewer such devices',
      });
    }
    this.#unreserved = end;
    return offset;
  }

  overlay(gpa: Gpa, size: Bytes, offset: number, access: 'rw' | 'ro'): Disposable {
    const range: MappedRange = { base: gpa, end: gpa + size, offset, access };
    this.#overlays.push(range);
    this.#remap();
    return {
      [Symbol.dispose]: () => {
        const index = this.#overlays.indexOf(range);
        if (index < 0) return;
        this.#overlays.splice(index, 1);
        this.#remap();
      },
    };
  }

  observe(observer: MemoryObserver): Disposable {
    this.#observers.add(observer);
    return { [Symbol.dispose]: () => this.#observers.delete(observer) };
  }

  written(gpa: Gpa, size: Bytes): void {
    for (const observer of this.#observers) observer.memoryChanged(gpa, size);
  }

  /** Whole pages only: what begins or ends within one is left to the bus. */
  #mapOfRam(): MappedRange[] {
    return this.regions.flatMap(({ base, size, access }) => {
      const first = roundUp(base, PAGE);
      const end = base + size - ((base + size) % PAGE);
      return end > first ? [{ base: first, end, offset: this.ramOffset + first, access }] : [];
    });
  }

  #remap(): void {
    let map = this.#mapOfRam();
    for (const front of this.#overlays) map = [...map.flatMap((behind) => withoutPart(behind, front)), front];
    this.map = map.sort((a, b) => a.base - b.base);
    for (const observer of this.#observers) observer.memoryMapChanged();
  }

  #search(gpa: Gpa, size: Bytes): number {
    if (!(size >= 0)) return -1;
    for (const run of this.#runs) {
      if (gpa >= run.base && gpa + size <= run.end) {
        this.#lastBase = run.base;
        this.#lastEnd = run.end;
        return this.ramOffset + gpa;
      }
    }
    return -1;
  }
}

/**
 * One memory for the engine's `reservedBytes`, from the next 64 KiB boundary on RAM, and `besideBytes` for `reserve`.
 * Throws BH401 when it is more than 4 GiB less 64 KiB or the host has not that much address space; BH213 when regions overlap.
 */
export function createPhysicalMemory(regions: readonly RamRegion[], reservedBytes: Bytes, besideBytes: Bytes = 0): GuestMemory {
  const ordered = [...regions].sort((a, b) => a.base - b.base);
  let top = 0;
  for (const region of ordered) {
    if (region.base < top || region.size <= 0) {
      throw new BulkheadError('BH213', `RAM region ${hex(region.base)}+${hex(region.size)} is empty or overlaps the one below it`);
    }
    top = region.base + region.size;
  }
  const ramOffset = roundUp(reservedBytes, WASM_PAGE);
  const total = roundUp(roundUp(ramOffset + top, PAGE) + besideBytes, WASM_PAGE);
  if (total > MAXIMUM_BYTES) {
    throw new BulkheadError('BH401', `${mebibytes(top)} of RAM and ${mebibytes(ramOffset)} for the engine exceed one 4 GiB memory`, {
      hint: `give the partition at most ${Math.floor((MAXIMUM_BYTES - ramOffset - besideBytes) / MiB)} MiB`,
    });
  }
  const pages = Math.max(1, total / WASM_PAGE);
  let memory: WebAssembly.Memory;
  try {
    memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  } catch (cause) {
    throw new BulkheadError('BH401', `the host cannot give ${mebibytes(total)} of shared memory`, {
      cause,
      hint: 'lower `memory:` of the partition, or raise the address-space limit (ulimit -v)',
    });
  }
  return new GuestMemory(memory, ordered, ramOffset);
}

function joinNeighbours(ordered: readonly RamRegion[]): Run[] {
  const runs: { base: Gpa; end: Gpa }[] = [];
  for (const { base, size } of ordered) {
    const last = runs.at(-1);
    if (last?.end === base) last.end = base + size;
    else runs.push({ base, end: base + size });
  }
  return runs;
}

/** What is left of `range` beside `hole`: nothing, one piece or two. */
function withoutPart(range: MappedRange, hole: MappedRange): MappedRange[] {
  if (hole.base >= range.end || hole.end <= range.base) return [range];
  const pieces: MappedRange[] = [];
  if (range.base < hole.base) pieces.push({ ...range, end: hole.base });
  if (hole.end < range.end) pieces.push({ ...range, base: hole.end, offset: range.offset + hole.end - range.base });
  return pieces;
}

function roundUp(value: number, unit: number): number {
  return Math.ceil(value / unit) * unit;
}

function mebibytes(size: Bytes): string {
  return `${Math.ceil(size / MiB)} MiB`;
}

function hex(value: number): string {
  return `0x${value.toString(16)}`;
}
