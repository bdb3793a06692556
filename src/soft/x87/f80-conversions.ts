/**
 * Conversions between 80 bits and other formats in generated code, comparison and classification. Widening is exact; narrowing
 * rounds by FCW's rounding control. NaNs, denormals and what leaves the target's range are refused (see f80-rounding.ts).
 */
import type { FunctionBody } from '../wasm/function-body.ts';
import { i32, i64, select, type Value } from '../wasm/value.ts';
import { isNormal, refuse } from './f80-arithmetic.ts';
import { BIAS, EXPONENT, increment, inexactStatus, INTEGER_BIT, NEEDS_EXACT_FORM, SIGN } from './f80-rounding.ts';
import { C0, C2, C3 } from './unit.ts';

/** A narrower binary format. */
interface Format {
  /** Bits of the fraction. */
  readonly fraction: number;
  readonly bias: number;
  /** The exponent field of infinities and NaNs. */
  readonly special: number;
}
const SINGLE: Format = { fraction: 23, bias: 127, special: 0xff };
const DOUBLE: Format = { fraction: 52, bias: 1023, special: 0x7ff };
const INTEGER_BITS = i64(INTEGER_BIT);

/** `fromDouble(bits)` and `fromSingle(bits)`, bits as i64. */
function emitWiden(f: FunctionBody, { fraction, bias, special }: Format): void {
  const [bits] = f.parameters as [Value];
  const field = f.local(bits.shr(fraction).wrap().and(special));
  const sign = bits.shr(fraction + Math.log2(special + 1) - 15).wrap().and(SIGN);
  const significand = bits.shl(63 - fraction).or(INTEGER_BITS);
  f.if(field.sub(1).lt(special - 1), () => f.return(significand, sign.or(field.add(BIAS - bias))), undefined, true);
  f.if(bits.shl(64 - fraction).isZero(), () => {
    f.if(field, () => f.return(INTEGER_BITS, sign.or(EXPONENT)));
    f.return(i64(0), sign);
  });
  refuse(f);
}
export const emitFromSingle = (f: FunctionBody): void => emitWiden(f, SINGLE);
export const emitFromDouble = (f: FunctionBody): void => emitWiden(f, DOUBLE);

/** `fromInteger(value)`. */
export function emitFromInteger(f: FunctionBody): void {
  const [value] = f.parameters as [Value];
  f.if(value.isZero(), () => f.return(i64(0), i32(0)));
  const sign = f.local(value.shrSigned(63));
  const magnitude = f.local(value.xor(sign).sub(sign));
  const zeros = f.local(magnitude.clz());
  f.return(magnitude.shl(zeros), sign.wrap().and(SIGN).or(i32(BIAS + 63).sub(zeros.wrap())));
}

/** `toDouble(a, aSignExponent, control)` and `toSingle`: bits as i64, and an outcome without sign and exponent. */
function emitNarrow(f: FunctionBody, { fraction, bias, special }: Format): void {
  const [a, aSignExponent, control] = f.parameters as [Value, Value, Value];
  const exponent = f.local(aSignExponent.and(EXPONENT));
  const sign = f.local(aSignExponent.and(SIGN));
  const signBit = f.local(sign.widen().shl(fraction + Math.log2(special + 1) - 15));
  const field = f.local(exponent.sub(BIAS - bias));
  // the largest exponent is left out, so that rounding up stays finite
  f.if(a.ltSigned(0).and(field.sub(1).lt(special - 2)).isZero(), () => {
    f.if(a.or(exponent.widen()).isZero(), () => f.return(signBit, i32(0)));
    f.if(a.eq(INTEGER_BITS).and(exponent.eq(EXPONENT)), () => f.return(signBit.or(i64(BigInt(special) << BigInt(fraction))), i32(0)));
    refuse(f);
  }, undefined, false);
  const kept = f.local(a.shr(63 - fraction));
  const rest = f.local(a.shl(fraction + 1));
  const up = f.local(increment(f, control, sign, kept, rest));
  // the integer bit adds one to the field
  f.return(field.sub(1).widen().shl(fraction).add(kept).add(up).or(signBit), inexactStatus(f, control, rest, up));
}
export const emitToSingle = (f: FunctionBody): void => emitNarrow(f, SINGLE);
export const emitToDouble = (f: FunctionBody): void => emitNarrow(f, DOUBLE);

interface Whole {
  readonly kept: Value;
  readonly up: Value;
  readonly status: Value;
}

/** Takes a normal number below 2^63 apart at the binary point. */
function wholePart(f: FunctionBody, a: Value, aSignExponent: Value, exponent: Value, control: Value): Whole {
  const dropped = f.local(i32(BIAS + 63).sub(exponent));
  const wide = f.local(dropped.widen());
  const kept = f.variable(a.shr(wide));
  const rest = f.variable(a.shl(i64(64).sub(wide)));
  f.if(dropped.gtSigned(63), () => {
    kept.set(i64(0));
    // from 2^-2 down it is only "something less than a half"
    rest.set(select(dropped.eq(64), a, i64(1)));
  }, undefined, false);
  const up = f.local(increment(f, control, f.local(aSignExponent.and(SIGN)), kept.value, rest.value));
  return { kept: kept.value, up, status: f.local(inexactStatus(f, control, rest.value, up)) };
}

/** `toInteger(a, aSignExponent, control)`: a signed 64-bit integer, and an outcome without sign and exponent. */
export function emitToInteger(f: FunctionBody): void {
  const [a, aSignExponent, control] = f.parameters as [Value, Value, Value];
  const exponent = f.local(aSignExponent.and(EXPONENT));
  f.if(a.ltSigned(0).and(exponent.sub(1).lt(BIAS + 62)).isZero(), () => {
    f.if(a.or(exponent.widen()).isZero(), () => f.return(i64(0), i32(0)));
    refuse(f);
  }, undefined, false);
  const { kept, up, status } = wholePart(f, a, aSignExponent, exponent, control);
  const magnitude = f.local(kept.add(up));
  const sign = f.local(i64(0).sub(aSignExponent.shr(15).widen()));
  f.return(magnitude.xor(sign).sub(sign), status.or(magnitude.shr(63).wrap().shl(31)));
}

/** `toIntegral(a, aSignExponent, control)`: FRNDINT. */
export function emitToIntegral(f: FunctionBody): void {
  const [a, aSignExponent, control] = f.parameters as [Value, Value, Value];
  const exponent = f.local(aSignExponent.and(EXPONENT));
  f.if(a.ltSigned(0).and(exponent.sub(1).lt(BIAS + 62)).isZero(), () => {
    f.if(a.or(exponent.widen()).isZero().or(isNormal(a, exponent)), () => f.return(a, aSignExponent));
    refuse(f);
  }, undefined, false);
  const { kept, up, status } = wholePart(f, a, aSignExponent, exponent, control);
  const sign = f.local(aSignExponent.and(SIGN));
  const whole = f.local(kept.add(up));
  f.if(whole.isZero(), () => f.return(i64(0), sign.or(status)));
  const zeros = f.local(whole.clz());
  f.return(whole.shl(zeros), sign.or(i32(BIAS + 63).sub(zeros.wrap())).or(status));
}

/**
 * `scale(a, aSignExponent, b, bSignExponent)`: FSCALE, a × 2^trunc(b), for a sum of exponents that is that of a normal number, so
 * that nothing is rounded.
 */
export function emitScale(f: FunctionBody): void {
  const [a, aSignExponent, b, bSignExponent] = f.parameters as [Value, Value, Value, Value];
  const exponent = f.local(aSignExponent.and(EXPONENT));
  const powerExponent = f.local(bSignExponent.and(EXPONENT));
  const isPlain = (significand: Value, biased: Value): Value => isNormal(significand, biased).or(significand.or(biased.widen()).isZero());
  const isSmall = powerExponent.lt(BIAS + 15);
  f.if(isPlain(a, exponent).and(isPlain(b, powerExponent)).and(isSmall).isZero(), () => refuse(f), undefined, false);
  f.if(a.isZero(), () => f.return(a, aSignExponent));
  const power = f.variable(i32(0));
  f.if(powerExponent.ge(BIAS), () => power.set(b.shr(i64(BIAS + 63).sub(powerExponent.widen())).wrap()));
  const negative = f.local(i32(0).sub(bSignExponent.shr(15)));
  const scaled = f.local(exponent.add(power.value.xor(negative).sub(negative)));
  f.return(a, aSignExponent.and(SIGN).or(scaled).or(scaled.sub(1).ge(EXPONENT - 1).shl(31)));
}

/**
 * `compare(a, aSignExponent, b, bSignExponent)`: the condition bits of FCOM in their place in the status word, or a negative number
 * when the exact form is needed. Normal numbers, zeros and infinities compare by sign, exponent and significand, in this order.
 */
export function emitCompare(f: FunctionBody): void {
  const [a, aSignExponent, b, bSignExponent] = f.parameters as [Value, Value, Value, Value];
  const aExponent = f.local(aSignExponent.and(EXPONENT));
  const bExponent = f.local(bSignExponent.and(EXPONENT));
  f.if(isNormal(a.and(b), aExponent, bExponent).isZero(), () => {
    const isOrdered = (significand: Value, exponent: Value): Value =>
      isNormal(significand, exponent)
        .or(significand.or(exponent.widen()).isZero())
        .or(significand.eq(INTEGER_BITS).and(exponent.eq(EXPONENT)));
    f.if(isOrdered(a, aExponent).and(isOrdered(b, bExponent)).isZero(), () => f.return(i32(NEEDS_EXACT_FORM)));
    f.if(a.or(b).isZero(), () => f.return(i32(C3)));
  }, undefined, false);
  const isNegative = aSignExponent.shr(15);
  const isSmaller = aExponent.lt(bExponent).or(aExponent.eq(bExponent).and(a.lt(b)));
  f.if(aSignExponent.xor(bSignExponent).and(SIGN), () => f.return(isNegative.mul(i32(C0))));
  f.if(a.eq(b).and(aExponent.eq(bExponent)), () => f.return(i32(C3)));
  f.return(isNegative.xor(isSmaller).mul(i32(C0)));
}

/** `examine(a, aSignExponent)`: the class that FXAM reports of a register that is not empty, without its sign (SDM 2A, FXAM). */
export function emitExamine(f: FunctionBody): void {
  const [a, aSignExponent] = f.parameters as [Value, Value];
  const exponent = f.local(aSignExponent.and(EXPONENT));
  f.if(isNormal(a, exponent), () => f.return(i32(C2)), undefined, true);
  f.if(exponent.isZero(), () => f.return(select(a.isZero(), i32(C3), i32(C3 | C2))));
  f.if(a.geSigned(0), () => f.return(i32(0)));
  f.return(select(a.eq(INTEGER_BITS), i32(C2 | C0), i32(C0)));
}
