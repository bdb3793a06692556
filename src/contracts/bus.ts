import type { SharedWindow } from '../base/index.ts';
import type { AccessSize, Gpa } from './scalars.ts';

export type IoSpaceName = 'pio' | 'mmio';

/** A half-open range `[base, base+size)` of one space. */
export interface IoRange {
  readonly space: IoSpaceName;
  readonly base: number;
  readonly size: number;
}

/**
 * What a device answers on. It sees offsets, never absolute addresses, and does not know on which bus, in which partition
 * or behind which engine it sits. The bus has already split accesses that are wider than 4 bytes or that straddle a range;
 * values are unsigned and fit `size`. Must never throw: the guest chooses offset and value.
 */
export interface IoHandler {
  /** Behind the range lies nothing but these bytes, from its first on: an engine may access them itself, as one where they are aligned. */
  readonly shared?: SharedWindow;
  read(offset: number, size: AccessSize): number;
  write(offset: number, size: AccessSize, value: number): void;
}

/** What a vCPU calls in the middle of an instruction. */
export interface IoSpace {
  /** Unclaimed reads float high (0xff…), unclaimed writes are dropped; both are counted. Returns an unsigned number. */
  read(space: IoSpaceName, address: number, size: AccessSize): number;
  write(space: IoSpaceName, address: number, size: AccessSize, value: number): void;
  /** Memory that other partitions reach too, behind all of `[address, address + size)`; undefined: a device, or nothing. */
  sharedAt?(address: number, size: number): PlacedWindow | undefined;
}

/** A window where it answers now. */
export interface PlacedWindow {
  readonly base: number;
  readonly window: SharedWindow;
}

export interface Bus extends IoSpace {
  /** Throws BulkheadError BH210 (overlap), naming both owners. Disposing releases the range. */
  claim(range: IoRange, owner: string, handler: IoHandler): Disposable;
  /** In address order; what `bulkhead inspect map` prints. */
  ranges(): Iterable<IoRange & { readonly owner: string }>;
}

/** One interrupt input, as seen by the device that drives it. */
export interface IrqLine {
  /** Level semantics: the line stays asserted until lowered, however often this is called. */
  set(level: boolean): void;
  /** Edge semantics: low→high→low as one event. */
  pulse(): void;
}

export interface MsiSink {
  /** A posted memory write to the local APICs' range (SDM 3A §11.11). */
  send(address: Gpa, data: number): void;
}
