/** Arithmetic flags computed in TypeScript, for rare instructions. */
import { AF, CF, OF, PF, SF, ZF } from '../../x86/flags.ts';
import type { Core } from '../core.ts';

/** ZF, SF and PF of a result of 8 bits. */
export function resultFlags8(result: number): number {
  let parity = result & 0xff;
  parity ^= parity >> 4;
  return ((result & 0xff) === 0 ? ZF : 0) | (result & 0x80 ? SF : 0) | ((0x9669 >> (parity & 15)) & 1 ? PF : 0);
}

/** All six, as CMP of `size` bytes sets them. */
export function subtractionFlags(core: Core, left: bigint, right: bigint, size: number): void {
  const bits = size * 8;
  const result = BigInt.asUintN(bits, left - right);
  const sign = 1n << BigInt(bits - 1);
  const borrow = (~left & right) | ((~left | right) & result);
  const low = resultFlags8(Number(result & 0xffn)) & PF;
  core.setArithmeticFlags(
    low |
      (result === 0n ? ZF : 0) |
      (result & sign ? SF : 0) |
      (left < right ? CF : 0) |
      (borrow & 8n ? AF : 0) |
      ((left ^ right) & (left ^ result) & sign ? OF : 0),
  );
}

/** ZF alone, the others kept. */
export function setZeroFlag(core: Core, isSet: boolean): void {
  const flags = core.getFlags();
  core.setArithmeticFlags(isSet ? flags | ZF : flags & ~ZF);
}
