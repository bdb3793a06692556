import type { Nanos } from './scalars.ts';

/** A partition's clock. Monotonic; in virtual time it is a count of retired instructions. */
export interface Clock {
  now(): Nanos;
  /** Calls `fire` once at `deadline`, in the thread that owns the device; never early. A deadline in the past fires at the next instruction boundary. */
  at(deadline: Nanos, fire: () => void): Disposable;
  /** Virtual clocks: what {@link now} is computed from during the run that has just begun. */
  timeBase?(into: TimeBase): void;
}

/**
 * Time as a function of the instructions a vCPU has retired in its current run:
 * `nanos + floor((retired · 1000 + thousandths) / instructionsPerMicrosecond)`, all of them exact integers.
 */
export interface TimeBase {
  nanos: Nanos;
  thousandths: number;
  /** 0: there is no such relation. */
  instructionsPerMicrosecond: number;
}

export type Severity = 'trace' | 'debug' | 'info' | 'warn' | 'error';

export interface Logger {
  log(severity: Severity, message: string, fields?: Readonly<Record<string, string | number | boolean>>): void;
}
