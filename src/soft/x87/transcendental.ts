/**
 * The x87's transcendental functions (SDM 1 §8.3.7, §8.3.10) in fixed point with far more bits than the result has, so that what
 * is rounded in the end is the true value: better than the one unit in the last place that the SDM promises.
 *
 * Trigonometric arguments are reduced with the 66-bit π that the SDM documents (SDM 1 §8.3.8), as silicon does: near multiples of
 * π the results differ from those for the true π, and programs know the former.
 */
import { invalid, integerSquareRoot } from '../float/arithmetic.ts';
import { DENORMAL, type FloatEnvironment, ZERO_DIVIDE } from '../float/environment.ts';
import { bitLength, extended, FINITE, type FloatValue, finite, INFINITE, infinity, round, ZERO, zero } from '../float/value.ts';
import { special } from './f80.ts';

/** Fraction bits of the fixed-point numbers. Arguments below 2^−TINY are handled by the first term of their series. */
const FRACTION = 320;
const TINY = 100;
const SHIFT = BigInt(FRACTION);
const ONE = 1n << SHIFT;

const times = (a: bigint, b: bigint): bigint => (a * b) >> SHIFT;

/** Σ z^(2n+1)/(2n+1), alternating or not: arctan and artanh for small |z|. */
function oddSeries(z: bigint, alternating: boolean): bigint {
  const square = alternating ? -times(z, z) : times(z, z);
  let power = z;
  let sum = 0n;
  for (let n = 1n; power !== 0n && power !== -1n; n += 2n) {
    sum += power / n;
    power = times(power, square);
  }
  return sum;
}

/** Machin: π/4 = 4 arctan 1/5 − arctan 1/239. */
const PI: bigint = 4n * (4n * oddSeries(ONE / 5n, true) - oddSeries(ONE / 239n, true));
/** ln 2 = 2 artanh 1/3. */
const LN2: bigint = 2n * oddSeries(ONE / 3n, false);
/** SDM 1 §8.3.8: 0.C90FDAA2 2168C234 C × 2^2. */
const PI_66: bigint = 0xc90f_daa2_2168_c234_cn << (SHIFT - 66n);

const magnitudeOf = (value: FloatValue): number => value.exponent + bitLength(value.significand) - 1;
/** |value| in fixed point; exact down to 2^−FRACTION. */
const toFixed = (value: FloatValue): bigint => {
  const shift = value.exponent + FRACTION;
  return shift >= 0 ? value.significand << BigInt(shift) : value.significand >> BigInt(-shift);
};

/** Rounds an inexact result: `bits` × 2^exponent is known to more than any format's precision, and something follows. */
function deliver(environment: FloatEnvironment, negative: boolean, exponent: number, bits: bigint): FloatValue {
  return round(environment, negative, exponent - 1, (bits << 1n) | 1n, extended(64));
}
const deliverFixed = (environment: FloatEnvironment, value: bigint, flip = false): FloatValue =>
  deliver(environment, value < 0n !== flip, -FRACTION, value < 0n ? -value : value);

/** NaNs, unsupported encodings; then the denormal report. Undefined: go on computing. */
function begin(environment: FloatEnvironment, a: FloatValue, b: FloatValue = a): FloatValue | undefined {
  const result = special(environment, a, b);
  if (result === undefined) environment.roundedUp = false;
  return result;
}

/** True: an unmasked denormal exception stops the computation. */
function reportDenormal(environment: FloatEnvironment, a: FloatValue, b: FloatValue = a): boolean {
  if (a.denormal || b.denormal) environment.raise(DENORMAL);
  return environment.stopped;
}

/** F2XM1: 2^x − 1 for −1 ≤ x ≤ 1; the SDM leaves the rest undefined, where x comes back. */
export function powerOfTwoMinusOne(environment: FloatEnvironment, x: FloatValue): FloatValue {
  const nan = begin(environment, x);
  if (nan !== undefined) return nan;
  if (x.kind === INFINITE) return x.negative ? finite(true, 0, 1n) : x;
  if (reportDenormal(environment, x) || x.kind === ZERO) return x;
  const magnitude = magnitudeOf(x);
  if (magnitude >= 0) {
    const isOne = magnitude === 0 && x.significand === 1n << BigInt(bitLength(x.significand) - 1);
    return isOne ? finite(x.negative, x.negative ? -1 : 0, 1n) : x;
  }
  if (magnitude < -TINY) return deliver(environment, x.negative, x.exponent - FRACTION, x.significand * LN2);
  const exponent = times(x.negative ? -toFixed(x) : toFixed(x), LN2);
  let term = exponent;
  let sum = 0n;
  for (let n = 2n; term !== 0n && term !== -1n; n++) {
    sum += term;
    term = times(term, exponent) / n;
  }
  return deliverFixed(environment, sum);
}

/** log2(significand × 2^exponent) in fixed point. */
function logarithm(value: FloatValue): bigint {
  let magnitude = magnitudeOf(value);
  let mantissa = toFixed(finite(false, value.exponent - magnitude, value.significand)); // 1 … 2
  if (mantissa > (ONE * 14142n) / 10000n) {
    mantissa >>= 1n;
    magnitude++;
  }
  const z = ((mantissa - ONE) << SHIFT) / (mantissa + ONE);
  return BigInt(magnitude) * ONE + ((2n * oddSeries(z, false)) << SHIFT) / LN2;
}

const isPowerOfTwo = (value: FloatValue): boolean => (value.significand & (value.significand - 1n)) === 0n;
const product = (environment: FloatEnvironment, y: FloatValue, factor: bigint): FloatValue => {
  const negative = y.negative !== factor < 0n;
  return deliver(environment, negative, y.exponent - FRACTION, y.significand * (factor < 0n ? -factor : factor));
};

/** FYL2X: y × log2 x (SDM 2A, with its table of special cases). */
export function timesLogarithm(environment: FloatEnvironment, x: FloatValue, y: FloatValue): FloatValue {
  const nan = begin(environment, x, y);
  if (nan !== undefined) return nan;
  if (x.negative && x.kind !== ZERO) return invalid(environment);
  if (x.kind === ZERO) {
    if (y.kind === ZERO) return invalid(environment);
    if (y.kind === FINITE) environment.raise(ZERO_DIVIDE);
    return infinity(!y.negative);
  }
  if (x.kind === INFINITE) {
    if (y.kind === ZERO) return invalid(environment);
    return reportDenormal(environment, x, y) ? x : infinity(y.negative);
  }
  const magnitude = magnitudeOf(x);
  const isExact = isPowerOfTwo(x);
  const isOne = isExact && magnitude === 0;
  if (isOne && y.kind === INFINITE) return invalid(environment);
  if (reportDenormal(environment, x, y)) return x;
  const isBelowOne = magnitude < 0;
  if (y.kind === INFINITE) return infinity(y.negative !== isBelowOne);
  if (y.kind === ZERO || isOne) return zero(y.negative !== isBelowOne);
  if (isExact) {
    return round(environment, y.negative !== isBelowOne, y.exponent, y.significand * BigInt(Math.abs(magnitude)), extended(64));
  }
  return product(environment, y, logarithm(x));
}

/** FYL2XP1: y × log2(x + 1), for |x| < 1 − √½; the SDM leaves the rest undefined. */
export function timesLogarithmOfSuccessor(environment: FloatEnvironment, x: FloatValue, y: FloatValue): FloatValue {
  const nan = begin(environment, x, y);
  if (nan !== undefined) return nan;
  if (x.kind === INFINITE) {
    if (x.negative || y.kind === ZERO) return invalid(environment);
    return reportDenormal(environment, x, y) ? x : infinity(y.negative);
  }
  if (y.kind === INFINITE) {
    if (x.kind === ZERO) return invalid(environment);
    return reportDenormal(environment, x, y) ? x : infinity(y.negative !== x.negative);
  }
  if (reportDenormal(environment, x, y)) return x;
  if (x.kind === ZERO || y.kind === ZERO) return zero(x.negative !== y.negative);
  const magnitude = magnitudeOf(x);
  if (magnitude < -TINY) {
    // denormals have few bits of their own: the quotient gets its precision from the shift
    const significand = ((x.significand * y.significand) << (2n * SHIFT)) / LN2;
    return deliver(environment, x.negative !== y.negative, x.exponent + y.exponent - FRACTION, significand);
  }
  if (magnitude >= 0) return x.negative ? invalid(environment) : product(environment, y, logarithm(successor(x)));
  const fixed = x.negative ? -toFixed(x) : toFixed(x);
  const z = (fixed << SHIFT) / (2n * ONE + fixed);
  return product(environment, y, ((2n * oddSeries(z, false)) << SHIFT) / LN2);
}

/** x + 1 for x ≥ 1, which may round off below the fixed point of `logarithm`. */
const successor = (x: FloatValue): FloatValue => (magnitudeOf(x) > 2 * FRACTION ? x : finite(false, -FRACTION, toFixed(x) + ONE));

/** arctan of 0 ≤ t ≤ 1: the angle is halved until the series is quick. */
function arctangent(t: bigint): bigint {
  const halvings = 3;
  let argument = t;
  for (let i = 0; i < halvings; i++) argument = (argument << SHIFT) / (ONE + integerSquareRoot(ONE * ONE + argument * argument));
  return oddSeries(argument, true) << BigInt(halvings);
}

/** FPATAN: the angle of the point (x, y) (SDM 2A, with its table of special cases). */
export function angle(environment: FloatEnvironment, x: FloatValue, y: FloatValue): FloatValue {
  const nan = begin(environment, x, y);
  if (nan !== undefined) return nan;
  if (reportDenormal(environment, x, y)) return x;
  const quarters = specialAngle(x, y);
  if (quarters === 0n) return zero(y.negative);
  if (quarters !== undefined) return deliverFixed(environment, (quarters * PI) / 4n, y.negative);

  // the smaller of |y/x| and |x/y|, to 256 bits
  const steep = compareMagnitudes(y, x) > 0;
  const [small, large] = steep ? [x, y] : [y, x];
  const shift = 256 + bitLength(large.significand) - bitLength(small.significand);
  const quotient = (small.significand << BigInt(shift)) / large.significand;
  const exponent = small.exponent - large.exponent - shift;
  const magnitude = exponent + bitLength(quotient) - 1;
  if (magnitude < -TINY && !steep && !x.negative) {
    // arctan t is a little less than t
    return deliver(environment, y.negative, exponent - 8, (quotient << 8n) - 1n);
  }
  const fixed = exponent + FRACTION >= 0 ? quotient << BigInt(exponent + FRACTION) : quotient >> BigInt(-exponent - FRACTION);
  const acute = arctangent(fixed);
  const first = steep ? PI / 2n - acute : acute;
  return deliverFixed(environment, x.negative ? PI - first : first, y.negative);
}

/** Angles that are multiples of π/4 because of zeros and infinities, in quarters; undefined in general. */
function specialAngle(x: FloatValue, y: FloatValue): bigint | undefined {
  if (y.kind === INFINITE) return x.kind !== INFINITE ? 2n : x.negative ? 3n : 1n;
  if (x.kind === INFINITE || y.kind === ZERO) return x.negative ? 4n : 0n;
  return x.kind === ZERO ? 2n : undefined;
}

function compareMagnitudes(a: FloatValue, b: FloatValue): number {
  const distance = magnitudeOf(a) - magnitudeOf(b);
  if (distance !== 0) return distance;
  const aligned = (value: FloatValue): bigint => value.significand << BigInt(128 - bitLength(value.significand));
  return aligned(a) > aligned(b) ? 1 : aligned(a) < aligned(b) ? -1 : 0;
}

interface Reduced {
  /** −π/4 … π/4. */
  readonly angle: bigint;
  /** Quarter turns taken away, modulo 4. */
  readonly quadrant: number;
}

function reduce(x: FloatValue): Reduced {
  const fixed = toFixed(x);
  const half = PI_66 / 2n;
  const turns = (2n * fixed + half) / (2n * half);
  const rest = fixed - turns * half;
  const quadrant = Number(turns & 3n);
  return x.negative ? { angle: -rest, quadrant: (4 - quadrant) & 3 } : { angle: rest, quadrant };
}

function sineSeries(angle: bigint, first: bigint, start: bigint): bigint {
  const square = times(angle, angle);
  let term = first;
  let sum = 0n;
  for (let n = start; term !== 0n && term !== -1n; n += 2n) {
    sum += term;
    term = -times(term, square) / (n * (n + 1n));
  }
  return sum;
}
const sineOf = (angle: bigint): bigint => sineSeries(angle, angle, 2n);
const cosineOf = (angle: bigint): bigint => sineSeries(angle, ONE, 1n);

/** |x| ≥ 2^63: the instruction does nothing but set C2. */
export const isBeyondReduction = (x: FloatValue): boolean => x.kind === FINITE && magnitudeOf(x) >= 63;

/** What all three share: NaNs, infinities, denormals. */
function beginAngle(environment: FloatEnvironment, x: FloatValue): FloatValue | undefined {
  const nan = begin(environment, x);
  if (nan !== undefined) return nan;
  if (x.kind === INFINITE) return invalid(environment);
  return reportDenormal(environment, x) ? x : undefined;
}

export function sine(environment: FloatEnvironment, x: FloatValue): FloatValue {
  const early = beginAngle(environment, x);
  if (early !== undefined || x.kind === ZERO) return early ?? x;
  // sin x is a little less than x
  if (magnitudeOf(x) < -TINY) return deliver(environment, x.negative, x.exponent - 128, (x.significand << 128n) - 1n);
  const { angle, quadrant } = reduce(x);
  const value = quadrant & 1 ? cosineOf(angle) : sineOf(angle);
  return deliverFixed(environment, value, quadrant >= 2);
}

export function cosine(environment: FloatEnvironment, x: FloatValue): FloatValue {
  const early = beginAngle(environment, x);
  if (early !== undefined) return early;
  if (x.kind === ZERO) return finite(false, 0, 1n);
  if (magnitudeOf(x) < -TINY) return deliverFixed(environment, ONE - 1n);
  const { angle, quadrant } = reduce(x);
  const value = quadrant & 1 ? sineOf(angle) : cosineOf(angle);
  return deliverFixed(environment, value, quadrant === 1 || quadrant === 2);
}

export function tangent(environment: FloatEnvironment, x: FloatValue): FloatValue {
  const early = beginAngle(environment, x);
  if (early !== undefined || x.kind === ZERO) return early ?? x;
  // tan x is a little more than x
  if (magnitudeOf(x) < -TINY) return deliver(environment, x.negative, x.exponent - 128, x.significand << 128n);
  const { angle, quadrant } = reduce(x);
  const sin = sineOf(angle);
  const cos = cosineOf(angle);
  return deliverFixed(environment, quadrant & 1 ? -(cos << SHIFT) / sin : (sin << SHIFT) / cos);
}
