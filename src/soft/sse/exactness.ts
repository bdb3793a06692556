/**
 * SSE arithmetic that happens to be exact, found out with the host's own floating point: programs that compute with whole
 * numbers in floating point never raise the inexact flag, so generated code sends all they do to the exact form. Each function
 * gives the result when it is exact and nothing is to be reported, NaN otherwise. Rounding modes do not matter then, DAZ and FZ
 * neither, because nothing denormal takes part.
 */

/** Gives the result of a op b, or NaN when the exact form must decide. Operands and result are of one format. */
export type Exactly = (a: number, b: number, isDouble: boolean) => number;

const SMALLEST_NORMAL_SINGLE = 2 ** -126;
const SMALLEST_NORMAL_DOUBLE = 2 ** -1022;
/** Rounding errors of products above this are normal numbers themselves, so that Dekker's method sees them. */
const SAFE_PRODUCT = 2 ** -900;
/** 2^27 + 1 cuts a 53-bit significand into two halves. */
const SPLITTER = 134_217_729;

const isPlain = (a: number, isDouble: boolean): boolean => {
  const magnitude = Math.abs(a);
  return magnitude === 0 || (magnitude >= (isDouble ? SMALLEST_NORMAL_DOUBLE : SMALLEST_NORMAL_SINGLE) && magnitude < Infinity);
};

/** What a × b has beyond the double `product` (T. J. Dekker's two-product); NaN on overflow on the way. */
function productError(a: number, b: number, product: number): number {
  const cutA = a * SPLITTER;
  const highA = cutA - (cutA - a);
  const lowA = a - highA;
  const cutB = b * SPLITTER;
  const highB = cutB - (cutB - b);
  const lowB = b - highB;
  return highA * highB - product + highA * lowB + lowA * highB + lowA * lowB;
}

/** a × b is `product`, no bit more. Products of two singles are exact as doubles. */
function isProduct(a: number, b: number, product: number, isDouble: boolean): boolean {
  if (!isDouble) return a * b === product;
  if (a * b !== product) return false;
  return product === 0 || (Math.abs(product) > SAFE_PRODUCT && productError(a, b, product) === 0);
}

export const addExactly: Exactly = (a, b, isDouble) => {
  if (!isPlain(a, isDouble) || !isPlain(b, isDouble)) return NaN;
  const sum = a + b;
  // D. E. Knuth's two-sum
  const shareB = sum - a;
  const error = a - (sum - shareB) + (b - shareB);
  if (error !== 0 || !isPlain(sum, isDouble) || sum === 0) return NaN; // the sign of a zero depends on the rounding mode
  return isDouble || Math.fround(sum) === sum ? sum : NaN;
};

export const subtractExactly: Exactly = (a, b, isDouble) => addExactly(a, -b, isDouble);

export const multiplyExactly: Exactly = (a, b, isDouble) => {
  if (!isPlain(a, isDouble) || !isPlain(b, isDouble)) return NaN;
  const product = a * b;
  if (a === 0 || b === 0) return product;
  if (!isDouble && Math.fround(product) !== product) return NaN;
  return product !== 0 && isPlain(product, isDouble) && isProduct(a, b, product, isDouble) ? product : NaN;
};

export const divideExactly: Exactly = (a, b, isDouble) => {
  if (!isPlain(a, isDouble) || !isPlain(b, isDouble) || b === 0) return NaN;
  const quotient = isDouble ? a / b : Math.fround(a / b);
  if (a === 0) return quotient;
  return quotient !== 0 && isPlain(quotient, isDouble) && isProduct(quotient, b, a, isDouble) ? quotient : NaN;
};

export const squareRootExactly: Exactly = (_, b, isDouble) => {
  if (!isPlain(b, isDouble) || b < 0) return NaN;
  const root = isDouble ? Math.sqrt(b) : Math.fround(Math.sqrt(b));
  return b === 0 || isProduct(root, root, b, isDouble) ? root : NaN;
};
