/**
 * The x87's 80-bit double extended-precision format and its arithmetic, bit by bit: encodings (SDM 1 §8.2), NaN rules
 * (SDM 1 table 4-7), precision control, partial remainders and conversions. Values come apart with `decode80` and go back
 * with `encode80`; everything between is exact. Flags and C1 are left in the FloatEnvironment.
 */
import * as Arithmetic from '../float/arithmetic.ts';
import { DENORMAL, type FloatEnvironment, INEXACT, INVALID, ROUND_TO_ZERO, ZERO_DIVIDE } from '../float/environment.ts';
import { fromInteger } from '../float/formats.ts';
import {
  bitLength,
  extended,
  FINITE,
  type FloatFormat,
  FloatValue,
  finite,
  INFINITE,
  infinity,
  QUIET_BIT,
  QUIET_NAN,
  quieted,
  round,
  roundToInteger,
  SIGNALING_NAN,
  UNSUPPORTED,
  ZERO,
  zero,
} from '../float/value.ts';

const INTEGER_BIT = 1n << 63n;
const EXPONENT_BIAS = 16383;
const SPECIAL_EXPONENT = 0x7fff;
const MIN_EXPONENT = -16382;
/** Exponent of the last bit of a denormal. */
const MIN_QUANTUM: number = MIN_EXPONENT - 63;

export function decode80(signExponent: number, significand: bigint): FloatValue {
  const negative = signExponent >= 0x8000;
  const biased = signExponent & SPECIAL_EXPONENT;
  if (biased === 0) {
    if (significand === 0n) return zero(negative);
    // with the integer bit set a pseudo-denormal: same value as biased exponent 1, reported as denormal (SDM 1 §8.2.2)
    return new FloatValue(FINITE, negative, MIN_QUANTUM, significand, true);
  }
  if ((significand & INTEGER_BIT) === 0n) return new FloatValue(UNSUPPORTED, negative, biased, significand);
  if (biased !== SPECIAL_EXPONENT) return new FloatValue(FINITE, negative, biased - EXPONENT_BIAS - 63, significand);
  if (significand === INTEGER_BIT) return new FloatValue(INFINITE, negative);
  return new FloatValue(significand & QUIET_BIT ? QUIET_NAN : SIGNALING_NAN, negative, 0, significand);
}

/** Sign and exponent of the last `encode80`, whose return value is the significand: two results without an object. */
export let encodedSignExponent = 0;

/** `value` must have come from `round` (or another exact source of at most 64 significant bits). */
export function encode80(value: FloatValue): bigint {
  const sign = value.negative ? 0x8000 : 0;
  encodedSignExponent = sign;
  if (value.kind === ZERO) return 0n;
  if (value.kind === UNSUPPORTED) {
    encodedSignExponent = sign | value.exponent;
    return value.significand;
  }
  if (value.kind !== FINITE) {
    encodedSignExponent = sign | SPECIAL_EXPONENT;
    return value.kind === INFINITE ? INTEGER_BIT : value.significand;
  }
  const length = bitLength(value.significand);
  const magnitude = value.exponent + length - 1;
  if (magnitude < MIN_EXPONENT) {
    return value.significand << BigInt(value.exponent - MIN_QUANTUM);
  }
  encodedSignExponent = sign | (magnitude + EXPONENT_BIAS);
  return length > 64 ? value.significand >> BigInt(length - 64) : value.significand << BigInt(64 - length);
}

const isUnusable = (value: FloatValue): boolean => value.kind === UNSUPPORTED;

/**
 * SDM 1 table 4-7: a NaN beats a number, a quiet NaN a signaling one; between equals the larger significand wins, then the
 * positive one. The result is quiet.
 */
function chooseNaN(environment: FloatEnvironment, a: FloatValue, b: FloatValue): FloatValue {
  environment.roundedUp = false;
  if (a.kind === SIGNALING_NAN || b.kind === SIGNALING_NAN) environment.raise(INVALID);
  if (!b.isNaN) return quieted(a);
  if (!a.isNaN) return quieted(b);
  if (a.kind !== b.kind) return a.kind === QUIET_NAN ? a : b;
  if (a.significand !== b.significand) return quieted(a.significand > b.significand ? a : b);
  return quieted(a.negative ? b : a);
}

/** The result when an operand is no number, else undefined. */
export function special(environment: FloatEnvironment, a: FloatValue, b: FloatValue): FloatValue | undefined {
  if (isUnusable(a) || isUnusable(b)) return Arithmetic.invalid(environment);
  return a.isNaN || b.isNaN ? chooseNaN(environment, a, b) : undefined;
}

const format = (environment: FloatEnvironment): FloatFormat => extended(environment.precision);

export const add = (environment: FloatEnvironment, a: FloatValue, b: FloatValue): FloatValue =>
  special(environment, a, b) ?? Arithmetic.add(environment, a, b, format(environment));
export const subtract = (environment: FloatEnvironment, a: FloatValue, b: FloatValue): FloatValue =>
  special(environment, a, b) ?? Arithmetic.add(environment, a, b, format(environment), true);
export const multiply = (environment: FloatEnvironment, a: FloatValue, b: FloatValue): FloatValue =>
  special(environment, a, b) ?? Arithmetic.multiply(environment, a, b, format(environment));
export const divide = (environment: FloatEnvironment, a: FloatValue, b: FloatValue): FloatValue =>
  special(environment, a, b) ?? Arithmetic.divide(environment, a, b, format(environment));
export const squareRoot = (environment: FloatEnvironment, a: FloatValue): FloatValue =>
  special(environment, a, a) ?? Arithmetic.squareRoot(environment, a, format(environment));

/** FRNDINT (SDM 2A): to an integer by the current rounding mode; the precision control has no say. */
export function toIntegral(environment: FloatEnvironment, a: FloatValue): FloatValue {
  const nan = special(environment, a, a);
  if (nan !== undefined) return nan;
  environment.roundedUp = false;
  if (a.denormal) environment.raise(DENORMAL);
  if (environment.stopped || a.kind !== FINITE || a.exponent >= 0) return a;
  const rounded = roundToInteger(environment, a, environment.rounding, 66) as bigint;
  return rounded === 0n ? zero(a.negative) : fromInteger(rounded);
}

/** FSCALE: a × 2^trunc(b) (SDM 2A, with its table of results). */
export function scale(environment: FloatEnvironment, a: FloatValue, b: FloatValue): FloatValue {
  const nan = special(environment, a, b);
  if (nan !== undefined) return nan;
  if (b.kind === INFINITE) {
    if (b.negative ? a.kind === INFINITE : a.kind === ZERO) return Arithmetic.invalid(environment);
    environment.roundedUp = false;
    if (a.denormal) environment.raise(DENORMAL);
    return b.negative ? zero(a.negative) : infinity(a.negative);
  }
  environment.roundedUp = false;
  if (a.denormal || b.denormal) environment.raise(DENORMAL);
  if (environment.stopped || a.kind !== FINITE) return a;
  // beyond ±2^16 every further step only stays infinite or zero
  const power = b.kind === ZERO ? 0 : bitLength(b.significand) + b.exponent > 17 ? 0x2_0000 : truncated(b);
  const result = round(environment, a.negative, a.exponent + (b.negative ? -power : power), a.significand, extended(64));
  if (result.kind !== FINITE) return result;
  // so far outside that not even a wrapped exponent helps: "massive" overflow and underflow (SDM 1 §8.5.4, §8.5.5)
  const magnitude = result.exponent + bitLength(result.significand) - 1;
  if (magnitude <= EXPONENT_BIAS && magnitude >= MIN_QUANTUM) return result;
  environment.raise(INEXACT);
  environment.roundedUp = !b.negative;
  return b.negative ? zero(a.negative) : infinity(a.negative);
}

function truncated(value: FloatValue): number {
  return Number(
    value.exponent >= 0
      ? value.significand << BigInt(value.exponent)
      : value.exponent < -80
        ? 0n
        : value.significand >> BigInt(-value.exponent),
  );
}

/** FXTRACT: the significand with an exponent of 0, and the exponent as a number. */
export function extract(environment: FloatEnvironment, a: FloatValue): { readonly significand: FloatValue; readonly exponent: FloatValue } {
  const nan = special(environment, a, a);
  if (nan !== undefined) return { significand: nan, exponent: nan };
  environment.roundedUp = false;
  if (a.kind === INFINITE) return { significand: a, exponent: infinity(false) };
  if (a.kind === ZERO) {
    environment.raise(ZERO_DIVIDE);
    return { significand: a, exponent: infinity(true) };
  }
  if (a.denormal) environment.raise(DENORMAL);
  const length = bitLength(a.significand);
  return { significand: finite(a.negative, 1 - length, a.significand), exponent: fromInteger(BigInt(a.exponent + length - 1)) };
}

export interface Remainder {
  readonly value: FloatValue;
  /** Low bits of the quotient, for C1, C3 and C0. */
  readonly quotient: number;
  /** The reduction is only partial: C2. */
  readonly partial: boolean;
}

/** FPREM (`nearest` false: quotient cut towards zero) and FPREM1 (nearest: to the nearest integer), SDM 2A. */
export function remainder(environment: FloatEnvironment, a: FloatValue, b: FloatValue, nearest: boolean): Remainder {
  const nan = special(environment, a, b);
  if (nan !== undefined) return { value: nan, quotient: 0, partial: false };
  if (a.kind === INFINITE || b.kind === ZERO) return { value: Arithmetic.invalid(environment), quotient: 0, partial: false };
  environment.roundedUp = false;
  if (a.denormal || b.denormal) environment.raise(DENORMAL);
  if (environment.stopped || a.kind === ZERO) return { value: a, quotient: 0, partial: false };
  if (b.kind === INFINITE) {
    return { value: round(environment, a.negative, a.exponent, a.significand, extended(64)), quotient: 0, partial: false };
  }
  const distance = a.exponent + bitLength(a.significand) - (b.exponent + bitLength(b.significand));
  // SDM 2A: an implementation reduces the exponents' difference by 32 to 63 in one go
  const partial = distance >= 64;
  const skip = partial ? distance - (32 + (distance & 31)) : 0;
  const divisorExponent = b.exponent + skip;
  const low = Math.min(a.exponent, divisorExponent);
  // a dividend far below the divisor needs no alignment: the quotient is 0 (or, to nearest, still 0)
  if (distance < -1) {
    return { value: round(environment, a.negative, a.exponent, a.significand, extended(64)), quotient: 0, partial: false };
  }
  const dividend = a.significand << BigInt(a.exponent - low);
  const divisor = b.significand << BigInt(divisorExponent - low);
  let quotient = dividend / divisor;
  let rest = dividend - quotient * divisor;
  let negative = a.negative;
  if (nearest && !partial) {
    const twice = rest << 1n;
    if (twice > divisor || (twice === divisor && (quotient & 1n) === 1n)) {
      quotient += 1n;
      rest = divisor - rest;
      negative = !negative;
    }
  }
  const value = rest === 0n ? zero(a.negative) : round(environment, negative, low, rest, extended(64));
  return { value, quotient: partial ? 0 : Number(quotient & 7n), partial };
}

/** UNORDERED beside LESS, EQUAL, GREATER. */
export const UNORDERED = 2;

/** `quiet`: FUCOM and its kin, for which only signaling NaNs are invalid. */
export function compare(environment: FloatEnvironment, a: FloatValue, b: FloatValue, quiet: boolean): number {
  environment.roundedUp = false;
  if (isUnusable(a) || isUnusable(b)) {
    environment.raise(INVALID);
    return UNORDERED;
  }
  if (a.isNaN || b.isNaN) {
    if (!quiet || a.kind === SIGNALING_NAN || b.kind === SIGNALING_NAN) environment.raise(INVALID);
    return UNORDERED;
  }
  if (a.denormal || b.denormal) environment.raise(DENORMAL);
  return Arithmetic.compare(a, b);
}

/** FST m32/m64: rounded to a narrower format. */
export function narrow(environment: FloatEnvironment, a: FloatValue, target: FloatFormat): FloatValue {
  const nan = special(environment, a, a);
  if (nan !== undefined) return nan;
  environment.roundedUp = false;
  if (a.kind !== FINITE) return a;
  environment.wraps = false;
  const result = round(environment, a.negative, a.exponent, a.significand, target);
  environment.wraps = true;
  return result;
}

/** FLD m32/m64: exact, but denormals are reported and signaling NaNs are quieted (SDM 2A, FLD). */
export function widen(environment: FloatEnvironment, a: FloatValue): FloatValue {
  environment.roundedUp = false;
  if (a.denormal) environment.raise(DENORMAL);
  if (a.kind === SIGNALING_NAN) environment.raise(INVALID);
  return quieted(a);
}

/** FIST, FISTP, FISTTP: what does not fit gives the integer indefinite, −2^(bits−1), and is invalid. */
export function toInteger(environment: FloatEnvironment, a: FloatValue, bits: number, truncate: boolean): bigint {
  environment.roundedUp = false;
  if (a.kind === FINITE || a.kind === ZERO) {
    const result = roundToInteger(environment, a, truncate ? ROUND_TO_ZERO : environment.rounding, bits);
    if (result !== undefined) return result;
    environment.roundedUp = false;
  }
  environment.raise(INVALID);
  return -(1n << BigInt(bits - 1));
}

const BCD_LIMIT = 10n ** 18n;
/** "Packed BCD indefinite" (SDM 1 §4.7). */
export const BCD_INDEFINITE = 0xffff_c000_0000_0000_0000n;

/** FBSTP: 18 digits and a sign byte, 80 bits in all. */
export function toPackedDecimal(environment: FloatEnvironment, a: FloatValue): bigint {
  environment.roundedUp = false;
  if (a.kind === FINITE || a.kind === ZERO) {
    const raised = environment.flags;
    const rounded = roundToInteger(environment, a, environment.rounding, 66);
    const magnitude = rounded === undefined ? BCD_LIMIT : rounded < 0n ? -rounded : rounded;
    if (magnitude < BCD_LIMIT) {
      let digits = 0n;
      let rest = magnitude;
      for (let place = 0n; rest !== 0n; place += 4n, rest /= 10n) digits |= (rest % 10n) << place;
      return digits | (a.negative ? 1n << 79n : 0n);
    }
    environment.flags = raised;
    environment.roundedUp = false;
  }
  environment.raise(INVALID);
  return BCD_INDEFINITE;
}

/** FBLD. Digits above 9 are undefined by the SDM; they count with their place value here, as in silicon. */
export function fromPackedDecimal(packed: bigint): FloatValue {
  let magnitude = 0n;
  for (let place = 68n; place >= 0n; place -= 4n) magnitude = magnitude * 10n + ((packed >> place) & 15n);
  const negative = (packed >> 79n) & 1n;
  return magnitude === 0n ? zero(negative === 1n) : finite(negative === 1n, 0, magnitude);
}

/** What FXAM reports, as bits C3, C2, C0 of the status word. */
export function examine(value: FloatValue): number {
  const C0 = 1 << 8;
  const C2 = 1 << 10;
  const C3 = 1 << 14;
  switch (value.kind) {
    case UNSUPPORTED:
      return 0;
    case QUIET_NAN:
    case SIGNALING_NAN:
      return C0;
    case INFINITE:
      return C2 | C0;
    case ZERO:
      return C3;
    default:
      return value.denormal ? C3 | C2 : C2;
  }
}
