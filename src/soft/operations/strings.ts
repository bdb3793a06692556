/**
 * MOVS, CMPS, STOS, LODS, SCAS where segments are checked access by access: real, virtual-8086 and segmented protected mode.
 * Generated code has the fast forms for flat segments.
 */
import { DF, ZF } from '../../x86/flags.ts';
import { INFO_REP, INFO_REPNE } from '../../x86/record.ts';
import * as S from '../../x86/state.ts';
import type { Core } from '../core.ts';
import { infoOf, operandSize, readRegisterBig, segmentOf, writeRegisterBig } from '../operands.ts';
import { checkedLinear } from '../segments.ts';
import { subtractionFlags } from './arithmetic-flags.ts';
import type { SystemOperation, SystemOperations } from './operation.ts';
import { advanceIndex, countIsZero, indexOffset, nextIteration, stepCount } from './string-index.ts';

const RAX = S.gpr(S.RAX);

function source(core: Core, record: number, size: number): bigint {
  return load(core, checkedLinear(core, segmentOf(core, record), indexOffset(core, record, S.RSI), size, false), size);
}
function destination(core: Core, record: number, size: number, isWrite: boolean): number {
  return checkedLinear(core, S.ES, indexOffset(core, record, S.RDI), size, isWrite);
}
function load(core: Core, linear: number, size: number): bigint {
  if (size === 8) return core.mmu.load64(linear);
  return BigInt(size === 4 ? core.mmu.load32(linear) : size === 2 ? core.mmu.load16(linear) : core.mmu.load8(linear));
}
function store(core: Core, linear: number, size: number, value: bigint): void {
  if (size === 8) core.mmu.store64(linear, value);
  else if (size === 4) core.mmu.store32(linear, Number(value));
  else if (size === 2) core.mmu.store16(linear, Number(value));
  else core.mmu.store8(linear, Number(value));
}

/** `element` handles one; `compares` says that ZF can end the repetition (REPE, REPNE). */
function string(uses: readonly number[], compares: boolean, element: (core: Core, record: number, size: number) => void): SystemOperation {
  return (core, record) => {
    const info = infoOf(core, record);
    const isRepeated = (info & (INFO_REP | INFO_REPNE)) !== 0;
    if (isRepeated && countIsZero(core, record)) return;
    const size = operandSize(core, record);
    const distance = (core.getSigned32(S.SYSTEM_FLAGS) & DF) !== 0 ? -size : size;
    for (;;) {
      element(core, record, size);
      for (const register of uses) advanceIndex(core, record, register, distance);
      if (!isRepeated) return;
      stepCount(core, record);
      const isEnded = compares && ((core.getFlags() & ZF) !== 0) === ((info & INFO_REPNE) !== 0);
      if (!nextIteration(core, isEnded || countIsZero(core, record))) return;
    }
  };
}

export const STRING_OPERATIONS: SystemOperations = {
  movs: string([S.RSI, S.RDI], false, (core, record, size) => {
    const value = source(core, record, size);
    store(core, destination(core, record, size, true), size, value);
  }),
  cmps: string([S.RSI, S.RDI], true, (core, record, size) => {
    const left = source(core, record, size);
    subtractionFlags(core, left, load(core, destination(core, record, size, false), size), size);
  }),
  stos: string([S.RDI], false, (core, record, size) => {
    store(core, destination(core, record, size, true), size, readRegisterBig(core, RAX, size));
  }),
  lods: string([S.RSI], false, (core, record, size) => writeRegisterBig(core, RAX, size, source(core, record, size))),
  scas: string([S.RDI], true, (core, record, size) => {
    subtractionFlags(core, readRegisterBig(core, RAX, size), load(core, destination(core, record, size, false), size), size);
  }),
};
