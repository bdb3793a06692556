/**
 * The form of a system operation: what the interpreter calls, with the record's offset, for an instruction that is not made
 * of generated code. S.RIP is the instruction, S.NEXT_RIP the one after it.
 */
import { CR0_PE, CR4_UMIP } from '../../x86/control.ts';
import { IOPL } from '../../x86/flags.ts';
import * as S from '../../x86/state.ts';
import { GENERAL_PROTECTION, INVALID_OPCODE } from '../../x86/vectors.ts';
import type { Core } from '../core.ts';

export type SystemOperation = (core: Core, record: number) => void;
export type SystemOperations = Readonly<Record<string, SystemOperation>>;

/** Privileged instructions: #GP(0) above level 0 (SDM 3A §5.9). */
export function requireSupervisor(core: Core): void {
  if (core.cpl !== 0) core.raise(GENERAL_PROTECTION, 0);
}

/** SGDT, SIDT, SLDT, STR and SMSW say to a user where the system keeps its tables: CR4.UMIP forbids it (SDM 3A §2.5). */
export function refuseUserMode(core: Core): void {
  if (core.cpl !== 0 && (core.getSigned32(S.CR4) & CR4_UMIP) !== 0) core.raise(GENERAL_PROTECTION, 0);
}

export function isRealMode(core: Core): boolean {
  return (core.getSigned32(S.CR0) & CR0_PE) === 0;
}

export function ioPrivilege(core: Core): number {
  return (core.getSigned32(S.SYSTEM_FLAGS) & IOPL) >>> 12;
}

export function raiseUndefined(core: Core): never {
  return core.raise(INVALID_OPCODE);
}
