/** Integer arithmetic and logic (SDM 2, instruction reference). Flags that the SDM leaves undefined follow what silicon does where that is known. */
import { RAX, RDX } from '../../x86/state.ts';
import { i32, i64, select, type Value } from '../wasm/value.ts';
import { type CarryOverflow, cold, hot, type Scope, type SemanticsTable, type Size } from './dsl.ts';

type Combine = (s: Scope, a: Value, b: Value) => Value;

const add: Combine = (s, a, b) => {
  const result = s.local(a.add(b));
  s.addFlags(a, b, result);
  return result;
};
const subtract: Combine = (s, a, b) => {
  const result = s.local(a.sub(b));
  s.subtractFlags(a, b, result);
  return result;
};
const addWithCarry: Combine = (s, a, b) => {
  const result = s.local(a.add(b).add(s.carry().to(s.word)));
  s.addFlags(a, b, result, true);
  return result;
};
const subtractWithBorrow: Combine = (s, a, b) => {
  const result = s.local(a.sub(b).sub(s.carry().to(s.word)));
  s.subtractFlags(a, b, result, true);
  return result;
};
const logic = (combine: (a: Value, b: Value) => Value): Combine => (s, a, b) => {
  const result = s.local(combine(a, b));
  s.logicFlags(result);
  return result;
};
const and = logic((a, b) => a.and(b));
const or = logic((a, b) => a.or(b));
const xor = logic((a, b) => a.xor(b));

const modifying = (combine: Combine): ((s: Scope) => void) => (s) => {
  const b = s.local(s.source.read());
  s.destination.modify((old) => combine(s, old, b));
};
const compare: Combine = (s, a, b) => {
  s.compareFlags(a, b);
  return a;
};
const comparing = (combine: Combine): ((s: Scope) => void) => (s) => {
  const a = s.local(s.destination.read());
  const b = s.local(s.source.read());
  combine(s, a, b);
};

/** High 64 bits of an unsigned 64 × 64 product, by halves. */
export function multiplyHigh(s: Scope, a: Value, b: Value): Value {
  const aLow = s.local(a.and(0xffff_ffffn));
  const aHigh = s.local(a.shr(32n));
  const bLow = s.local(b.and(0xffff_ffffn));
  const bHigh = s.local(b.shr(32n));
  const middle = s.local(aHigh.mul(bLow).add(aLow.mul(bLow).shr(32n)));
  const other = s.local(aLow.mul(bHigh).add(middle.and(0xffff_ffffn)));
  return s.local(aHigh.mul(bHigh).add(middle.shr(32n)).add(other.shr(32n)));
}

/** RDX:RAX (or AX) ← accumulator × rm. CF = OF = the upper half matters. */
function multiply(s: Scope, signed: boolean): void {
  const bits = s.size * 8;
  const source = s.local(s.rm.read());
  const accumulator = s.local(s.register(RAX, s.size).read());
  if (s.size === 8) {
    const low = s.local(accumulator.mul(source));
    let high = multiplyHigh(s, accumulator, source);
    if (signed) {
      high = s.local(high.sub(select(accumulator.ltSigned(0), source, i64(0))).sub(select(source.ltSigned(0), accumulator, i64(0))));
    }
    s.register(RAX, 8).write(low);
    s.register(RDX, 8).write(high);
    s.resultFlagsLater(low, [low, s.local(high)], ([lower, upper]) => both(s, (upper as Value).ne(signed ? (lower as Value).shrSigned(63n) : 0)));
    return;
  }
  const wide = (v: Value): Value => (signed ? (s.size === 4 ? v.widenSigned() : v.extend(bits as 8 | 16).widenSigned()) : v.widen());
  const product = s.local(wide(accumulator).mul(wide(source)));
  if (s.size === 1) s.register(RAX, 2).write(product.wrap());
  else {
    s.register(RAX, s.size).write(product.wrap());
    s.register(RDX, s.size).write(product.shr(BigInt(bits)).wrap());
  }
  s.resultFlagsLater(s.local(product.wrap()), [product], ([p]) => {
    const whole = p as Value;
    return both(s, signed ? whole.ne(whole.extend(bits as 8 | 16 | 32)) : whole.shr(BigInt(bits)).ne(0));
  });
}

/** CF = OF = the upper half matters. */
function both(s: Scope, significant: Value): CarryOverflow {
  const bit = s.local(significant);
  return { carry: bit, overflow: bit };
}

/** Two- and three-operand IMUL: the low half, CF = OF = it was not enough. */
function multiplyLow(s: Scope, a: Value, b: Value): Value {
  const low = s.local(a.mul(b));
  s.resultFlagsLater(low, [a, b], ([x, y]) => both(s, isProductWide(s, x as Value, y as Value)));
  return low;
}

function isProductWide(s: Scope, a: Value, b: Value): Value {
  if (s.size === 8) {
    const high = multiplyHigh(s, a, b).sub(select(a.ltSigned(0), b, i64(0))).sub(select(b.ltSigned(0), a, i64(0)));
    return high.ne(a.mul(b).shrSigned(63n));
  }
  const wide = (v: Value): Value => (s.size === 4 ? v.widenSigned() : v.extend(16).widenSigned());
  const product = s.local(wide(a).mul(wide(b)));
  return product.ne(product.extend(s.size === 4 ? 32 : 16));
}

const DIVIDE_ERROR = 0;

/** Quotient and remainder of RDX:RAX (or AX); #DE when the quotient does not fit. Flags are left alone (undefined). */
function divide(s: Scope, signed: boolean): void {
  if (s.size === 8) {
    divide64(s, signed);
    return;
  }
  const bits = s.size * 8;
  const raw = s.local(s.rm.read());
  s.if(raw.isZero(), () => s.raise(DIVIDE_ERROR));
  const half = s.size as 2 | 4;
  const dividend = s.local(
    s.size === 1
      ? s.register(RAX, 2).read().widen()
      : s.register(RDX, half).read().widen().shl(BigInt(bits)).or(s.register(RAX, half).read().widen()),
  );
  if (signed) {
    const value = s.local(s.size === 1 ? dividend.extend(16) : s.size === 2 ? dividend.extend(32) : dividend);
    const divisor = s.local(raw.widen().extend(bits as 8 | 16 | 32));
    // −2^63 / −1 would trap in WebAssembly; its quotient does not fit in any case.
    if (s.size === 4) s.if(value.eq(-0x8000_0000_0000_0000n).and(divisor.eq(-1)), () => s.raise(DIVIDE_ERROR));
    const quotient = s.local(value.divSigned(divisor));
    s.if(quotient.ne(quotient.extend(bits as 8 | 16 | 32)), () => s.raise(DIVIDE_ERROR));
    writeDivision(s, quotient.wrap(), remainder(value, quotient, divisor).wrap());
  } else {
    const divisor = s.local(raw.widen());
    const quotient = s.local(dividend.divUnsigned(divisor));
    s.if(quotient.shr(BigInt(bits)).ne(0), () => s.raise(DIVIDE_ERROR));
    writeDivision(s, quotient.wrap(), remainder(dividend, quotient, divisor).wrap());
  }
}

/** One division is slow enough. */
const remainder = (dividend: Value, quotient: Value, divisor: Value): Value => dividend.sub(quotient.mul(divisor));

function writeDivision(s: Scope, quotient: Value, remainder: Value): void {
  const q = s.local(quotient);
  const r = s.local(remainder);
  if (s.size === 1) s.register(RAX, 2).write(q.and(0xff).or(r.and(0xff).shl(8)));
  else {
    s.register(RAX, s.size).write(q);
    s.register(RDX, s.size).write(r);
  }
}

/** The dividend is nearly always a sign or zero extension; a real 128-bit one goes to TypeScript. */
function divide64(s: Scope, signed: boolean): void {
  const divisor = s.local(s.rm.read());
  const low = s.local(s.register(RAX, 8).read());
  const high = s.local(s.register(RDX, 8).read());
  s.if(divisor.isZero(), () => s.raise(DIVIDE_ERROR));
  if (signed) {
    s.if(high.ne(low.shrSigned(63n)), () => s.system('idiv128'));
    s.if(low.eq(-0x8000_0000_0000_0000n).and(divisor.eq(-1)), () => s.raise(DIVIDE_ERROR));
    const quotient = s.local(low.divSigned(divisor));
    writeDivision(s, quotient, remainder(low, quotient, divisor));
  } else {
    s.if(high.ne(0), () => s.system('div128'));
    const quotient = s.local(low.divUnsigned(divisor));
    writeDivision(s, quotient, remainder(low, quotient, divisor));
  }
}

/**
 * CMPXCHG: a memory destination is written in either case (SDM 2A: "the destination operand receives a write cycle"); a
 * register that compares unequal is not, so that its upper half stays. The accumulator is written only then.
 */
function compareExchange(s: Scope): void {
  const accumulator = s.register(RAX, s.size);
  const expected = s.local(accumulator.read());
  const replacement = s.local(s.reg.read());
  const old = s.variable(expected);
  const compare = (value: Value): void => {
    old.set(value);
    s.subtractFlags(expected, value, s.local(expected.sub(value)));
  };
  if (s.rm.isMemory) {
    s.rm.modify((value) => {
      compare(value);
      return select(value.eq(expected), replacement, value);
    });
    s.if(old.value.ne(expected), () => accumulator.write(old.value));
  } else {
    compare(s.local(s.rm.read()));
    s.if(old.value.eq(expected), () => s.rm.write(replacement), () => accumulator.write(old.value));
  }
}

function exchangeAdd(s: Scope): void {
  const b = s.local(s.reg.read());
  const old = s.variable(b);
  const sum = s.variable(b);
  s.rm.modify((value) => {
    old.set(value);
    sum.set(add(s, value, b));
    return sum.value;
  });
  s.reg.write(old.value);
  // XADD r,r with the same register ends with the sum.
  if (!s.rm.isMemory) s.rm.write(sum.value);
}

const signExtendAccumulator = (s: Scope): void => {
  const half = (s.size / 2) as Size;
  const value = s.register(RAX, half).read();
  s.register(RAX, s.size).write(s.size === 8 ? value.widenSigned() : s.size === 4 ? value.extend(16) : value.extend(8));
};
const signIntoRdx = (s: Scope): void => {
  const value = s.register(RAX, s.size).read();
  const signed = s.size === 2 ? value.extend(16) : value;
  s.register(RDX, s.size).write(signed.shrSigned(s.size === 8 ? 63n : 31));
};

export const ARITHMETIC: SemanticsTable = {
  add: hot(modifying(add)),
  or: hot(modifying(or)),
  adc: cold(modifying(addWithCarry)),
  sbb: cold(modifying(subtractWithBorrow)),
  and: hot(modifying(and)),
  sub: hot(modifying(subtract)),
  xor: hot(modifying(xor)),
  cmp: hot(comparing(compare)),
  test: hot(comparing(and)),
  inc: hot((s) => s.rm.modify((old) => {
    const result = s.local(old.add(1));
    s.incrementFlags(old, result);
    return result;
  })),
  dec: hot((s) => s.rm.modify((old) => {
    const result = s.local(old.sub(1));
    s.decrementFlags(old, result);
    return result;
  })),
  not: hot((s) => s.rm.modify((old) => old.not())),
  neg: cold((s) => s.rm.modify((old) => {
    const zero = s.local(s.word === 'i32' ? i32(0) : i64(0));
    return subtract(s, zero, old);
  })),
  mul: cold((s) => multiply(s, false)),
  imul: cold((s) => multiply(s, true)),
  imul2: hot((s) => {
    const b = s.local(s.rm.read());
    s.reg.write(multiplyLow(s, s.local(s.reg.read()), b));
  }),
  imul3: hot((s) => {
    const a = s.local(s.rm.read());
    s.reg.write(multiplyLow(s, a, s.local(s.imm.read())));
  }),
  div: cold((s) => divide(s, false)),
  idiv: cold((s) => divide(s, true)),
  cmpxchg: cold(compareExchange),
  xadd: cold(exchangeAdd),
  cbw: hot(signExtendAccumulator),
  cwd: hot(signIntoRdx),
};
