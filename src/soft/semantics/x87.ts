/**
 * x87 arithmetic and comparisons (SDM 1 chapter 8; SDM 2, instruction reference) on numbers that programs mostly compute with, in
 * any rounding and precision. The arithmetic itself are functions of the module (x87/f80-functions.ts); stack faults, pending or
 * unmasked exceptions, NaNs, denormals, overflow and underflow go to the exact form (x87/operations.ts).
 */
import { i32, i64, type Value } from '../wasm/value.ts';
import type { SemanticsTable } from './dsl.ts';
import type { F80FunctionName } from '../x87/f80-functions.ts';
import { C0, C1, C3 } from '../x87/unit.ts';
import { X87_CONTROL } from './x87-control.ts';
import { INTEGERS, loadNumber, type MemoryFormat, REALS } from './x87-memory.ts';
import { X87_MOVES } from './x87-moves.ts';
import { type Extended, type StackIndex, type X87Stack, x87 } from './x87-stack.ts';

const SIGN = 0x8000;
const POSITIVE_ZERO: Extended = { significand: i64(0), signExponent: i32(0) };

interface Operation {
  readonly compute: F80FunctionName;
  /** Which operand changes its sign first: subtraction. */
  readonly negates?: 'first' | 'second';
  /** The operands change places: FDIVR. */
  readonly swaps?: true;
}

/** Of ST(target) and the other operand, in this order. */
const OPERATIONS: Readonly<Record<string, Operation>> = {
  add: { compute: 'add' },
  mul: { compute: 'multiply' },
  sub: { compute: 'add', negates: 'second' },
  subr: { compute: 'add', negates: 'first' },
  div: { compute: 'divide' },
  divr: { compute: 'divide', swaps: true },
};

/** ST(target) ← ST(target) op b. */
function combine(stack: X87Stack, { compute, negates, swaps }: Operation, target: StackIndex, b: Extended, pops = 0): void {
  const a = stack.read(target);
  const sign = (number: Extended, changes: boolean): Value => (changes ? number.signExponent.xor(SIGN) : number.signExponent);
  const left = [a.significand, sign(a, negates === 'first')];
  const right = [b.significand, sign(b, negates === 'second')];
  const result = stack.compute(compute, ...(swaps ? [...right, ...left] : [...left, ...right]), stack.control);
  stack.write(target, result);
  stack.finish(pops, result.status);
}


const table: Record<string, ReturnType<typeof x87>> = {};

function addArithmetic(name: string, operation: Operation): void {
  for (const format of [...REALS, ...INTEGERS]) {
    const mnemonic = `f${format.isInteger ? 'i' : ''}${name}_${format.name}`;
    if (format.bytes === 8 && format.isInteger) continue; // FIADD m64 does not exist
    table[mnemonic] = x87(mnemonic, 0, (s, stack) => {
      stack.enter(0);
      const { number, address } = loadNumber(s, stack, format);
      combine(stack, operation, 0, number);
      stack.remember(address);
    });
  }
  const ofRegisters = (mnemonic: string, toTop: boolean, pops: number): void => {
    table[mnemonic] = x87(mnemonic, pops, (_, stack) => {
      const i = stack.operand;
      stack.enter(0, i);
      if (toTop) combine(stack, operation, 0, stack.read(i));
      else combine(stack, operation, i, stack.read(0), pops);
      stack.remember();
    });
  };
  ofRegisters(`f${name}_st0_sti`, true, 0);
  ofRegisters(`f${name}_sti_st0`, false, 0);
  ofRegisters(`f${name}p_sti_st0`, false, 1);
}
for (const [name, operation] of Object.entries(OPERATIONS)) addArithmetic(name, operation);

/** Condition bits of ST(0) against `b`: C3 equal, C0 less. Ordered numbers only, so quiet and signaling comparisons are the same. */
function relate(stack: X87Stack, b: Extended): Value {
  const a = stack.read(0);
  return stack.computeOne('compare', a.significand, a.signExponent, b.significand, b.signExponent);
}

function addComparison(mnemonic: string, pops: number, format: MemoryFormat): void {
  table[mnemonic] = x87(mnemonic, pops, (s, stack) => {
    stack.enter(0);
    const { number, address } = loadNumber(s, stack, format);
    stack.compared(relate(stack, number), pops);
    stack.remember(address);
  });
}
for (const format of REALS) {
  addComparison(`fcom_${format.name}`, 0, format);
  addComparison(`fcomp_${format.name}`, 1, format);
}
for (const format of INTEGERS) {
  if (format.bytes === 8) continue;
  addComparison(`ficom_${format.name}`, 0, format);
  addComparison(`ficomp_${format.name}`, 1, format);
}

for (const [suffix, pops] of [['', 0], ['p', 1], ['pp', 2]] as const) {
  for (const kind of ['fcom', 'fucom']) {
    const mnemonic = `${kind}${suffix}`;
    table[mnemonic] = x87(mnemonic, pops, (_, stack) => {
      const i = stack.operand;
      stack.enter(0, i);
      stack.compared(relate(stack, stack.read(i)), pops);
      stack.remember();
    });
  }
}
for (const [suffix, pops] of [['i', 0], ['ip', 1]] as const) {
  for (const kind of ['fcom', 'fucom']) {
    const mnemonic = `${kind}${suffix}`;
    table[mnemonic] = x87(mnemonic, pops, (s, stack) => {
      const i = stack.operand;
      stack.enter(0, i);
      const conditions = s.local(relate(stack, stack.read(i)));
      stack.finish(pops);
      stack.remember();
      s.orderFlags(conditions.shr(Math.log2(C0)).and(1), conditions.shr(Math.log2(C3)).and(1));
    });
  }
}

/** ST(0) ← f(ST(0)). */
const unary = (mnemonic: string, compute: F80FunctionName): void => {
  table[mnemonic] = x87(mnemonic, 0, (_, stack) => {
    stack.enter(0);
    const a = stack.read(0);
    const result = stack.compute(compute, a.significand, a.signExponent, stack.control);
    stack.write(0, result);
    stack.finish(0, result.status);
    stack.remember();
  });
};
unary('fsqrt', 'squareRoot');
unary('frndint', 'toIntegral');

/** FABS and FCHS touch the sign bit of anything, NaNs included. */
const changeSign = (mnemonic: string, change: (signExponent: Value) => Value): void => {
  table[mnemonic] = x87(mnemonic, 0, (_, stack) => {
    stack.enter(0);
    const { significand, signExponent } = stack.read(0);
    stack.write(0, { significand, signExponent: change(signExponent) });
    stack.finish(0);
    stack.remember();
  });
};
changeSign('fabs', (signExponent) => signExponent.and(SIGN - 1));
changeSign('fchs', (signExponent) => signExponent.xor(SIGN));

table['ftst'] = x87('ftst', 0, (_, stack) => {
  stack.enter(0);
  stack.compared(relate(stack, POSITIVE_ZERO));
  stack.remember();
});

/** C1 is the sign. An empty register goes the exact way. */
table['fxam'] = x87('fxam', 0, (_, stack) => {
  stack.enter(0);
  const { significand, signExponent } = stack.read(0);
  const kind = stack.computeOne('examine', significand, signExponent);
  stack.compared(kind.or(signExponent.and(SIGN).shr(15 - Math.log2(C1))));
  stack.remember();
});

table['fscale'] = x87('fscale', 0, (_, stack) => {
  stack.enter(0, 1);
  const [a, b] = [stack.read(0), stack.read(1)];
  const result = stack.compute('scale', a.significand, a.signExponent, b.significand, b.signExponent);
  stack.write(0, result);
  stack.finish(0, result.status);
  stack.remember();
});

export const X87: SemanticsTable = { ...table, ...X87_MOVES, ...X87_CONTROL };
