/**
 * 80-bit arithmetic in generated code: add, multiply, divide, square root, for normal numbers and zeros, under any rounding and
 * precision control. What has other operands or leaves the range of normal numbers is refused (see f80-rounding.ts).
 */
import type { FunctionBody } from '../wasm/function-body.ts';
import { constant, i32, i64, select, Value } from '../wasm/value.ts';
import { BIAS, EXPONENT, isRoundingDown, NEEDS_EXACT_FORM, returnResult, SIGN } from './f80-rounding.ts';

const TWO_32 = 2 ** 32;
const LOW_32 = 0xffff_ffffn;

/** A biased exponent and the integer bit of a normal number. `significand` may be the AND of several. */
export const isNormal = (significand: Value, ...exponents: readonly Value[]): Value =>
  exponents.map((exponent) => exponent.sub(1).lt(EXPONENT - 1)).reduce((all, one) => all.and(one), significand.ltSigned(0));

/**
 * `otherwise` when an operand is not normal; it must return. One branch for each question: all of them are foreseen, and branches
 * cost less than their conjunction.
 */
function unlessNormal(f: FunctionBody, significand: Value, exponents: readonly Value[], otherwise: () => void): void {
  f.code.block((normal) => {
    f.code.block((special) => {
      f.code.branchIf(special, significand.geSigned(0), false);
      const last = exponents.length - 1;
      for (const exponent of exponents.slice(0, last)) f.code.branchIf(special, isSpecial(exponent), false);
      f.code.branchIf(normal, (exponents[last] as Value).add(1).and(EXPONENT - 1), true);
    });
    otherwise();
  });
}
/** Of 15-bit exponents only 0 and the largest have nothing left here. */
const isSpecial = (exponent: Value): Value => exponent.add(1).and(EXPONENT - 1).isZero();

export const refuse = (f: FunctionBody): void => f.return(i64(0), i32(NEEDS_EXACT_FORM));

interface Term {
  readonly significand: Value;
  readonly signExponent: Value;
  readonly exponent: Value;
}

function term(f: FunctionBody, significand: Value, signExponent: Value): Term {
  return { significand, signExponent, exponent: f.local(signExponent.and(EXPONENT)) };
}
const isZero = ({ significand, exponent }: Term): Value => significand.or(exponent.widen()).isZero();

function returnZeroIf(f: FunctionBody, condition: Value, sign: Value): void {
  f.if(condition, () => f.return(i64(0), sign));
}

/** `value` × 2^−distance as 128 bits; distances of 64 and more keep a last bit that stands for all that was shifted out. */
function shiftedRight(f: FunctionBody, value: Value, distance: Value): readonly [high: Value, low: Value] {
  const by = f.local(distance.widen());
  const high = f.variable(value.shr(by));
  const low = f.variable(value.rotr(by).sub(high.value));
  f.if(distance.geSigned(64), () => {
    const beyond = f.local(select(distance.gtSigned(127), i64(63), by.sub(64)));
    low.set(value.shr(beyond).or(value.shl(1).shl(i64(63).sub(beyond)).ne(0).widen()));
    high.set(i64(0));
  }, undefined, false);
  return [high.value, low.value];
}

/** 128 bits × 2^distance, distance below 64. What a rotation has more than a shift is what was shifted out. */
function shiftedLeft(f: FunctionBody, high: Value, low: Value, distance: Value): readonly [high: Value, low: Value] {
  const shifted = f.local(low.shl(distance));
  return [f.local(high.shl(distance).or(low.rotl(distance).sub(shifted))), shifted];
}

/** `add(a, aSignExponent, b, bSignExponent, control)`. Subtraction is addition of the other sign: no NaN gets that far. */
export function emitAdd(f: FunctionBody, round: number): void {
  const [a, aSignExponent, b, bSignExponent, control] = f.parameters as [Value, Value, Value, Value, Value];
  const left = term(f, a, aSignExponent);
  const right = term(f, b, bSignExponent);
  unlessNormal(f, a.and(b), [left.exponent, right.exponent], () => addZero(f, round, left, right, control));
  const ahead = f.local(left.exponent.sub(right.exponent));
  const swap = f.local(select(ahead, ahead.ltSigned(0), a.lt(b)));
  const large = f.local(select(swap, b, a));
  const small = f.local(select(swap, a, b));
  const exponent = f.variable(select(swap, right.exponent, left.exponent));
  const sign = f.local(select(swap, bSignExponent, aSignExponent).and(SIGN));
  const distance = f.local(select(swap, i32(0).sub(ahead), ahead));
  const [smallHigh, smallLow] = shiftedRight(f, small, distance);
  const high = f.variable(large);
  const low = f.variable(smallLow);
  f.if(aSignExponent.xor(bSignExponent).and(SIGN), () => {
    low.set(i64(0).sub(low.value));
    high.set(large.sub(smallHigh).sub(low.value.ne(0).widen()));
    f.if(high.value.isZero(), () => {
      // x − x is +0, but −0 when rounding down (SDM 1 §4.8.3.1); else at most two bits are left of a difference of neighbours
      f.if(low.value.isZero(), () => f.return(i64(0), isRoundingDown(control).shl(15)));
      high.set(low.value);
      low.set(i64(0));
      exponent.set(exponent.value.sub(64));
    }, undefined, false);
    const zeros = f.local(high.value.clz());
    const [normalHigh, normalLow] = shiftedLeft(f, high.value, low.value, zeros);
    high.set(normalHigh);
    low.set(normalLow);
    exponent.set(exponent.value.sub(zeros.wrap()));
  }, () => {
    const sum = f.local(large.add(smallHigh));
    const carry = f.local(sum.lt(large));
    const shift = f.local(carry.widen());
    low.set(low.value.shr(shift).or(low.value.and(shift)).or(sum.shl(63).and(i64(0).sub(shift))));
    high.set(sum.shr(shift).or(shift.shl(63)));
    exponent.set(exponent.value.add(carry));
  });
  returnResult(f, round, { high: high.value, low: low.value, exponent: exponent.value, sign }, control);
}

/** One of the terms is not normal: zeros add here. The other term is still rounded to the precision in force. */
function addZero(f: FunctionBody, round: number, left: Term, right: Term, control: Value): void {
  const zero = i64(0);
  f.if(isZero(left), () => {
    f.if(isZero(right), () => {
      const same = left.signExponent.eq(right.signExponent);
      f.return(zero, select(same, left.signExponent, isRoundingDown(control).shl(15)));
    });
    f.if(isNormal(right.significand, right.exponent), () =>
      f.returnCall(round, [right.significand, zero, right.exponent, right.signExponent.and(SIGN), control]));
    refuse(f);
  });
  f.if(isZero(right).and(isNormal(left.significand, left.exponent)), () =>
    f.returnCall(round, [left.significand, zero, left.exponent, left.signExponent.and(SIGN), control]));
  refuse(f);
}

/** The 128-bit product, by halves. */
function product(f: FunctionBody, a: Value, b: Value): readonly [high: Value, low: Value] {
  const aLow = f.local(a.and(LOW_32));
  const aHigh = f.local(a.shr(32));
  const bLow = f.local(b.and(LOW_32));
  const bHigh = f.local(b.shr(32));
  const lowest = f.local(aLow.mul(bLow));
  const middle = f.local(aHigh.mul(bLow).add(lowest.shr(32)));
  const other = f.local(aLow.mul(bHigh).add(middle.and(LOW_32)));
  const high = f.local(aHigh.mul(bHigh).add(middle.shr(32)).add(other.shr(32)));
  return [high, f.local(other.shl(32).or(lowest.and(LOW_32)))];
}

/** `multiply(a, aSignExponent, b, bSignExponent, control)`. */
export function emitMultiply(f: FunctionBody, round: number): void {
  const [a, aSignExponent, b, bSignExponent, control] = f.parameters as [Value, Value, Value, Value, Value];
  const left = term(f, a, aSignExponent);
  const right = term(f, b, bSignExponent);
  const sign = f.local(aSignExponent.xor(bSignExponent).and(SIGN));
  unlessNormal(f, a.and(b), [left.exponent, right.exponent], () => {
    const plain = (t: Term): Value => isZero(t).or(isNormal(t.significand, t.exponent));
    // not both can be normal here, so both being plain makes one of them zero
    returnZeroIf(f, plain(left).and(plain(right)), sign);
    refuse(f);
  });
  const [high, low] = product(f, a, b);
  const shift = f.local(high.clz());
  const exponent = f.local(left.exponent.add(right.exponent).sub(BIAS - 1).sub(shift.wrap()));
  const [normalHigh, normalLow] = shiftedLeft(f, high, low, shift);
  returnResult(f, round, { high: normalHigh, low: normalLow, exponent, sign }, control);
}

/**
 * One digit of 32 bits of a quotient: (remainder × 2^32 + next) / divisor, remainder < divisor, divisor's top bit set. The
 * estimate from the upper halves is at most 2 too large (Knuth, The Art of Computer Programming 2, §4.3.1, theorem B).
 */
function quotientDigit(f: FunctionBody, remainder: Value, next: Value, divisor: Value): readonly [digit: Value, remainder: Value] {
  const divisorHigh = f.local(divisor.shr(32));
  const divisorLow = f.local(divisor.and(LOW_32));
  const digit = f.variable(remainder.divUnsigned(divisorHigh));
  const rest = f.variable(remainder.sub(digit.value.mul(divisorHigh)));
  const isTooLarge = (): Value =>
    digit.value.ge(i64(TWO_32)).or(digit.value.mul(divisorLow).gt(rest.value.shl(32).or(next)));
  const correct = (): void => {
    digit.set(digit.value.sub(1));
    rest.set(rest.value.add(divisorHigh));
  };
  f.if(isTooLarge(), () => {
    correct();
    f.if(rest.value.lt(i64(TWO_32)).and(isTooLarge()), correct);
  });
  return [digit.value, f.local(remainder.shl(32).or(next).sub(digit.value.mul(divisor)))];
}

/** `divide(a, aSignExponent, b, bSignExponent, control)`. */
export function emitDivide(f: FunctionBody, round: number): void {
  const [a, aSignExponent, b, bSignExponent, control] = f.parameters as [Value, Value, Value, Value, Value];
  const left = term(f, a, aSignExponent);
  const right = term(f, b, bSignExponent);
  const sign = f.local(aSignExponent.xor(bSignExponent).and(SIGN));
  unlessNormal(f, a.and(b), [left.exponent, right.exponent], () => {
    returnZeroIf(f, isZero(left).and(isNormal(right.significand, right.exponent)), sign);
    refuse(f);
  });
  // the dividend shifted so that the quotient has exactly 64 bits
  const shift = f.local(a.ge(b).widen());
  const [upper, partial] = quotientDigit(f, f.local(a.shr(shift)), f.local(a.and(shift).shl(31)), b);
  const [lower, remainder] = quotientDigit(f, partial, i64(0), b);
  const exponent = f.local(left.exponent.sub(right.exponent).add(BIAS - 1).add(shift.wrap()));
  const high = f.local(upper.shl(32).or(lower));
  // no quotient of two 64-bit numbers ends exactly in the middle between two others
  const half = select(remainder.ge(b.sub(remainder)), i64(3n << 62n), i64(1n << 62n));
  const low = f.local(select(remainder.isZero(), i64(0), half));
  returnResult(f, round, { high, low, exponent, sign }, control);
}

const F64 = { fromSigned: 0xb9, fromUnsigned: 0xba, sqrt: 0x9f, floor: 0x9c, add: 0xa0, mul: 0xa2, div: 0xa3 } as const;
const double = (value: number): Value => constant('f64', value);

/** An f64 as i64, behind prefix FC; what does not fit gives the nearest that does. */
const toInteger = (value: Value, isSigned: boolean): Value =>
  new Value('i64', (code) => {
    value.emit(code);
    code.bytes.byte(0xfc).byte(isSigned ? 6 : 7);
  });

/**
 * `squareRoot(a, aSignExponent, control)`: the radicand has 127 or 128 bits, its root 64. A double gives the root to 52 bits; one
 * step of Newton's method, the remainder radicand − root² over 2·root in doubles, leaves an error of at most one.
 */
export function emitSquareRoot(f: FunctionBody, round: number): void {
  const [a, aSignExponent, control] = f.parameters as [Value, Value, Value];
  // with its sign a negative number's exponent is no normal one, so it is refused
  f.if(isNormal(a, aSignExponent).isZero(), () => {
    returnZeroIf(f, a.or(aSignExponent.and(EXPONENT).widen()).isZero(), aSignExponent);
    refuse(f);
  }, undefined, false);
  // the bias is odd: an odd biased exponent is an even power of two
  const isEvenPower = f.local(aSignExponent.and(1).widen());
  const radicandHigh = f.local(a.shr(isEvenPower));
  const radicandLow = f.local(a.and(isEvenPower).shl(63));
  const estimate = f.local(radicandHigh.unary('f64', F64.fromUnsigned).unary('f64', F64.sqrt).binary('f64', F64.mul, double(TWO_32)));
  const root = f.variable(toInteger(estimate, false));
  const high = f.variable(i64(0));
  const low = f.variable(i64(0));
  const computeRemainder = (): void => {
    const [squareHigh, squareLow] = product(f, root.value, root.value);
    high.set(radicandHigh.sub(squareHigh).sub(radicandLow.lt(squareLow).widen()));
    low.set(radicandLow.sub(squareLow));
  };
  computeRemainder();
  const remainder = high.value.unary('f64', F64.fromSigned).binary('f64', F64.mul, double(2 ** 64))
    .binary('f64', F64.add, low.value.unary('f64', F64.fromUnsigned));
  const correction = remainder.binary('f64', F64.div, estimate.binary('f64', F64.add, estimate)).unary('f64', F64.floor);
  root.set(root.value.add(toInteger(correction, true)));
  computeRemainder();
  f.if(high.value.ltSigned(0), () => {
    root.set(root.value.sub(1));
    computeRemainder();
  }, undefined, false);
  // the next root's square is 2·root + 1 further, a number of 65 bits
  const isTooSmall = high.value.gtSigned(1).or(high.value.eq(1).and(low.value.gt(root.value.shl(1))));
  f.if(isTooSmall, () => {
    root.set(root.value.add(1));
    computeRemainder();
  }, undefined, false);
  const isAboveHalf = high.value.ne(0).or(low.value.gt(root.value));
  const rest = select(isAboveHalf, i64(3n << 62n), i64(1n << 62n));
  const below = f.local(select(high.value.or(low.value).isZero(), i64(0), rest));
  const exponent = f.local(aSignExponent.add(BIAS).shr(1));
  returnResult(f, round, { high: root.value, low: below, exponent, sign: i32(0) }, control);
}
