/** PUSH and POP of segment registers, PUSHA, POPA, ENTER; MOV to and from segment registers and LDS and its kin (SDM 2). */
import * as S from '../../x86/state.ts';
import type { Core } from '../core.ts';
import {
  effectiveAddress,
  immediate,
  loadSized,
  namesMemory,
  operandSize,
  readRm,
  regOffset,
  rmOffset,
  specialRegister,
  writeRegister,
  writeRegisterBig,
  writeRm,
} from '../operands.ts';
import { loadSegment } from '../segments.ts';
import { Stack } from '../stack.ts';
import { raiseUndefined, type SystemOperations } from './operation.ts';

const RBP = S.gpr(S.RBP);

/** A new SS holds interrupts and debug traps back for one instruction, so that SP can follow (SDM 3A §6.8.3). */
function loadSegmentAndShadow(core: Core, segment: number, selector: number): void {
  const mode = core.get32(S.MODE);
  loadSegment(core, segment, selector);
  if (segment === S.SS) core.set32(S.INTERRUPT_SHADOW, S.SHADOW_STACK_SEGMENT);
  // What follows is decoded as before unless the mode says otherwise.
  core.leave = segment === S.SS || core.get32(S.MODE) !== mode;
}

export const STACK_OPERATIONS: SystemOperations = {
  mov_from_sreg: (core, record) => {
    const segment = specialRegister(core, record) & 7;
    if (segment > S.GS) raiseUndefined(core);
    const selector = core.get32(S.segmentSelector(segment));
    if (namesMemory(core, record)) writeRm(core, record, 2, selector);
    else writeRegisterBig(core, rmOffset(core, record), operandSize(core, record), BigInt(selector));
  },
  mov_to_sreg: (core, record) => {
    const segment = specialRegister(core, record) & 7;
    if (segment > S.GS || segment === S.CS) raiseUndefined(core);
    loadSegmentAndShadow(core, segment, readRm(core, record, 2));
  },
  pop_sreg: (core, record) => {
    const stack = new Stack(core).open();
    const selector = stack.pop(operandSize(core, record)) & 0xffff;
    loadSegmentAndShadow(core, specialRegister(core, record), selector);
    stack.commit();
  },
  les_lds_lss_lfs_lgs: (core, record) => {
    const size = operandSize(core, record);
    const linear = effectiveAddress(core, record);
    const selector = core.mmu.load16(core.is64Bit ? linear + size : (linear + size) >>> 0);
    if (size === 8) {
      const offset = core.mmu.load64(linear);
      loadSegment(core, immediate(core, record), selector);
      core.set64(regOffset(core, record), offset);
    } else {
      const offset = loadSized(core, linear, size);
      loadSegment(core, immediate(core, record), selector);
      writeRegister(core, regOffset(core, record), size, offset);
    }
    core.leave = true;
  },

  pusha: (core, record) => {
    const size = operandSize(core, record);
    const stack = new Stack(core).open();
    stack.reserve(8, size);
    for (let register = S.RAX; register <= S.RDI; register++) stack.push(size, core.get32(S.gpr(register)));
    stack.commit();
  },
  popa: (core, record) => {
    const size = operandSize(core, record);
    const stack = new Stack(core).open();
    for (let i = 0; i < 8; i++) stack.peek(size, i * size); // faults before any register changes
    for (let register = S.RDI; register >= S.RAX; register--) {
      const value = stack.pop(size);
      if (register !== S.RSP) writeRegister(core, S.gpr(register), size, value);
    }
    stack.commit();
  },

  /** IMM: bytes to allocate in bits 15:0, nesting level in bits 23:16. */
  enter: (core, record) => {
    const size = operandSize(core, record);
    const bytes = immediate(core, record) & 0xffff;
    const level = (immediate(core, record) >>> 16) & 31;
    const stack = new Stack(core).open();
    if (size === 8) stack.push64(core.get64(RBP));
    else stack.push(size, core.get32(RBP));
    const frame = stack.pointer;
    if (level > 0) {
      const outer = new Stack(core).open();
      outer.pointer = core.is64Bit ? core.getCanonical(RBP) : core.get32(RBP);
      for (let i = 1; i < level; i++) {
        outer.skip(-size);
        if (size === 8) {
          stack.push64(outer.pop64());
          outer.skip(-size);
        } else stack.push(size, outer.peek(size, 0));
      }
      stack.push(size, frame);
    }
    stack.skip(-bytes);
    stack.requireWritable(size); // SDM 2A, ENTER: a final stack pointer that could not be written through faults now
    if (size === 8) core.setNumber(RBP, frame);
    else writeRegister(core, RBP, size, frame);
    stack.commit();
  },
};
