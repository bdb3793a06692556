/**
 * Instructions of operating systems that every system call executes: SYSCALL, SYSRET, SYSENTER, SYSEXIT, SWAPGS, STAC, CLAC, the FS and
 * GS bases, segment selectors. What is odd about them (privilege, what is not enabled, a change of mode) stays with the system operation
 * of the same name.
 */
import { ATTRIBUTE_DPL_SHIFT, CR4_FSGSBASE, EFER_LMA, EFER_SCE } from '../../x86/control.ts';
import { AC, FIXED, IF, OTHERS, RF, TF, VM } from '../../x86/flags.ts';
import { INFO, INFO_REG_SHIFT } from '../../x86/record.ts';
import * as S from '../../x86/state.ts';
import { TLB_OFFSET, TLB_SIZE, TLB_USER } from '../layout.ts';
import { i32, i64, select, type Value } from '../wasm/value.ts';
import { cold, type Scope, type SemanticsTable, type Size } from './dsl.ts';

const R11 = 11;
export const canonical = (address: Value): Value => address.shl(16).shrSigned(16).eq(address);

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
  if (s.size === 8) s.if(canonical(base).isZero(), () => s.system(mnemonic));
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

/** Flat segments that these instructions load without reading descriptors (SDM 3A §5.8.7, §5.8.8); DPL is ORed in. */
export const FLAT_CODE_64 = 0xa09b;
export const FLAT_CODE_32 = 0xc09b;
export const FLAT_DATA = 0xc093;
/** A selector without RPL. */
export const SELECTOR = 0xfffc;
export function setFlatSegment(s: Scope, segment: number, selector: Value, attributes: number): void {
  s.setField(S.segmentSelector(segment), selector);
  s.setField(S.segmentBase(segment), i64(0));
  s.setField(S.segmentLimit(segment), i32(-1));
  s.setField(S.segmentAttributes(segment), i32(attributes));
}

/** Goes on at `rip` at another level, in the same mode. `code`, `stack`: selectors, whatever their RPL. */
export function changeLevel(s: Scope, level: 0 | 3, code: Value, codeAttributes: number, stack: Value, rip: Value): void {
  setFlatSegment(s, S.CS, code.and(SELECTOR).or(level), codeAttributes | (level << ATTRIBUTE_DPL_SHIFT));
  setFlatSegment(s, S.SS, stack.and(SELECTOR).or(level), FLAT_DATA | (level << ATTRIBUTE_DPL_SHIFT));
  s.setField(S.CPL, i32(level));
  const tables = s.local(s.state.add(TLB_OFFSET + (level === 3 ? TLB_USER : 0)));
  const isFlagSet = s.field(S.SYSTEM_FLAGS, 'i32').and(AC);
  const data = level === 3 ? tables : s.local(tables.add(select(isFlagSet, s.field(S.TLB_UNGUARDED, 'i32'), i32(0))));
  s.setField(S.TLB_READ, data);
  s.setField(S.TLB_WRITE, data.add(TLB_SIZE));
  s.setField(S.TLB_FETCH, tables.add(2 * TLB_SIZE));
  // The next instruction is fetched with the rights of its level.
  s.setField(S.CODE_PAGE, i64(S.NO_PAGE));
  s.jump(rip);
}

export function setFlags(s: Scope, image: Value): void {
  s.setField(S.SYSTEM_FLAGS, image.and(OTHERS).or(FIXED));
  s.setArithmeticFlags(image);
}

export const isIn64BitMode = (s: Scope): Value => s.field(S.MODE, 'i32').and(S.MODE_CODE_SIZE).eq(S.MODE_CODE_64);
/** 32-bit code with flat segments, and no long mode around it: it stays so whatever the level is. */
export const isFlat32 = (s: Scope): Value =>
  s.field(S.MODE, 'i32').and(S.MODE_CODE_SIZE | S.MODE_SEGMENTED | S.MODE_PROTECTED).eq(S.MODE_CODE_32 | S.MODE_PROTECTED)
    .and(s.field(S.EFER, 'i32').and(EFER_LMA).isZero());
/** A level is entered that may take interrupts, and one waits; or debugging has a word to say. */
const isEventful = (s: Scope, flags: Value): Value =>
  flags.and(TF | AC | RF | VM).or(select(flags.and(IF), s.field(S.EVENTS, 'i32'), i32(0)));

function systemCall(s: Scope): void {
  const isPossible = isIn64BitMode(s).and(s.field(S.EFER, 'i32').and(EFER_SCE).ne(0)).and(s.field(S.SYSTEM_FLAGS, 'i32').and(TF).isZero());
  s.if(isPossible.isZero(), () => s.system('syscall'));
  const flags = s.local(s.flagsImage());
  s.register(S.RCX, 8).write(s.nextRip());
  s.register(R11, 8).write(flags.widen());
  setFlags(s, s.local(flags.and(s.field(S.MSR_SFMASK, 'i32').xor(-1))));
  const selector = s.local(s.field(S.MSR_STAR + 4, 'i32'));
  changeLevel(s, 0, selector, FLAT_CODE_64, s.local(selector.add(8)), s.field(S.MSR_LSTAR, 'i64'));
}

function systemReturn(s: Scope): void {
  const flags = s.local(s.register(R11, 4).read());
  const rip = s.local(s.register(S.RCX, 8).read());
  const isPossible = isIn64BitMode(s).and(s.field(S.EFER, 'i32').and(EFER_SCE).ne(0)).and(s.field(S.CPL, 'i32').isZero()).and(canonical(rip));
  s.if(isPossible.isZero().or(isEventful(s, flags)), () => s.system('sysret'));
  if (s.size !== 8) {
    s.system('sysret');
    return;
  }
  setFlags(s, flags);
  const selector = s.local(s.field(S.MSR_STAR + 4, 'i32').shr(16));
  changeLevel(s, 3, s.local(selector.add(16)), FLAT_CODE_64, s.local(selector.add(8)), rip);
}

function systemEnter(s: Scope): void {
  const selector = s.local(s.field(S.MSR_SYSENTER_CS, 'i32').and(SELECTOR));
  const flags = s.local(s.field(S.SYSTEM_FLAGS, 'i32'));
  s.if(isFlat32(s).isZero().or(selector.isZero()).or(flags.and(TF)), () => s.system('sysenter'));
  s.setField(S.SYSTEM_FLAGS, flags.and(~(VM | IF | RF)));
  s.register(S.RSP, 8).write(s.field(S.MSR_SYSENTER_ESP, 'i32').widen());
  changeLevel(s, 0, selector, FLAT_CODE_32, s.local(selector.add(8)), s.field(S.MSR_SYSENTER_EIP, 'i32').widen());
}

function systemExit(s: Scope): void {
  const selector = s.local(s.field(S.MSR_SYSENTER_CS, 'i32').and(SELECTOR));
  const flags = s.field(S.SYSTEM_FLAGS, 'i32');
  s.if(isFlat32(s).isZero().or(selector.isZero()).or(s.field(S.CPL, 'i32')).or(isEventful(s, flags)), () => s.system('sysexit'));
  const rip = s.local(s.register(S.RDX, 4).read().widen());
  s.register(S.RSP, 8).write(s.local(s.register(S.RCX, 4).read()).widen());
  changeLevel(s, 3, s.local(selector.add(16)), FLAT_CODE_32, s.local(selector.add(24)), rip);
}

export const SYSTEM: SemanticsTable = {
  syscall: cold(systemCall),
  sysret: cold(systemReturn),
  sysenter: cold(systemEnter),
  sysexit: cold(systemExit),
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
