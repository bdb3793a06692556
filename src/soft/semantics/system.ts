/**
 * Instructions of operating systems that change or read single fields of the state: SWAPGS, STAC, CLAC, the FS and GS bases, segment
 * selectors. What is odd about them (privilege, what is not enabled) stays with the system operation of the same name.
 */
import { CR4_FSGSBASE } from '../../x86/control.ts';
import { AC } from '../../x86/flags.ts';
import { INFO, INFO_REG_SHIFT } from '../../x86/record.ts';
import * as S from '../../x86/state.ts';
import { TLB_OFFSET, TLB_SIZE } from '../layout.ts';
import { cold, type Scope, type SemanticsTable, type Size } from './dsl.ts';

function requireSupervisor(s: Scope, mnemonic: string): void {
  s.if(s.field(S.CPL, 'i32').ne(0), () => s.system(mnemonic));
}

/** At level 0 RFLAGS.AC decides what SMAP forbids, and nothing else: it chooses among the TLBs. */
function setAlignmentFlag(s: Scope, isSet: boolean): void {
  requireSupervisor(s, isSet ? 'stac' : 'clac');
  const flags = s.field(S.SYSTEM_FLAGS, 'i32');
  s.setField(S.SYSTEM_FLAGS, isSet ? flags.or(AC) : flags.and(~AC));
  const supervisor = s.state.add(TLB_OFFSET);
  const table = s.local(isSet ? supervisor.add(s.field(S.TLB_UNGUARDED, 'i32')) : supervisor);
  s.setField(S.TLB_READ, table);
  s.setField(S.TLB_WRITE, table.add(TLB_SIZE));
}

function requireBaseInstructions(s: Scope, mnemonic: string): void {
  s.if(s.field(S.CR4, 'i32').and(CR4_FSGSBASE).isZero(), () => s.system(mnemonic));
}

function readBase(s: Scope, mnemonic: string, segment: number): void {
  requireBaseInstructions(s, mnemonic);
  s.rm.write(s.field(S.segmentBase(segment), 'i64').to(s.word));
}

function writeBase(s: Scope, mnemonic: string, segment: number): void {
  requireBaseInstructions(s, mnemonic);
  const base = s.local(s.rm.read().to('i64'));
  if (s.size === 8) s.if(base.shl(16).shrSigned(16).ne(base), () => s.system(mnemonic));
  s.setField(S.segmentBase(segment), base);
}

function moveFromSegment(s: Scope): void {
  const segment = s.local(s.recordField(INFO, 'i32', 2).shr(INFO_REG_SHIFT).and(7));
  s.if(segment.gtSigned(S.GS), () => s.system('mov_from_sreg'));
  const selector = s.local(s.state.add(segment.shl(2)).load('i32', 4, S.SEGMENT_SELECTOR));
  // To memory 16 bits, to a register all of it (SDM 2B, MOV).
  const size: Size = s.rm.isMemory ? 2 : s.size;
  s.rmOfSize(size).write(size === 8 ? selector.widen() : selector);
}

export const SYSTEM: SemanticsTable = {
  stac: cold((s) => setAlignmentFlag(s, true)),
  clac: cold((s) => setAlignmentFlag(s, false)),
  swapgs: cold((s) => {
    requireSupervisor(s, 'swapgs');
    const base = s.local(s.field(S.segmentBase(S.GS), 'i64'));
    s.setField(S.segmentBase(S.GS), s.field(S.MSR_KERNEL_GS_BASE, 'i64'));
    s.setField(S.MSR_KERNEL_GS_BASE, base);
  }),
  rdfsbase: cold((s) => readBase(s, 'rdfsbase', S.FS)),
  rdgsbase: cold((s) => readBase(s, 'rdgsbase', S.GS)),
  wrfsbase: cold((s) => writeBase(s, 'wrfsbase', S.FS)),
  wrgsbase: cold((s) => writeBase(s, 'wrgsbase', S.GS)),
  mov_from_sreg: cold(moveFromSegment),
};
