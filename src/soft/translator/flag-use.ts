/**
 * Where the arithmetic flags matter: at the start of a block they need not be right when something sets all of them before anything
 * could ask, and whatever may leave the region asks.
 */
import type { Handler } from '../handlers.ts';
import type { Edge } from './flow.ts';

/** Set all six flags and read none. */
const SETS_ALL = new Set(['add', 'or', 'and', 'sub', 'xor', 'cmp', 'test', 'neg', 'imul2', 'imul3']);
/** Neither set nor read any, and cannot leave the region. */
const TOUCHES_NONE = new Set(['mov', 'lea', 'movzx_b', 'movzx_w', 'movsx_b', 'movsx_w', 'movsxd', 'nop', 'not', 'bswap', 'cbw', 'cwd', 'jmp_rel']);

/** By block. `mayLeave`: the region may be left on the way from one block to the next. */
export function flagsNeeded(
  blocks: readonly (readonly Handler[])[],
  edges: readonly (readonly Edge[])[],
  mayLeave: (from: number, to: number) => boolean,
): readonly boolean[] {
  const firsts = blocks.map((instructions) => {
    for (const { mnemonic, shape } of instructions) {
      if (shape.memory && mnemonic !== 'lea' && mnemonic !== 'nop') return 'asks';
      if (SETS_ALL.has(mnemonic)) return 'sets';
      if (!TOUCHES_NONE.has(mnemonic)) return 'asks';
    }
    return 'passes';
  });
  const needed = firsts.map((first, number) => {
    const next = edges[number] as readonly Edge[];
    return first === 'asks' || (first === 'passes' && (next.length === 0 || next.some(({ to }) => mayLeave(number, to))));
  });
  for (let changed = true; changed; ) {
    changed = false;
    for (const [number, first] of firsts.entries()) {
      if (first !== 'passes' || needed[number]) continue;
      if (!(edges[number] as readonly Edge[]).some(({ to }) => needed[to])) continue;
      needed[number] = true;
      changed = true;
    }
  }
  return needed;
}
