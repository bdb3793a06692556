/** Far transfers, software interrupts, IRET, HLT, and the instructions that write RFLAGS.IF (SDM 2; VME and PVI are not modelled). */
import { IF, IOPL, OF, VM } from '../../x86/flags.ts';
import * as S from '../../x86/state.ts';
import { BREAKPOINT, DEBUG, GENERAL_PROTECTION, OVERFLOW } from '../../x86/vectors.ts';
import type { Core } from '../core.ts';
import { callFar, jumpFar, returnFar } from '../far.ts';
import { FLAGS_ALWAYS, interruptReturn } from '../interrupt-return.ts';
import { softwareInterrupt } from '../interrupts.ts';
import { updateMode } from '../mode.ts';
import { displacement, effectiveAddress, immediate, operandSize } from '../operands.ts';
import { Stack } from '../stack.ts';
import { ioPrivilege, requireSupervisor, type SystemOperations } from './operation.ts';

/** m16:16, m16:32 or m16:64 into `pointer`. */
const pointer = { selector: 0, offset: 0 };
function loadFarPointer(core: Core, record: number): void {
  const size = operandSize(core, record);
  const linear = effectiveAddress(core, record);
  const { mmu } = core;
  pointer.offset = size === 2 ? mmu.load16(linear) : size === 4 ? mmu.load32(linear) : mmu.loadCanonical(linear);
  pointer.selector = mmu.load16(core.is64Bit ? linear + size : (linear + size) >>> 0);
}

function immediateOffset(core: Core, record: number): number {
  const offset = displacement(core, record);
  return operandSize(core, record) === 2 ? offset & 0xffff : offset >>> 0;
}

/** In virtual-8086 mode PUSHF, POPF, CLI, STI need IOPL 3. */
function requireVirtual8086Privilege(core: Core): void {
  if (core.isVirtual8086 && ioPrivilege(core) !== 3) core.raise(GENERAL_PROTECTION, 0);
}

function requireInterruptPrivilege(core: Core): void {
  if (core.cpl > ioPrivilege(core)) core.raise(GENERAL_PROTECTION, 0);
}

export const TRANSFER_OPERATIONS: SystemOperations = {
  jmp_far_immediate: (core, record) => jumpFar(core, immediate(core, record) & 0xffff, immediateOffset(core, record)),
  call_far_immediate: (core, record) =>
    callFar(core, immediate(core, record) & 0xffff, immediateOffset(core, record), operandSize(core, record)),
  jmp_far_memory: (core, record) => {
    loadFarPointer(core, record);
    jumpFar(core, pointer.selector, pointer.offset);
  },
  call_far_memory: (core, record) => {
    loadFarPointer(core, record);
    callFar(core, pointer.selector, pointer.offset, operandSize(core, record));
  },
  ret_far: (core, record) => returnFar(core, operandSize(core, record), immediate(core, record) & 0xffff),

  int: (core, record) => softwareInterrupt(core, immediate(core, record) & 0xff, 'int'),
  int3: (core) => softwareInterrupt(core, BREAKPOINT, 'int3'),
  into: (core) => {
    if ((core.getFlags() & OF) !== 0) softwareInterrupt(core, OVERFLOW, 'int3');
  },
  int1: (core) => softwareInterrupt(core, DEBUG, 'int1'),
  iret: (core, record) => interruptReturn(core, operandSize(core, record)),

  hlt: (core) => {
    requireSupervisor(core);
    core.set32(S.ACTIVITY, S.ACTIVITY_HALTED);
    core.leave = true;
  },
  cli: (core) => {
    requireInterruptPrivilege(core);
    core.set32(S.SYSTEM_FLAGS, core.get32(S.SYSTEM_FLAGS) & ~IF);
  },
  /** Interrupts wait for one more instruction, when they were off (SDM 2, STI). */
  sti: (core) => {
    requireInterruptPrivilege(core);
    const flags = core.get32(S.SYSTEM_FLAGS);
    if ((flags & IF) !== 0) return;
    core.set32(S.SYSTEM_FLAGS, flags | IF);
    core.set32(S.INTERRUPT_SHADOW, 1);
    core.leave = true;
  },

  pushf: (core, record) => {
    requireVirtual8086Privilege(core);
    const stack = new Stack(core).open();
    // The image has VM and RF clear.
    stack.push(operandSize(core, record), core.getFlags() & 0x00fc_ffff);
    stack.commit();
  },
  popf: (core, record) => {
    requireVirtual8086Privilege(core);
    const size = operandSize(core, record);
    const stack = new Stack(core).open();
    const image = stack.pop(size);
    const old = core.getFlags();
    let mask = FLAGS_ALWAYS;
    if (core.cpl === 0) mask |= IOPL;
    if (core.cpl <= (old & IOPL) >>> 12) mask |= IF;
    if (size === 2) mask &= 0xffff;
    stack.commit();
    core.setFlags((old & ~mask & ~(VM | 0x1_0000)) | (old & VM) | (image & mask));
    updateMode(core);
    core.leave = true;
  },
};
