/** IRET, IRETD, IRETQ in every combination of modes (SDM 2, IRET; SDM 3A §6.12.1, §6.14.3; §20.2.5 of 3B for virtual-8086 mode). */
import { ATTRIBUTE_DEFAULT_BIG } from '../x86/control.ts';
import { AC, ARITHMETIC, DF, ID, IF, IOPL, NT, RF, TF, VIF, VIP, VM } from '../x86/flags.ts';
import * as S from '../x86/state.ts';
import { GENERAL_PROTECTION } from '../x86/vectors.ts';
import type { Core } from './core.ts';
import { checkInstructionPointer, checkReturnCode, checkReturnStack, enterCode, enterOuter, transferReal } from './far.ts';
import { updateMode } from './mode.ts';
import { Descriptor, markAccessed, setVirtual8086Segment } from './segments.ts';
import { setStackPointer, Stack } from './stack.ts';
import { returnFromTask } from './task.ts';
import { checkVirtualImage, virtualFlags, writeVirtualImage } from './virtual-8086.ts';

const RSP = S.gpr(S.RSP);
/** Flags that IRET and POPF write at any level. */
export const FLAGS_ALWAYS: number = ARITHMETIC | TF | DF | NT | AC | ID;

const code = new Descriptor();
const stackDescriptor = new Descriptor();

/** `size` is the operand size in bytes. An NMI may come again after it, even when it faults (SDM 3A §6.7.1). */
export function interruptReturn(core: Core, size: number): void {
  core.set32(S.NMI_BLOCKED, 0);
  if (!core.isProtected) {
    returnReal(core, size);
    return;
  }
  if ((core.getSigned32(S.SYSTEM_FLAGS) & NT) !== 0) {
    if (core.isLongMode) core.raise(GENERAL_PROTECTION, 0);
    returnFromTask(core, core.getCanonical(S.NEXT_RIP));
    return;
  }
  const stack = new Stack(core).open();
  const rip = stack.pop(size);
  const selector = stack.pop(size) & 0xffff;
  const flags = stack.pop(size);
  if (size === 4 && (flags & VM) !== 0 && core.cpl === 0 && !core.isLongMode) {
    returnVirtual8086(core, stack, rip, selector, flags);
    return;
  }
  checkReturnCode(core, selector, code);
  // From 64-bit mode SS:RSP is popped at every level.
  if ((selector & 3) === core.cpl && !core.is64Bit) {
    checkInstructionPointer(core, code, rip, 0);
    markAccessed(core, code);
    writeReturnFlags(core, flags, size);
    stack.commit();
    enterCode(core, selector, code, core.cpl, rip);
    return;
  }
  const pointer = size === 8 ? stack.pop64() : BigInt(stack.pop(size));
  const stackSelector = stack.pop(size) & 0xffff;
  checkReturnStack(core, stackSelector, selector & 3, code, stackDescriptor);
  checkInstructionPointer(core, code, rip, 0);
  markAccessed(core, code);
  writeReturnFlags(core, flags, size);
  enterOuter(core, selector, code, stackSelector, stackDescriptor, rip);
  if (core.is64Bit) core.set64(RSP, pointer);
  else {
    const isBig = (core.getSigned32(S.segmentAttributes(S.SS)) & ATTRIBUTE_DEFAULT_BIG) !== 0;
    setStackPointer(core, Number(BigInt.asUintN(32, pointer)), false, isBig);
  }
}

/** Real-address mode, and virtual-8086 mode at IOPL 3 or with virtual flags. */
function returnReal(core: Core, size: number): void {
  const isVirtual8086 = core.isVirtual8086;
  const flagsOwner = isVirtual8086 ? virtualFlags(core) : 'own';
  if (flagsOwner === false || (flagsOwner === 'virtual' && size !== 2)) core.raise(GENERAL_PROTECTION, 0);
  const stack = new Stack(core).open();
  const rip = stack.pop(size);
  const selector = stack.pop(size) & 0xffff;
  const flags = stack.pop(size);
  if (flagsOwner === 'virtual') checkVirtualImage(core, flags);
  transferReal(core, selector, rip);
  stack.commit();
  if (flagsOwner === 'virtual') {
    writeVirtualImage(core, flags);
    return;
  }
  let mask = FLAGS_ALWAYS | IF | RF;
  if (!isVirtual8086) mask |= IOPL;
  if (size === 2) mask &= 0xffff;
  core.setFlags((core.getFlags() & ~mask) | (flags & mask));
  updateMode(core);
}

/** To virtual-8086 mode, from level 0: nine doublewords. */
function returnVirtual8086(core: Core, stack: Stack, rip: number, selector: number, flags: number): void {
  const pointer = stack.pop(4);
  const stackSelector = stack.pop(4) & 0xffff;
  const es = stack.pop(4) & 0xffff;
  const ds = stack.pop(4) & 0xffff;
  const fs = stack.pop(4) & 0xffff;
  const gs = stack.pop(4) & 0xffff;
  if (rip > 0xffff) core.raise(GENERAL_PROTECTION, 0);
  core.setFlags(flags);
  setVirtual8086Segment(core, S.CS, selector);
  setVirtual8086Segment(core, S.SS, stackSelector);
  setVirtual8086Segment(core, S.ES, es);
  setVirtual8086Segment(core, S.DS, ds);
  setVirtual8086Segment(core, S.FS, fs);
  setVirtual8086Segment(core, S.GS, gs);
  core.set32(RSP, pointer);
  core.set32(RSP + 4, 0);
  updateMode(core);
  core.jumpTo(rip);
}

/** IF only at or below IOPL, IOPL (and VIF, VIP) only at level 0: by the level that IRET executes at. */
function writeReturnFlags(core: Core, flags: number, size: number): void {
  let mask = FLAGS_ALWAYS | RF;
  const old = core.getFlags();
  if (core.cpl <= ((old >>> 12) & 3)) mask |= IF;
  if (core.cpl === 0) mask |= IOPL | VIF | VIP;
  if (size === 2) mask &= 0xffff;
  core.setFlags((old & ~mask) | (flags & mask));
}
