/** Every instruction that has generated code: mnemonic → semantics. What is missing here is a system operation in TypeScript. */
import { ARITHMETIC } from './arithmetic.ts';
import { CONTROL } from './control.ts';
import type { SemanticsTable } from './dsl.ts';
import { EXCHANGE } from './exchange.ts';
import { INTERRUPT_RETURN } from './interrupt-return.ts';
import { MOVES } from './moves.ts';
import { SHIFTS } from './shifts.ts';
import { STRINGS } from './strings.ts';
import { SEGMENT_LOADS } from './segment-loads.ts';
import { SYSTEM } from './system.ts';
import { VECTOR_FLOAT } from './vector-float.ts';
import { VECTOR_INTEGER } from './vector-integer.ts';
import { VECTOR_SSE4 } from './vector-sse4.ts';
import { VECTOR_TEXT } from './vector-text.ts';
import { VECTOR_MOVES } from './vector-moves.ts';
import { X87 } from './x87.ts';

export const SEMANTICS: SemanticsTable = { ...ARITHMETIC, ...SHIFTS, ...EXCHANGE, ...MOVES, ...CONTROL, ...STRINGS, ...SYSTEM, ...SEGMENT_LOADS, ...INTERRUPT_RETURN, ...VECTOR_MOVES, ...VECTOR_INTEGER, ...VECTOR_FLOAT, ...VECTOR_SSE4, ...VECTOR_TEXT, ...X87 };
export type { Scope, Semantics, SemanticsTable, Size } from './dsl.ts';
