/**
 * The numbers that records carry for their instructions: one handler for each mnemonic, operand pattern, size, operand kind and
 * condition that the instruction table can produce and that has semantics. The interpreter's `br_table`, the decoder and the
 * translator agree on them because they all ask here.
 */
import type { InstructionRow } from '../x86/table.ts';
import type { Shape } from './interpreter-scope.ts';
import { cold } from './semantics/dsl.ts';
import { SEMANTICS, type Semantics, type Size } from './semantics/index.ts';

/** Fixed handlers; those of instructions follow. */
export const HANDLER_END = 0;
export const HANDLER_SYSTEM = 1;
export const HANDLER_MICRO = 2;
/** Not an instruction: go on at RIP by way of the block table, where translated code may be found. */
export const HANDLER_LOOKUP = 3;
export const FIRST_HANDLER = 4;

export interface Handler {
  readonly mnemonic: string;
  readonly semantics: Semantics;
  readonly shape: Shape;
}

/** What stands behind every HANDLER_SYSTEM: an operation in TypeScript, which may read and change anything. */
const SYSTEM: Handler = { mnemonic: 'system', semantics: cold(() => undefined), shape: { pattern: '', size: 4, memory: true, condition: 0 } };

export interface HandlerTable {
  /** Those in the interpreter's main loop come first in numbering. */
  readonly hot: readonly Handler[];
  readonly cold: readonly Handler[];
  /** What a number stands for; undefined for the fixed ones but system operations. */
  at(number: number): Handler | undefined;
  isEnd(number: number): boolean;
  /** Number for a table row at log2 size (0–3) and register (0) or memory (1) operand, or −1: it is a system operation. */
  numberOf(row: InstructionRow, sizeLog2: number, memory: 0 | 1, condition: number): number;
}

const CONDITIONS: readonly number[] = Array.from({ length: 16 }, (_, i) => i);

const key = (mnemonic: string, pattern: string, sizeLog2: number, memory: 0 | 1, condition: number): string =>
  `${mnemonic} ${pattern} ${sizeLog2} ${memory} ${condition}`;

/** The main loop is one function: what it holds the host has to optimise in one go, at a cost in time and memory that grows faster than it. */
const isHot = ({ semantics, shape }: Handler): boolean => semantics.hot && shape.size !== 2;

export function createHandlers(rows: readonly InstructionRow[]): HandlerTable {
  const byKey = new Map<string, Handler>();
  for (const row of rows) {
    const semantics = SEMANTICS[row.mnemonic];
    if (!semantics) continue;
    for (const sizeLog2 of row.sizes) {
      for (const memory of row.operandKinds) {
        for (const condition of row.conditional ? CONDITIONS : [0]) {
          const name = key(row.mnemonic, row.pattern, sizeLog2, memory, condition);
          if (byKey.has(name)) continue;
          const same = byKey.get(key(row.mnemonic, row.pattern, row.sizes[0] as number, memory, condition));
          if (semantics.ignoresSize && same !== undefined) {
            byKey.set(name, same);
            continue;
          }
          const shape = { pattern: row.pattern, size: (1 << sizeLog2) as Size, memory: memory === 1, condition };
          byKey.set(name, { mnemonic: row.mnemonic, semantics, shape });
        }
      }
    }
  }
  const all = [...new Set(byKey.values())];
  const hot = all.filter(isHot);
  const cold = all.filter((handler) => !isHot(handler));
  const ordered = [...hot, ...cold];
  const numbers = new Map(ordered.map((handler, i) => [handler, FIRST_HANDLER + i]));
  return {
    hot,
    cold,
    at: (number) => (number === HANDLER_SYSTEM ? SYSTEM : ordered[number - FIRST_HANDLER]),
    isEnd: (number) => number === HANDLER_END,
    numberOf: (row, sizeLog2, memory, condition) => {
      const handler = byKey.get(key(row.mnemonic, row.pattern, sizeLog2, memory, condition));
      return handler === undefined ? -1 : (numbers.get(handler) as number);
    },
  };
}
