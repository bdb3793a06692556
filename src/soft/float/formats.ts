/**
 * binary32 and binary64 as bit patterns ↔ values taken apart (SDM 1 §4.2.2), and integers as values.
 */
import type { FloatEnvironment } from './environment.ts';
import {
  BINARY32,
  BINARY64,
  bitLength,
  FINITE,
  type FloatFormat,
  FloatValue,
  INFINITE,
  QUIET_BIT,
  QUIET_NAN,
  SIGNALING_NAN,
  ZERO,
  zero,
} from './value.ts';

const INTEGER_BIT = 1n << 63n;

function unpack(bits: bigint, format: FloatFormat, environment?: FloatEnvironment): FloatValue {
  const fractionBits = BigInt(format.precision - 1);
  const width = format === BINARY32 ? 32n : 64n;
  const negative = bits >> (width - 1n) !== 0n;
  const biased = Number((bits >> fractionBits) & BigInt(2 * format.maxExponent + 1));
  const fraction = bits & ((1n << fractionBits) - 1n);
  if (biased === 2 * format.maxExponent + 1) {
    if (fraction === 0n) return new FloatValue(INFINITE, negative);
    const significand = INTEGER_BIT | (fraction << (63n - fractionBits));
    return new FloatValue(significand & QUIET_BIT ? QUIET_NAN : SIGNALING_NAN, negative, 0, significand);
  }
  const quantum = format.minExponent - format.precision + 1;
  if (biased !== 0) return new FloatValue(FINITE, negative, quantum + biased - 1, fraction | (1n << fractionBits));
  if (fraction === 0n || environment?.denormalsAreZero) return zero(negative);
  return new FloatValue(FINITE, negative, quantum, fraction, true);
}

/** `value` must be one that `round` gave for this format, or a special one. */
function pack(value: FloatValue, format: FloatFormat): bigint {
  const fractionBits = format.precision - 1;
  const width = format === BINARY32 ? 32n : 64n;
  const sign = value.negative ? 1n << (width - 1n) : 0n;
  const special = BigInt(2 * format.maxExponent + 1) << BigInt(fractionBits);
  if (value.kind === ZERO) return sign;
  if (value.kind === INFINITE) return sign | special;
  if (value.kind !== FINITE) return sign | special | ((value.significand & (INTEGER_BIT - 1n)) >> BigInt(63 - fractionBits));
  const quantum = format.minExponent - format.precision + 1;
  const length = bitLength(value.significand);
  const magnitude = value.exponent + length - 1;
  if (magnitude < format.minExponent) return sign | (value.significand << BigInt(value.exponent - quantum));
  const shift = format.precision - length;
  const significand = shift >= 0 ? value.significand << BigInt(shift) : value.significand >> BigInt(-shift);
  // adding the integer bit carries into the exponent field
  return sign + (BigInt(magnitude - format.minExponent) << BigInt(fractionBits)) + significand;
}

/** With `environment` given, its DAZ counts; x87 loads have none. */
export const unpack32 = (bits: number, environment?: FloatEnvironment): FloatValue => unpack(BigInt(bits >>> 0), BINARY32, environment);
export const unpack64 = (bits: bigint, environment?: FloatEnvironment): FloatValue =>
  unpack(BigInt.asUintN(64, bits), BINARY64, environment);
export const pack32 = (value: FloatValue): number => Number(pack(value, BINARY32)) | 0;
export const pack64 = (value: FloatValue): bigint => pack(value, BINARY64);

export function fromInteger(n: bigint): FloatValue {
  if (n === 0n) return zero(false);
  return new FloatValue(FINITE, n < 0n, 0, n < 0n ? -n : n);
}
