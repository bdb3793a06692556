/**
 * MONITOR and MWAIT (SDM 2B; SDM 3A §9.10): a core sleeps until another one, or a device, stores to a line of 64 bytes, or until an
 * interrupt. The line's page is watched as pages with code are (code-pages.ts).
 *
 * Between MONITOR and MWAIT the line may be lost, by an interrupt for instance; MWAIT without an armed line does not wait, and software
 * looks for what it waits for between the two (§9.10.4).
 *
 * Not modelled: power states: all hints mean the same.
 */
import * as S from '../../x86/state.ts';
import { GENERAL_PROTECTION } from '../../x86/vectors.ts';
import type { Core } from '../core.ts';
import { addressSize, segmentOf } from '../operands.ts';
import { checkedLinear } from '../segments.ts';
import { raiseUndefined, type SystemOperations } from './operation.ts';

/** IA32_MISC_ENABLE.ENABLE_MONITOR_FSM (SDM 4 table 2-2): clear, the two do not exist. */
export const MISC_ENABLE_MONITOR: number = 1 << 18;

const RAX = S.gpr(S.RAX);
const RCX = S.gpr(S.RCX);

/** Neither is a matter of #GP for lack of privilege: at levels above 0 they are undefined. */
function requireMonitor(core: Core): void {
  if (core.cpl !== 0 || (core.get32(S.MSR_MISC_ENABLE) & MISC_ENABLE_MONITOR) === 0) raiseUndefined(core);
}

/** Extensions in rCX beyond those that CPUID leaf 5 lists raise #GP(0). */
function extensions(core: Core, known: number): number {
  const low = core.get32(RCX);
  if ((low & ~known) !== 0 || (core.is64Bit && core.get32(RCX + 4) !== 0)) core.raise(GENERAL_PROTECTION, 0);
  return low;
}

/** rAX in the address size, as an offset: below 2^32, or signed in 64-bit mode. */
function lineOffset(core: Core, record: number): number {
  const size = addressSize(core, record);
  if (size === 8) return core.getCanonical(RAX);
  return size === 4 ? core.get32(RAX) : core.get32(RAX) & 0xffff;
}

export const MONITOR_OPERATIONS: SystemOperations = {
  monitor: (core, record) => {
    requireMonitor(core);
    extensions(core, 0);
    core.mmu.watchLine(checkedLinear(core, segmentOf(core, record), lineOffset(core, record), 1, false));
  },

  mwait: (core) => {
    requireMonitor(core);
    const asked = extensions(core, S.MWAIT_MASKED_INTERRUPTS);
    if (core.get32(S.MONITOR_LINE) === 0) return;
    core.set32(S.MWAIT_EXTENSIONS, asked);
    core.set32(S.ACTIVITY, S.ACTIVITY_MWAIT);
    core.leave = true;
  },
};
