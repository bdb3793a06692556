/** Every operation that generated code hands to TypeScript, numbered by its place here; one table for the interpreter and the vCPU. */
import type { Core } from './core.ts';
import { DIVISIONS } from './division.ts';
import { MICRO_OPERATIONS } from './micro-operations.ts';
import { SYSTEM_OPERATIONS } from './operations.ts';
import { SSE_EXTENSIONS } from './sse/extensions.ts';
import { SSE_OPERATIONS } from './sse/operations.ts';
import { X87_OPERATIONS } from './x87/operations.ts';

/** Works on the record at this byte offset of the shared memory. Raises guest faults through the core. */
export type SystemOperation = (core: Core, record: number) => void;

const ALL: Readonly<Record<string, SystemOperation>> = { ...MICRO_OPERATIONS, ...DIVISIONS, ...X87_OPERATIONS, ...SSE_OPERATIONS, ...SSE_EXTENSIONS, ...SYSTEM_OPERATIONS };

export const SYSTEM_MNEMONICS: readonly string[] = Object.keys(ALL);
export const OPERATIONS: readonly SystemOperation[] = Object.values(ALL);
