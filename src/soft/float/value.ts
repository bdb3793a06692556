/**
 * Floating-point numbers taken apart, exact in any precision, and the one place where they are rounded to a format.
 * Correctness before speed: significands are BigInts.
 */
import { type FloatEnvironment, INEXACT, OVERFLOW, ROUND_DOWN, ROUND_NEAREST, ROUND_UP, UNDERFLOW } from './environment.ts';

export const ZERO = 0;
export const FINITE = 1;
export const INFINITE = 2;
export const QUIET_NAN = 3;
export const SIGNALING_NAN = 4;
/** An 80-bit encoding that the 387 and its successors reject: unnormal, pseudo-NaN, pseudo-infinity (SDM 1 §8.2.2). */
export const UNSUPPORTED = 5;

/**
 * FINITE means (−1)^negative × significand × 2^exponent. The significand of a NaN is 64 bits wide with bit 63 set, whatever
 * format it came from, so that NaNs convert between formats by cutting or padding on the right.
 */
export class FloatValue {
  readonly kind: number;
  readonly negative: boolean;
  readonly exponent: number;
  readonly significand: bigint;
  /** It was read from a denormal encoding. */
  readonly denormal: boolean;

  constructor(kind: number, negative: boolean, exponent = 0, significand = 0n, denormal = false) {
    this.kind = kind;
    this.negative = negative;
    this.exponent = exponent;
    this.significand = significand;
    this.denormal = denormal;
  }

  get isNaN(): boolean {
    return this.kind === QUIET_NAN || this.kind === SIGNALING_NAN;
  }

  withSign(negative: boolean): FloatValue {
    return new FloatValue(this.kind, negative, this.exponent, this.significand, this.denormal);
  }
}

export const QUIET_BIT: bigint = 1n << 62n;
/** "QNaN floating-point indefinite" (SDM 1 table 4-3): what a masked invalid operation delivers. */
export const INDEFINITE: FloatValue = new FloatValue(QUIET_NAN, true, 0, 0xc000_0000_0000_0000n);
export const POSITIVE_ZERO: FloatValue = new FloatValue(ZERO, false);
export const NEGATIVE_ZERO: FloatValue = new FloatValue(ZERO, true);
export const zero = (negative: boolean): FloatValue => (negative ? NEGATIVE_ZERO : POSITIVE_ZERO);
export const infinity = (negative: boolean): FloatValue => new FloatValue(INFINITE, negative);
export const finite = (negative: boolean, exponent: number, significand: bigint): FloatValue =>
  new FloatValue(FINITE, negative, exponent, significand);
export const quieted = (nan: FloatValue): FloatValue =>
  nan.kind === SIGNALING_NAN ? new FloatValue(QUIET_NAN, nan.negative, 0, nan.significand | QUIET_BIT) : nan;

/** A binary format; exponents are those of a significand 1.xxx (SDM 1 table 4-2). */
export interface FloatFormat {
  readonly precision: number;
  readonly minExponent: number;
  readonly maxExponent: number;
}

export const BINARY32: FloatFormat = { precision: 24, minExponent: -126, maxExponent: 127 };
export const BINARY64: FloatFormat = { precision: 53, minExponent: -1022, maxExponent: 1023 };
/** The 80-bit format under each setting of FCW.PC, which shortens the significand but not the exponent (SDM 1 §8.1.5.2). */
const EXTENDED: Readonly<Record<number, FloatFormat>> = {
  24: { precision: 24, minExponent: -16382, maxExponent: 16383 },
  53: { precision: 53, minExponent: -16382, maxExponent: 16383 },
  64: { precision: 64, minExponent: -16382, maxExponent: 16383 },
};
export const extended = (precision: number): FloatFormat => EXTENDED[precision] as FloatFormat;

/** SDM 1 §8.5.4: 3 × 2^13, added to or taken from the exponent of a wrapped result. */
const WRAP = 24_576;

const double = new DataView(new ArrayBuffer(8));

/** Bits needed for `n`, 0 for 0. `n` must be below 2^1023. */
export function bitLength(n: bigint): number {
  if (n === 0n) return 0;
  double.setFloat64(0, Number(n));
  const exponent = (double.getUint16(0) >> 4) - 1023;
  // the conversion may have rounded up to the next power of two
  return n >> BigInt(exponent) === 0n ? exponent : exponent + 1;
}

let inexact = false;
let up = false;

/** `significand` without its last `drop` bits, rounded; sets `inexact` and `up`. */
function roundAt(significand: bigint, drop: number, rounding: number, negative: boolean): bigint {
  inexact = up = false;
  if (drop <= 0) return significand << BigInt(-drop);
  const away = rounding === (negative ? ROUND_DOWN : ROUND_UP);
  if (drop > bitLength(significand) + 1) {
    inexact = significand !== 0n;
    up = inexact && away;
    return up ? 1n : 0n;
  }
  const shift = BigInt(drop);
  const kept = significand >> shift;
  const rest = significand - (kept << shift);
  if (rest === 0n) return kept;
  inexact = true;
  const half = 1n << (shift - 1n);
  up = rounding === ROUND_NEAREST ? rest > half || (rest === half && (kept & 1n) === 1n) : away;
  return up ? kept + 1n : kept;
}

/** After an unmasked overflow or underflow: without a wrapped result to deliver, nothing was rounded. */
function reportWrapped(environment: FloatEnvironment): void {
  if (!environment.wraps) environment.roundedUp = false;
  else if (inexact) environment.raise(INEXACT);
}

/**
 * Rounds (−1)^negative × significand × 2^exponent, significand > 0, to `format`, raising overflow, underflow and inexact. A
 * result that is not exact is given with at least two bits more than the format and a last bit that stands for the rest.
 * Tininess is detected after rounding, as all x86 do (SDM 1 §4.9.1.5).
 */
export function round(
  environment: FloatEnvironment,
  negative: boolean,
  exponent: number,
  significand: bigint,
  format: FloatFormat,
): FloatValue {
  const { rounding } = environment;
  const drop = bitLength(significand) - format.precision;
  let rounded = roundAt(significand, drop, rounding, negative);
  let quantum = exponent + drop;
  const carried = rounded >> BigInt(format.precision) !== 0n;
  const magnitude = quantum + format.precision - (carried ? 0 : 1);
  environment.roundedUp = up;

  if (magnitude > format.maxExponent) {
    environment.raise(OVERFLOW);
    if (!environment.isMasked(OVERFLOW)) {
      reportWrapped(environment);
      return finite(negative, quantum - (environment.wraps ? WRAP : 0), rounded);
    }
    environment.raise(INEXACT);
    const toInfinity = rounding === ROUND_NEAREST || rounding === (negative ? ROUND_DOWN : ROUND_UP);
    environment.roundedUp = toInfinity;
    if (toInfinity) return infinity(negative);
    return finite(negative, format.maxExponent - format.precision + 1, (1n << BigInt(format.precision)) - 1n);
  }

  if (magnitude < format.minExponent) {
    if (!environment.isMasked(UNDERFLOW)) {
      environment.raise(UNDERFLOW);
      reportWrapped(environment);
      return finite(negative, quantum + (environment.wraps ? WRAP : 0), rounded);
    }
    if (environment.flushToZero) {
      environment.raise(UNDERFLOW | INEXACT);
      environment.roundedUp = false;
      return zero(negative);
    }
  }
  if (quantum < format.minExponent - format.precision + 1) {
    quantum = format.minExponent - format.precision + 1;
    rounded = roundAt(significand, quantum - exponent, rounding, negative);
    environment.roundedUp = up;
    if (inexact && magnitude < format.minExponent) environment.raise(UNDERFLOW);
  }
  if (inexact) environment.raise(INEXACT);
  return rounded === 0n ? zero(negative) : finite(negative, quantum, rounded);
}

/**
 * A finite or zero value as an integer of at most `bits` bits, sign included; raises inexact where it was none. Undefined,
 * and nothing raised, when it does not fit.
 */
export function roundToInteger(environment: FloatEnvironment, value: FloatValue, rounding: number, bits: number): bigint | undefined {
  environment.roundedUp = false;
  if (value.kind === ZERO) return 0n;
  if (value.exponent > bits) return undefined;
  const rounded = roundAt(value.significand, -value.exponent, rounding, value.negative);
  const result = value.negative ? -rounded : rounded;
  if (BigInt.asIntN(bits, result) !== result) return undefined;
  environment.roundedUp = up;
  if (inexact) environment.raise(INEXACT);
  return result;
}
