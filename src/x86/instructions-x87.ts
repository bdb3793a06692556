/**
 * The x87 opcode map: bytes D8–DF (SDM 2D, appendix A.5, "escape opcode instructions"). A memory operand picks by ModRM.reg, a
 * register form by ModRM.reg and, where one row holds eight instructions, by ModRM.rm.
 *
 * The mnemonic names the operation (X87_OPERATIONS in src/soft/x87). The decoder puts the 11-bit {@link x87Opcode} into the
 * record's immediate: FOP needs it, and its low three bits are the stack index.
 */
import type { RowText } from './table.ts';

export const FIRST_X87_OPCODE = 0xd8;
export const LAST_X87_OPCODE = 0xdf;

/** FOP: the low three bits of the opcode byte and all of ModRM (SDM 1 §8.1.9). */
export const x87Opcode = (opcode: number, modrm: number): number => ((opcode & 7) << 8) | modrm;

/**
 * ModRM.reg 0–7 of D8–DF with a memory operand: `mnemonic size`. Besides the table's sizes `t` is 10 bytes; without a size the
 * operand is an image whose length follows from the operand size (14 or 28 bytes, with all registers 94 or 108).
 */
const MEMORY: readonly string[] = [
  'fadd_m32 d, fmul_m32 d, fcom_m32 d, fcomp_m32 d, fsub_m32 d, fsubr_m32 d, fdiv_m32 d, fdivr_m32 d',
  'fld_m32 d, -, fst_m32 d, fstp_m32 d, fldenv, fldcw w, fnstenv, fnstcw w',
  'fiadd_i32 d, fimul_i32 d, ficom_i32 d, ficomp_i32 d, fisub_i32 d, fisubr_i32 d, fidiv_i32 d, fidivr_i32 d',
  'fild_i32 d, fisttp_i32 d, fist_i32 d, fistp_i32 d, -, fld_m80 t, -, fstp_m80 t',
  'fadd_m64 q, fmul_m64 q, fcom_m64 q, fcomp_m64 q, fsub_m64 q, fsubr_m64 q, fdiv_m64 q, fdivr_m64 q',
  'fld_m64 q, fisttp_i64 q, fst_m64 q, fstp_m64 q, frstor, -, fnsave, fnstsw_m16 w',
  'fiadd_i16 w, fimul_i16 w, ficom_i16 w, ficomp_i16 w, fisub_i16 w, fisubr_i16 w, fidiv_i16 w, fidivr_i16 w',
  'fild_i16 w, fisttp_i16 w, fist_i16 w, fistp_i16 w, fbld t, fild_i64 q, fbstp t, fistp_i64 q',
];

/**
 * ModRM.reg 0–7 of the register forms: one name for all eight stack indexes, or eight names in order of ModRM.rm. Some are
 * aliases that the SDM's map leaves blank but every x87 has (DC D0, DE D0, DF C0 and so on).
 */
const REGISTER: readonly string[] = [
  'fadd_st0_sti, fmul_st0_sti, fcom, fcomp, fsub_st0_sti, fsubr_st0_sti, fdiv_st0_sti, fdivr_st0_sti',
  'fld_sti, fxch, fnop - - - - - - -, fstp_sti, fchs fabs - - ftst fxam - -, ' +
    'fld1 fldl2t fldl2e fldpi fldlg2 fldln2 fldz -, f2xm1 fyl2x fptan fpatan fxtract fprem1 fdecstp fincstp, ' +
    'fprem fyl2xp1 fsqrt fsincos frndint fscale fsin fcos',
  'fcmovb, fcmove, fcmovbe, fcmovu, -, - fucompp - - - - - -, -, -',
  'fcmovnb, fcmovne, fcmovnbe, fcmovnu, fnobsolete fnobsolete fnclex fninit fnobsolete - - -, fucomi, fcomi, -',
  'fadd_sti_st0, fmul_sti_st0, fcom, fcomp, fsubr_sti_st0, fsub_sti_st0, fdivr_sti_st0, fdiv_sti_st0',
  'ffree, fxch, fst_sti, fstp_sti, fucom, fucomp, -, -',
  'faddp_sti_st0, fmulp_sti_st0, fcomp, - fcompp - - - - - -, fsubrp_sti_st0, fsubp_sti_st0, fdivrp_sti_st0, fdivp_sti_st0',
  'ffreep, fxch, fstp_sti, fstp_sti, fnstsw_ax - - - - - - -, fucomip, fcomip, -',
];

function rowsOf(opcode: number): readonly RowText[] {
  const byte = opcode.toString(16);
  const rows: RowText[] = [];
  const memory = MEMORY[opcode & 7] as string;
  memory.split(',').forEach((entry, reg) => {
    const [mnemonic = '-', size = ''] = entry.trim().split(' ');
    if (mnemonic !== '-') rows.push([`${byte} /${reg} mem`, mnemonic, `M${size}`]);
  });
  const register = REGISTER[opcode & 7] as string;
  register.split(',').forEach((entry, reg) => {
    const names = entry.trim().split(' ');
    for (let rm = 0; rm < 8; rm++) {
      const mnemonic = (names.length === 1 ? names[0] : names[rm]) as string;
      if (mnemonic !== '-') rows.push([`${byte} /x${(0xc0 + reg * 8 + rm).toString(16)}`, mnemonic]);
    }
  });
  return rows;
}

/** FWAIT (9B) stands with the one-byte opcodes. */
export const INSTRUCTIONS_X87: readonly RowText[] = Array.from({ length: 8 }, (_, i) => rowsOf(FIRST_X87_OPCODE + i)).flat();
