import type { Bytes, Gpa } from './scalars.ts';

/** One contiguous piece of guest-physical RAM, backed by shared bytes. */
export interface RamRegion {
  readonly base: Gpa;
  readonly size: Bytes;
  /** `ro`: guest writes are dropped and counted (firmware ROM). */
  readonly access: 'rw' | 'ro';
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
}
