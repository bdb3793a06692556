import type { Bytes, Gpa } from './scalars.ts';

/** One contiguous piece of guest-physical RAM, backed by shared bytes. */
export interface RamRegion {
  readonly base: Gpa;
  readonly size: Bytes;
  /** `ro`: guest writes are dropped and counted (firmware ROM). */
  readonly access: 'rw' | 'ro';
}

/** What the guest's loads, stores and fetches find at a range of whole 4 KiB pages. */
export interface MappedRange {
  readonly base: Gpa;
  readonly end: Gpa;
  /** Of the byte at `base` in {@link PhysicalMemory.bytes}; a multiple of 4 KiB. */
  readonly offset: number;
  /** `ro`: stores go to the bus, which may know what to do with them. */
  readonly access: 'rw' | 'ro';
}

/** Whoever keeps something derived from the bytes, or from where they lie: an engine's translated code and TLBs. */
export interface MemoryObserver {
  /** Bytes of RAM were changed from outside the vCPUs (loader, DMA): forget decoded or translated code over them. */
  memoryChanged(gpa: Gpa, size: Bytes): void;
  /** {@link PhysicalMemory.map} is another one now: forget every translation before the next instruction. May come in the middle of one. */
  memoryMapChanged(): void;
}

/**
 * A partition's RAM. Backed by one shared `WebAssembly.Memory`, fixed in size, so that the interpreter, translated code,
 * device models in other threads and KVM (by host address) all see the same bytes.
 */
export interface PhysicalMemory {
  readonly memory: WebAssembly.Memory;
  readonly regions: readonly RamRegion[];
  /** The whole shared memory, the engine's own area included. Index it only with what `offsetOf` returned. */
  readonly bytes: Uint8Array<SharedArrayBuffer>;
  /** Offset of `gpa` in `bytes`, or -1 when `[gpa, gpa+size)` is not wholly RAM. Never throws: guests choose `gpa`. */
  offsetOf(gpa: Gpa, size: Bytes): number;
  /** Host-side load (boot loaders, DMA). False, and nothing written, when the range is not wholly RAM. */
  write(gpa: Gpa, data: Uint8Array): boolean;
  /** A copy, or undefined when the range is not wholly RAM. */
  read(gpa: Gpa, size: Bytes): Uint8Array | undefined;
  /** RAM, and in front of it what {@link overlay} shows; in address order, without overlap. A change puts another array in its place. */
  readonly map: readonly MappedRange[];
  /** Takes `size` bytes beside RAM (display memory, a ROM) and returns their offset, a multiple of 4 KiB. Throws BH401 when none are left. */
  reserve(size: Bytes, owner: string): number;
  /**
   * Shows the bytes at `offset` at `[gpa, gpa + size)`, in front of RAM and of earlier overlays, until disposed. All three are multiples of
   * 4 KiB. Only loads, stores and fetches of the vCPUs see it: loaders and DMA reach RAM and nothing else.
   */
  overlay(gpa: Gpa, size: Bytes, offset: number, access: 'rw' | 'ro'): Disposable;
  observe(observer: MemoryObserver): Disposable;
  /** Tells every observer that bytes of RAM were changed from outside. */
  written(gpa: Gpa, size: Bytes): void;
}
