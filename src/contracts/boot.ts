import type { VcpuState } from './engine.ts';
import type { Bytes, Gpa } from './scalars.ts';

/** A piece of the guest-physical map, in the words of INT 15h E820 / ACPI 6.5 §15. */
export interface MemoryMapEntry {
  readonly base: Gpa;
  readonly size: Bytes;
  readonly kind: 'ram' | 'reserved' | 'acpi' | 'nvs';
}

/** Data that a loader wants in RAM. */
export interface LoadSegment {
  readonly gpa: Gpa;
  readonly data: Uint8Array;
  /** What it is, for `--verbose` and overlap errors: `kernel .text`, `initrd`, `zero page`. */
  readonly name: string;
}

/** What a loader made of an image: pure data, applied to RAM and to vCPU 0 by the partition. */
export interface BootPlan {
  /** What the image was detected as: `Linux bzImage 6.1.0 (x86-64, LZ4), entered through PVH`. */
  readonly description: string;
  readonly segments: readonly LoadSegment[];
  readonly entry: VcpuState;
}

/** What is on the screen when a system starts without firmware having told it. */
export type BootDisplay =
  | { readonly kind: 'text' }
  | {
      readonly kind: 'framebuffer';
      readonly base: Gpa;
      readonly size: Bytes;
      readonly width: number;
      readonly height: number;
      /** Bits per pixel: 15, 16, 24 or 32. */
      readonly depth: number;
      /** Bytes per line. */
      readonly pitch: Bytes;
    };

/** What the loader needs to know about the partition. */
export interface BootEnvironment {
  readonly memoryMap: readonly MemoryMapEntry[];
  /** RSDP, where ACPI tables are offered. */
  readonly rsdp?: Gpa;
  /** Absent: there is no screen. */
  readonly display?: BootDisplay;
}
