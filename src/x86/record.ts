/**
 * A decoded instruction: 32 bytes in shared memory, written by the decoder, read by the interpreter and by system code.
 * Registers are byte offsets into the vCPU's state block (see state.ts), so 8-bit high registers and pseudo-registers need no
 * special case.
 */

/** u16: index of the handler in the interpreter's dispatch table. */
export const HANDLER = 0;
/** u8: bytes of the instruction, 1–15. */
export const LENGTH = 2;
/** u8: 0–3, shift of the index register. */
export const SCALE = 3;
/** u16: offset of the first byte within its page. */
export const OFFSET = 4;
/** u16: base register of a memory operand, or the register that ModRM.rm names when INFO_MEMORY is clear. */
export const BASE = 6;
/** Same field under its other meaning. */
export const RM = 6;
/** u16: index register (ZERO when there is none). */
export const INDEX = 8;
/** u16: offset of the segment base to add (ZERO when it is known to be 0). */
export const SEGMENT = 10;
/** u16: the register that ModRM.reg (or the opcode) names. */
export const REG = 12;
/** u16: INFO_… bits, for system code in TypeScript. */
export const INFO = 14;
/** i64: immediate, sign-extended; relative displacement of branches. */
export const IMM = 16;
/** i32: displacement of a memory operand. */
export const DISP = 24;
/** i32: cached address of the branch target's record (0: not linked), or the number of a system operation. */
export const LINK = 28;
export const RECORD_SIZE = 32;

/** log2 of the operand size in bytes: 0–3 (4: 16-byte vector). */
export const INFO_SIZE = 7;
/** ModRM names memory. */
export const INFO_MEMORY = 1 << 3;
/** log2 of the address size in bytes minus 1 in bits 5:4: 0 = 16 bit, 1 = 32, 2 = 64. */
export const INFO_ADDRESS_SHIFT = 4;
/** F3 prefix (REP, REPE). */
export const INFO_REP = 1 << 6;
/** F2 prefix (REPNE). */
export const INFO_REPNE = 1 << 7;
/** Segment register of the memory operand in bits 10:8. */
export const INFO_SEGMENT_SHIFT = 8;
export const INFO_LOCK = 1 << 11;
/** ModRM.reg (with REX.R) in bits 15:12, for encodings where it names no general register. */
export const INFO_REG_SHIFT = 12;
