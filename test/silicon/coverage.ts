/**
 * Which instructions the host CPU is asked about, and what of the outcome is not compared, each with its reason. docs/cpu.md shows
 * both.
 */
import type { InstructionRow } from '../../src/x86/table.ts';

/** Why instructions are not compared with silicon, by mnemonic. */
const UNTESTED: readonly (readonly [reason: string, mnemonics: RegExp])[] = [
  [
    'privileged, or shows the operating system',
    /^(cli|sti|hlt|in_.*|out_.*|ins|outs|[sl][gi]dt|sldt|str|lldt|ltr|ver[rw]|lar|lsl|[sl]msw|invlpg|invpcid|monitor|mwait|clac|stac|swapgs|clts|invd|wbinvd|mov_(from|to)_[cd]r|wrmsr|rdmsr|rdpmc|xsetbv|iret|sys(call|ret|enter|exit)|int[13]?|into)$/,
  ],
  ['its result is the host’s own', /^(cpuid|rdtscp?|xgetbv|mov_from_sreg|push_sreg|(rd|wr)[fg]sbase)$/],
  ['needs descriptors', /^(pop_sreg|mov_to_sreg|les_lds_lss_lfs_lgs|(call|jmp)_far_.*|ret_far)$/],
  ['an image of the whole unit: unit tests', /^(fxsave|fxrstor|xsave|xsaveopt|xsavec|xrstor|ldmxcsr|stmxcsr)$/],
  ['stores pointers that differ between host and guest: unit tests', /^f(nstenv|ldenv|nsave|rstor)$/],
  ['approximations that differ between makers: unit tests', /^r(cp|sqrt)[ps]s$/],
  ['unit tests', /^fwait$/],
];

/** Why this row is not among the integer cases; undefined: it is. */
export function untestedBecause(row: InstructionRow): string | undefined {
  for (const unit of ['x87', 'mmx', 'sse']) if (row.attributes.has(unit)) return `${unit}: fpu/`;
  if (row.map === 0 && row.opcode >= 0xd8 && row.opcode <= 0xdf) return 'x87: fpu/';
  return unaskable(row.mnemonic);
}

/** Why the host CPU cannot be asked about an instruction at all; undefined: it can. */
export function unaskable(mnemonic: string): string | undefined {
  return UNTESTED.find(([, mnemonics]) => mnemonics.test(mnemonic))?.[0];
}

const CF = 0x001;
const PF = 0x004;
const AF = 0x010;
const ZF = 0x040;
const SF = 0x080;
const OF = 0x800;
const ALL = CF | PF | AF | ZF | SF | OF;

/** Flags that the SDM leaves undefined (volume 2, "Flags Affected" of each instruction). */
export const UNDEFINED_FLAGS: Readonly<Record<string, number>> = {
  and: AF, or: AF, xor: AF, test: AF,
  mul: SF | ZF | AF | PF, imul: SF | ZF | AF | PF, imul2: SF | ZF | AF | PF, imul3: SF | ZF | AF | PF,
  div: ALL, idiv: ALL,
  shl: AF | OF, shr: AF | OF, sar: AF | OF, rol: OF, ror: OF, rcl: OF, rcr: OF,
  shld: AF | OF, shrd: AF | OF, shld_cl: AF | OF, shrd_cl: AF | OF,
  bt: OF | SF | AF | PF, bts: OF | SF | AF | PF, btr: OF | SF | AF | PF, btc: OF | SF | AF | PF,
  bsf: ALL & ~ZF, bsr: ALL & ~ZF,
  aaa: OF | SF | ZF | PF, aas: OF | SF | ZF | PF, daa: OF, das: OF, aam: OF | AF | CF, aad: OF | AF | CF,
};

const FLAG_NAMES: readonly (readonly [number, string])[] = [[CF, 'CF'], [PF, 'PF'], [AF, 'AF'], [ZF, 'ZF'], [SF, 'SF'], [OF, 'OF']];
export const flagNames = (flags: number): string => FLAG_NAMES.filter(([bit]) => flags & bit).map(([, name]) => name).join(' ');

/** 16-bit SHLD and SHRD by more than 16 promise nothing (SDM 2B, "if COUNT > SIZE"): CF is not compared either. */
export function definedFlags(mnemonic: string, code: readonly number[], bits: number): number {
  const isNarrow = /^sh[lr]d/.test(mnemonic) && (bits === 16 || code.includes(0x66));
  return ALL & ~(UNDEFINED_FLAGS[mnemonic] ?? 0) & ~(isNarrow ? CF : 0);
}
