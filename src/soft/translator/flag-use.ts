/**
 * Where the arithmetic flags matter: at the start of a block they need not be right when something sets all of them before anything
 * could ask. Who asks is either an instruction, or only the exits on the way: those can tell apart what had set the flags.
 */
import type { Edge } from './flow.ts';
import type { Effect } from './registers.ts';

/** `exits`: only exits ask. */
export type FlagNeed = 'none' | 'exits' | 'reads';

const STRENGTH: Readonly<Record<FlagNeed, number>> = { none: 0, exits: 1, reads: 2 };
const stronger = (a: FlagNeed, b: FlagNeed): FlagNeed => (STRENGTH[a] >= STRENGTH[b] ? a : b);

/** By block. `behind`: what asks at the end of each, where control leaves; `between`: on the way from one block to the next. */
export function flagsNeeded(
  blocks: readonly (readonly Effect[])[],
  behind: readonly FlagNeed[],
  edges: readonly (readonly Edge[])[],
  between: (from: number, to: number) => FlagNeed,
): readonly FlagNeed[] {
  const passes: boolean[] = [];
  const needed = blocks.map((instructions, number): FlagNeed => {
    let need: FlagNeed = 'none';
    for (const { flagUse, mayLeave } of instructions) {
      if (mayLeave) need = stronger(need, 'exits');
      if (flagUse === 'reads') need = 'reads';
      if (flagUse !== 'none') {
        passes[number] = false;
        return need;
      }
    }
    passes[number] = true;
    return (edges[number] as readonly Edge[]).reduce<FlagNeed>(
      (sum, { to }) => stronger(sum, between(number, to)), stronger(need, behind[number] as FlagNeed));
  });
  for (let changed = true; changed; ) {
    changed = false;
    for (const [number, need] of needed.entries()) {
      if (!passes[number]) continue;
      const all = (edges[number] as readonly Edge[]).reduce<FlagNeed>((sum, { to }) => stronger(sum, needed[to] as FlagNeed), need);
      if (all === need) continue;
      needed[number] = all;
      changed = true;
    }
  }
  return needed;
}
