import type { Nanos } from './scalars.ts';

/** A partition's clock. Monotonic; in virtual time it is a count of retired instructions. */
export interface Clock {
  now(): Nanos;
  /** Calls `fire` once at `deadline`, in the thread that owns the device; never early. A deadline in the past fires at the next instruction boundary. */
  at(deadline: Nanos, fire: () => void): Disposable;
}

export type Severity = 'trace' | 'debug' | 'info' | 'warn' | 'error';

export interface Logger {
  log(severity: Severity, message: string, fields?: Readonly<Record<string, string | number | boolean>>): void;
}
