import { describe, expect, it } from 'vitest';
import { FloatEnvironment, INEXACT, OVERFLOW, ROUND_DOWN, ROUND_NEAREST, ROUND_TO_ZERO, ROUND_UP, UNDERFLOW } from './environment.ts';
import { pack32, pack64, unpack32, unpack64 } from './formats.ts';
import { BINARY32, BINARY64, bitLength, round } from './value.ts';

const environment = (rounding: number): FloatEnvironment => {
  const result = new FloatEnvironment();
  result.rounding = rounding;
  return result;
};
const view = new DataView(new ArrayBuffer(8));
const singleBits = (x: number): number => {
  view.setFloat32(0, x);
  return view.getInt32(0);
};

describe('bitLength', () => {
  it('is right where a conversion to double rounds up to the next power of two', () => {
    expect([0n, 1n, 255n, 256n, 2n ** 64n - 1n, 2n ** 64n, 2n ** 200n - 1n].map(bitLength)).toEqual([0, 1, 8, 9, 64, 65, 200]);
  });
});

describe('rounding', () => {
  it.each([
    ['to nearest, ties to even', ROUND_NEAREST, [1, 1.5 + 2 ** -23, 2]],
    ['down', ROUND_DOWN, [1, 1.5, 2 - 2 ** -23]],
    ['up', ROUND_UP, [1 + 2 ** -23, 1.5 + 2 ** -23, 2]],
    ['towards zero', ROUND_TO_ZERO, [1, 1.5, 2 - 2 ** -23]],
  ] as const)('%s', (_, mode, expected) => {
    // a quarter of the last place above 1; three quarters above 1.5; half of it below 2
    const values: [bigint, number][] = [
      [2n ** 25n + 1n, -25],
      [3n * 2n ** 24n + 3n, -25],
      [2n ** 25n - 1n, -24],
    ];
    const results = values.map(([significand, exponent]) => pack32(round(environment(mode), false, exponent, significand, BINARY32)));
    expect(results).toEqual(expected.map(singleBits));
  });

  it('tells inexact results and the direction in which they went', () => {
    const e = environment(ROUND_NEAREST);
    round(e, false, 0, 2n ** 24n + 1n, BINARY32);
    expect([e.flags, e.roundedUp]).toEqual([INEXACT, false]);
    round(e, true, 0, 2n ** 24n + 3n, BINARY32);
    expect(e.roundedUp).toBe(true);
  });

  it('overflows to infinity or to the largest number, by mode and sign', () => {
    const huge = (mode: number, negative: boolean): number => pack32(round(environment(mode), negative, 128, 1n, BINARY32)) >>> 0;
    expect([huge(ROUND_NEAREST, false), huge(ROUND_DOWN, false), huge(ROUND_DOWN, true), huge(ROUND_UP, true)]).toEqual([
      0x7f80_0000, 0x7f7f_ffff, 0xff80_0000, 0xff7f_ffff,
    ]);
    const e = environment(ROUND_NEAREST);
    round(e, false, 128, 1n, BINARY32);
    expect(e.flags).toBe(OVERFLOW | INEXACT);
  });

  it('a masked underflow needs a loss; an unmasked one only a tiny result', () => {
    const exact = environment(ROUND_NEAREST);
    round(exact, false, -149, 1n, BINARY32);
    expect(exact.flags).toBe(0);
    const lossy = environment(ROUND_NEAREST);
    round(lossy, false, -150, 3n, BINARY32);
    expect(lossy.flags).toBe(UNDERFLOW | INEXACT);
    const unmasked = environment(ROUND_NEAREST);
    unmasked.masks &= ~UNDERFLOW;
    round(unmasked, false, -149, 1n, BINARY32);
    expect(unmasked.flags).toBe(UNDERFLOW);
  });

  it('is tiny what is so after rounding to full precision: rounded up to the smallest normal number it still underflows', () => {
    const e = environment(ROUND_NEAREST);
    const result = round(e, false, -151, 2n ** 25n - 2n, BINARY32); // 2^−126 − 2^−150: 24 bits hold it, but not at this size
    expect([pack32(result), e.flags]).toEqual([0x0080_0000, UNDERFLOW | INEXACT]);
    const larger = environment(ROUND_NEAREST);
    round(larger, false, -151, 2n ** 25n - 1n, BINARY32); // rounds to 2^−126 with any exponent range
    expect(larger.flags).toBe(INEXACT);
  });
});

describe('formats', () => {
  it('every kind of binary32 and binary64 comes back as it was', () => {
    for (const bits of [0, 1, 0x007f_ffff, 0x0080_0000, 0x3f80_0000, 0x7f7f_ffff, 0x7f80_0000, 0x7fc0_1234, 0x7f80_0001]) {
      expect(pack32(unpack32(bits))).toBe(bits);
      expect(pack32(unpack32(bits | 0x8000_0000)) >>> 0).toBe((bits | 0x8000_0000) >>> 0);
    }
    for (const x of [0, 1, -1.5, Math.PI, 2 ** -1074, 2 ** -1022, Number.MAX_VALUE, -Infinity]) {
      view.setFloat64(0, x);
      expect(pack64(unpack64(view.getBigUint64(0)))).toBe(view.getBigUint64(0));
    }
  });

  it('DAZ makes denormals zeros of their sign', () => {
    const e = new FloatEnvironment();
    e.denormalsAreZero = true;
    expect(pack64(unpack64(0x8000_0000_0000_0001n, e))).toBe(0x8000_0000_0000_0000n);
    expect(round(e, false, -1074, 1n, BINARY64).kind).toBe(1);
  });
});
