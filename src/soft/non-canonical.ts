/**
 * Non-canonical addresses (SDM 1 §3.3.7.1) in generated code, put right after the fact, so that the fast path need not look: an
 * access through the stack segment raises #SS instead of #GP, and a near branch that cannot reach its target faults itself, which in other
 * modes is one beyond the limit of CS.
 *
 * Outside 64-bit mode the same goes for an operand that reaches over the end of a flat segment, at 4 GiB: processors raise #GP or #SS,
 * although SDM 3A §5.3 would permit them to go on at 0.
 */
import { Decoder } from '../x86/decoder.ts';
import { HANDLER, OFFSET } from '../x86/record.ts';
import * as S from '../x86/state.ts';
import type { InstructionRow } from '../x86/table.ts';
import { GENERAL_PROTECTION, STACK_FAULT } from '../x86/vectors.ts';
import { type Core, GUEST_FAULT } from './core.ts';
import { FIRST_HANDLER } from './handlers.ts';
import { writeRegister } from './operands.ts';
import { CONTROL } from './semantics/control.ts';

const RCX = S.gpr(S.RCX);
const RSP = S.gpr(S.RSP);
/** By MODE_CODE_SIZE. */
const CODE_BITS = [16, 32, 64] as const;
const CONDITIONAL = /^(jcc|jcxz|loop)/;
const LONGEST_INSTRUCTION = 15;
const CANONICAL_END = 2 ** 47;

const decoder = new Decoder();
const bytes = new Uint8Array(LONGEST_INSTRUCTION);

/** #GP(0) is recorded for a non-canonical operand of the 64-bit instruction at S.RIP: #SS(0) when it was in the stack segment. */
export function blameSegment(core: Core): void {
  const row = decodeAt(core, core.getCanonical(S.RIP));
  if (row === undefined) return;
  const isStackOperation = row.stack !== 0 && !isCanonical(core.getCanonical(RSP) - (row.stack > 0 ? 8 : 0));
  const isStackOperand = decoder.out.isMemory && decoder.out.segment === S.SS;
  if (isStackOperation || isStackOperand) core.recordFault(STACK_FAULT, 0);
}

/**
 * #GP(0) is recorded because an operand of the instruction at S.RIP crosses 4 GiB, from linear address `low` on, while segments are flat:
 * #SS(0) when it is in the stack segment. False: it is in FS or GS, whose base is not 0, and goes on at address 0.
 */
export function blameFlatSegment(core: Core, low: number, size: number): boolean {
  const bits = (core.getSigned32(S.MODE) & S.MODE_CODE_SIZE) === S.MODE_CODE_32 ? 32 : 16;
  const row = decodeAt(core, (core.get32(S.CODE_BASE) + core.get32(S.RIP)) >>> 0, bits);
  if (row === undefined) return true;
  const { segment } = decoder.out;
  const isOperand = decoder.out.isMemory || row.attributes.has('string');
  if (isOperand && segment >= S.FS && core.get32(S.segmentBase(segment)) !== 0) return false;
  const top = (core.get32(RSP) - (row.stack > 0 ? size : 0)) >>> 0;
  const isStackOperation = row.stack !== 0 && top === low >>> 0;
  if (isStackOperation || (isOperand && segment === S.SS)) core.recordFault(STACK_FAULT, 0);
  return true;
}

/**
 * Generated code has left because it does not know the block at RIP; BRANCH_RECORD is what it executed last. A near branch that went to a
 * non-canonical address, or beyond the limit of CS, raises #GP(0) itself and has changed neither RIP, RSP nor its count (SDM 2, JMP, CALL,
 * RET, Jcc, LOOP): true, and the fault is recorded. The return address that a CALL wrote below the stack's top stays there.
 */
export function undoBranch(core: Core): boolean {
  const target = core.getCanonical(S.RIP);
  const isReachable = core.is64Bit ? isCanonical(target) : target <= core.get32(S.segmentLimit(S.CS));
  const record = core.get32(S.BRANCH_RECORD);
  if (isReachable || record === 0 || (core.u16[(record + HANDLER) >>> 1] as number) < FIRST_HANDLER) return false;
  const linear = core.getCanonical(S.CODE_PAGE) + (core.u16[(record + OFFSET) >>> 1] as number);
  const row = decodeAt(core, linear, CODE_BITS[core.get32(S.MODE) & S.MODE_CODE_SIZE]);
  if (row === undefined || !Object.hasOwn(CONTROL, row.mnemonic)) return false;
  const { length, size, addressBits, immediate } = decoder.out;
  const rip = core.is64Bit ? linear : (linear - core.get32(S.CODE_BASE)) >>> 0;
  if (CONDITIONAL.test(row.mnemonic) && rip + length === target) return false;
  core.setNumber(S.RIP, rip);
  core.recordFault(GENERAL_PROTECTION, 0);
  if (row.mnemonic.startsWith('loop')) countBack(core, addressBits);
  if (row.stack === 0) return true;
  const released = row.stack < 0 ? (1 << size) + (row.mnemonic === 'ret_imm' ? immediate & 0xffff : 0) : -(1 << size);
  if (core.is64Bit) core.setNumber(RSP, core.getCanonical(RSP) - released);
  else writeRegister(core, RSP, core.get32(S.STACK_MASK) === 0xffff ? 2 : 4, core.get32(RSP) - released);
  return true;
}

/** The count of LOOP, which has been taken, as it was before. */
function countBack(core: Core, addressBits: number): void {
  if (addressBits === 64) core.set64(RCX, core.get64(RCX) + 1n);
  else writeRegister(core, RCX, addressBits / 8, core.get32(RCX) + 1);
}

export function isCanonical(linear: number): boolean {
  return linear >= -CANONICAL_END && linear < CANONICAL_END;
}

function decodeAt(core: Core, linear: number, bits: 16 | 32 | 64 = 64): InstructionRow | undefined {
  const vector = core.getSigned32(S.FAULT_VECTOR);
  const errorCode = core.get32(S.FAULT_ERROR_CODE);
  let have = 0;
  try {
    for (; have < LONGEST_INSTRUCTION; have++) bytes[have] = core.mmu.loadSystem8(bits === 64 ? linear + have : (linear + have) >>> 0);
  } catch (fault) {
    if (fault !== GUEST_FAULT) throw fault;
    core.recordFault(vector, errorCode);
  }
  return decoder.decode(bytes, 0, have, bits, true) > 0 ? decoder.out.row : undefined;
}
