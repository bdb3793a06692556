/** Decimal adjustment (SDM 2: AAA, AAS, AAM, AAD, DAA, DAS), SALC, XLAT, BOUND. */
import { AF, CF } from '../../x86/flags.ts';
import * as S from '../../x86/state.ts';
import { BOUND_RANGE, DIVIDE_ERROR } from '../../x86/vectors.ts';
import type { Core } from '../core.ts';
import { addressSize, effectiveAddress, immediate, loadSized, operandSize, readReg, segmentOf } from '../operands.ts';
import { checkedLinear } from '../segments.ts';
import { resultFlags8 } from './arithmetic-flags.ts';
import type { SystemOperations } from './operation.ts';

const RAX = S.gpr(S.RAX);
const RBX = S.gpr(S.RBX);

const readAl = (core: Core): number => core.u8[core.base + RAX] as number;
const readAx = (core: Core): number => core.u16[(core.base + RAX) >>> 1] as number;
function writeAl(core: Core, value: number): void {
  core.u8[core.base + RAX] = value;
}
function writeAx(core: Core, value: number): void {
  core.u16[(core.base + RAX) >>> 1] = value;
}

/** AAA (`sign` 1) and AAS (−1). */
function adjustUnpacked(core: Core, sign: number): void {
  const ax = readAx(core);
  const isAdjusted = (ax & 15) > 9 || (core.getFlags() & AF) !== 0;
  writeAx(core, (isAdjusted ? ax + sign * 0x106 : ax) & 0xff0f);
  core.setArithmeticFlags((isAdjusted ? AF | CF : 0) | resultFlags8(readAl(core)));
}

/** DAA (`sign` 1) and DAS (−1). */
function adjustPacked(core: Core, sign: number): void {
  const old = readAl(core);
  const flags = core.getFlags();
  let al = old;
  let result = 0;
  if ((old & 15) > 9 || (flags & AF) !== 0) {
    result |= AF;
    if ((flags & CF) !== 0 || (sign < 0 && old < 6)) result |= CF;
    al += sign * 6;
  }
  if (old > 0x99 || (flags & CF) !== 0) {
    al += sign * 0x60;
    result |= CF;
  }
  writeAl(core, al);
  core.setArithmeticFlags(result | resultFlags8(al));
}

export const DECIMAL_OPERATIONS: SystemOperations = {
  aaa: (core) => adjustUnpacked(core, 1),
  aas: (core) => adjustUnpacked(core, -1),
  daa: (core) => adjustPacked(core, 1),
  das: (core) => adjustPacked(core, -1),
  aam: (core, record) => {
    const base = immediate(core, record) & 0xff;
    if (base === 0) core.raise(DIVIDE_ERROR);
    const al = readAl(core);
    writeAx(core, (Math.floor(al / base) << 8) | (al % base));
    core.setArithmeticFlags(resultFlags8(readAl(core)));
  },
  aad: (core, record) => {
    const ax = readAx(core);
    writeAx(core, ((ax & 0xff) + (ax >>> 8) * (immediate(core, record) & 0xff)) & 0xff);
    core.setArithmeticFlags(resultFlags8(readAl(core)));
  },
  salc: (core) => writeAl(core, core.getFlags() & CF ? 0xff : 0),

  /** AL ← byte at rBX + AL. */
  xlat: (core, record) => {
    const al = readAl(core);
    const size = addressSize(core, record);
    const base = size === 8 ? core.getCanonical(RBX) : core.get32(RBX);
    const offset = size === 8 ? base + al : size === 4 ? (base + al) >>> 0 : (base + al) & 0xffff;
    writeAl(core, core.mmu.load8(checkedLinear(core, segmentOf(core, record), offset, 1, false)));
  },

  bound: (core, record) => {
    const size = operandSize(core, record);
    const linear = effectiveAddress(core, record);
    const signed = (value: number): number => (size === 2 ? (value << 16) >> 16 : value | 0);
    const lower = signed(loadSized(core, linear, size));
    const upper = signed(loadSized(core, (linear + size) >>> 0, size));
    const index = signed(readReg(core, record, size));
    if (index < lower || index > upper) core.raise(BOUND_RANGE);
  },
};
