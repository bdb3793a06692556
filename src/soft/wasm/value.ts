/**
 * Expressions: pure trees that emit themselves. `a.add(b)` picks the opcode by a's type, and a plain number on the right is a
 * constant of that type, so that semantics read like formulas. Nothing is emitted until a statement uses the value, and a
 * value used twice is emitted twice: name it with a local first.
 */
import type { Code, Emittable, ValueType } from './code.ts';

type Operand = Value | number | bigint;

/** Opcodes as [i32, i64]. */
type Opcodes = readonly [number, number];
const BINARY = {
  add: [0x6a, 0x7c], sub: [0x6b, 0x7d], mul: [0x6c, 0x7e],
  divSigned: [0x6d, 0x7f], divUnsigned: [0x6e, 0x80], remSigned: [0x6f, 0x81], remUnsigned: [0x70, 0x82],
  and: [0x71, 0x83], or: [0x72, 0x84], xor: [0x73, 0x85],
  shl: [0x74, 0x86], shrSigned: [0x75, 0x87], shr: [0x76, 0x88], rotl: [0x77, 0x89], rotr: [0x78, 0x8a],
} as const;
const COMPARE = {
  eq: [0x46, 0x51], ne: [0x47, 0x52], ltSigned: [0x48, 0x53], lt: [0x49, 0x54], gtSigned: [0x4a, 0x55], gt: [0x4b, 0x56],
  leSigned: [0x4c, 0x57], le: [0x4d, 0x58], geSigned: [0x4e, 0x59], ge: [0x4f, 0x5a],
} as const;

/** Some value, by a number of its own, and what was added to it since (modulo the width). */
export interface Origin {
  readonly root: number;
  readonly distance: number;
}
/** Beyond, an origin is of no use. */
const FARTHEST = 1 << 20;

export class Value implements Emittable {
  readonly type: ValueType;
  readonly emit: (code: Code) => void;
  /** What it is, when that is known: constants fold, so that code for known operands is as short as it can be. */
  readonly known: number | bigint | undefined;
  /** Of an i64: the i32 that it extends by zeros. Narrowing it again is free. */
  readonly narrow: Value | undefined;
  /** How it came from another value, when that is a constant distance. */
  readonly origin: Origin | undefined;

  constructor(type: ValueType, emit: (code: Code) => void, known?: number | bigint, narrow?: Value, origin?: Origin) {
    this.type = type;
    this.emit = emit;
    this.known = known;
    this.narrow = narrow;
    this.origin = origin;
  }

  /** The same value, known to come from there. */
  from(origin: Origin | undefined): Value {
    return origin === undefined ? this : new Value(this.type, this.emit, this.known, this.narrow, origin);
  }

  add(b: Operand): Value {
    if (isKnown(b, 0)) return this;
    return isKnown(this, 0) ? asValue(this.type, b) : this.#binary(BINARY.add, b, (x, y) => x + y).from(this.#moved(b, 1));
  }
  sub(b: Operand): Value { return isKnown(b, 0) ? this : this.#binary(BINARY.sub, b, (x, y) => x - y).from(this.#moved(b, -1)); }
  mul(b: Operand): Value { return this.#binary(BINARY.mul, b, (x, y) => x * y); }
  divSigned(b: Operand): Value { return this.#binary(BINARY.divSigned, b); }
  divUnsigned(b: Operand): Value { return this.#binary(BINARY.divUnsigned, b); }
  remSigned(b: Operand): Value { return this.#binary(BINARY.remSigned, b); }
  remUnsigned(b: Operand): Value { return this.#binary(BINARY.remUnsigned, b); }
  and(b: Operand): Value {
    const mask = asValue(this.type, b);
    // Of what was extended by zeros the upper half is 0 anyway.
    const kept = mask.known === undefined ? undefined : this.narrow === undefined ? signed(mask) : BigInt.asIntN(32, signed(mask));
    if (kept === -1n) return this;
    return kept === 0n ? constant(this.type, 0) : this.#binary(BINARY.and, mask, (x, y) => x & y);
  }
  or(b: Operand): Value { return isKnown(b, 0) ? this : isKnown(this, 0) ? asValue(this.type, b) : this.#binary(BINARY.or, b, (x, y) => x | y); }
  xor(b: Operand): Value { return this.#binary(BINARY.xor, b, (x, y) => x ^ y); }
  shl(b: Operand): Value { return isKnown(b, 0) ? this : this.#binary(BINARY.shl, b, (x, y) => x << (y & this.#countMask)); }
  shr(b: Operand): Value { return isKnown(b, 0) ? this : this.#binary(BINARY.shr, b, (x, y) => BigInt.asUintN(this.#bits, x) >> (y & this.#countMask)); }
  shrSigned(b: Operand): Value { return isKnown(b, 0) ? this : this.#binary(BINARY.shrSigned, b, (x, y) => x >> (y & this.#countMask)); }
  rotl(b: Operand): Value { return this.#binary(BINARY.rotl, b); }
  rotr(b: Operand): Value { return this.#binary(BINARY.rotr, b); }
  not(): Value {
    return this.known === undefined ? this.xor(-1) : constant(this.type, typeof this.known === 'bigint' ? ~this.known : ~this.known);
  }
  negate(): Value { return constant(this.type, 0).sub(this); }

  eq(b: Operand): Value { return this.#compare(COMPARE.eq, b, (x, y) => x === y); }
  ne(b: Operand): Value { return this.#compare(COMPARE.ne, b, (x, y) => x !== y); }
  lt(b: Operand): Value { return this.#compare(COMPARE.lt, b); }
  ltSigned(b: Operand): Value { return this.#compare(COMPARE.ltSigned, b); }
  gt(b: Operand): Value { return this.#compare(COMPARE.gt, b); }
  gtSigned(b: Operand): Value { return this.#compare(COMPARE.gtSigned, b); }
  le(b: Operand): Value { return this.#compare(COMPARE.le, b); }
  leSigned(b: Operand): Value { return this.#compare(COMPARE.leSigned, b); }
  ge(b: Operand): Value { return this.#compare(COMPARE.ge, b); }
  geSigned(b: Operand): Value { return this.#compare(COMPARE.geSigned, b); }
  /** 1 when zero, as i32. */
  isZero(): Value {
    return this.known === undefined ? this.#unary('i32', this.type === 'i32' ? 0x45 : 0x50) : constant('i32', signed(this) === 0n ? 1 : 0);
  }

  clz(): Value { return this.#unary(this.type, this.type === 'i32' ? 0x67 : 0x79); }
  ctz(): Value { return this.#unary(this.type, this.type === 'i32' ? 0x68 : 0x7a); }
  popcnt(): Value { return this.#unary(this.type, this.type === 'i32' ? 0x69 : 0x7b); }

  /** Sign-extends the low `bits` in place (8, 16, or 32 of an i64). */
  extend(bits: 8 | 16 | 32): Value {
    if (this.type === 'i32') return bits === 32 ? this : this.#unary('i32', bits === 8 ? 0xc0 : 0xc1);
    return this.#unary('i64', bits === 8 ? 0xc2 : bits === 16 ? 0xc3 : 0xc4);
  }
  /** i64 → i32. */
  wrap(): Value {
    if (this.type === 'i32') return this;
    if (this.known !== undefined) return constant('i32', Number(BigInt.asIntN(32, BigInt(this.known))));
    return this.narrow ?? this.#unary('i32', 0xa7);
  }
  /** i32 → i64, zero-extended. */
  widen(): Value {
    if (this.type === 'i64') return this;
    if (this.known !== undefined) return constant('i64', BigInt.asUintN(32, BigInt(this.known)));
    return new Value('i64', (code) => { this.emit(code); code.op(0xad); }, undefined, this, this.origin);
  }
  /** i32 → i64, sign-extended. */
  widenSigned(): Value { return this.type === 'i64' ? this : this.#unary('i64', 0xac); }
  /** To `type`, zero-extending or dropping high bits. */
  to(type: ValueType): Value { return type === 'i64' ? this.widen() : this.wrap(); }

  /** One-operand instruction by opcode (floating point and conversions). */
  unary(type: ValueType, opcode: number): Value { return this.#unary(type, opcode); }
  /** Two-operand instruction by opcode. */
  binary(type: ValueType, opcode: number, b: Value): Value {
    return new Value(type, (code) => { this.emit(code); b.emit(code); code.op(opcode); });
  }
  /** SIMD instruction (prefix FD) on this and `others`. */
  simd(type: ValueType, opcode: number, ...others: readonly Value[]): Value {
    return new Value(type, (code) => {
      this.emit(code);
      for (const other of others) other.emit(code);
      code.bytes.byte(0xfd).unsigned(opcode);
    });
  }
  /** SIMD lane instruction (prefix FD) with a lane number. */
  simdLane(type: ValueType, opcode: number, lane: number, ...others: readonly Value[]): Value {
    return new Value(type, (code) => {
      this.emit(code);
      for (const other of others) other.emit(code);
      code.bytes.byte(0xfd).unsigned(opcode).byte(lane);
    });
  }

  /** Loads from this i32 address; `size` in bytes, zero-extended into `type` (or the float/vector type itself). */
  load(type: ValueType, size: number, offset = 0): Value {
    const opcode = LOADS[`${type}.${size}`];
    if (opcode === undefined) throw new Error(`no load of ${size} bytes into ${type}`);
    return new Value(type, (code) => {
      this.emit(code);
      if (type === 'v128') code.bytes.byte(0xfd);
      code.bytes.byte(opcode).unsigned(0).unsigned(offset);
    });
  }
  loadSigned(type: 'i32' | 'i64', size: 1 | 2 | 4, offset = 0): Value {
    const opcode = type === 'i32' ? { 1: 0x2c, 2: 0x2e, 4: 0x28 }[size] : { 1: 0x30, 2: 0x32, 4: 0x34 }[size];
    return new Value(type, (code) => {
      this.emit(code);
      code.bytes.byte(opcode).unsigned(0).unsigned(offset);
    });
  }

  #moved(by: Operand, sign: 1 | -1): Origin | undefined {
    const { known } = asValue(this.type, by);
    if (this.origin === undefined || known === undefined) return undefined;
    const distance = this.origin.distance + sign * Number(BigInt.asIntN(this.#bits, BigInt(known)));
    return Math.abs(distance) < FARTHEST ? { root: this.origin.root, distance } : undefined;
  }

  get #bits(): 32 | 64 { return this.type === 'i32' ? 32 : 64; }
  get #countMask(): bigint { return this.type === 'i32' ? 31n : 63n; }

  /** `fold` computes it for known operands, given as signed numbers; bits beyond the type's are cut. */
  #binary(opcodes: Opcodes, b: Operand, fold?: (x: bigint, y: bigint) => bigint): Value {
    const right = asValue(this.type, b);
    if (fold !== undefined && this.known !== undefined && right.known !== undefined) {
      const result = BigInt.asIntN(this.#bits, fold(signed(this), signed(right)));
      return constant(this.type, this.type === 'i32' ? Number(result) : result);
    }
    return this.binary(this.type, this.type === 'i32' ? opcodes[0] : opcodes[1], right);
  }
  #compare(opcodes: Opcodes, b: Operand, fold?: (x: bigint, y: bigint) => boolean): Value {
    const right = asValue(this.type, b);
    if (fold !== undefined && this.known !== undefined && right.known !== undefined) return constant('i32', fold(signed(this), signed(right)) ? 1 : 0);
    return this.binary('i32', this.type === 'i32' ? opcodes[0] : opcodes[1], right);
  }
  #unary(type: ValueType, opcode: number): Value {
    return new Value(type, (code) => { this.emit(code); code.op(opcode); });
  }
}

const LOADS: Readonly<Record<string, number>> = {
  'i32.1': 0x2d, 'i32.2': 0x2f, 'i32.4': 0x28, 'i64.1': 0x31, 'i64.2': 0x33, 'i64.4': 0x35, 'i64.8': 0x29,
  'f32.4': 0x2a, 'f64.8': 0x2b, 'v128.16': 0x00,
};
const STORES: Readonly<Record<string, number>> = {
  'i32.1': 0x3a, 'i32.2': 0x3b, 'i32.4': 0x36, 'i64.1': 0x3c, 'i64.2': 0x3d, 'i64.4': 0x3e, 'i64.8': 0x37, 'f32.4': 0x38, 'f64.8': 0x39,
};

/** Stores the low `size` bytes of `value` at the i32 address. */
export function store(code: Code, address: Value, size: number, value: Value, offset = 0): void {
  address.emit(code);
  value.emit(code);
  if (value.type === 'v128') code.bytes.byte(0xfd).byte(0x0b);
  else {
    const opcode = STORES[`${value.type}.${size}`];
    if (opcode === undefined) throw new Error(`no store of ${size} bytes from ${value.type}`);
    code.bytes.byte(opcode);
  }
  code.bytes.unsigned(0).unsigned(offset);
}

/** Whether the operand is known to be this small number in its own width. */
const isKnown = (b: Operand, n: number): boolean => {
  const known = b instanceof Value ? b.known : b;
  return typeof known === 'bigint' ? BigInt.asIntN(64, known) === BigInt(n) : known === n;
};

/** A known integer as a signed one of its width. */
const signed = ({ type, known }: Value): bigint => BigInt.asIntN(type === 'i32' ? 32 : 64, BigInt(known ?? 0));

export const asValue = (type: ValueType, value: Operand): Value => (value instanceof Value ? value : constant(type, value));

export function constant(type: ValueType, value: number | bigint): Value {
  switch (type) {
    case 'i32': return new Value('i32', (code) => { code.bytes.byte(0x41).signed32(Number(value)); }, Number(value));
    case 'i64': return new Value('i64', (code) => { code.bytes.byte(0x42).signed64(BigInt(value)); }, BigInt(value));
    case 'f32': {
      const raw = new Uint8Array(new Float32Array([Number(value)]).buffer);
      return new Value('f32', (code) => { code.bytes.byte(0x43).raw(raw); });
    }
    case 'f64': {
      const raw = new Uint8Array(new Float64Array([Number(value)]).buffer);
      return new Value('f64', (code) => { code.bytes.byte(0x44).raw(raw); });
    }
    case 'v128': return new Value('v128', (code) => {
      const raw = new Uint8Array(16);
      new DataView(raw.buffer).setBigUint64(0, BigInt.asUintN(64, BigInt(value)), true);
      new DataView(raw.buffer).setBigUint64(8, BigInt.asUintN(64, BigInt(value) >> 64n), true);
      code.bytes.byte(0xfd).byte(0x0c).raw(raw);
    });
  }
}

export const i32 = (value: number): Value => constant('i32', value);
export const i64 = (value: number | bigint): Value => constant('i64', value);

export const getLocal = (type: ValueType, index: number): Value =>
  new Value(type, (code) => { code.bytes.byte(0x20).unsigned(index); });

/** What a call left on the operand stack: to be taken at once, the last result first. */
export const result = (type: ValueType): Value => new Value(type, () => undefined);

export const call = (type: ValueType, index: number, args: readonly Value[]): Value =>
  new Value(type, (code) => code.callVoid(index, args));

/** `condition ? a : b`, both evaluated. */
export const select = (condition: Value, a: Value, b: Value): Value =>
  new Value(a.type, (code) => {
    a.emit(code);
    b.emit(code);
    condition.emit(code);
    code.op(0x1b);
  });
