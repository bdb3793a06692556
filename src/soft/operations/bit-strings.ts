/**
 * BT, BTS, BTR and BTC of a bit string in memory (SDM 2A, BT and §3.1.1.9, "Bit(BitBase, BitOffset)"): the index in the register is signed and
 * reaches beyond the operand. Here for segments that are checked access by access and for addresses that wrap at 64 KiB; generated code
 * has the form for flat segments.
 */
import { CF } from '../../x86/flags.ts';
import type { Core } from '../core.ts';
import { addressSize, effectiveOffset, loadSized, operandSize, readReg, segmentOf, storeSized } from '../operands.ts';
import { checkedLinear } from '../segments.ts';
import type { SystemOperation, SystemOperations } from './operation.ts';

/** `change` makes the new value of the word that holds the bit; absent: nothing is stored. */
function bitString(change?: (value: number, mask: number) => number): SystemOperation {
  return (core, record) => {
    const size = operandSize(core, record);
    const index = size === 2 ? (readReg(core, record, 2) << 16) >> 16 : readReg(core, record, 4) | 0;
    const bits = size * 8;
    const offset = effectiveOffset(core, record) + Math.floor(index / bits) * size;
    const masked = addressSize(core, record) === 2 ? offset & 0xffff : offset >>> 0;
    const linear = checkedLinear(core, segmentOf(core, record), masked, size, change !== undefined);
    if (change !== undefined) core.mmu.probeWrite(linear, size);
    const value = loadSized(core, linear, size);
    const mask = 1 << (index & (bits - 1));
    if (change !== undefined) storeSized(core, linear, size, change(value, mask) >>> 0);
    setCarryFlag(core, (value & mask) !== 0);
  };
}

function setCarryFlag(core: Core, isSet: boolean): void {
  const flags = core.getFlags();
  core.setArithmeticFlags(isSet ? flags | CF : flags & ~CF);
}

export const BIT_STRING_OPERATIONS: SystemOperations = {
  bt: bitString(),
  bts: bitString((value, mask) => value | mask),
  btr: bitString((value, mask) => value & ~mask),
  btc: bitString((value, mask) => value ^ mask),
};
