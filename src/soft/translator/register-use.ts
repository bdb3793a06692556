/**
 * Which registers a region has to load and to store where. A register is *dirty* where its local may differ from the state block: it is
 * stored wherever control leaves. It is *live* where its local may still be read or stored: those are loaded, at the entry and behind
 * whatever changed the state block (calls, system operations).
 */
import type { Edge } from './flow.ts';

/** What an instruction does with the registers that are locals: bit sets, general ones in bits 0–15, vector ones in bits 16–31. */
export interface InstructionUse {
  readonly read: number;
  readonly changed: number;
  /** Of those changed: what they were does not matter. */
  readonly replaced: number;
  /** The region may be left before the instruction. */
  readonly mayLeave: boolean;
  /** It works on the state block: what is dirty is stored before it, what is live is loaded behind it. */
  readonly isElsewhere: boolean;
}

export interface RegisterUse {
  /** By block, at its start. */
  readonly dirtyAt: readonly number[];
  readonly liveAt: readonly number[];
  /** Live behind an instruction that is executed elsewhere. */
  liveBehind(block: number, instruction: number): number;
}

/** `leaves`: control may leave at the end of the block. */
export function analyseRegisters(blocks: readonly (readonly InstructionUse[])[], edges: readonly (readonly Edge[])[], leaves: readonly boolean[]): RegisterUse {
  const dirtyAt = blocks.map(() => 0);
  const dirtyBehind = (block: number, count: number): number => {
    let dirty = dirtyAt[block] as number;
    for (let n = 0; n < count; n++) {
      const { changed, isElsewhere } = (blocks[block] as readonly InstructionUse[])[n] as InstructionUse;
      dirty = isElsewhere ? 0 : dirty | changed;
    }
    return dirty;
  };
  settle(blocks.length, (block) => {
    const dirty = dirtyBehind(block, (blocks[block] as readonly InstructionUse[]).length);
    let changes = false;
    for (const { to, isCall } of edges[block] as readonly Edge[]) {
      const joined = (dirtyAt[to] as number) | (isCall ? 0 : dirty);
      changes ||= joined !== dirtyAt[to];
      dirtyAt[to] = joined;
    }
    return changes;
  });

  const liveAt = blocks.map(() => 0);
  /** Live before instruction `first` of a block. */
  const liveBefore = (block: number, first: number): number => {
    const instructions = blocks[block] as readonly InstructionUse[];
    let live = leaves[block] ? dirtyBehind(block, instructions.length) : 0;
    for (const { to, isCall } of edges[block] as readonly Edge[]) if (!isCall) live |= liveAt[to] as number;
    for (let n = instructions.length - 1; n >= first; n--) {
      const { read, replaced, mayLeave, isElsewhere } = instructions[n] as InstructionUse;
      if (isElsewhere) live = dirtyBehind(block, n);
      else live = (live & ~replaced) | read | (mayLeave ? dirtyBehind(block, n) : 0);
    }
    return live;
  };
  settle(blocks.length, (block) => {
    const live = liveBefore(block, 0);
    if (live === liveAt[block]) return false;
    liveAt[block] = live;
    return true;
  });
  return { dirtyAt, liveAt, liveBehind: (block, instruction) => liveBefore(block, instruction + 1) };
}

/** Steps through all blocks, again and again, until no step changes anything. */
function settle(blocks: number, step: (block: number) => boolean): void {
  for (let changes = true; changes; ) {
    changes = false;
    for (let block = blocks - 1; block >= 0; block--) changes = step(block) || changes;
  }
}
