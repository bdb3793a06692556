import type { Bytes, Gpa, Nanos, PartitionName } from './scalars.ts';
import type { IoRange } from './bus.ts';

/** Where a value came from, kept on every node so that each finding can point at it. Line and column count from 1. */
export interface SourceSpan {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly length: number;
}

/** One thing wrong (or risky) with a manifest. `code` is stable and documented in docs/errors.md. */
export interface Finding {
  readonly code: `BH${number}`;
  readonly severity: 'error' | 'warning';
  readonly message: string;
  readonly at: SourceSpan;
  readonly related?: readonly { readonly message: string; readonly at: SourceSpan }[];
  readonly hint?: string;
}

/** A board and how it is divided: what the manifest describes, after validation. Plain data: it is posted to threads. */
export interface Machine {
  readonly name: string;
  readonly board: Board;
  readonly partitions: readonly Partition[];
}

export interface Board {
  readonly cores: number;
  readonly memory: Bytes;
}

export type ImageKind = 'linux' | 'elf' | 'multiboot' | 'flat' | 'memtest';

export interface Partition {
  readonly name: PartitionName;
  readonly role: 'gpos' | 'rtos';
  readonly engine: 'soft' | 'kvm';
  /** Exclusive physical cores, in vCPU order. */
  readonly cores: readonly number[];
  /** Where on the board its RAM lies (host-physical plan); the guest sees it from address 0. */
  readonly memory: { readonly base: Gpa; readonly size: Bytes };
  readonly boot: BootSource;
  readonly devices: readonly DeviceSpec[];
  readonly onCrash: { readonly action: 'halt' | 'restart' | 'stop-machine'; readonly limit: number };
  /** Instructions per microsecond of virtual time: how fast the modelled core appears to its guest. */
  readonly instructionsPerMicrosecond: number;
  readonly allowance: Allowance;
}

/** Absolute paths; `role` names of packaged images are already resolved to files. */
export interface BootSource {
  readonly kernel: string;
  readonly initrd?: string;
  readonly cmdline: string;
  /** `auto`: by magic. A flat image needs `load` (and `entry`, which defaults to it); it starts in 16-bit real mode below 1 MiB, else in 32-bit flat protected mode. */
  readonly protocol: 'auto' | 'flat';
  readonly load?: Gpa;
  readonly entry?: Gpa;
  /** False: enter the image's own decompressor, as a boot loader would. */
  readonly decompress: boolean;
}

/** One exclusive device of a partition. Options are those of its model, already validated. */
export interface DeviceSpec {
  /** Unique in the partition: `com1`, `encoder`. */
  readonly name: string;
  /** Key into the board's device catalogue: `uart16550`, `hctl2016`, `vga-text`, … */
  readonly model: string;
  readonly ranges: readonly IoRange[];
  readonly irqs: readonly number[];
  readonly options: Readonly<Record<string, string | number | boolean>>;
}

/** The exact set of what a partition may touch. Computed once from the manifest; every engine enforces it. */
export interface Allowance {
  readonly cores: readonly number[];
  /** Board RAM. */
  readonly memory: readonly { readonly base: Gpa; readonly size: Bytes }[];
  readonly ports: readonly IoRange[];
  readonly mmio: readonly IoRange[];
  /** Board interrupt lines (GSIs). */
  readonly irqs: readonly number[];
}

/** What a partition tells the hypervisor about itself, several times a second. */
export interface PartitionStatus {
  readonly name: PartitionName;
  readonly state: PartitionLifeState;
  readonly restarts: number;
  readonly retired: number;
  readonly guestTime: Nanos;
  /** From the partition's telemetry port, where its RTOS reports. */
  readonly deadlineMisses?: number;
  readonly periods?: number;
}

export type PartitionLifeState = 'stopped' | 'starting' | 'running' | 'halted' | 'crashed';
