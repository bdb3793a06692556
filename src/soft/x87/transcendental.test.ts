// Agreement with a CPU within one unit in the last place is test/silicon/fpu; here are values known from elsewhere.
import { describe, expect, it } from 'vitest';
import { FloatEnvironment, INEXACT, INVALID, ZERO_DIVIDE } from '../float/environment.ts';
import { pack64, unpack64 } from '../float/formats.ts';
import { BINARY64, type FloatValue, finite } from '../float/value.ts';
import { decode80, narrow } from './f80.ts';
import * as T from './transcendental.ts';

const view = new DataView(new ArrayBuffer(8));
const number = (x: number): FloatValue => {
  view.setFloat64(0, x);
  return unpack64(view.getBigUint64(0));
};
const toDouble = (value: FloatValue): number => {
  view.setBigUint64(0, pack64(narrow(new FloatEnvironment(), value, BINARY64)));
  return view.getFloat64(0);
};
const e = (): FloatEnvironment => new FloatEnvironment();
const closeTo = (value: FloatValue, expected: number): void => {
  expect(Math.abs(toDouble(value) - expected)).toBeLessThanOrEqual(Math.abs(expected) * 2 ** -52);
};

describe('against the host library, as doubles', () => {
  const samples = [1e-30, 1e-9, 0.1, 0.5, 0.785, 0.9, -0.3, -1e-5];
  it.each(samples)('at %d', (x) => {
    closeTo(T.sine(e(), number(x)), Math.sin(x));
    closeTo(T.cosine(e(), number(x)), Math.cos(x));
    closeTo(T.tangent(e(), number(x)), Math.tan(x));
    closeTo(T.angle(e(), number(1), number(x)), Math.atan(x));
    closeTo(T.angle(e(), number(-2), number(x)), Math.atan2(x, -2));
    closeTo(T.timesLogarithmOfSuccessor(e(), number(x / 4), number(3)), (3 * Math.log1p(x / 4)) / Math.LN2);
    closeTo(T.powerOfTwoMinusOne(e(), number(x)), Math.expm1(x * Math.LN2));
    if (x > 0) closeTo(T.timesLogarithm(e(), number(x), number(-7)), -7 * Math.log2(x));
  });

  it('the functions keep their precision where the result is tiny', () => {
    closeTo(T.sine(e(), number(2 ** -900)), 2 ** -900);
    closeTo(T.powerOfTwoMinusOne(e(), number(2 ** -900)), 2 ** -900 * Math.LN2);
    closeTo(T.timesLogarithm(e(), number(1 + 2 ** -52), number(1)), 2 ** -52 / Math.LN2);
    closeTo(T.timesLogarithmOfSuccessor(e(), finite(false, -200, 1n), finite(false, 0, 3n)), (3 * 2 ** -200) / Math.LN2);
  });
});

describe('special cases', () => {
  it('log2 of powers of two is exact, of 0 a division by zero, of negative numbers invalid', () => {
    const exact = e();
    expect(toDouble(T.timesLogarithm(exact, number(2 ** -700), number(3)))).toBe(-2100);
    expect(exact.flags).toBe(0);
    const zero = e();
    expect(toDouble(T.timesLogarithm(zero, number(-0), number(2)))).toBe(-Infinity);
    expect(zero.flags).toBe(ZERO_DIVIDE);
    const negative = e();
    expect(toDouble(T.timesLogarithm(negative, number(-1), number(2)))).toBeNaN();
    expect(negative.flags).toBe(INVALID);
  });

  it('angles at zeros and infinities are multiples of a quarter π, with the sign of y', () => {
    expect(toDouble(T.angle(e(), number(-0), number(-0)))).toBe(-Math.PI);
    expect(toDouble(T.angle(e(), number(-Infinity), number(Infinity)))).toBe((3 * Math.PI) / 4);
    expect(toDouble(T.angle(e(), number(0), number(-1)))).toBe(-Math.PI / 2);
    expect(Object.is(toDouble(T.angle(e(), number(Infinity), number(-1))), -0)).toBe(true);
  });

  it('arguments of 2^63 and more cannot be reduced', () => {
    expect([T.isBeyondReduction(number(2 ** 63)), T.isBeyondReduction(number(2 ** 62))]).toEqual([true, false]);
  });

  it('reduction uses the documented 66-bit π: the sine of the 64-bit π is what is missing from that', () => {
    const environment = e();
    const pi64 = decode80(0x4000, 0xc90f_daa2_2168_c235n);
    const value = T.sine(environment, pi64);
    // 0.C90FDAA2 2168C235 − 0.C90FDAA2 2168C234 C, times 2^2: a quarter of the last place of a number from 2 to 4
    expect(toDouble(value)).toBe(-(2 ** -64));
    expect(environment.flags).toBe(INEXACT);
  });

  it('2^±1 − 1 is exact', () => {
    const environment = e();
    expect([toDouble(T.powerOfTwoMinusOne(environment, number(1))), toDouble(T.powerOfTwoMinusOne(environment, number(-1)))]).toEqual([
      1, -0.5,
    ]);
    expect(environment.flags).toBe(0);
  });
});
