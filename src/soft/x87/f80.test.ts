// Bit-by-bit agreement with a CPU is test/silicon/fpu; here stand the rules, one by one.
import { describe, expect, it } from 'vitest';
import { DENORMAL, FloatEnvironment, INEXACT, INVALID, ROUND_UP, ZERO_DIVIDE } from '../float/environment.ts';
import { unpack32, unpack64 } from '../float/formats.ts';
import { type FloatValue, UNSUPPORTED } from '../float/value.ts';
import * as F from './f80.ts';

const number = (x: number): FloatValue => {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, x);
  return unpack64(view.getBigUint64(0));
};
/** `sign and exponent.significand` in hexadecimal. */
const bits = (value: FloatValue): string => {
  const significand = F.encode80(value).toString(16).padStart(16, '0');
  return `${F.encodedSignExponent.toString(16).padStart(4, '0')}.${significand}`;
};
const QUIET = F.decode80(0x7fff, 0xc000_0000_0000_0005n);
const LARGER_QUIET = F.decode80(0xffff, 0xc000_0000_0000_0009n);
const SIGNALING = F.decode80(0x7fff, 0xa000_0000_0000_0000n);

describe('encodings', () => {
  it('unnormals, pseudo-NaNs and pseudo-infinities are unsupported, and invalid in arithmetic', () => {
    for (const [signExponent, significand] of [
      [0x4000, 1n << 62n],
      [0x7fff, 0n],
      [0x7fff, 1n << 62n],
    ] as const) {
      const value = F.decode80(signExponent, significand);
      expect(value.kind).toBe(UNSUPPORTED);
      const e = new FloatEnvironment();
      expect(bits(F.add(e, value, number(1)))).toBe('ffff.c000000000000000');
      expect(e.flags).toBe(INVALID);
    }
  });

  it('a pseudo-denormal is worth what biased exponent 1 says, and is reported as denormal', () => {
    const value = F.decode80(0, 1n << 63n);
    const e = new FloatEnvironment();
    expect(bits(F.add(e, value, number(0)))).toBe('0001.8000000000000000');
    expect(e.flags).toBe(DENORMAL);
  });
});

describe('NaNs', () => {
  it('the larger significand wins, whichever operand it is', () => {
    const e = new FloatEnvironment();
    expect(bits(F.add(e, QUIET, LARGER_QUIET))).toBe('ffff.c000000000000009');
    expect(bits(F.multiply(e, LARGER_QUIET, QUIET))).toBe('ffff.c000000000000009');
    expect(e.flags).toBe(0);
  });

  it('a quiet NaN beats a signaling one; a signaling one is quieted and invalid', () => {
    const e = new FloatEnvironment();
    expect(bits(F.add(e, QUIET, F.decode80(0x7fff, 0xbfff_ffff_ffff_ffffn)))).toBe('7fff.c000000000000005');
    expect(e.flags).toBe(INVALID);
    expect(bits(F.subtract(e, number(1), SIGNALING))).toBe('7fff.e000000000000000');
  });

  it('keep what fits of their payload when they are narrowed or widened', () => {
    expect(bits(F.widen(new FloatEnvironment(), unpack32(0x7fc0_0001)))).toBe('7fff.c000010000000000');
  });
});

describe('arithmetic', () => {
  it.each([
    [24, '3ffd.aaaaab0000000000'],
    [53, '3ffd.aaaaaaaaaaaaa800'],
    [64, '3ffd.aaaaaaaaaaaaaaab'],
  ])('rounds 1/3 to %i bits', (precision, expected) => {
    const e = new FloatEnvironment();
    e.precision = precision;
    expect(bits(F.divide(e, number(1), number(3)))).toBe(expected);
    expect(e.flags).toBe(INEXACT);
  });

  it.each([
    ['∞ − ∞', () => F.subtract(e(), number(Infinity), number(Infinity)), INVALID],
    ['0 × ∞', () => F.multiply(e(), number(0), number(Infinity)), INVALID],
    ['0 / 0', () => F.divide(e(), number(0), number(0)), INVALID],
    ['√−1', () => F.squareRoot(e(), number(-1)), INVALID],
  ])('%s is invalid and gives the indefinite NaN', (_, compute, flags) => {
    expect(bits(compute())).toBe('ffff.c000000000000000');
    expect(last.flags).toBe(flags);
  });
  let last = new FloatEnvironment();
  const e = (): FloatEnvironment => (last = new FloatEnvironment());

  it('a number divided by zero is infinite, signed, and reported', () => {
    expect(bits(F.divide(e(), number(-1), number(0)))).toBe('ffff.8000000000000000');
    expect(last.flags).toBe(ZERO_DIVIDE);
  });

  it('far smaller addends still decide the direction of rounding', () => {
    const up = e();
    up.rounding = ROUND_UP;
    expect(bits(F.add(up, number(1), F.decode80(1, 1n << 63n)))).toBe('3fff.8000000000000001');
  });

  it('remainders are exact and carry the low bits of the quotient', () => {
    const { value, quotient, partial } = F.remainder(e(), number(23), number(4), false);
    expect([bits(value), quotient, partial]).toEqual([bits(number(3)), 5, false]);
    const nearest = F.remainder(e(), number(23), number(4), true);
    expect([bits(nearest.value), nearest.quotient]).toEqual([bits(number(-1)), 6]);
    expect(F.remainder(e(), number(2 ** 100), number(3), false).partial).toBe(true);
  });

  it('FSCALE cuts its exponent towards zero, and never computes with huge ones', () => {
    expect(bits(F.scale(e(), number(3), number(-1.9)))).toBe(bits(number(1.5)));
    expect(bits(F.scale(e(), number(1), F.decode80(0x7ffe, 1n << 63n)))).toBe('7fff.8000000000000000');
  });
});

describe('integers and decimals', () => {
  it('what does not fit becomes the integer indefinite, and only that is reported', () => {
    const e = new FloatEnvironment();
    expect(F.toInteger(e, number(32_767.5), 16, false)).toBe(-32_768n);
    expect(e.flags).toBe(INVALID);
    expect(F.toInteger(new FloatEnvironment(), number(32_767.5), 16, true)).toBe(32_767n);
  });

  it('packed decimals keep 18 digits and a sign, zero included', () => {
    const e = new FloatEnvironment();
    expect(F.toPackedDecimal(e, number(-1234)).toString(16)).toBe('80000000000000001234');
    expect(F.toPackedDecimal(e, number(1e18))).toBe(F.BCD_INDEFINITE);
    expect(bits(F.fromPackedDecimal(0x8000_0000_0000_0000_1234n))).toBe(bits(number(-1234)));
    expect(bits(F.fromPackedDecimal(1n << 79n))).toBe('8000.0000000000000000');
  });
});

describe('comparison', () => {
  it('ordered comparisons object to any NaN, unordered ones only to signaling ones', () => {
    const e = new FloatEnvironment();
    expect(F.compare(e, number(1), QUIET, true)).toBe(F.UNORDERED);
    expect(e.flags).toBe(0);
    F.compare(e, number(1), QUIET, false);
    expect(e.flags).toBe(INVALID);
  });

  it('zeros are equal whatever their signs; infinities stand outside all numbers', () => {
    const e = new FloatEnvironment();
    expect(F.compare(e, number(0), number(-0), false)).toBe(0);
    expect(F.compare(e, number(-Infinity), F.decode80(0xfffe, 2n ** 64n - 1n), false)).toBe(-1);
  });
});
