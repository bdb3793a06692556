/** DIV and IDIV of a true 128-bit dividend; the usual ones, sign- or zero-extended, never come here (semantics/arithmetic.ts). */
import * as S from '../x86/state.ts';
import { DIVIDE_ERROR } from '../x86/vectors.ts';
import type { Core } from './core.ts';
import { readRmBig } from './operands.ts';

function divide128(core: Core, record: number, signed: boolean): void {
  const low = core.get64(S.gpr(S.RAX));
  const high = core.get64(S.gpr(S.RDX));
  const raw = readRmBig(core, record, 8);
  if (raw === 0n) core.raise(DIVIDE_ERROR);
  const dividend = signed ? BigInt.asIntN(128, (high << 64n) | low) : (high << 64n) | low;
  const divisor = signed ? BigInt.asIntN(64, raw) : raw;
  const quotient = dividend / divisor;
  const fits = signed ? BigInt.asIntN(64, quotient) === quotient : quotient < 1n << 64n;
  if (!fits) core.raise(DIVIDE_ERROR);
  core.set64(S.gpr(S.RAX), BigInt.asUintN(64, quotient));
  core.set64(S.gpr(S.RDX), BigInt.asUintN(64, dividend % divisor));
}

export const DIVISIONS: Readonly<Record<string, (core: Core, record: number) => void>> = {
  div128: (core, record) => divide128(core, record, false),
  idiv128: (core, record) => divide128(core, record, true),
};
