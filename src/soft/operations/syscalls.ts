/** SYSCALL, SYSRET, SYSENTER, SYSEXIT, SWAPGS and the FS/GS base instructions (SDM 2; SDM 3A §5.8.7, §5.8.8). */
import { CR4_FSGSBASE, EFER_SCE } from '../../x86/control.ts';
import { AC, IF, RF, VM } from '../../x86/flags.ts';
import * as S from '../../x86/state.ts';
import { GENERAL_PROTECTION } from '../../x86/vectors.ts';
import type { Core } from '../core.ts';
import { updateMode } from '../mode.ts';
import { operandSize, rmOffset, writeRegisterBig } from '../operands.ts';
import { setSegment } from '../segments.ts';
import { FLAT_CODE_32, FLAT_CODE_64, FLAT_DATA } from '../semantics/system.ts';
import { isRealMode, raiseUndefined, requireSupervisor, type SystemOperations } from './operation.ts';

const RCX = S.gpr(S.RCX);
const RDX = S.gpr(S.RDX);
const RSP = S.gpr(S.RSP);
const R11 = S.gpr(11);
const CANONICAL_END = 2 ** 47;
/** Flags that SYSRET takes from R11. */
const SYSRET_FLAGS = 0x003c_7fd7;

function loadFlat(core: Core, codeSelector: number, codeAttributes: number, stackSelector: number, level: number): void {
  setSegment(core, S.CS, (codeSelector & 0xfffc) | level, 0, 0xffff_ffff, codeAttributes | (level << 5));
  setSegment(core, S.SS, (stackSelector & 0xfffc) | level, 0, 0xffff_ffff, FLAT_DATA | (level << 5));
  core.set32(S.CPL, level);
}

function isCanonical(address: number): boolean {
  return address >= -CANONICAL_END && address < CANONICAL_END;
}

/** Bits 47:32 (`upper` false) or 63:48 of IA32_STAR. */
function starSelector(core: Core, upper: boolean): number {
  const high = core.get32(S.MSR_STAR + 4);
  return upper ? high >>> 16 : high & 0xffff;
}

function swap64(core: Core, a: number, b: number): void {
  const first = (core.base + a) >>> 2;
  const second = (core.base + b) >>> 2;
  for (let i = 0; i < 2; i++) {
    const kept = core.u32[first + i] as number;
    core.u32[first + i] = core.u32[second + i] as number;
    core.u32[second + i] = kept;
  }
}

function requireBaseInstructions(core: Core): void {
  if ((core.getSigned32(S.CR4) & CR4_FSGSBASE) === 0) raiseUndefined(core);
}

function readBase(segment: number): (core: Core, record: number) => void {
  return (core, record) => {
    requireBaseInstructions(core);
    writeRegisterBig(core, rmOffset(core, record), operandSize(core, record), core.get64(S.segmentBase(segment)));
  };
}

function writeBase(segment: number): (core: Core, record: number) => void {
  return (core, record) => {
    requireBaseInstructions(core);
    const offset = rmOffset(core, record);
    const base = operandSize(core, record) === 8 ? core.getCanonical(offset) : core.get32(offset);
    if (!isCanonical(base)) core.raise(GENERAL_PROTECTION, 0);
    core.setNumber(S.segmentBase(segment), base);
  };
}

export const SYSCALL_OPERATIONS: SystemOperations = {
  syscall: (core) => {
    core.clearedTrap = true;
    if (!core.is64Bit || (core.getSigned32(S.EFER) & EFER_SCE) === 0) raiseUndefined(core);
    const flags = core.getFlags();
    const selector = starSelector(core, false);
    core.copy64(RCX, S.NEXT_RIP);
    core.setNumber(R11, flags & ~RF);
    core.setFlags(flags & ~(core.get32(S.MSR_SFMASK) | RF));
    loadFlat(core, selector, FLAT_CODE_64, selector + 8, 0);
    updateMode(core);
    core.copy64(S.NEXT_RIP, S.MSR_LSTAR);
    core.leave = true;
  },

  sysret: (core, record) => {
    if (!core.is64Bit || (core.getSigned32(S.EFER) & EFER_SCE) === 0) raiseUndefined(core);
    requireSupervisor(core);
    const isTo64 = operandSize(core, record) === 8;
    const rip = isTo64 ? core.getCanonical(RCX) : core.get32(RCX);
    if (!isCanonical(rip)) core.raise(GENERAL_PROTECTION, 0);
    const selector = starSelector(core, true);
    core.setFlags(core.get32(R11) & SYSRET_FLAGS);
    loadFlat(core, isTo64 ? selector + 16 : selector, isTo64 ? FLAT_CODE_64 : FLAT_CODE_32, selector + 8, 3);
    updateMode(core);
    core.jumpTo(rip);
  },

  sysenter: (core) => {
    const selector = core.get32(S.MSR_SYSENTER_CS) & 0xfffc;
    if (isRealMode(core) || selector === 0) core.raise(GENERAL_PROTECTION, 0);
    const isLong = core.isLongMode;
    core.set32(S.SYSTEM_FLAGS, core.get32(S.SYSTEM_FLAGS) & ~(VM | IF | RF));
    loadFlat(core, selector, isLong ? FLAT_CODE_64 : FLAT_CODE_32, selector + 8, 0);
    updateMode(core);
    if (isLong) core.copy64(RSP, S.MSR_SYSENTER_ESP);
    else core.setNumber(RSP, core.get32(S.MSR_SYSENTER_ESP));
    core.jumpTo(isLong ? core.getCanonical(S.MSR_SYSENTER_EIP) : core.get32(S.MSR_SYSENTER_EIP));
  },

  sysexit: (core, record) => {
    const selector = core.get32(S.MSR_SYSENTER_CS) & 0xfffc;
    if (isRealMode(core) || selector === 0 || core.cpl !== 0) core.raise(GENERAL_PROTECTION, 0);
    const isTo64 = core.is64Bit && operandSize(core, record) === 8;
    const rip = isTo64 ? core.getCanonical(RDX) : core.get32(RDX);
    const rsp = isTo64 ? core.getCanonical(RCX) : core.get32(RCX);
    if (!isCanonical(rip) || !isCanonical(rsp)) core.raise(GENERAL_PROTECTION, 0);
    const code = selector + (isTo64 ? 32 : 16);
    loadFlat(core, code, isTo64 ? FLAT_CODE_64 : FLAT_CODE_32, code + 8, 3);
    updateMode(core);
    core.setNumber(RSP, rsp);
    core.jumpTo(rip);
  },

  swapgs: (core) => {
    requireSupervisor(core);
    swap64(core, S.segmentBase(S.GS), S.MSR_KERNEL_GS_BASE);
  },

  rdfsbase: readBase(S.FS),
  rdgsbase: readBase(S.GS),
  wrfsbase: writeBase(S.FS),
  wrgsbase: writeBase(S.GS),

  clac: (core) => setAlignmentFlag(core, false),
  stac: (core) => setAlignmentFlag(core, true),
};

/** At level 0 RFLAGS.AC decides what SMAP forbids, and nothing else: no more than the TLBs has to follow. */
function setAlignmentFlag(core: Core, isSet: boolean): void {
  if (core.cpl !== 0) raiseUndefined(core);
  const flags = core.get32(S.SYSTEM_FLAGS);
  core.set32(S.SYSTEM_FLAGS, isSet ? flags | AC : flags & ~AC);
  core.mmu.setPrivilege();
}
