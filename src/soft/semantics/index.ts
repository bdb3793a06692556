/** Every instruction that has generated code: mnemonic → semantics. What is missing here is a system operation in TypeScript. */
import { ARITHMETIC } from './arithmetic.ts';
import { CONTROL } from './control.ts';
import type { SemanticsTable } from './dsl.ts';
import { MOVES } from './moves.ts';
import { SHIFTS } from './shifts.ts';
import { STRINGS } from './strings.ts';

export const SEMANTICS: SemanticsTable = { ...ARITHMETIC, ...SHIFTS, ...MOVES, ...CONTROL, ...STRINGS };
export type { Scope, Semantics, SemanticsTable, Size } from './dsl.ts';
