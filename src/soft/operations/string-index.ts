/** rSI, rDI and rCX as string instructions use them: at the address size, whose rules for partial registers apply (SDM 1 §7.3.9). */
import * as S from '../../x86/state.ts';
import type { Core } from '../core.ts';
import { addressSize } from '../operands.ts';

const RCX = S.gpr(S.RCX);

/** The offset in its segment: masked to the address size, signed in 64-bit addressing. */
export function indexOffset(core: Core, record: number, register: number): number {
  const offset = S.gpr(register);
  switch (addressSize(core, record)) {
    case 2:
      return core.get32(offset) & 0xffff;
    case 4:
      return core.get32(offset);
    default:
      return core.getCanonical(offset);
  }
}

export function advanceIndex(core: Core, record: number, register: number, distance: number): void {
  addToRegister(core, S.gpr(register), distance, addressSize(core, record));
}

export function countIsZero(core: Core, record: number): boolean {
  switch (addressSize(core, record)) {
    case 2:
      return (core.get32(RCX) & 0xffff) === 0;
    case 4:
      return core.get32(RCX) === 0;
    default:
      return core.get32(RCX) === 0 && core.get32(RCX + 4) === 0;
  }
}

export function stepCount(core: Core, record: number): void {
  addToRegister(core, RCX, -1, addressSize(core, record));
}

/**
 * The end of one iteration. True: the next one follows at once, as an instruction of its own in the budget, which whatever wants to
 * come in between has set to 0. Then the instruction stays where it is, to go on later, unless it has come to its end.
 */
export function nextIteration(core: Core, isEnded: boolean): boolean {
  core.set32(S.REPEATING, isEnded ? 0 : 1);
  if (isEnded) return false;
  const budget = core.get32(S.BUDGET);
  if (budget === 0) {
    core.jumpTo(core.getCanonical(S.RIP));
    return false;
  }
  core.set32(S.BUDGET, budget - 1);
  return true;
}

function addToRegister(core: Core, offset: number, distance: number, size: number): void {
  const at = core.base + offset;
  if (size === 2) {
    core.u16[at >>> 1] = (core.u16[at >>> 1] as number) + distance;
    return;
  }
  const sum = (core.u32[at >>> 2] as number) + distance;
  core.u32[at >>> 2] = sum;
  if (size === 4) core.u32[(at >>> 2) + 1] = 0;
  else core.i32[(at >>> 2) + 1] = (core.i32[(at >>> 2) + 1] as number) + Math.floor(sum / 0x1_0000_0000);
}
