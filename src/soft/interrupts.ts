/**
 * Delivery of exceptions and interrupts (SDM 3A chapter 6): the real-mode vector table, protected-mode and long-mode gates,
 * stack switches through the TSS and the IST, virtual-8086 mode, and what happens when delivery itself faults (§6.15, "Double
 * Fault"). IRET is in interrupt-return.ts.
 *
 * Not modelled: shadow stacks, user interrupts.
 */
import { AC, IF, IOPL, NT, RF, TF, VM } from '../x86/flags.ts';
import * as S from '../x86/state.ts';
import {
  DEBUG,
  DIVIDE_ERROR,
  DOUBLE_FAULT,
  GENERAL_PROTECTION,
  INVALID_TSS,
  MACHINE_CHECK,
  NMI,
  PAGE_FAULT,
  SEGMENT_NOT_PRESENT,
} from '../x86/vectors.ts';
import { type Core, GUEST_FAULT } from './core.ts';
import { checkInstructionPointer, enterCode } from './far.ts';
import { updateMode } from './mode.ts';
import {
  checkStackSegment,
  Descriptor,
  installSegment,
  markAccessed,
  readDescriptor,
  setNullSegment,
  setRealSegment,
  systemLinear,
  TYPE_INTERRUPT_GATE16,
  TYPE_INTERRUPT_GATE32,
  TYPE_TASK_GATE,
  TYPE_TRAP_GATE16,
  TYPE_TRAP_GATE32,
} from './segments.ts';
import { Stack } from './stack.ts';
import { readInnerStack, readInnerStack64, switchTask } from './task.ts';
import { redirectInterrupt } from './virtual-8086.ts';

const gate = new Descriptor();
const code = new Descriptor();
const stackDescriptor = new Descriptor();
const inner = { selector: 0, pointer: 0 };

/** What is delivered: an exception, a hardware interrupt or a software one (INT n, INT3, INTO). */
type Source = 'exception' | 'hardware' | 'software' | 'privileged-software';

/**
 * Delivers the recorded fault; S.RIP is the instruction it belongs to and becomes the handler's first. When delivery faults,
 * SDM 3A table 6-5 decides: the second fault, a double fault, or shutdown.
 */
export function deliverException(core: Core): void {
  let vector = core.getSigned32(S.FAULT_VECTOR);
  let errorCode = core.getSigned32(S.FAULT_HAS_ERROR_CODE) !== 0 ? core.get32(S.FAULT_ERROR_CODE) : undefined;
  const first = vector;
  // Ends: a fault of the same kind during delivery climbs to the double fault, and from there to shutdown.
  for (let attempt = 0; attempt < 4; attempt++) {
    core.set32(S.FAULT_VECTOR, -1);
    if (tryDeliver(core, vector, 'exception', errorCode)) return;
    const second = core.getSigned32(S.FAULT_VECTOR);
    if (vector === DOUBLE_FAULT && isSevere(second)) break;
    if (isContributory(vector) ? isContributory(second) : vector === PAGE_FAULT && isSevere(second)) {
      vector = DOUBLE_FAULT;
      errorCode = 0;
    } else {
      vector = second;
      errorCode = core.getSigned32(S.FAULT_HAS_ERROR_CODE) !== 0 ? core.get32(S.FAULT_ERROR_CODE) : undefined;
    }
  }
  core.set32(S.FAULT_VECTOR, -1);
  core.set32(S.ACTIVITY, S.ACTIVITY_SHUTDOWN);
  core.breakpoints.pending = 0;
  core.detail = `triple fault: exception ${first} could not be delivered, nor the double fault after it (${where(core)})`;
  core.leave = true;
}

/** A hardware interrupt, or the NMI (vector 2), which blocks further NMIs until IRET. Ends a halt. */
export function deliverInterrupt(core: Core, vector: number): void {
  endSleep(core);
  if (vector === NMI) core.set32(S.NMI_BLOCKED, 1);
  if (!tryDeliver(core, vector, 'hardware', undefined)) deliverException(core);
}

/** Debug conditions have come together before the instruction at S.RIP: one exception reports them all. Ends a halt. */
export function deliverDebugException(core: Core): void {
  const { breakpoints } = core;
  breakpoints.report(breakpoints.pending);
  breakpoints.pending = 0;
  endSleep(core);
  core.recordFault(DEBUG);
  deliverException(core);
}

/** HLT and MWAIT end; what MONITOR armed is armed no more. */
export function endSleep(core: Core): void {
  const activity = core.get32(S.ACTIVITY);
  if (activity === S.ACTIVITY_MWAIT) core.mmu.forgetLine();
  else if (activity === S.ACTIVITY_HALTED) core.set32(S.ACTIVITY, S.ACTIVITY_RUNNING);
}

/** INT n (`software`), INT3 and INTO (the same, but not sensitive to IOPL in virtual-8086 mode), INT1 (`hardware`). */
export function softwareInterrupt(core: Core, vector: number, kind: 'int' | 'int3' | 'int1'): void {
  core.clearedTrap = true;
  if (kind === 'int' && core.isVirtual8086) {
    if (redirectInterrupt(core, vector)) return;
    if ((core.getSigned32(S.SYSTEM_FLAGS) & IOPL) !== IOPL) core.raise(GENERAL_PROTECTION, 0);
  }
  deliver(core, vector, kind === 'int1' ? 'privileged-software' : 'software', undefined, core.getCanonical(S.NEXT_RIP));
}

// ── table 6-5 ─────────────────────────────────────────────────────────────────────────────────────────────────────────

function isContributory(vector: number): boolean {
  return vector === DIVIDE_ERROR || (vector >= INVALID_TSS && vector <= GENERAL_PROTECTION);
}

function isSevere(vector: number): boolean {
  return isContributory(vector) || vector === PAGE_FAULT;
}

function where(core: Core): string {
  return `cs:rip ${core.get32(S.segmentSelector(S.CS)).toString(16)}:${core.get64(S.RIP).toString(16)}, cr2 ${core.get64(S.CR2).toString(16)}`;
}

/** False when another fault is recorded instead. */
function tryDeliver(core: Core, vector: number, source: Source, errorCode: number | undefined): boolean {
  try {
    deliver(core, vector, source, errorCode, core.getCanonical(S.RIP));
  } catch (fault) {
    if (fault !== GUEST_FAULT) throw fault;
    // The EXT bit: the fault came of an event outside the program, or of an exception before it (§6.13).
    const second = core.getSigned32(S.FAULT_VECTOR);
    if (second >= INVALID_TSS && second <= GENERAL_PROTECTION) core.set32(S.FAULT_ERROR_CODE, core.get32(S.FAULT_ERROR_CODE) | 1);
    return false;
  }
  core.setNumber(S.RIP, core.getCanonical(S.NEXT_RIP));
  core.set32(S.INTERRUPT_SHADOW, 0);
  core.set32(S.FAULT_VECTOR, -1);
  return true;
}

// ── delivery ──────────────────────────────────────────────────────────────────────────────────────────────────────────

function deliver(core: Core, vector: number, source: Source, errorCode: number | undefined, returnRip: number): void {
  let flags = core.getFlags();
  // A fault returns to its instruction with RF set, lest an instruction breakpoint hit again (SDM 3B §18.3.1.1).
  if (source === 'exception' && isFault(vector)) flags |= RF;
  if (core.isLongMode) deliverLong(core, vector, source, errorCode, returnRip, flags);
  else if (core.isProtected || core.isVirtual8086) deliverProtected(core, vector, source, errorCode, returnRip, flags);
  else deliverReal(core, vector, returnRip, flags & ~RF);
}

/** Neither trap nor abort, or (debug exceptions) not known to be a fault here. */
function isFault(vector: number): boolean {
  return vector !== DEBUG && vector !== DOUBLE_FAULT && vector !== MACHINE_CHECK;
}

/** SDM 3B §21.1.4: four bytes per vector at the base of the IDT register. */
function deliverReal(core: Core, vector: number, returnRip: number, flags: number): void {
  if (vector * 4 + 3 > core.get32(S.IDTR_LIMIT)) core.raise(GENERAL_PROTECTION, vector * 8 + 2);
  const entry = core.mmu.loadSystem32((core.getNumber(S.IDTR_BASE) + vector * 4) >>> 0);
  const stack = new Stack(core).open();
  stack.reserve(3, 2);
  stack.push(2, flags);
  stack.push(2, core.get32(S.segmentSelector(S.CS)));
  stack.push(2, returnRip);
  stack.commit();
  core.setFlags(flags & ~(IF | TF | AC | RF));
  setRealSegment(core, S.CS, entry >>> 16);
  updateMode(core);
  core.jumpTo(entry & 0xffff);
}

/** Reads and checks the gate for `vector`; `size` is that of an IDT entry. */
function readGate(core: Core, vector: number, source: Source, size: number): number {
  const external = source === 'software' ? 0 : 1;
  const error = vector * 8 + 2 + external;
  if (vector * size + size - 1 > core.get32(S.IDTR_LIMIT)) core.raise(GENERAL_PROTECTION, error);
  gate.address = systemLinear(core, core.getCanonical(S.IDTR_BASE) + vector * size);
  gate.low = core.mmu.loadSystem32(gate.address);
  gate.high = core.mmu.loadSystem32(systemLinear(core, gate.address + 4));
  gate.upper = size === 16 ? core.mmu.loadSystem32(gate.address + 8) : 0;
  const type = gate.type;
  const is32Bit = type === TYPE_INTERRUPT_GATE32 || type === TYPE_TRAP_GATE32;
  const isOther = size === 8 && (type === TYPE_TASK_GATE || type === TYPE_INTERRUPT_GATE16 || type === TYPE_TRAP_GATE16);
  if (!gate.isSystem || !(is32Bit || isOther)) core.raise(GENERAL_PROTECTION, error);
  if (source === 'software' && gate.privilege < core.cpl) core.raise(GENERAL_PROTECTION, error);
  if (!gate.isPresent) core.raise(SEGMENT_NOT_PRESENT, error);
  return external;
}

/** Reads the handler's code segment and checks it against CPL. */
function readHandler(core: Core, external: number): number {
  const selector = gate.low >>> 16;
  if ((selector & 0xfffc) === 0) core.raise(GENERAL_PROTECTION, external);
  readDescriptor(core, selector, GENERAL_PROTECTION, external, code);
  if (!code.isCode || code.privilege > core.cpl) core.raise(GENERAL_PROTECTION, (selector & 0xfffc) | external);
  if (!code.isPresent) core.raise(SEGMENT_NOT_PRESENT, (selector & 0xfffc) | external);
  return selector;
}

/** SDM 3A §6.12. */
function deliverProtected(
  core: Core,
  vector: number,
  source: Source,
  errorCode: number | undefined,
  returnRip: number,
  flags: number,
): void {
  const external = readGate(core, vector, source, 8);
  if (gate.type === TYPE_TASK_GATE) {
    switchTask(core, gate.low >>> 16, 'call', returnRip, external, errorCode, flags);
    return;
  }
  const selector = readHandler(core, external);
  const isFromVirtual8086 = core.isVirtual8086;
  const isInner = !code.isConforming && code.privilege < core.cpl;
  if (isFromVirtual8086 && (!isInner || code.privilege !== 0)) core.raise(GENERAL_PROTECTION, (selector & 0xfffc) | external);
  const size = gate.type & 8 ? 4 : 2;
  const offset = size === 4 ? ((gate.low & 0xffff) | (gate.high & 0xffff_0000)) >>> 0 : gate.low & 0xffff;
  const level = isInner ? code.privilege : core.cpl;
  const isInterruptGate = (gate.type & 1) === 0;
  const stack = new Stack(core).open();
  const oldPointer = core.get32(S.gpr(S.RSP));
  if (isInner) {
    readInnerStack(core, level, external, inner);
    if ((inner.selector & 0xfffc) === 0) core.raise(INVALID_TSS, external);
    checkStackSegment(core, inner.selector, level, INVALID_TSS, external, stackDescriptor);
    markAccessed(core, stackDescriptor);
    const { base, limit, attributes } = stackDescriptor;
    stack.openSegment(base, limit, attributes, inner.pointer, level, (inner.selector & 0xfffc) | external);
  }
  checkInstructionPointer(core, code, offset, external);
  markAccessed(core, code);
  const words = (isInner ? 5 : 3) + (isFromVirtual8086 ? 4 : 0) + (errorCode === undefined ? 0 : 1);
  stack.reserve(words, size);
  if (isFromVirtual8086) for (const segment of VIRTUAL_8086_SAVED) stack.push(size, core.get32(S.segmentSelector(segment)));
  if (isInner) {
    stack.push(size, core.get32(S.segmentSelector(S.SS)));
    stack.push(size, oldPointer);
  }
  stack.push(size, flags);
  stack.push(size, core.get32(S.segmentSelector(S.CS)));
  stack.push(size, returnRip);
  if (errorCode !== undefined) stack.push(size, errorCode);

  clearFlags(core, isInterruptGate);
  if (isFromVirtual8086) for (const segment of VIRTUAL_8086_SAVED) setNullSegment(core, segment, 0);
  if (isInner) installSegment(core, S.SS, inner.selector, stackDescriptor);
  enterCode(core, selector, code, level, offset);
  stack.commit();
}
const VIRTUAL_8086_SAVED = [S.GS, S.FS, S.DS, S.ES] as const;

/** SDM 3A §6.14. */
function deliverLong(core: Core, vector: number, source: Source, errorCode: number | undefined, returnRip: number, flags: number): void {
  const external = readGate(core, vector, source, 16);
  const selector = readHandler(core, external);
  if (!code.isLong || code.isDefaultBig) core.raise(GENERAL_PROTECTION, (selector & 0xfffc) | external);
  const offset = (gate.upper | 0) * 0x1_0000_0000 + (((gate.low & 0xffff) | (gate.high & 0xffff_0000)) >>> 0);
  const isInner = !code.isConforming && code.privilege < core.cpl;
  const level = isInner ? code.privilege : core.cpl;
  const isInterruptGate = (gate.type & 1) === 0;
  const ist = gate.high & 7;
  const stack = new Stack(core).open();
  const oldPointer = stack.pointer;
  const oldPointerExact = core.is64Bit ? core.getCanonical(S.gpr(S.RSP)) : core.get32(S.gpr(S.RSP));
  const newPointer = isInner || ist !== 0 ? readInnerStack64(core, level, ist, external) : oldPointer;
  // The frame is aligned to 16 bytes whatever RSP was (§6.14.2).
  stack.open64(Math.floor(newPointer / 16) * 16, level, external);
  checkInstructionPointer(core, code, offset, external);
  markAccessed(core, code);
  stack.reserve(errorCode === undefined ? 5 : 6, 8);
  stack.push(8, core.get32(S.segmentSelector(S.SS)));
  stack.push(8, oldPointerExact);
  stack.push(8, flags);
  stack.push(8, core.get32(S.segmentSelector(S.CS)));
  stack.push(8, returnRip);
  if (errorCode !== undefined) stack.push(8, errorCode);

  clearFlags(core, isInterruptGate);
  // A switch to an inner level leaves a null SS with the new level as RPL.
  if (isInner) setNullSegment(core, S.SS, level, level);
  enterCode(core, selector, code, level, offset);
  stack.commit();
}

/** SDM 3A §6.12.1.2: gates clear TF, VM, RF and NT; interrupt gates IF too. */
function clearFlags(core: Core, isInterruptGate: boolean): void {
  const cleared = TF | VM | RF | NT | (isInterruptGate ? IF : 0);
  core.set32(S.SYSTEM_FLAGS, core.get32(S.SYSTEM_FLAGS) & ~cleared);
}
