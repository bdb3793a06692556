/**
 * Cases for the host CPU and the software engine, made from the instruction table: every integer encoding with random
 * prefixes, registers, immediates, alignment and values that sit on edges.
 */
import { INSTRUCTIONS } from '../../src/x86/instructions.ts';
import type { InstructionRow } from '../../src/x86/table.ts';
import { SEMANTICS } from '../../src/soft/semantics/index.ts';

/** Where the harness puts the 64 bytes of memory that a case may touch. */
export const DATA_ADDRESS = 0x2200_0000;
export const MEMORY_BYTES = 64;

export interface Case {
  readonly row: InstructionRow;
  readonly code: readonly number[];
  readonly gpr: bigint[];
  readonly flags: number;
  readonly memory: Uint8Array;
}

export class Random {
  #state: number;
  constructor(seed: number) {
    this.#state = seed | 0;
  }
  /** Unsigned 32 bits (a multiplicative hash over a counter). */
  next(): number {
    this.#state = (this.#state + 0x6d2b_79f5) | 0;
    let x = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    x = (x + Math.imul(x ^ (x >>> 7), 61 | x)) ^ x;
    return (x ^ (x >>> 14)) >>> 0;
  }
  below(n: number): number {
    return this.next() % n;
  }
  oneIn(n: number): boolean {
    return this.below(n) === 0;
  }
  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)] as T;
  }
}

/** Change where execution goes, what the stack is, or what the host may do: other tests have them. */
const ELSEWHERE = new Set([
  'jcc', 'jmp', 'jmp_rel', 'call', 'call_rel', 'ret', 'ret_imm', 'loop', 'loope', 'loopne', 'jcxz', 'push', 'pop', 'push_imm', 'leave',
  'pushf', 'popf', 'cli', 'sti',
]);

const EDGES = [
  0n, 1n, 0x7fn, 0x80n, 0xffn, 0x7fffn, 0x8000n, 0xffffn, 0x7fff_ffffn, 0x8000_0000n, 0xffff_ffffn,
  0x7fff_ffff_ffff_ffffn, 0x8000_0000_0000_0000n, 0xffff_ffff_ffff_ffffn,
];
const ARITHMETIC_FLAGS = 0x8d5;
const DIRECTION = 0x400;

/** The rows that this oracle covers: user mode, 64-bit code, semantics of our own. */
export const TESTED_ROWS: readonly InstructionRow[] = INSTRUCTIONS.filter(
  (row) =>
    SEMANTICS[row.mnemonic] !== undefined && !ELSEWHERE.has(row.mnemonic) && !row.attributes.has('no64') &&
    // fpu/ has the states that these need
    !row.attributes.has('sse') && !row.attributes.has('mmx'),
);

export function makeCase(row: InstructionRow, random: Random): Case {
  const value = (): bigint => (random.oneIn(3) ? random.pick(EDGES) : (BigInt(random.next()) << 32n) | BigInt(random.next()));
  const gpr = Array.from({ length: 16 }, value);
  const memory = Uint8Array.from({ length: MEMORY_BYTES }, () => random.next());
  const isString = row.attributes.has('string');
  const flags = (random.next() & ARITHMETIC_FLAGS) | 2 | (isString && random.oneIn(4) ? DIRECTION : 0);
  const operandPrefix = random.oneIn(4) && row.prefix === 0;
  const namesMemory = row.hasModRm && row.exact < 0 && row.modRm !== 'register' && (row.modRm === 'memory' || random.oneIn(2));
  let rex = random.oneIn(2) ? 0x40 | random.below(16) : 0;
  // Memory is named by an absolute SIB address: REX.X and REX.B would add registers to it.
  if (namesMemory) rex &= ~3;
  const code: number[] = [];
  if (operandPrefix) code.push(0x66);
  if (row.prefix > 1) code.push(row.prefix);
  if (rex !== 0) code.push(rex);
  if (row.map > 0) code.push(0x0f);
  if (row.map > 1) code.push(row.map === 2 ? 0x38 : 0x3a);
  code.push(row.opcode);
  const address = DATA_ADDRESS + 24 + random.below(16);
  const absolute = [address & 0xff, (address >> 8) & 0xff, (address >> 16) & 0xff, address >>> 24];
  if (row.hasModRm) {
    const reg = row.extension >= 0 ? row.extension : random.below(8);
    if (row.exact >= 0) code.push(row.exact);
    else if (namesMemory) {
      code.push((reg << 3) | 4, 0x25, ...absolute);
      // A bit index reaches beyond the operand: keep it within the 64 bytes.
      if (/^bt[src]?$/.test(row.mnemonic)) gpr[reg | ((rex & 4) << 1)] = BigInt.asUintN(64, BigInt(random.below(200) - 100));
    } else code.push(0xc0 | (reg << 3) | random.below(8));
  }
  if (isString) {
    // At most three elements of eight bytes, upwards or downwards, stay inside.
    gpr[6] = BigInt(DATA_ADDRESS + 24 + random.below(16));
    gpr[7] = BigInt(DATA_ADDRESS + 24 + random.below(16));
    gpr[1] = BigInt(random.below(4));
  }
  if (row.operands.some((operand) => operand.kind === 'O')) code.push(...absolute, 0, 0, 0, 0);
  for (const operand of row.operands) {
    if (operand.kind === 'I') for (let i = immediateBytes(operand.size, operandPrefix, (rex & 8) !== 0); i > 0; i--) code.push(random.next() & 0xff);
  }
  return { row, code, gpr, flags, memory };
}

function immediateBytes(size: string, operandPrefix: boolean, rexW: boolean): number {
  if (size === 'b' || size === 's') return 1;
  if (size === 'w') return 2;
  if (size === 'v' && rexW) return 8;
  return operandPrefix && !rexW ? 2 : 4;
}

const CF = 0x001;
const PF = 0x004;
const AF = 0x010;
const ZF = 0x040;
const SF = 0x080;
const OF = 0x800;

/** Flags that the SDM leaves undefined (volume 2, "Flags Affected" of each instruction). */
const UNDEFINED_FLAGS: Readonly<Record<string, number>> = {
  and: AF, or: AF, xor: AF, test: AF,
  mul: SF | ZF | AF | PF, imul: SF | ZF | AF | PF, imul2: SF | ZF | AF | PF, imul3: SF | ZF | AF | PF,
  div: ARITHMETIC_FLAGS, idiv: ARITHMETIC_FLAGS,
  shl: AF | OF, shr: AF | OF, sar: AF | OF, rol: OF, ror: OF, rcl: OF, rcr: OF,
  shld: AF | OF, shrd: AF | OF, shld_cl: AF | OF, shrd_cl: AF | OF,
  bt: OF | SF | AF | PF, bts: OF | SF | AF | PF, btr: OF | SF | AF | PF, btc: OF | SF | AF | PF,
  bsf: ARITHMETIC_FLAGS & ~ZF, bsr: ARITHMETIC_FLAGS & ~ZF,
};

/** What of the flags is promised. 16-bit SHLD and SHRD by more than 16 promise nothing (SDM 2B, "if COUNT > SIZE"). */
export function definedFlags({ row, code }: Case): number {
  const wide = /^sh[lr]d/.test(row.mnemonic) && code[0] === 0x66;
  return ARITHMETIC_FLAGS & ~(UNDEFINED_FLAGS[row.mnemonic] ?? 0) & ~(wide ? CF : 0);
}
