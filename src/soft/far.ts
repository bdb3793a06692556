/**
 * Control transfers between code segments: far JMP, CALL and RET, through call gates too (SDM 3A §5.8, SDM 2 for each
 * instruction's pseudocode). Whatever can fault happens before the first change that the guest can see.
 */
import { ATTRIBUTE_DEFAULT_BIG } from '../x86/control.ts';
import * as S from '../x86/state.ts';
import { GENERAL_PROTECTION, INVALID_TSS, SEGMENT_NOT_PRESENT } from '../x86/vectors.ts';
import type { Core } from './core.ts';
import { updateMode } from './mode.ts';
import {
  checkStackSegment,
  Descriptor,
  dropPrivilegedSegments,
  installSegment,
  markAccessed,
  readDescriptor,
  readUpperHalf,
  setNullSegment,
  setRealSegment,
  setVirtual8086Segment,
  TYPE_CALL_GATE16,
  TYPE_CALL_GATE32,
  TYPE_TASK_GATE,
  TYPE_TSS16,
  TYPE_TSS32,
} from './segments.ts';
import { setStackPointer, Stack } from './stack.ts';
import { readInnerStack, readInnerStack64, switchTask } from './task.ts';

const CANONICAL_END = 2 ** 47;

const target = new Descriptor();
const gate = new Descriptor();
const stackDescriptor = new Descriptor();
const inner = { selector: 0, pointer: 0 };

/** JMP ptr16:16, ptr16:32, m16:16, m16:32, m16:64. */
export function jumpFar(core: Core, selector: number, offset: number): void {
  if (!core.isProtected) {
    transferReal(core, selector, offset);
    return;
  }
  readTarget(core, selector);
  if (!target.isSystem) {
    checkDirect(core, selector);
    checkInstructionPointer(core, target, offset, 0);
    enterCode(core, selector, target, core.cpl, offset);
    return;
  }
  if (enterTask(core, selector, 'jump')) return;
  const codeSelector = readCallGate(core, selector);
  const cpl = core.cpl;
  if (target.isConforming ? target.privilege > cpl : target.privilege !== cpl) core.raise(GENERAL_PROTECTION, codeSelector & 0xfffc);
  checkPresent(core, codeSelector);
  checkInstructionPointer(core, target, gateOffset(core), 0);
  enterCode(core, codeSelector, target, cpl, gateOffset(core));
}

/** CALL far; `size` is the operand size in bytes. */
export function callFar(core: Core, selector: number, offset: number, size: number): void {
  const stack = new Stack(core).open();
  const returnRip = core.getCanonical(S.NEXT_RIP);
  const oldCode = core.get32(S.segmentSelector(S.CS));
  if (!core.isProtected) {
    if (offset > core.get32(S.segmentLimit(S.CS))) core.raise(GENERAL_PROTECTION, 0);
    stack.reserve(2, size);
    stack.push(size, oldCode);
    stack.push(size, returnRip);
    stack.commit();
    transferReal(core, selector, offset);
    return;
  }
  readTarget(core, selector);
  if (!target.isSystem) {
    checkDirect(core, selector);
    checkInstructionPointer(core, target, offset, 0);
    markAccessed(core, target);
    stack.reserve(2, size);
    stack.push(size, oldCode);
    stack.push(size, returnRip);
    stack.commit();
    enterCode(core, selector, target, core.cpl, offset);
    return;
  }
  if (enterTask(core, selector, 'call')) return;
  const codeSelector = readCallGate(core, selector);
  const cpl = core.cpl;
  if (target.privilege > cpl) core.raise(GENERAL_PROTECTION, codeSelector & 0xfffc);
  checkPresent(core, codeSelector);
  if (!target.isConforming && target.privilege < cpl) {
    callInner(core, codeSelector);
    return;
  }
  checkInstructionPointer(core, target, gateOffset(core), 0);
  markAccessed(core, target);
  const gateSize = core.isLongMode ? 8 : gate.type === TYPE_CALL_GATE32 ? 4 : 2;
  if (core.isLongMode) stack.open64(stack.pointer, cpl, 0);
  stack.reserve(2, gateSize);
  stack.push(gateSize, oldCode);
  stack.push(gateSize, returnRip);
  stack.commit();
  enterCode(core, codeSelector, target, cpl, gateOffset(core));
}

/** Through a call gate to a more privileged level, onto its stack (SDM 3A §5.8.5). */
function callInner(core: Core, codeSelector: number): void {
  const level = target.privilege;
  const offset = gateOffset(core);
  const old = new Stack(core).open();
  const oldPointer = old.pointer;
  const oldStack = core.get32(S.segmentSelector(S.SS));
  const stack = new Stack(core);
  const isLong = core.isLongMode;
  const size = isLong ? 8 : gate.type === TYPE_CALL_GATE32 ? 4 : 2;
  checkInstructionPointer(core, target, offset, 0);
  if (isLong) {
    stack.open64(readInnerStack64(core, level, 0, 0), level, 0);
  } else {
    readInnerStack(core, level, 0, inner);
    if ((inner.selector & 0xfffc) === 0) core.raise(INVALID_TSS, 0);
    checkStackSegment(core, inner.selector, level, INVALID_TSS, 0, stackDescriptor);
    markAccessed(core, stackDescriptor);
    const { base, limit, attributes } = stackDescriptor;
    stack.openSegment(base, limit, attributes, inner.pointer, level, inner.selector & 0xfffc);
  }
  const parameters = isLong ? 0 : gate.high & 31;
  markAccessed(core, target);
  stack.reserve(4 + parameters, size);
  stack.push(size, oldStack);
  stack.push(size, oldPointer);
  for (let i = parameters - 1; i >= 0; i--) stack.push(size, old.peek(size, i * size));
  stack.push(size, core.get32(S.segmentSelector(S.CS)));
  stack.push(size, core.getCanonical(S.NEXT_RIP));
  if (isLong) setNullSegment(core, S.SS, level, level);
  else installSegment(core, S.SS, inner.selector, stackDescriptor);
  enterCode(core, codeSelector, target, level, offset);
  stack.commit();
}

/** RET far: `size` is the operand size, `extraBytes` the parameters to release. */
export function returnFar(core: Core, size: number, extraBytes: number): void {
  const stack = new Stack(core).open();
  const rip = stack.pop(size);
  const selector = stack.pop(size) & 0xffff;
  if (!core.isProtected) {
    if (rip > core.get32(S.segmentLimit(S.CS))) core.raise(GENERAL_PROTECTION, 0);
    stack.skip(extraBytes);
    stack.commit();
    transferReal(core, selector, rip);
    return;
  }
  checkReturnCode(core, selector, target);
  stack.skip(extraBytes);
  if ((selector & 3) === core.cpl) {
    checkInstructionPointer(core, target, rip, 0);
    markAccessed(core, target);
    stack.commit();
    enterCode(core, selector, target, core.cpl, rip);
    return;
  }
  const pointer = stack.pop(size);
  const stackSelector = stack.pop(size) & 0xffff;
  checkReturnStack(core, stackSelector, selector & 3, target, stackDescriptor);
  checkInstructionPointer(core, target, rip, 0);
  markAccessed(core, target);
  enterOuter(core, selector, target, stackSelector, stackDescriptor, rip);
  const isBig = (core.getSigned32(S.segmentAttributes(S.SS)) & ATTRIBUTE_DEFAULT_BIG) !== 0;
  setStackPointer(core, pointer + extraBytes, core.is64Bit, isBig);
}

// ── shared with interrupts and IRET ───────────────────────────────────────────────────────────────────────────────────

/** Real-address and virtual-8086 mode: any selector is fine, the offset must lie within the limit. */
export function transferReal(core: Core, selector: number, offset: number): void {
  if (offset > core.get32(S.segmentLimit(S.CS))) core.raise(GENERAL_PROTECTION, 0);
  if (core.isVirtual8086) setVirtual8086Segment(core, S.CS, selector);
  else setRealSegment(core, S.CS, selector);
  updateMode(core);
  core.jumpTo(offset);
}

/** The offset must be canonical in a 64-bit code segment, and within the limit of any other. */
export function checkInstructionPointer(core: Core, code: Descriptor, offset: number, external: number): void {
  const isValid = core.isLongMode && code.isLong ? offset >= -CANONICAL_END && offset < CANONICAL_END : offset >= 0 && offset <= code.limit;
  if (!isValid) core.raise(GENERAL_PROTECTION, external);
}

/** Loads CS at privilege level `level` and continues there. */
export function enterCode(core: Core, selector: number, code: Descriptor, level: number, offset: number): void {
  markAccessed(core, code);
  installSegment(core, S.CS, (selector & 0xfffc) | level, code);
  core.set32(S.CPL, level);
  updateMode(core);
  core.jumpTo(offset);
}

/** What RET and IRET demand of the code segment they return to. */
export function checkReturnCode(core: Core, selector: number, into: Descriptor): void {
  const code = selector & 0xfffc;
  const level = selector & 3;
  if (code === 0) core.raise(GENERAL_PROTECTION, 0);
  readDescriptor(core, selector, GENERAL_PROTECTION, 0, into);
  const isAllowed = into.isCode && level >= core.cpl && (into.isConforming ? into.privilege <= level : into.privilege === level);
  if (!isAllowed || (core.isLongMode && into.isLong && into.isDefaultBig)) core.raise(GENERAL_PROTECTION, code);
  if (!into.isPresent) core.raise(SEGMENT_NOT_PRESENT, code);
}

/** What they demand of its stack: a null one is for 64-bit code below level 3 only. `into` is then not filled. */
export function checkReturnStack(core: Core, selector: number, level: number, code: Descriptor, into: Descriptor): void {
  if ((selector & 0xfffc) === 0) {
    if (!core.isLongMode || !code.isLong || level === 3) core.raise(GENERAL_PROTECTION, 0);
    return;
  }
  checkStackSegment(core, selector, level, GENERAL_PROTECTION, 0, into);
  markAccessed(core, into);
}

/** Loads CS and SS of a less privileged level, and takes away the data segments it may not keep. */
export function enterOuter(core: Core, selector: number, code: Descriptor, stackSelector: number, stack: Descriptor, rip: number): void {
  const level = selector & 3;
  const isInner = level === core.cpl;
  if ((stackSelector & 0xfffc) === 0) setNullSegment(core, S.SS, stackSelector, level);
  else installSegment(core, S.SS, stackSelector, stack);
  enterCode(core, selector, code, level, rip);
  if (isInner) return;
  dropPrivilegedSegments(core);
  updateMode(core);
}

// ── inside ────────────────────────────────────────────────────────────────────────────────────────────────────────────

function readTarget(core: Core, selector: number): void {
  if ((selector & 0xfffc) === 0) core.raise(GENERAL_PROTECTION, 0);
  readDescriptor(core, selector, GENERAL_PROTECTION, 0, target);
}

function checkDirect(core: Core, selector: number): void {
  const cpl = core.cpl;
  const code = selector & 0xfffc;
  if (!target.isCode) core.raise(GENERAL_PROTECTION, code);
  const isAllowed = target.isConforming ? target.privilege <= cpl : (selector & 3) <= cpl && target.privilege === cpl;
  if (!isAllowed || (core.isLongMode && target.isLong && target.isDefaultBig)) core.raise(GENERAL_PROTECTION, code);
  checkPresent(core, selector);
}

function checkPresent(core: Core, selector: number): void {
  if (!target.isPresent) core.raise(SEGMENT_NOT_PRESENT, selector & 0xfffc);
}

/** A TSS or task gate in `target`: false when it is neither. */
function enterTask(core: Core, selector: number, reason: 'jump' | 'call'): boolean {
  const type = target.type;
  if (type !== TYPE_TASK_GATE && type !== TYPE_TSS16 && type !== TYPE_TSS32) return false;
  const code = selector & 0xfffc;
  if (core.isLongMode || target.privilege < core.cpl || target.privilege < (selector & 3)) core.raise(GENERAL_PROTECTION, code);
  if (!target.isPresent) core.raise(SEGMENT_NOT_PRESENT, code);
  switchTask(core, type === TYPE_TASK_GATE ? target.low >>> 16 : selector, reason, core.getCanonical(S.NEXT_RIP), 0);
  return true;
}

/** Checks the call gate in `target`, moves it to `gate`, and reads the code segment it names into `target`. */
function readCallGate(core: Core, selector: number): number {
  const code = selector & 0xfffc;
  const type = target.type;
  const isGate = type === TYPE_CALL_GATE32 || (type === TYPE_CALL_GATE16 && !core.isLongMode);
  if (!isGate || target.privilege < core.cpl || target.privilege < (selector & 3)) core.raise(GENERAL_PROTECTION, code);
  if (!target.isPresent) core.raise(SEGMENT_NOT_PRESENT, code);
  if (core.isLongMode) readUpperHalf(core, selector, GENERAL_PROTECTION, 0, target);
  gate.low = target.low;
  gate.high = target.high;
  gate.upper = target.upper;
  const codeSelector = gate.low >>> 16;
  readTarget(core, codeSelector);
  const isWrongSize = core.isLongMode && (!target.isLong || target.isDefaultBig);
  if (!target.isCode || isWrongSize) core.raise(GENERAL_PROTECTION, codeSelector & 0xfffc);
  return codeSelector;
}

function gateOffset(core: Core): number {
  if (gate.type === TYPE_CALL_GATE16) return gate.low & 0xffff;
  const low = ((gate.low & 0xffff) | (gate.high & 0xffff_0000)) >>> 0;
  return core.isLongMode ? (gate.upper | 0) * 0x1_0000_0000 + low : low;
}
