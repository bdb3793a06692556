/**
 * The x87 opcode map: bytes D8–DF (SDM 2D, appendix A.5, "escape opcode instructions"). A memory operand picks by ModRM.reg, a
 * register form by ModRM.reg and, where one row holds eight instructions, by ModRM.rm. FWAIT (9B) stands with the one-byte
 * opcodes.
 *
 * The mnemonic names the operation (X87_OPERATIONS in src/soft/x87). The decoder puts the 11-bit {@link x87Opcode} into the
 * record's immediate: FOP needs it, and its low three bits are the stack index.
 */
import type { RowText } from './table.ts';

export const FIRST_X87_OPCODE = 0xd8;
export const LAST_X87_OPCODE = 0xdf;

export interface X87Instruction {
  readonly mnemonic: string;
  /** Bytes of the memory operand; 0 for register forms. 14 and 94 stand for images that are 28 and 108 with 32-bit operands. */
  readonly bytes: number;
  /** Memory is written, not read. */
  readonly writes: boolean;
}

/** ModRM.reg 0–7: `mnemonic bytes`, with `!` when memory is written. */
const MEMORY: readonly string[] = [
  'fadd_m32 4, fmul_m32 4, fcom_m32 4, fcomp_m32 4, fsub_m32 4, fsubr_m32 4, fdiv_m32 4, fdivr_m32 4',
  'fld_m32 4, -, fst_m32 4!, fstp_m32 4!, fldenv 14, fldcw 2, fnstenv 14!, fnstcw 2!',
  'fiadd_i32 4, fimul_i32 4, ficom_i32 4, ficomp_i32 4, fisub_i32 4, fisubr_i32 4, fidiv_i32 4, fidivr_i32 4',
  'fild_i32 4, fisttp_i32 4!, fist_i32 4!, fistp_i32 4!, -, fld_m80 10, -, fstp_m80 10!',
  'fadd_m64 8, fmul_m64 8, fcom_m64 8, fcomp_m64 8, fsub_m64 8, fsubr_m64 8, fdiv_m64 8, fdivr_m64 8',
  'fld_m64 8, fisttp_i64 8!, fst_m64 8!, fstp_m64 8!, frstor 94, -, fnsave 94!, fnstsw_m16 2!',
  'fiadd_i16 2, fimul_i16 2, ficom_i16 2, ficomp_i16 2, fisub_i16 2, fisubr_i16 2, fidiv_i16 2, fidivr_i16 2',
  'fild_i16 2, fisttp_i16 2!, fist_i16 2!, fistp_i16 2!, fbld 10, fild_i64 8, fbstp 10!, fistp_i64 8!',
];

/**
 * ModRM.reg 0–7: one name for all eight stack indexes, or eight names in order of ModRM.rm. Some are aliases that the SDM's map
 * leaves blank but every x87 has (D9 D8, DC D0, DE D0, DF C0 and so on).
 */
const REGISTER: readonly string[] = [
  'fadd_st0_sti, fmul_st0_sti, fcom, fcomp, fsub_st0_sti, fsubr_st0_sti, fdiv_st0_sti, fdivr_st0_sti',
  'fld_sti, fxch, fnop - - - - - - -, fstp_sti_unchecked, fchs fabs - - ftst fxam - -, ' +
    'fld1 fldl2t fldl2e fldpi fldlg2 fldln2 fldz -, f2xm1 fyl2x fptan fpatan fxtract fprem1 fdecstp fincstp, ' +
    'fprem fyl2xp1 fsqrt fsincos frndint fscale fsin fcos',
  'fcmovb, fcmove, fcmovbe, fcmovu, -, - fucompp - - - - - -, -, -',
  'fcmovnb, fcmovne, fcmovnbe, fcmovnu, fnobsolete fnobsolete fnclex fninit fnobsolete - - -, fucomi, fcomi, -',
  'fadd_sti_st0, fmul_sti_st0, fcom, fcomp, fsubr_sti_st0, fsub_sti_st0, fdivr_sti_st0, fdiv_sti_st0',
  'ffree, fxch, fst_sti, fstp_sti, fucom, fucomp, -, -',
  'faddp_sti_st0, fmulp_sti_st0, fcomp, - fcompp - - - - - -, fsubrp_sti_st0, fsubp_sti_st0, fdivrp_sti_st0, fdivp_sti_st0',
  'ffreep, fxch, fstp_sti, fstp_sti, fnstsw_ax - - - - - - -, fucomip, fcomip, -',
];

function parseMemory(entry: string): X87Instruction | undefined {
  const [mnemonic = '-', bytes = ''] = entry.trim().split(' ');
  if (mnemonic === '-') return undefined;
  return { mnemonic, bytes: Number.parseInt(bytes, 10), writes: bytes.endsWith('!') };
}

function parseRegisters(entry: string): readonly (X87Instruction | undefined)[] {
  const names = entry.trim().split(' ');
  return Array.from({ length: 8 }, (_, rm) => {
    const mnemonic = (names.length === 1 ? names[0] : names[rm]) as string;
    return mnemonic === '-' ? undefined : { mnemonic, bytes: 0, writes: false };
  });
}

const memory = MEMORY.map((row) => row.split(',').map(parseMemory));
const register = REGISTER.map((row) => row.split(',').map(parseRegisters));

/** The instruction of an escape opcode and its ModRM byte; undefined where there is none (#UD). */
export function x87Instruction(opcode: number, modrm: number): X87Instruction | undefined {
  const reg = (modrm >> 3) & 7;
  if (modrm < 0xc0) return memory[opcode & 7]?.[reg];
  return register[opcode & 7]?.[reg]?.[modrm & 7];
}

/** FOP: the low three bits of the opcode byte and all of ModRM (SDM 1 §8.1.9). */
export const x87Opcode = (opcode: number, modrm: number): number => ((opcode & 7) << 8) | modrm;

/** The memory operand `[rbx]` in ModRM. */
const RBX_INDIRECT = 3;

/** Every escape instruction once: each register form, and each memory form with `[rbx]`. For tests and documents that go through all. */
export function* x87Instructions(): Iterable<{ readonly opcode: number; readonly modrm: number; readonly instruction: X87Instruction }> {
  for (let opcode = FIRST_X87_OPCODE; opcode <= LAST_X87_OPCODE; opcode++) {
    for (let modrm = 0; modrm < 256; modrm++) {
      if (modrm < 0xc0 && (modrm & 0xc7) !== RBX_INDIRECT) continue;
      const instruction = x87Instruction(opcode, modrm);
      if (instruction !== undefined) yield { opcode, modrm, instruction };
    }
  }
}

/** The same as rows of the instruction table: memory forms by ModRM.reg, register forms by their whole ModRM byte. */
export const INSTRUCTIONS_X87: readonly RowText[] = [...x87Instructions()].map(({ opcode, modrm, instruction }): RowText => {
  const { mnemonic, bytes, writes } = instruction;
  if (bytes === 0) return [`${opcode.toString(16)} /x${modrm.toString(16)}`, mnemonic, '', 'x87'];
  const feature = mnemonic.startsWith('fisttp') ? ' cpuid:sse3' : '';
  return [`${opcode.toString(16)} /${modrm >> 3} mem`, mnemonic, 'M', `x87 bytes:${bytes}${writes ? ' writes' : ''}${feature}`];
});
