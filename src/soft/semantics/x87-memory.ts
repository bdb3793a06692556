/** Memory operands of x87 instructions: how they are read as numbers, and how numbers become them. */
import type { F80FunctionName } from '../x87/f80-functions.ts';
import { BIAS, INTEGER_BIT, SIGN, towardsZero } from '../x87/f80-rounding.ts';
import { i64, type Value } from '../wasm/value.ts';
import type { Scope } from './dsl.ts';
import type { Extended, X87Stack } from './x87-stack.ts';

export interface MemoryFormat {
  /** As in mnemonics. */
  readonly name: string;
  readonly bytes: 2 | 4 | 8;
  readonly isInteger: boolean;
  readonly widen: F80FunctionName;
  readonly narrow: F80FunctionName;
}

export const REALS: readonly MemoryFormat[] = [
  { name: 'm32', bytes: 4, isInteger: false, widen: 'fromSingle', narrow: 'toSingle' },
  { name: 'm64', bytes: 8, isInteger: false, widen: 'fromDouble', narrow: 'toDouble' },
];
export const INTEGERS: readonly MemoryFormat[] = ([2, 4, 8] as const).map((bytes) => ({
  name: `i${bytes * 8}`, bytes, isInteger: true, widen: 'fromInteger', narrow: 'toInteger',
}));

/** The memory operand as a number, and its address. */
export function loadNumber(s: Scope, stack: X87Stack, { bytes, isInteger, widen }: MemoryFormat): { readonly number: Extended; readonly address: Value } {
  const address = s.local(s.linearAddress());
  const raw = s.load(address, bytes);
  if (!isInteger) return { number: widenReal(s, stack, raw.widen(), bytes === 8 ? DOUBLE : SINGLE, widen), address };
  return { number: stack.call(widen, bytes === 2 ? raw.extend(16).widenSigned() : raw.widenSigned()), address };
}

/** What a real operand has of which width. */
interface RealFormat {
  readonly fraction: number;
  readonly exponent: number;
}
const SINGLE: RealFormat = { fraction: 23, exponent: 8 };
const DOUBLE: RealFormat = { fraction: 52, exponent: 11 };

/** Normal numbers are widened on the spot, everything else by the function `widen`. */
function widenReal(s: Scope, stack: X87Stack, bits: Value, { fraction, exponent }: RealFormat, widen: F80FunctionName): Extended {
  const special = (1 << exponent) - 1;
  const field = s.local(bits.shr(fraction).wrap().and(special));
  const significand = s.variable(bits.shl(63 - fraction).or(i64(INTEGER_BIT)));
  const sign = bits.shr(fraction + exponent - 15).wrap().and(SIGN);
  const signExponent = s.variable(sign.or(field.add(BIAS - (special >> 1))));
  s.code.if(field.sub(1).ge(special - 1), () => {
    const widened = stack.compute(widen, bits);
    significand.set(widened.significand);
    signExponent.set(widened.signExponent);
  }, undefined, false);
  return { significand: significand.value, signExponent: signExponent.value };
}

/**
 * ST(0) as the bits of a memory operand, and what the status word gains; towards zero when `truncates`. Integers that are too
 * large for the operand go the exact way.
 */
export function narrowTop(stack: X87Stack, { bytes, isInteger, narrow }: MemoryFormat, truncates: boolean): { readonly bits: Value; readonly status: Value } {
  const { significand, signExponent } = stack.read(0);
  const control = truncates ? towardsZero(stack.control) : stack.control;
  const { significand: wide, status } = stack.compute(narrow, significand, signExponent, control);
  if (bytes === 8) return { bits: wide, status };
  if (isInteger) stack.exactIf(wide.shl(64 - bytes * 8).shrSigned(64 - bytes * 8).ne(wide));
  return { bits: wide.wrap(), status };
}
