/**
 * What all MMX and SSE semantics share: operands of 8 (MMX) or 16 bytes, their alignment, and names for the
 * WebAssembly SIMD instructions they are made of (WebAssembly 2.0 §5.4.8; little-endian lanes as in SDM 1 §10.4).
 *
 * An MMX operand is a v128 with its 8 bytes in the low half. What the upper half holds does not matter: it is never stored.
 */
import { FSW, FTW } from '../../x86/state.ts';
import { constant, i32, Value } from '../wasm/value.ts';
import { cold, type Scope, type Semantics } from './dsl.ts';

/** FSW: a pending x87 exception, which MMX instructions report as x87 ones do. */
const ERROR_SUMMARY = 1 << 7;
const TOP = 7 << 11;

/** SIMD opcodes, behind the prefix FD. */
export const OP = {
  shuffle: 0x0d, swizzle: 0x0e,
  splat8: 0x0f, splat16: 0x10, splat32: 0x11, splat64: 0x12,
  extract8: 0x16, extract16: 0x19, replace16: 0x1a, extract32: 0x1b, replace32: 0x1c, extract64: 0x1d, replace64: 0x1e,
  extractF32: 0x1f, replaceF32: 0x20, extractF64: 0x21, replaceF64: 0x22,
  eq8: 0x23, gt8: 0x27, atMost8: 0x29, atMostUnsigned8: 0x2a, atLeast8: 0x2b, atLeastUnsigned8: 0x2c,
  eq16: 0x2d, gt16: 0x31, atMost16: 0x33, atMostUnsigned16: 0x34, atLeast16: 0x35, atLeastUnsigned16: 0x36, eq32: 0x37, gt32: 0x3b,
  not: 0x4d, and: 0x4e, andNot: 0x4f, or: 0x50, xor: 0x51, bitselect: 0x52, anyTrue: 0x53,
  abs8: 0x60, abs16: 0x80, abs32: 0xa0, shrSigned8: 0x6c, minSigned8: 0x76, maxSigned8: 0x78,
  minUnsigned16: 0x97, maxUnsigned16: 0x99, minSigned32: 0xb6, minUnsigned32: 0xb7, maxSigned32: 0xb8, maxUnsigned32: 0xb9,
  multiplyRounded16: 0x82, narrow32Unsigned: 0x86, extendLow8Signed: 0x87, extendLow8: 0x89, extendLow16Signed: 0xa7,
  extendLow32Signed: 0xc7, extendLow32: 0xc9, shrSigned64: 0xcc, eq64: 0xd6, gt64: 0xd9, multiplyLow32: 0xdc,
  bitmask8: 0x64, bitmask16: 0x84, narrow16Signed: 0x65, narrow16Unsigned: 0x66, add8: 0x6e, addSaturated8: 0x6f, addSaturatedUnsigned8: 0x70,
  sub8: 0x71, subSaturated8: 0x72, subSaturatedUnsigned8: 0x73, minUnsigned8: 0x77, maxUnsigned8: 0x79, average8: 0x7b,
  addPairs8Unsigned: 0x7d, addPairs16Unsigned: 0x7f,
  narrow32Signed: 0x85, shl16: 0x8b, shrSigned16: 0x8c, shr16: 0x8d, add16: 0x8e, addSaturated16: 0x8f, addSaturatedUnsigned16: 0x90,
  sub16: 0x91, subSaturated16: 0x92, subSaturatedUnsigned16: 0x93, mul16: 0x95, minSigned16: 0x96, maxSigned16: 0x98, average16: 0x9b,
  allTrue32: 0xa3, bitmask32: 0xa4, extendLow16: 0xa9, shl32: 0xab, shrSigned32: 0xac, shr32: 0xad, add32: 0xae, sub32: 0xb1, mul32: 0xb5,
  dot16: 0xba, multiplyLow16: 0xbc, multiplyHigh16: 0xbd, multiplyLow16Unsigned: 0xbe, multiplyHigh16Unsigned: 0xbf,
  allTrue64: 0xc3, bitmask64: 0xc4, shl64: 0xcb, shr64: 0xcd, add64: 0xce, sub64: 0xd1, mul64: 0xd5,
} as const;

export const isWide = (s: Scope): boolean => (s.size as number) === 16;

/** A v128 constant from bytes in memory order. */
export function bytes(values: readonly number[]): Value {
  let bits = 0n;
  values.forEach((value, i) => { bits |= BigInt(value & 0xff) << BigInt(8 * i); });
  return constant('v128', bits);
}
/** A v128 constant from 16-bit words in memory order. */
export const words = (values: readonly number[]): Value => bytes(values.flatMap((value) => [value, value >> 8]));
export const ZEROS: Value = constant('v128', 0);
/** Byte n of the result is byte `indexes[n]` of a‖b. */
export function shuffle(a: Value, b: Value, indexes: readonly number[]): Value {
  return new Value('v128', (code) => {
    a.emit(code);
    b.emit(code);
    code.bytes.byte(0xfd).byte(OP.shuffle).raw(indexes);
  });
}

export const fromWord = (value: Value): Value => ZEROS.simdLane('v128', OP.replace64, 0, value);
export const lowHalf = (vector: Value): Value => vector.simdLane('i64', OP.extract64, 0);
export const highHalf = (vector: Value): Value => vector.simdLane('i64', OP.extract64, 1);

const raiseIf = (s: Scope, condition: Value, operation: string): void => s.code.if(condition, () => s.system(operation), undefined, false);

/**
 * MMX instructions report a pending x87 exception, as x87 ones do (SDM 3A §12.1). Everything else that makes MMX and SSE
 * instructions unavailable is known when they are decoded: those that may not be used are never dispatched (blocks.ts).
 */
export const requireMmx = (s: Scope): void => raiseIf(s, s.field(FSW, 'i32').and(ERROR_SUMMARY), 'mmx_unavailable');

/** After the last possible fault of an MMX instruction: all tags valid, TOP = 0 (SDM 1 §9.5.1). */
export function enterMmx(s: Scope): void {
  s.setField(FTW, i32(0));
  s.setField(FSW, s.field(FSW, 'i32').and(~TOP));
}

/** EMMS: all registers empty; TOP becomes 0 here, too (silicon; the SDM says nothing). */
export function leaveMmx(s: Scope): void {
  enterMmx(s);
  s.setField(FTW, i32(0xffff));
}

/** Linear address of a 16-byte operand, or of any where it must be aligned: #GP(0) (SDM 1 §10.4.1.1). */
export function alignedAddress(s: Scope): Value {
  const address = s.local(s.linearAddress());
  raiseIf(s, address.wrap().and(15), 'misaligned_operand');
  return address;
}

/** The rm operand: `size` bytes, 16 of them aligned in memory unless `unaligned`. */
export function readRm(s: Scope, size: number, unaligned = false): Value {
  const register = s.vectorRegister('rm');
  if (size === 16) {
    if (!s.rm.isMemory) return s.local(register.read('v128', 16));
    return s.load128(unaligned ? s.local(s.linearAddress()) : alignedAddress(s));
  }
  if (!s.rm.isMemory) return s.local(fromWord(register.read('i64', size)));
  return s.local(fromWord(s.load(s.local(s.linearAddress()), size as 2 | 4 | 8).widen()));
}

export const readReg = (s: Scope): Value => {
  const register = s.vectorRegister('reg');
  return s.local(isWide(s) ? register.read('v128', 16) : fromWord(register.read('i64', 8)));
};

/** Writes an XMM register, or an MMX one with the x87 state that goes with it. */
export function writeVector(s: Scope, role: 'reg' | 'rm', value: Value): void {
  const register = s.vectorRegister(role);
  if (isWide(s)) {
    register.write(value, 16);
    return;
  }
  register.write(s.local(lowHalf(value)), 8);
  register.write(i32(0xffff), 2, 8); // SDM 1 §9.2.2
  enterMmx(s);
}

/** destination ← f(destination, source), MMX or SSE by operand size; the shape of nearly all integer SIMD. */
export const binary = (compute: (a: Value, b: Value, s: Scope) => Value, mmxSourceBytes = 8, place = cold): Semantics =>
  place((s) => {
    if (!isWide(s)) requireMmx(s);
    const b = readRm(s, isWide(s) ? 16 : mmxSourceBytes);
    writeVector(s, 'reg', compute(readReg(s), b, s));
  });

export const simple = (opcode: number, place = cold): Semantics => binary((a, b) => a.simd('v128', opcode, b), 8, place);
/** The low byte of the immediate, i32. */
export const immediate = (s: Scope): Value => s.imm.read().to('i32').and(0xff);
