/**
 * One element of SSE arithmetic, exact: binary32 and binary64 as values taken apart, under MXCSR's rounding, masks, FZ and DAZ, with
 * SSE's NaN rule (SDM 1 table 4-7): the first operand's NaN if it is one, else the second's, quieted.
 */
import * as Arithmetic from '../float/arithmetic.ts';
import { DENORMAL, type FloatEnvironment, INVALID } from '../float/environment.ts';
import { FINITE, type FloatFormat, type FloatValue, quieted, round, roundToInteger, SIGNALING_NAN, ZERO } from '../float/value.ts';

export type Binary = (environment: FloatEnvironment, a: FloatValue, b: FloatValue, format: FloatFormat) => FloatValue;

export function chooseNaN(environment: FloatEnvironment, a: FloatValue, b: FloatValue): FloatValue | undefined {
  if (!a.isNaN && !b.isNaN) return undefined;
  if (a.kind === SIGNALING_NAN || b.kind === SIGNALING_NAN) environment.raise(INVALID);
  return quieted(a.isNaN ? a : b);
}

export const add: Binary = (e, a, b, format) => chooseNaN(e, a, b) ?? Arithmetic.add(e, a, b, format);
export const subtract: Binary = (e, a, b, format) => chooseNaN(e, a, b) ?? Arithmetic.add(e, a, b, format, true);
export const multiply: Binary = (e, a, b, format) => chooseNaN(e, a, b) ?? Arithmetic.multiply(e, a, b, format);
export const divide: Binary = (e, a, b, format) => chooseNaN(e, a, b) ?? Arithmetic.divide(e, a, b, format);
export const squareRoot: Binary = (e, _, b, format) => chooseNaN(e, b, b) ?? Arithmetic.squareRoot(e, b, format);

/** MIN and MAX give the second operand, as it is, for NaNs and for two zeros (SDM 2B, MINPS). */
function extreme(environment: FloatEnvironment, a: FloatValue, b: FloatValue, wanted: number): FloatValue {
  if (a.isNaN || b.isNaN) {
    environment.raise(INVALID);
    return b;
  }
  if (a.denormal || b.denormal) environment.raise(DENORMAL);
  return Arithmetic.compare(a, b) === wanted ? a : b;
}
export const minimum: Binary = (e, a, b) => extreme(e, a, b, Arithmetic.LESS);
export const maximum: Binary = (e, a, b) => extreme(e, a, b, Arithmetic.GREATER);

export const UNORDERED = 2;

/** LESS, EQUAL, GREATER or UNORDERED. `signaling`: quiet NaNs are invalid, too. */
export function relate(environment: FloatEnvironment, a: FloatValue, b: FloatValue, signaling: boolean): number {
  if (a.isNaN || b.isNaN) {
    if (signaling || a.kind === SIGNALING_NAN || b.kind === SIGNALING_NAN) environment.raise(INVALID);
    return UNORDERED;
  }
  if (a.denormal || b.denormal) environment.raise(DENORMAL);
  return Arithmetic.compare(a, b);
}

/** CMPccPS predicates 0–7 (SDM 2A table 3-1): EQ, LT, LE, UNORD and their negations. */
export function satisfies(environment: FloatEnvironment, a: FloatValue, b: FloatValue, predicate: number): boolean {
  const basic = predicate & 3;
  const relation = relate(environment, a, b, basic === 1 || basic === 2);
  let holds = relation === UNORDERED;
  if (basic === 0) holds = relation === Arithmetic.EQUAL;
  else if (basic === 1) holds = relation === Arithmetic.LESS;
  else if (basic === 2) holds = relation === Arithmetic.LESS || relation === Arithmetic.EQUAL;
  return holds !== (predicate & 4) > 0;
}

/** Between binary32 and binary64. */
export function convert(environment: FloatEnvironment, a: FloatValue, target: FloatFormat): FloatValue {
  const nan = chooseNaN(environment, a, a);
  if (nan !== undefined) return nan;
  if (a.denormal) environment.raise(DENORMAL);
  if (environment.stopped || a.kind !== FINITE) return a;
  return round(environment, a.negative, a.exponent, a.significand, target);
}

/** What does not fit gives the integer indefinite, −2^(bits−1), and is invalid (SDM 1 §11.5.2.1). Denormals are no exception here. */
export function toInteger(environment: FloatEnvironment, a: FloatValue, bits: number, rounding: number): bigint {
  if (a.kind === FINITE || a.kind === ZERO) {
    const result = roundToInteger(environment, a, rounding, bits);
    if (result !== undefined) return result;
  }
  environment.raise(INVALID);
  return -(1n << BigInt(bits - 1));
}

export const fromInteger = (environment: FloatEnvironment, value: FloatValue, target: FloatFormat): FloatValue =>
  value.kind === FINITE ? round(environment, value.negative, value.exponent, value.significand, target) : value;
