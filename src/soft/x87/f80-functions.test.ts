// The generated functions against the exact forms of f80.ts, which are held against silicon in test/silicon/fpu.
import { describe, expect, it } from 'vitest';
import { ALL_EXCEPTIONS, FloatEnvironment, INEXACT } from '../float/environment.ts';
import { fromInteger, pack32, pack64, unpack32, unpack64 } from '../float/formats.ts';
import { BINARY32, BINARY64, type FloatValue } from '../float/value.ts';
import { ModuleBuilder } from '../wasm/module.ts';
import * as F from './f80.ts';
import { F80_SIGNATURES, type F80FunctionName, f80FunctionsOf } from './f80-functions.ts';
import { C0, C1, C3 } from './unit.ts';

type F80Export = (...args: (number | bigint)[]) => [bigint, number];
function instantiate(): Record<F80FunctionName, F80Export> {
  const builder = new ModuleBuilder();
  const functions = f80FunctionsOf(builder);
  for (const name of Object.keys(F80_SIGNATURES)) functions[name as F80FunctionName];
  const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(builder.build()), { env: { memory } });
  return Object.fromEntries(Object.entries(exports).map(([name, f]) => [name.replace('f80_', ''), f])) as Record<F80FunctionName, F80Export>;
}
const f80 = instantiate();

interface Encoded {
  readonly significand: bigint;
  readonly signExponent: number;
}
const encoded = (signExponent: number, significand: bigint): Encoded => ({ significand, signExponent });
const ONE = encoded(0x3fff, 1n << 63n);
const ZERO = encoded(0, 0n);
const MINUS_ZERO = encoded(0x8000, 0n);
const INFINITY = encoded(0x7fff, 1n << 63n);
const QUIET_NAN = encoded(0x7fff, 0xc000_0000_0000_0005n);
const DENORMAL = encoded(0, 1n);
const PSEUDO_DENORMAL = encoded(0, 1n << 63n);
const UNNORMAL = encoded(0x4000, 1n << 62n);
const LARGEST = encoded(0x7ffe, 0xffff_ffff_ffff_ffffn);
const SMALLEST = encoded(1, 1n << 63n);
/** 1 + one unit in the last place. */
const ABOVE_ONE = encoded(0x3fff, (1n << 63n) | 1n);

/** FCW with all exceptions masked. */
const control = (precision: number, rounding: number): number => ALL_EXCEPTIONS | 0x40 | (precision << 8) | (rounding << 10);
const PRECISIONS = [24, 64, 53, 64];
const ORDINARY = control(3, 0);
const CONTROLS = [0, 1, 2, 3].flatMap((precision) => [0, 1, 2, 3].map((rounding) => control(precision, rounding)));

const environment = new FloatEnvironment();
environment.wraps = true;
function prepare(word: number): FloatEnvironment {
  environment.rounding = (word >> 10) & 3;
  environment.precision = PRECISIONS[(word >> 8) & 3] as number;
  environment.masks = word & ALL_EXCEPTIONS;
  environment.flags = 0;
  environment.roundedUp = false;
  return environment;
}
const decode = ({ signExponent, significand }: Encoded): FloatValue => F.decode80(signExponent, significand);

/** A result with its status bits as text; the generated function's may be "refused". */
const text = (significand: bigint, signExponent: number, status: number): string =>
  `${signExponent.toString(16)}.${BigInt.asUintN(64, significand).toString(16)} ${status.toString(16)}`;
const found = ([significand, outcome]: [bigint, number]): string =>
  outcome < 0 ? 'refused' : text(significand, outcome & 0xffff, outcome >>> 16);
const status = (): number => environment.flags | (environment.roundedUp ? C1 : 0);
const exact = (value: FloatValue): string => {
  const significand = F.encode80(value);
  return text(significand, F.encodedSignExponent, status());
};

const BINARY = { add: F.add, multiply: F.multiply, divide: F.divide } as const;
const UNARY = { squareRoot: F.squareRoot, toIntegral: F.toIntegral } as const;
type BinaryName = keyof typeof BINARY;

const compute = (name: BinaryName, a: Encoded, b: Encoded, word: number): string =>
  found(f80[name](a.significand, a.signExponent, b.significand, b.signExponent, word));
const computeExactly = (name: BinaryName, a: Encoded, b: Encoded, word: number): string =>
  exact(BINARY[name](prepare(word), decode(a), decode(b)));

/** A multiplicative hash over a counter: the same numbers in every run. */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b_79f5) | 0;
    const x = Math.imul(state ^ (state >>> 15), 1 | state);
    return (Math.imul(x ^ (x >>> 13), 0x85eb_ca6b) ^ (x >>> 16)) >>> 0;
  };
}
const random = randomFrom(80);
const random64 = (): bigint => (BigInt(random()) << 32n) | BigInt(random());

/** Significands with many bits, few bits, or as a single or a double has them. */
function significand(): bigint {
  const top = 1n << 63n;
  const bits = random64();
  const kinds = [bits, bits & random64() & random64(), bits & -(1n << 11n), bits & -(1n << 40n), 1n << BigInt(random() % 63), -(bits >> 58n)];
  return BigInt.asUintN(64, top | (kinds[random() % kinds.length] as bigint));
}
/** Mostly normal; `spread` is that of the exponents. */
function number(spread: number): Encoded {
  const special = [ZERO, MINUS_ZERO, INFINITY, QUIET_NAN, DENORMAL, PSEUDO_DENORMAL, UNNORMAL, LARGEST, SMALLEST, ABOVE_ONE];
  if (random() % 12 === 0) return special[random() % special.length] as Encoded;
  const exponent = 0x3fff + (random() % spread) - (spread >> 1);
  return encoded(exponent | (random() & 0x8000), significand());
}
const SPREADS = [2, 8, 70, 140, 300, 2200, 32_000];
const ROUNDS = 3000;

describe('what is not refused', () => {
  const differences: string[] = [];
  let refused = 0;
  let compared = 0;
  const compare = (what: string, actual: string, expected: string): void => {
    compared++;
    if (actual === 'refused') refused++;
    else if (actual !== expected && differences.length < 10) differences.push(`${what}: ${actual}, exactly ${expected}`);
  };

  it('is what the exact forms give: value, exceptions, C1, in all rounding modes and precisions', () => {
    for (let i = 0; i < ROUNDS; i++) {
      const spread = SPREADS[i % SPREADS.length] as number;
      const [a, b] = [number(spread), number(spread)];
      const word = CONTROLS[random() % CONTROLS.length] as number;
      const args = [a.significand, a.signExponent] as const;
      const shown = `${a.signExponent.toString(16)}.${a.significand.toString(16)} ${b.signExponent.toString(16)}.${b.significand.toString(16)} ${word.toString(16)}`;
      for (const name of ['add', 'multiply', 'divide'] as const) {
        compare(`${name} ${shown}`, compute(name, a, b, word), computeExactly(name, a, b, word));
      }
      for (const name of ['squareRoot', 'toIntegral'] as const) {
        compare(`${name} ${shown}`, found(f80[name](...args, word)), exact(UNARY[name](prepare(word), decode(a))));
      }
      const single = BigInt(pack32(F.narrow(prepare(word), decode(a), BINARY32)) >>> 0);
      compare(`toSingle ${shown}`, found(f80.toSingle(...args, word)), text(single, 0, status()));
      const double = pack64(F.narrow(prepare(word), decode(a), BINARY64));
      compare(`toDouble ${shown}`, found(f80.toDouble(...args, word)), text(double, 0, status()));
      const integer = F.toInteger(prepare(word), decode(a), 64, false);
      compare(`toInteger ${shown}`, found(f80.toInteger(...args, word)), text(integer, 0, status()));
      const scaled = exact(F.scale(prepare(word), decode(a), decode(b)));
      compare(`scale ${shown}`, found(f80.scale(...args, b.significand, b.signExponent)), scaled);
    }
    expect(differences).toEqual([]);
    expect(refused / compared).toBeLessThan(0.4);
  });

  it('holds for numbers that come from memory', () => {
    for (let i = 0; i < ROUNDS; i++) {
      const bits = random64();
      compare(`fromDouble ${bits.toString(16)}`, found(f80.fromDouble(bits)), exact(F.widen(prepare(ORDINARY), unpack64(bits))));
      const low = random();
      compare(`fromSingle ${low.toString(16)}`, found(f80.fromSingle(BigInt(low))), exact(F.widen(prepare(ORDINARY), unpack32(low))));
      const integer = BigInt.asIntN(64, bits) >> BigInt(random() % 64);
      prepare(ORDINARY);
      compare(`fromInteger ${integer}`, found(f80.fromInteger(integer)), exact(fromInteger(integer)));
    }
    expect(differences).toEqual([]);
  });

  it('would notice another last place', () => {
    expect(compute('add', ONE, ABOVE_ONE, ORDINARY)).not.toBe(computeExactly('add', ONE, ONE, ORDINARY));
  });
});

describe('rounding', () => {
  // 1 + 2^-63 is the number after 1; half of that distance is 2^-64
  const half = encoded(0x3fff - 64, 1n << 63n);
  it.each([
    ['to nearest: a tie goes to the even one below', 0, ONE, '3fff.8000000000000000 20'],
    ['to nearest: a tie goes to the even one above', 0, ABOVE_ONE, '3fff.8000000000000002 220'],
    ['down', 1, ABOVE_ONE, '3fff.8000000000000001 20'],
    ['up: C1 says so', 2, ONE, '3fff.8000000000000001 220'],
    ['towards zero', 3, ABOVE_ONE, '3fff.8000000000000001 20'],
  ] as const)('%s', (_, rounding, a, expected) => {
    expect(compute('add', a, half, control(3, rounding))).toBe(expected);
  });

  it('directions count for negative numbers the other way round', () => {
    const minusOne = encoded(0xbfff, 1n << 63n);
    const minusHalf = encoded(0x8000 | half.signExponent, half.significand);
    expect(compute('add', minusOne, minusHalf, control(3, 1))).toBe('bfff.8000000000000001 220');
    expect(compute('add', minusOne, minusHalf, control(3, 2))).toBe('bfff.8000000000000000 20');
  });

  it.each([
    [24, 0, '3ffd.aaaaab0000000000 220'],
    [53, 2, '3ffd.aaaaaaaaaaaaa800 20'],
    [64, 3, '3ffd.aaaaaaaaaaaaaaab 220'],
    [64, 1, '3ffd.aaaaaaaaaaaaaaab 220'],
  ])('to %i bits with precision control %i: 1/3', (_, precision, expected) => {
    expect(compute('divide', ONE, encoded(0x4000, 0xc000_0000_0000_0000n), control(precision, 0))).toBe(expected);
  });

  it('x − x is +0, and −0 when rounding down', () => {
    const minusOne = encoded(0xbfff, 1n << 63n);
    expect([0, 1, 2, 3].map((rounding) => compute('add', ONE, minusOne, control(3, rounding)))).toEqual(['0.0 0', '8000.0 0', '0.0 0', '0.0 0']);
  });

  it('a term added to zero is rounded to the precision in force', () => {
    expect(compute('add', ZERO, ABOVE_ONE, control(2, 2))).toBe('3fff.8000000000000800 220');
  });
});

describe('refused, so that the exact form computes it', () => {
  const names: readonly BinaryName[] = ['add', 'multiply', 'divide'];
  it.each([
    ['infinities', INFINITY],
    ['NaNs', QUIET_NAN],
    ['denormals', DENORMAL],
    ['pseudo-denormals', PSEUDO_DENORMAL],
    ['unnormals', UNNORMAL],
  ])('%s', (_, a) => {
    for (const name of names) {
      expect(compute(name, a, ONE, ORDINARY)).toBe('refused');
      expect(compute(name, ONE, a, ORDINARY)).toBe('refused');
    }
    expect(found(f80.squareRoot(a.significand, a.signExponent, ORDINARY))).toBe('refused');
  });

  it('overflow, underflow, division by zero, roots of negative numbers', () => {
    expect(compute('add', LARGEST, LARGEST, ORDINARY)).toBe('refused');
    expect(compute('multiply', SMALLEST, SMALLEST, ORDINARY)).toBe('refused');
    expect(compute('divide', ONE, ZERO, ORDINARY)).toBe('refused');
    expect(found(f80.squareRoot(1n << 63n, 0xbfff, ORDINARY))).toBe('refused');
  });

  it('inexact results when that exception is unmasked, exact ones not', () => {
    const unmasked = ORDINARY & ~INEXACT;
    expect(compute('divide', ONE, encoded(0x4000, 0xc000_0000_0000_0000n), unmasked)).toBe('refused');
    expect(compute('add', ONE, ONE, unmasked)).toBe('4000.8000000000000000 0');
  });

  it('integers beyond 64 bits', () => {
    expect(found(f80.toInteger(1n << 63n, 0x3fff + 63, ORDINARY))).toBe('refused');
    expect(f80.toInteger((1n << 64n) - 2n, 0x3fff + 62, ORDINARY)[0]).toBe(2n ** 63n - 1n);
  });
});

describe('comparison', () => {
  const compare = (a: Encoded, b: Encoded): unknown => f80.compare(a.significand, a.signExponent, b.significand, b.signExponent);
  it('orders normal numbers, zeros and infinities; zeros are equal whatever their sign', () => {
    const minusOne = encoded(0xbfff, 1n << 63n);
    const ascending = [encoded(0xffff, 1n << 63n), minusOne, ZERO, SMALLEST, ONE, ABOVE_ONE, LARGEST, INFINITY];
    for (const [i, a] of ascending.entries()) {
      for (const [j, b] of ascending.entries()) expect(compare(a, b)).toBe(i === j ? C3 : i < j ? C0 : 0);
    }
    expect(compare(ZERO, MINUS_ZERO)).toBe(C3);
  });

  it('leaves what is unordered or to be reported to the exact form', () => {
    for (const a of [QUIET_NAN, DENORMAL, UNNORMAL]) expect(compare(a, ONE)).toBeLessThan(0);
  });
});

describe('classes, as FXAM reports them', () => {
  it.each([
    ['normal', ONE],
    ['zero', ZERO],
    ['infinity', INFINITY],
    ['NaN', QUIET_NAN],
    ['denormal', DENORMAL],
    ['pseudo-denormal', PSEUDO_DENORMAL],
    ['unsupported', UNNORMAL],
  ])('%s', (_, a) => {
    expect(f80.examine(a.significand, a.signExponent)).toBe(F.examine(decode(a)));
  });
});
