/** Far transfers, software interrupts, IRET, HLT, and the instructions that write RFLAGS.IF (SDM 2). */
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
import {
  checkVirtualImage,
  hasVirtualInterruptFlag,
  setVirtualInterruptFlag,
  virtualFlags,
  virtualImage,
  writeVirtualImage,
} from '../virtual-8086.ts';
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

/** PUSHF and POPF work on a virtual-8086 program's virtual flags: true. Raises #GP(0) where it has none and no privilege. */
function usesVirtualFlags(core: Core, size: number): boolean {
  if (!core.isVirtual8086) return false;
  const flags = virtualFlags(core);
  if (flags === false || (flags === 'virtual' && size !== 2)) core.raise(GENERAL_PROTECTION, 0);
  return flags === 'virtual';
}

/** CLI and STI write IF: true. False: they write VIF. */
function mayWriteInterruptFlag(core: Core): boolean {
  if (core.cpl <= ioPrivilege(core)) return true;
  if (!hasVirtualInterruptFlag(core)) core.raise(GENERAL_PROTECTION, 0);
  return false;
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
    if (mayWriteInterruptFlag(core)) core.set32(S.SYSTEM_FLAGS, core.get32(S.SYSTEM_FLAGS) & ~IF);
    else setVirtualInterruptFlag(core, false);
  },
  /** Interrupts wait for one more instruction, when they were off (SDM 2, STI). */
  sti: (core) => {
    if (!mayWriteInterruptFlag(core)) {
      setVirtualInterruptFlag(core, true);
      return;
    }
    const flags = core.get32(S.SYSTEM_FLAGS);
    if ((flags & IF) !== 0) return;
    core.set32(S.SYSTEM_FLAGS, flags | IF);
    core.set32(S.INTERRUPT_SHADOW, S.SHADOW_STI);
    core.leave = true;
  },

  pushf: (core, record) => {
    const size = operandSize(core, record);
    const isVirtual = usesVirtualFlags(core, size);
    const stack = new Stack(core).open();
    // The image has VM and RF clear.
    stack.push(size, isVirtual ? virtualImage(core) : core.getFlags() & 0x00fc_ffff);
    stack.commit();
  },
  popf: (core, record) => {
    const size = operandSize(core, record);
    const isVirtual = usesVirtualFlags(core, size);
    const stack = new Stack(core).open();
    // the upper half is ignored, but a number would round the lower one
    const image = size === 8 ? Number(stack.pop64() & 0xffff_ffffn) : stack.pop(size);
    if (isVirtual) {
      checkVirtualImage(core, image);
      stack.commit();
      writeVirtualImage(core, image);
      core.leave = true;
      return;
    }
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
