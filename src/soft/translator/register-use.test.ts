import { describe, expect, it } from 'vitest';
import { analyseRegisters, type InstructionUse } from './register-use.ts';

const A = 1;
const B = 2;
const instruction = (use: Partial<InstructionUse>): InstructionUse => ({ read: 0, changed: 0, replaced: 0, mayLeave: false, isElsewhere: false, ...use });
const goto = (...to: number[]) => to.map((target) => ({ to: target, isCall: false }));

describe('registers of a region', () => {
  it('are loaded when they may be read before they are replaced', () => {
    const { liveAt } = analyseRegisters([[instruction({ read: A, changed: B, replaced: B })]], [[]], [true]);
    expect(liveAt).toEqual([A]);
  });

  it('are loaded, too, when an exit may store them that another way than this one changed', () => {
    // block 0 → 1 or 2 → 3: block 1 replaces A, and block 3 may leave
    const blocks = [[], [instruction({ changed: A, replaced: A })], [], [instruction({ mayLeave: true })]];
    const { liveAt, dirtyAt } = analyseRegisters(blocks, [goto(1, 2), goto(3), goto(3), []], [false, false, false, false]);
    expect(dirtyAt).toEqual([0, 0, 0, A]);
    expect(liveAt).toEqual([A, 0, A, A]);
  });

  it('are dirty around a loop that changes them', () => {
    const { dirtyAt } = analyseRegisters([[], [instruction({ changed: B })]], [goto(1), goto(1)], [false, true]);
    expect(dirtyAt).toEqual([0, B]);
  });

  it('are stored before a system operation and loaded behind it', () => {
    const blocks = [[instruction({ changed: A, replaced: A }), instruction({ isElsewhere: true }), instruction({ read: B })]];
    const { liveAt, liveBehind } = analyseRegisters(blocks, [[]], [true]);
    expect(liveBehind(0, 1)).toBe(B);
    expect(liveAt).toEqual([0]); // A is replaced before it is stored
  });

  it('are stored before a call, and nothing is dirty where it comes back', () => {
    const blocks = [[instruction({ changed: A })], [instruction({ read: B })]];
    const { liveAt, dirtyAt } = analyseRegisters(blocks, [[{ to: 1, isCall: true }], []], [true, false]);
    expect(dirtyAt).toEqual([0, 0]);
    expect(liveAt).toEqual([A, B]);
  });
});
