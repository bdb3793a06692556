/**
 * SSE floating point where WebAssembly's arithmetic gives exactly what SSE would: MXCSR to nearest and with all exceptions masked,
 * operands and results normal or zero (so that FZ and DAZ have nothing to do), and no exception flag to raise that is not up
 * already. The one flag that almost every operation raises, inexact, is sticky, so after the first inexact result these paths are
 * open; before, a result must be found to be exact. For NaNs, denormals, overflow, underflow, first inexact results and other
 * settings the instruction goes to its exact form (sse/operations.ts).
 */
import { MXCSR } from '../../x86/state.ts';
import { constant, i32, select, Value } from '../wasm/value.ts';
import { cold, type Scope, type Semantics, type SemanticsTable } from './dsl.ts';
import * as V from './vector.ts';

/** Rounding control and masks of MXCSR: what of its settings matters to numbers that are normal or zero. */
const CONTROL = 0x7f80;
const DEFAULT_CONTROL = 0x1f80;
const INEXACT = 1 << 5;
const ROUNDING_SHIFT = 13;
const OPEN = DEFAULT_CONTROL | INEXACT;
const control = (s: Scope): Value => s.field(MXCSR, 'i32').and(CONTROL | INEXACT);
/** Default, with the inexact flag up already. */
const openMxcsr = (s: Scope): Value => control(s).eq(OPEN);

const ABOVE_TINY32 = 2 ** -126 + 2 ** -149;
const ABOVE_TINY64 = 2 ** -1022 + 2 ** -1074;

type Kind = 'ss' | 'sd' | 'ps' | 'pd';

interface Opcodes {
  readonly abs: number; readonly sqrt: number; readonly add: number; readonly sub: number; readonly mul: number; readonly div: number;
  readonly eq: number; readonly lt: number; readonly le: number; readonly ge: number;
  readonly nearest: number; readonly trunc: number; readonly floor: number; readonly ceil: number;
}

/** Arithmetic on one element or on all elements of a vector, and tests that end in one i32. */
class Floats {
  readonly #op: Opcodes;
  readonly #isVector: boolean;
  readonly #type: 'f32' | 'f64' | 'v128';
  readonly #splat: number;
  readonly #element: 'f32' | 'f64';
  readonly #allTrue: number;
  /** Bytes of the operand. */
  readonly bytes: number;

  constructor(kind: Kind) {
    const isDouble = kind.endsWith('d');
    this.#isVector = kind.startsWith('p');
    this.#element = isDouble ? 'f64' : 'f32';
    this.#type = this.#isVector ? 'v128' : this.#element;
    this.bytes = this.#isVector ? 16 : isDouble ? 8 : 4;
    this.#splat = isDouble ? 0x14 : 0x13;
    this.#allTrue = isDouble ? V.OP.allTrue64 : V.OP.allTrue32;
    this.#op = OPCODES[kind];
  }

  #binary(opcode: number, a: Value, b: Value): Value {
    return this.#isVector ? a.simd('v128', opcode, b) : a.binary(this.#type, opcode, b);
  }
  #unary(opcode: number, a: Value): Value {
    return this.#isVector ? a.simd('v128', opcode) : a.unary(this.#type, opcode);
  }
  #test(opcode: number, a: Value, b: Value): Value {
    return this.#isVector ? a.simd('v128', opcode, b) : a.binary('i32', opcode, b);
  }
  add(a: Value, b: Value): Value { return this.#binary(this.#op.add, a, b); }
  sub(a: Value, b: Value): Value { return this.#binary(this.#op.sub, a, b); }
  mul(a: Value, b: Value): Value { return this.#binary(this.#op.mul, a, b); }
  div(a: Value, b: Value): Value { return this.#binary(this.#op.div, a, b); }
  sqrt(a: Value): Value { return this.#unary(this.#op.sqrt, a); }
  nearest(a: Value): Value { return this.#unary(this.#op.nearest, a); }
  trunc(a: Value): Value { return this.#unary(this.#op.trunc, a); }
  floor(a: Value): Value { return this.#unary(this.#op.floor, a); }
  ceil(a: Value): Value { return this.#unary(this.#op.ceil, a); }
  eq(a: Value, b: Value): Value { return this.#test(this.#op.eq, a, b); }
  lt(a: Value, b: Value): Value { return this.#test(this.#op.lt, a, b); }
  le(a: Value, b: Value): Value { return this.#test(this.#op.le, a, b); }
  ge(a: Value, b: Value): Value { return this.#test(this.#op.ge, a, b); }
  and(a: Value, b: Value): Value { return this.#isVector ? a.simd('v128', V.OP.and, b) : a.and(b); }
  or(a: Value, b: Value): Value { return this.#isVector ? a.simd('v128', V.OP.or, b) : a.or(b); }
  not(a: Value): Value { return this.#isVector ? a.simd('v128', V.OP.not) : a.isZero(); }
  /** Every element passed the test: i32. */
  all(test: Value): Value { return this.#isVector ? test.simd('i32', this.#allTrue) : test; }
  number(n: number): Value {
    const element = constant(this.#element, n);
    return this.#isVector ? element.simd('v128', this.#splat) : element;
  }
  isZero(a: Value): Value { return this.#isVector ? this.eq(a, this.number(0)) : this.#withoutSign(a).isZero(); }
  /** The bits of a scalar, shifted so that the sign is gone: scalars are judged as integers, which takes half the instructions. */
  #withoutSign(a: Value): Value {
    return this.#element === 'f64' ? a.unary('i64', REINTERPRET_AS_I64).shl(1) : a.unary('i32', REINTERPRET_AS_I32).shl(1);
  }
  /**
   * |a| is above the smallest normal number, and finite. That number itself may have been rounded up from a tiny one, which
   * is an underflow (tininess is detected after rounding to full precision, SDM 1 §4.9.1.5).
   */
  isNormal(s: Scope, a: Value): Value {
    if (!this.#isVector) {
      const least = this.#element === 'f64' ? SMALLEST64 + 2n : SMALLEST32 + 2n;
      return this.#withoutSign(a).sub(least).lt((this.#element === 'f64' ? INFINITY64 : INFINITY32) - least);
    }
    const magnitude = s.local(this.#unary(this.#op.abs, a));
    const least = this.number(this.#element === 'f64' ? ABOVE_TINY64 : ABOVE_TINY32);
    return this.and(this.ge(magnitude, least), this.lt(magnitude, this.number(Infinity)));
  }
  /** Zero, normal, or no finite number at all. */
  isNotDenormal(s: Scope, a: Value): Value {
    if (!this.#isVector) return this.#withoutSign(a).sub(1).ge((this.#element === 'f64' ? SMALLEST64 : SMALLEST32) - 1n);
    const magnitude = this.#unary(this.#op.abs, a);
    return this.or(this.not(this.lt(magnitude, this.number(this.#element === 'f64' ? 2 ** -1022 : 2 ** -126))), this.isZero(s.local(a)));
  }
  isPlain(s: Scope, a: Value): Value {
    return this.or(this.isNormal(s, a), this.isZero(a));
  }
  /** What rounding took from a sum (O. Møller 1965, D. Knuth): zero when it is exact. NaN or wrong only where `isPlain` fails. */
  sumError(s: Scope, a: Value, b: Value, sum: Value): Value {
    const bPart = s.local(this.sub(sum, a));
    return this.add(this.sub(a, this.sub(sum, bPart)), this.sub(b, bPart));
  }
  /** What rounding took from a product (T. Dekker 1971); NaN for very large operands. */
  productError(s: Scope, a: Value, b: Value, product: Value): Value {
    const [aHigh, aLow] = this.#split(s, a);
    const [bHigh, bLow] = this.#split(s, b);
    const high = this.sub(this.mul(aHigh, bHigh), product);
    return this.add(this.add(this.add(high, this.mul(aHigh, bLow)), this.mul(aLow, bHigh)), this.mul(aLow, bLow));
  }
  /**
   * Whether a × b is `product`, normal or zero, without rounding: certainly when no factor has more than half of the bits; else
   * when there is no error. Where the error itself could be rounded, the answer is no.
   */
  isExactProduct(s: Scope, a: Value, b: Value, product: Value): Value {
    const smallest = this.#element === 'f64' ? 2 ** -900 : 2 ** -70;
    const hasNoError = (): Value => {
      const isSafe = this.or(this.ge(this.#unary(this.#op.abs, product), this.number(smallest)), this.isZero(product));
      return this.and(isSafe, this.isZero(this.productError(s, a, b, product)));
    };
    if (this.#isVector) return hasNoError();
    const lowerHalf = this.#element === 'f64' ? 64 - 27 : 32 - 12;
    const isExact = s.variable(this.#withoutSign(a).or(this.#withoutSign(b)).shl(lowerHalf - 1).isZero());
    s.code.if(isExact.value.isZero(), () => isExact.set(hasNoError()));
    return isExact.value;
  }
  #split(s: Scope, a: Value): readonly [high: Value, low: Value] {
    const scaled = s.local(this.mul(a, this.number(this.#element === 'f64' ? 2 ** 27 + 1 : 2 ** 12 + 1)));
    const high = s.local(this.sub(scaled, this.sub(scaled, a)));
    return [high, s.local(this.sub(a, high))];
  }
  /** |a| < bound. */
  isWithin(a: Value, bound: number): Value {
    return this.lt(this.#unary(this.#op.abs, a), this.number(bound));
  }

  readReg(s: Scope): Value {
    return s.local(s.vectorRegister('reg').read(this.#type, this.bytes));
  }
  readRm(s: Scope): Value {
    if (!s.rm.isMemory) return s.local(s.vectorRegister('rm').read(this.#type, this.bytes));
    if (this.#isVector) return s.load128(V.alignedAddress(s));
    const address = s.local(s.linearAddress());
    if (this.bytes === 8) return s.local(s.load(address, 8).unary('f64', REINTERPRET_AS_F64));
    return s.local(s.load(address, 4).unary('f32', REINTERPRET_AS_F32));
  }
  writeReg(s: Scope, value: Value): void {
    s.vectorRegister('reg').write(value, this.bytes);
  }
}

const REINTERPRET_AS_I32 = 0xbc;
const REINTERPRET_AS_I64 = 0xbd;
/** The smallest normal number and infinity, their bits without the sign shifted up by one. */
const SMALLEST32 = 1n << 24n;
const SMALLEST64 = 1n << 53n;
const INFINITY32 = 0xffn << 24n;
const INFINITY64 = 0x7ffn << 53n;
const REINTERPRET_AS_F32 = 0xbe;
const REINTERPRET_AS_F64 = 0xbf;
const OPCODES: Readonly<Record<Kind, Opcodes>> = {
  ss: {
    abs: 0x8b, nearest: 0x90, trunc: 0x8f, floor: 0x8e, ceil: 0x8d, sqrt: 0x91, add: 0x92, sub: 0x93, mul: 0x94, div: 0x95,
    eq: 0x5b, lt: 0x5d, le: 0x5f, ge: 0x60,
  },
  sd: {
    abs: 0x99, nearest: 0x9e, trunc: 0x9d, floor: 0x9c, ceil: 0x9b, sqrt: 0x9f, add: 0xa0, sub: 0xa1, mul: 0xa2, div: 0xa3,
    eq: 0x61, lt: 0x63, le: 0x65, ge: 0x66,
  },
  ps: {
    abs: 0xe0, nearest: 0x6a, trunc: 0x69, floor: 0x68, ceil: 0x67, sqrt: 0xe3, add: 0xe4, sub: 0xe5, mul: 0xe6, div: 0xe7,
    eq: 0x41, lt: 0x43, le: 0x45, ge: 0x46,
  },
  pd: {
    abs: 0xec, nearest: 0x94, trunc: 0x7a, floor: 0x75, ceil: 0x74, sqrt: 0xef, add: 0xf0, sub: 0xf1, mul: 0xf2, div: 0xf3,
    eq: 0x47, lt: 0x49, le: 0x4b, ge: 0x4c,
  },
};

/** Goes to the exact form of the instruction unless `natural` (i32) holds. */
const unless = (s: Scope, natural: Value, name: string): void => s.code.if(natural.isZero(), () => s.system(name), undefined, false);

type Compute = (f: Floats, a: Value, b: Value) => Value;
/** Whether the result is that of SSE, as an element test, given that no operand is denormal: operands that are no numbers show in it. */
type Judge = (f: Floats, s: Scope, a: Value, b: Value, result: Value) => Value;

/** The result of an addition is zero only exactly. */
const sumIsPlain: Judge = (f, s, _a, _b, result) => f.or(f.isNormal(s, result), f.isZero(result));
/** A zero product of numbers that are not zero is an underflow. */
const productIsPlain: Judge = (f, s, a, b, result) => f.or(f.isNormal(s, result), f.and(f.isZero(result), f.or(f.isZero(a), f.isZero(b))));
const quotientIsPlain: Judge = (f, s, a, _b, result) => f.or(f.isNormal(s, result), f.and(f.isZero(result), f.isZero(a)));
const rootIsPlain: Judge = (f, _s, _a, b) => f.ge(b, f.number(0));

const sumIsExact: Judge = (f, s, a, b, result) => f.isZero(f.sumError(s, a, b, result));
const differenceIsExact: Judge = (f, s, a, b, result) => f.isZero(f.sumError(s, a, s.local(f.sub(f.number(0), b)), result));
const productIsExact: Judge = (f, s, a, b, result) => f.isExactProduct(s, a, b, result);
const quotientIsExact: Judge = (f, s, a, b, result) => {
  const product = s.local(f.mul(result, b));
  return f.and(f.eq(product, a), f.isExactProduct(s, result, b, product));
};
const rootIsExact: Judge = (f, s, _a, b, result) => {
  const square = s.local(f.mul(result, result));
  return f.and(f.eq(square, b), f.isExactProduct(s, result, result, square));
};

/** `isExact` is asked while no result has been inexact. */
const arithmetic = (name: string, kind: Kind, compute: Compute, judge: Judge, isExact: Judge, isUnary = false): Semantics =>
  cold((s) => {
    const f = new Floats(kind);
    const b = f.readRm(s);
    const a = isUnary ? b : f.readReg(s);
    const result = s.local(compute(f, a, b));
    const operands = isUnary ? f.isNotDenormal(s, b) : f.and(f.isNotDenormal(s, a), f.isNotDenormal(s, b));
    unless(s, f.all(f.and(operands, judge(f, s, a, b, result))), name);
    const mode = s.local(control(s));
    s.code.if(mode.ne(OPEN), () => unless(s, f.all(isExact(f, s, a, b, result)).and(mode.eq(DEFAULT_CONTROL)), name), undefined, false);
    f.writeReg(s, result);
  });

/** MIN and MAX round nothing: plain operands do under any MXCSR. Equal zeros give the second operand (SDM 2B, MINPS). */
const extreme = (name: string, kind: Kind, takesFirst: (f: Floats, a: Value, b: Value) => Value): Semantics =>
  cold((s) => {
    const f = new Floats(kind);
    const b = f.readRm(s);
    const a = f.readReg(s);
    unless(s, f.all(f.and(f.isPlain(s, a), f.isPlain(s, b))), name);
    const first = takesFirst(f, a, b);
    f.writeReg(s, kind.startsWith('p') ? a.simd('v128', V.OP.bitselect, b, first) : select(first, a, b));
  });

/** CMPccPS (SDM 2A table 3-1): bits 1:0 of the predicate choose EQ, LT, LE, UNORD, bit 2 negates. Plain numbers are never unordered. */
const comparison = (name: string, kind: Kind): Semantics =>
  cold((s) => {
    const f = new Floats(kind);
    const b = f.readRm(s);
    const a = f.readReg(s);
    unless(s, f.all(f.and(f.isPlain(s, a), f.isPlain(s, b))), name);
    const predicate = s.local(V.immediate(s));
    const basic = predicate.and(3);
    const isVector = kind.startsWith('p');
    const never = isVector ? V.ZEROS : i32(0);
    const holds = s.local(select(basic.eq(0), f.eq(a, b), select(basic.eq(1), f.lt(a, b), select(basic.eq(2), f.le(a, b), never))));
    const outcome = s.local(select(predicate.and(4), f.not(holds), holds));
    if (isVector) f.writeReg(s, outcome);
    else {
      const mask = outcome.negate();
      s.vectorRegister('reg').write(f.bytes === 8 ? mask.widenSigned() : mask, f.bytes);
    }
  });

/** COMISS and kin: ZF when equal, CF when less; OF, SF, AF clear. Plain numbers are never unordered. */
const compareToFlags = (name: string, kind: Kind): Semantics =>
  cold((s) => {
    const f = new Floats(kind);
    const b = f.readRm(s);
    const a = f.readReg(s);
    unless(s, f.and(f.isPlain(s, a), f.isPlain(s, b)), name);
    s.orderFlags(f.lt(a, b), f.eq(a, b));
  });

/** Saturating conversions behind prefix FC. */
const truncate = (type: 'i32' | 'i64', opcode: number, value: Value): Value =>
  new Value(type, (code) => {
    value.emit(code);
    code.bytes.byte(0xfc).byte(opcode);
  });

/**
 * CVTSD2SI and kin to a 32- or 64-bit register. A number that is an integer already converts under any MXCSR; others need the
 * default one. Out of range, and NaNs, go the exact way.
 */
const toGeneral = (name: string, kind: 'ss' | 'sd', truncates: boolean): Semantics =>
  cold((s) => {
    const f = new Floats(kind);
    const value = f.readRm(s);
    const whole = s.local(truncates ? f.trunc(value) : f.nearest(value));
    const natural = f.isWithin(whole, s.size === 8 ? 2 ** 63 : 2 ** 31).and(f.eq(whole, value).or(openMxcsr(s)));
    unless(s, natural, name);
    const opcode = (s.size === 8 ? 4 : 0) + (kind === 'sd' ? 2 : 0);
    s.reg.write(truncate(s.word, opcode, whole));
  });

/** CVTSI2SD and kin; what fits the significand is exact under any MXCSR. */
const fromGeneral = (name: string, kind: 'ss' | 'sd'): Semantics =>
  cold((s) => {
    const value = s.local(s.rm.read());
    const bits = kind === 'sd' ? 53 : 24;
    if (!(kind === 'sd' && s.size === 4)) {
      const limit = s.word === 'i64' ? constant('i64', 1n << BigInt(bits)) : i32(2 ** bits);
      const double = s.word === 'i64' ? constant('i64', 1n << BigInt(bits + 1)) : i32(2 ** (bits + 1));
      unless(s, value.add(limit).le(double).or(openMxcsr(s)), name);
    }
    const opcode = kind === 'sd' ? (s.size === 8 ? 0xb9 : 0xb7) : s.size === 8 ? 0xb4 : 0xb2;
    s.vectorRegister('reg').write(value.unary(kind === 'sd' ? 'f64' : 'f32', opcode), kind === 'sd' ? 8 : 4);
  });

const widenScalar: Semantics = cold((s) => {
  const f = new Floats('ss');
  const value = f.readRm(s);
  unless(s, f.isPlain(s, value), 'cvtss2sd');
  s.vectorRegister('reg').write(value.unary('f64', 0xbb), 8);
});

const narrowScalar: Semantics = cold((s) => {
  const value = new Floats('sd').readRm(s);
  const result = s.local(value.unary('f32', 0xb6));
  const single = new Floats('ss');
  const double = new Floats('sd');
  const isExact = double.eq(result.unary('f64', 0xbb), value).and(control(s).eq(DEFAULT_CONTROL));
  unless(s, openMxcsr(s).or(isExact).and(single.isNormal(s, result).or(double.isZero(value))), 'cvtsd2ss');
  s.vectorRegister('reg').write(result, 4);
});

/** Two singles in the low half to two doubles. */
const widenPair: Semantics = cold((s) => {
  const f = new Floats('ps');
  const value = V.readRm(s, 8);
  // the upper half repeats the lower one, so that only the two that count are judged
  unless(s, f.all(f.isPlain(s, s.local(s.local(V.lowHalf(value)).simd('v128', V.OP.splat64)))), 'cvtps2pd');
  s.vectorRegister('reg').write(value.simd('v128', 0x5f), 16);
});

const DEMOTE = 0x5e;
const narrowPair: Semantics = cold((s) => {
  const f = new Floats('pd');
  const value = f.readRm(s);
  const result = s.local(value.simd('v128', DEMOTE));
  // normal results, seen again as doubles
  const narrowed = s.local(result.simd('v128', 0x5f));
  const limit = f.ge(s.local(narrowed.simd('v128', 0xec)), f.number(ABOVE_TINY32));
  const natural = f.or(f.and(limit, f.isWithin(narrowed, Infinity)), f.isZero(value));
  const isExact = f.all(f.eq(narrowed, value)).and(control(s).eq(DEFAULT_CONTROL));
  unless(s, openMxcsr(s).or(isExact).and(f.all(natural)), 'cvtpd2ps');
  s.vectorRegister('reg').write(result, 16);
});

/** CVTPS2DQ, CVTTPS2DQ and the packed double forms. */
const toIntegers = (name: string, kind: 'ps' | 'pd', truncates: boolean): Semantics =>
  cold((s) => {
    const f = new Floats(kind);
    const value = f.readRm(s);
    const whole = s.local(truncates ? f.trunc(value) : f.nearest(value));
    unless(s, f.all(f.isWithin(whole, 2 ** 31)).and(f.all(f.eq(whole, value)).or(openMxcsr(s))), name);
    s.vectorRegister('reg').write(whole.simd('v128', kind === 'ps' ? 0xf8 : 0xfc), 16);
  });

const integersToSingles: Semantics = cold((s) => {
  const value = V.readRm(s, 16);
  const small = value.simd('v128', 0xa0).simd('v128', 0x3e, i32(2 ** 24).simd('v128', V.OP.splat32)).simd('i32', V.OP.allTrue32);
  unless(s, small.or(openMxcsr(s)), 'cvtdq2ps');
  s.vectorRegister('reg').write(value.simd('v128', 0xfa), 16);
});
const integersToDoubles: Semantics = cold((s) => {
  s.vectorRegister('reg').write(V.readRm(s, 8).simd('v128', 0xfe), 16);
});

/**
 * ROUNDSD and kin, by the immediate's mode or, with its bit 2, MXCSR's. Plain numbers that are integers already, or whose
 * inexactness is not to be reported (bit 3), round under any MXCSR.
 */
const round = (name: string, kind: Kind): Semantics =>
  cold((s) => {
    const f = new Floats(kind);
    const value = f.readRm(s);
    const control = s.local(V.immediate(s));
    const mode = s.local(select(control.and(4), s.field(MXCSR, 'i32').shr(ROUNDING_SHIFT), control).and(3));
    const upwards = select(mode.eq(2), f.ceil(value), f.trunc(value));
    const result = s.local(select(mode.isZero(), f.nearest(value), select(mode.eq(1), f.floor(value), upwards)));
    const isSilent = control.and(8).ne(0).or(f.all(f.eq(result, value))).or(openMxcsr(s));
    unless(s, f.all(f.isPlain(s, value)).and(isSilent), name);
    f.writeReg(s, result);
  });

const KINDS: readonly Kind[] = ['ss', 'sd', 'ps', 'pd'];
const table: Record<string, Semantics> = {
  comiss: compareToFlags('comiss', 'ss'), comisd: compareToFlags('comisd', 'sd'),
  ucomiss: compareToFlags('ucomiss', 'ss'), ucomisd: compareToFlags('ucomisd', 'sd'),
  cvtss2si: toGeneral('cvtss2si', 'ss', false), cvtsd2si: toGeneral('cvtsd2si', 'sd', false),
  cvttss2si: toGeneral('cvttss2si', 'ss', true), cvttsd2si: toGeneral('cvttsd2si', 'sd', true),
  cvtsi2ss: fromGeneral('cvtsi2ss', 'ss'), cvtsi2sd: fromGeneral('cvtsi2sd', 'sd'),
  cvtss2sd: widenScalar, cvtsd2ss: narrowScalar, cvtps2pd: widenPair, cvtpd2ps: narrowPair,
  cvtps2dq: toIntegers('cvtps2dq', 'ps', false), cvttps2dq: toIntegers('cvttps2dq', 'ps', true),
  cvtpd2dq: toIntegers('cvtpd2dq', 'pd', false), cvttpd2dq: toIntegers('cvttpd2dq', 'pd', true),
  cvtdq2ps: integersToSingles, cvtdq2pd: integersToDoubles,
};
for (const kind of KINDS) {
  table[`add${kind}`] = arithmetic(`add${kind}`, kind, (f, a, b) => f.add(a, b), sumIsPlain, sumIsExact);
  table[`sub${kind}`] = arithmetic(`sub${kind}`, kind, (f, a, b) => f.sub(a, b), sumIsPlain, differenceIsExact);
  table[`mul${kind}`] = arithmetic(`mul${kind}`, kind, (f, a, b) => f.mul(a, b), productIsPlain, productIsExact);
  table[`div${kind}`] = arithmetic(`div${kind}`, kind, (f, a, b) => f.div(a, b), quotientIsPlain, quotientIsExact);
  table[`sqrt${kind}`] = arithmetic(`sqrt${kind}`, kind, (f, _, b) => f.sqrt(b), rootIsPlain, rootIsExact, true);
  table[`min${kind}`] = extreme(`min${kind}`, kind, (f, a, b) => f.lt(a, b));
  table[`max${kind}`] = extreme(`max${kind}`, kind, (f, a, b) => f.lt(b, a));
  table[`round${kind}`] = round(`round${kind}`, kind);
  table[`cmp${kind}`] = comparison(`cmp${kind}`, kind);
}

export const VECTOR_FLOAT: SemanticsTable = table;
