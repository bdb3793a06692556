/**
 * Arithmetic on values taken apart, correctly rounded to any format (IEEE 754 §5.4.1). NaNs never come here: x87 and SSE
 * choose differently among them, so each deals with them first. An invalid operation gives {@link INDEFINITE}.
 */
import { DENORMAL, type FloatEnvironment, INVALID, ROUND_DOWN, ZERO_DIVIDE } from './environment.ts';
import { bitLength, FINITE, type FloatFormat, type FloatValue, INDEFINITE, INFINITE, infinity, round, ZERO, zero } from './value.ts';

/** More than any format's significand and its rounding bits: an operand this far below the other is only "a bit more". */
const FAR = 140;

export function invalid(environment: FloatEnvironment): FloatValue {
  environment.raise(INVALID);
  environment.roundedUp = false;
  return INDEFINITE;
}

/** True when a denormal operand stops the operation because its exception is unmasked. */
function denormalStops(environment: FloatEnvironment, a: FloatValue, b: FloatValue): boolean {
  environment.roundedUp = false;
  if (a.denormal || b.denormal) environment.raise(DENORMAL);
  return environment.stopped;
}

/** a + b, or a − b with `subtract`. */
export function add(environment: FloatEnvironment, a: FloatValue, b: FloatValue, format: FloatFormat, subtract = false): FloatValue {
  const negative = b.negative !== subtract;
  if (a.kind === INFINITE && b.kind === INFINITE && a.negative !== negative) return invalid(environment);
  if (denormalStops(environment, a, b)) return INDEFINITE;
  if (a.kind === INFINITE) return a;
  if (b.kind === INFINITE) return infinity(negative);
  if (a.kind === ZERO && b.kind === ZERO) {
    return zero(a.negative === negative ? negative : environment.rounding === ROUND_DOWN);
  }
  if (a.kind === ZERO) return round(environment, negative, b.exponent, b.significand, format);
  if (b.kind === ZERO) return round(environment, a.negative, a.exponent, a.significand, format);

  let exponentA = a.exponent;
  let exponentB = b.exponent;
  let significandA = a.significand;
  let significandB = b.significand;
  const distance = exponentA + bitLength(significandA) - (exponentB + bitLength(significandB));
  if (distance > FAR) {
    exponentB = exponentA - FAR;
    significandB = 1n;
  } else if (distance < -FAR) {
    exponentA = exponentB - FAR;
    significandA = 1n;
  }
  const exponent = Math.min(exponentA, exponentB);
  const termA = significandA << BigInt(exponentA - exponent);
  const termB = significandB << BigInt(exponentB - exponent);
  const sum = (a.negative ? -termA : termA) + (negative ? -termB : termB);
  if (sum === 0n) return zero(environment.rounding === ROUND_DOWN);
  return round(environment, sum < 0n, exponent, sum < 0n ? -sum : sum, format);
}

export function multiply(environment: FloatEnvironment, a: FloatValue, b: FloatValue, format: FloatFormat): FloatValue {
  const negative = a.negative !== b.negative;
  const infinite = a.kind === INFINITE || b.kind === INFINITE;
  const none = a.kind === ZERO || b.kind === ZERO;
  if (infinite && none) return invalid(environment);
  if (denormalStops(environment, a, b)) return INDEFINITE;
  if (infinite) return infinity(negative);
  if (none) return zero(negative);
  return round(environment, negative, a.exponent + b.exponent, a.significand * b.significand, format);
}

export function divide(environment: FloatEnvironment, a: FloatValue, b: FloatValue, format: FloatFormat): FloatValue {
  const negative = a.negative !== b.negative;
  if (a.kind === b.kind && a.kind !== FINITE) return invalid(environment);
  if (b.kind === ZERO && a.kind === FINITE) {
    environment.raise(ZERO_DIVIDE);
    environment.roundedUp = false;
    return infinity(negative);
  }
  if (denormalStops(environment, a, b)) return INDEFINITE;
  if (a.kind === INFINITE || b.kind === ZERO) return infinity(negative);
  if (a.kind === ZERO || b.kind === INFINITE) return zero(negative);
  const shift = Math.max(0, format.precision + 3 + bitLength(b.significand) - bitLength(a.significand));
  const dividend = a.significand << BigInt(shift);
  const quotient = dividend / b.significand;
  const rest = quotient * b.significand !== dividend ? 1n : 0n;
  return round(environment, negative, a.exponent - b.exponent - shift - 1, (quotient << 1n) | rest, format);
}

/** Floor of the square root, by Newton's method from above. */
export function integerSquareRoot(n: bigint): bigint {
  if (n === 0n) return 0n;
  let guess = 1n << BigInt((bitLength(n) + 1) >> 1);
  for (;;) {
    const next = (guess + n / guess) >> 1n;
    if (next >= guess) return guess;
    guess = next;
  }
}

export function squareRoot(environment: FloatEnvironment, a: FloatValue, format: FloatFormat): FloatValue {
  environment.roundedUp = false;
  if (a.kind === ZERO) return a;
  if (a.negative) return invalid(environment);
  if (denormalStops(environment, a, a)) return INDEFINITE;
  if (a.kind === INFINITE) return a;
  let shift = Math.max(0, 2 * (format.precision + 3) - bitLength(a.significand));
  if ((a.exponent - shift) & 1) shift++;
  const radicand = a.significand << BigInt(shift);
  const root = integerSquareRoot(radicand);
  const rest = root * root !== radicand ? 1n : 0n;
  return round(environment, false, (a.exponent - shift) / 2 - 1, (root << 1n) | rest, format);
}

export const LESS = -1;
export const EQUAL = 0;
export const GREATER = 1;

/** How a stands to b; neither is a NaN. */
export function compare(a: FloatValue, b: FloatValue): number {
  if (a.kind === ZERO && b.kind === ZERO) return EQUAL;
  if (a.kind === ZERO) return b.negative ? GREATER : LESS;
  if (b.kind === ZERO) return a.negative ? LESS : GREATER;
  if (a.negative !== b.negative) return a.negative ? LESS : GREATER;
  const larger = a.negative ? LESS : GREATER;
  if (a.kind === INFINITE || b.kind === INFINITE) {
    return a.kind === b.kind ? EQUAL : a.kind === INFINITE ? larger : -larger;
  }
  const distance = a.exponent + bitLength(a.significand) - (b.exponent + bitLength(b.significand));
  if (distance !== 0) return distance > 0 ? larger : -larger;
  const shift = a.exponent - b.exponent; // bounded by the significands' lengths, as the leading bits are level
  const left = shift > 0 ? a.significand << BigInt(shift) : a.significand;
  const right = shift < 0 ? b.significand << BigInt(-shift) : b.significand;
  return left === right ? EQUAL : left > right ? larger : -larger;
}
