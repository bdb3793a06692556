import { describe, expect, it } from 'vitest';
import { FloatEnvironment } from '../float/environment.ts';
import { pack32, pack64, unpack32, unpack64 } from '../float/formats.ts';
import { BINARY32, BINARY64 } from '../float/value.ts';
import { addExactly, divideExactly, type Exactly, multiplyExactly, squareRootExactly, subtractExactly } from './exactness.ts';
import * as Scalar from './scalar.ts';

const view = new DataView(new ArrayBuffer(8));
const bits64 = (x: number): bigint => {
  view.setFloat64(0, x);
  return view.getBigUint64(0);
};
const bits32 = (x: number): number => {
  view.setFloat32(0, x);
  return view.getInt32(0);
};
const OPERATIONS: readonly (readonly [string, Exactly, Scalar.Binary])[] = [
  ['add', addExactly, Scalar.add],
  ['subtract', subtractExactly, Scalar.subtract],
  ['multiply', multiplyExactly, Scalar.multiply],
  ['divide', divideExactly, Scalar.divide],
  ['square root', squareRootExactly, Scalar.squareRoot],
];
const NUMBERS = [
  0,
  -0,
  1,
  -1,
  2,
  3,
  0.5,
  7,
  10,
  0.1,
  1 / 3,
  1e10,
  2 ** 24 + 1,
  2 ** 53 - 1,
  2 ** -100,
  2 ** 100,
  -6.25,
  144,
  2 ** 1000,
  2 ** -1000,
  2 ** -1022,
  2 ** -1074,
  2 ** -126,
  2 ** -149,
  2 ** 127,
  1e308,
  Infinity,
  -Infinity,
  NaN,
];

describe.each(OPERATIONS)('%s', (_, exactly, binary) => {
  it.each([true, false])('claims a result only when the exact arithmetic agrees and reports nothing (double: %s)', (isDouble) => {
    let claimed = 0;
    const numbers = NUMBERS.map((n) => (isDouble ? n : Math.fround(n)));
    for (const a of numbers) {
      for (const b of numbers) {
        const result = exactly(a, b, isDouble);
        if (Number.isNaN(result)) continue;
        claimed++;
        const environment = new FloatEnvironment();
        const [x, y] = isDouble ? [unpack64(bits64(a)), unpack64(bits64(b))] : [unpack32(bits32(a)), unpack32(bits32(b))];
        const expected = binary(environment, x, y, isDouble ? BINARY64 : BINARY32);
        if (isDouble) expect(bits64(result)).toBe(pack64(expected));
        else expect(bits32(result)).toBe(pack32(expected));
        expect(environment.flags).toBe(0);
      }
    }
    expect(claimed).toBeGreaterThan(50);
  });
});

describe('what programs with whole numbers do', () => {
  it('is recognized as exact', () => {
    expect(addExactly(1234, -99, true)).toBe(1135);
    expect(multiplyExactly(1 << 20, 1e6 + 1, true)).toBe((1 << 20) * (1e6 + 1));
    expect(divideExactly(144, 12, false)).toBe(12);
    expect(squareRootExactly(0, 1e12, true)).toBe(1e6);
  });

  it('a rounded result is not', () => {
    expect(addExactly(0.1, 0.2, true)).toBeNaN();
    expect(multiplyExactly(0.1, 3, true)).toBeNaN();
    expect(divideExactly(1, 3, true)).toBeNaN();
    expect(squareRootExactly(0, 2, false)).toBeNaN();
  });
});
