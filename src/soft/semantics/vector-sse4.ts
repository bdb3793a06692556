/**
 * SSSE3, SSE4.1 and SSE4.2 on XMM (SSSE3 also MMX) registers, and POPCNT on general ones (SDM 2, instruction
 * reference). What WebAssembly has nothing for is in sse/extensions.ts, comparisons of text are in vector-text.ts.
 */
import { CF, ZF } from '../../x86/flags.ts';
import { xmm } from '../../x86/state.ts';
import { i32, select, type Value } from '../wasm/value.ts';
import { cold, type Scope, type Semantics, type SemanticsTable } from './dsl.ts';
import * as V from './vector.ts';

const { OP, simple } = V;

const every = (byte: number): Value => V.bytes(Array.from({ length: 16 }, () => byte));
const BYTE_NUMBERS: Value = V.bytes(Array.from({ length: 16 }, (_, i) => i));
const vector = (a: Value, opcode: number, ...others: readonly Value[]): Value => a.simd('v128', opcode, ...others);

// ── SSSE3 ──

/** Index bits that count: four, or three of MMX registers, and the one that asks for zero. A swizzle gives zeros from 16 on. */
const shuffleBytes: Semantics = V.binary((a, b, s) => vector(a, OP.swizzle, vector(b, OP.and, every(V.isWide(s) ? 0x8f : 0x87))));

/** Every second element of a‖b, beginning with `first`: what horizontal operations pair. */
function alternate(width: 2 | 4, first: 0 | 1, isWide: boolean): number[] {
  const indexes: number[] = [];
  for (const source of [0, 16]) {
    for (let at = first * width; at < (isWide ? 16 : 8); at += 2 * width) for (let i = 0; i < width; i++) indexes.push(source + at + i);
  }
  while (indexes.length < 16) indexes.push(0);
  return indexes;
}
const horizontal = (opcode: number, width: 2 | 4): Semantics =>
  V.binary((a, b, s) => {
    const isWide = V.isWide(s);
    return vector(V.shuffle(a, b, alternate(width, 0, isWide)), opcode, V.shuffle(a, b, alternate(width, 1, isWide)));
  });

/** PMADDUBSW: unsigned bytes of the destination by signed ones of the source; each product fits a word. */
const multiplyAddBytes: Semantics = V.binary((a, b) => {
  const even = vector(vector(a, OP.and, V.words([255, 255, 255, 255, 255, 255, 255, 255])), OP.mul16, vector(vector(b, OP.shl16, i32(8)), OP.shrSigned16, i32(8)));
  const odd = vector(vector(a, OP.shr16, i32(8)), OP.mul16, vector(b, OP.shrSigned16, i32(8)));
  return vector(even, OP.addSaturated16, odd);
});

/** PSIGN: negated where the source is negative, zero where it is zero. */
const sign = (greater: number, subtract: number, equal: number): Semantics =>
  V.binary((a, b, s) => {
    const negative = s.local(vector(V.ZEROS, greater, b));
    const signed = vector(vector(a, OP.xor, negative), subtract, negative);
    return vector(signed, OP.andNot, vector(b, equal, V.ZEROS));
  });

/** PMULHRSW wraps where WebAssembly saturates: −1 × −1 is −1. */
const multiplyRounded: Semantics = V.binary((a, b) => {
  const lowest = V.words(Array.from({ length: 8 }, () => 0x8000));
  const wraps = vector(vector(a, OP.eq16, lowest), OP.and, vector(b, OP.eq16, lowest));
  return vector(vector(a, OP.multiplyRounded16, b), OP.xor, wraps);
});

const unary = (opcode: number): Semantics => V.binary((_, b) => vector(b, opcode));

/** PALIGNR: bytes of a‖b from the immediate on; beyond both, zeros. */
const align: Semantics = V.binary((a, b, s) => {
  const from = s.local(V.immediate(s));
  const shifted = (count: Value): Value => vector(BYTE_NUMBERS, OP.add8, vectorOf(count, OP.splat8));
  if (!V.isWide(s)) {
    const both = b.simdLane('v128', OP.replace64, 1, V.lowHalf(a));
    return vector(both, OP.swizzle, shifted(select(from.gt(16), i32(16), from)));
  }
  const limited = s.local(select(from.gt(32), i32(32), from));
  return vector(vector(b, OP.swizzle, shifted(limited)), OP.or, vector(a, OP.swizzle, shifted(limited.sub(16))));
});
const vectorOf = (value: Value, splat: number): Value => value.simd('v128', splat);

// ── SSE4.1 ──

/** XMM0, which the variable blends name without saying so. */
const xmm0 = (s: Scope): Value => V.fromWord(s.field(xmm(0), 'i64')).simdLane('v128', OP.replace64, 1, s.field(xmm(0) + 8, 'i64'));
const blendByRegister = (shift: number, width: number): Semantics =>
  V.binary((a, b, s) => vector(b, OP.bitselect, a, vector(xmm0(s), shift, i32(width - 1))));

/** A bit of the immediate for each element. */
const blendByImmediate = (splat: number, equal: number, bits: Value): Semantics =>
  V.binary((a, b, s) => {
    const count = V.immediate(s);
    const chosen = s.local(vector(vectorOf(splat === OP.splat64 ? count.widen() : count, splat), OP.and, bits));
    return vector(b, OP.bitselect, a, vector(chosen, equal, bits));
  });

/** ZF: no common bits; CF: the source has none outside the destination; the others clear (SDM 2B, PTEST). */
const test: Semantics = cold((s) => {
  const b = V.readRm(s, 16);
  const a = V.readReg(s);
  const any = (v: Value): Value => v.simd('i32', OP.anyTrue);
  s.setArithmeticFlags(select(any(vector(a, OP.and, b)), i32(0), i32(ZF)).or(select(any(vector(b, OP.andNot, a)), i32(0), i32(CF))));
});

/** PMOVSX, PMOVZX: `steps` doublings of the low elements' width. */
const extend = (bytes: 2 | 4 | 8, ...steps: readonly number[]): Semantics =>
  cold((s) => {
    let value = V.readRm(s, bytes);
    for (const step of steps) value = vector(value, step);
    s.vectorRegister('reg').write(value, 16);
  });

const EVEN_DOUBLEWORDS = [0, 1, 2, 3, 8, 9, 10, 11, 0, 1, 2, 3, 8, 9, 10, 11];
const multiplySigned: Semantics = V.binary((a, b) =>
  vector(V.shuffle(a, a, EVEN_DOUBLEWORDS), OP.multiplyLow32, V.shuffle(b, b, EVEN_DOUBLEWORDS)));

const load: Semantics = cold((s) => s.vectorRegister('reg').write(V.readRm(s, 16), 16));

/** Element of the immediate's number, moved to the front. */
const chosen = (s: Scope, elements: number, bytes: number): Value => {
  const first = V.immediate(s).and(elements - 1).mul(bytes);
  return vector(s.vectorRegister('reg').read('v128', 16), OP.swizzle, vector(BYTE_NUMBERS, OP.add8, vectorOf(first, OP.splat8)));
};
/** PEXTRB, PEXTRW: a register gets it zero-extended, memory the element alone. */
const extractSmall = (bytes: 1 | 2): Semantics =>
  cold((s) => {
    const value = chosen(s, 16 / bytes, bytes).simdLane('i32', OP.extract32, 0).and(bytes === 1 ? 0xff : 0xffff);
    s.rm.write(s.local(value));
  });
const extract: Semantics = cold((s) => {
  const value = s.size === 8
    ? chosen(s, 2, 8).simdLane('i64', OP.extract64, 0)
    : chosen(s, 4, 4).simdLane('i32', OP.extract32, 0);
  s.rm.write(s.local(value));
});

/** PINSRB, PINSRD, PINSRQ: which element is replaced is only known when the instruction runs. */
const insert = (s: Scope, value: Value, splat: number, equal: number, numbers: Value, elements: number): void => {
  const kept = s.local(value);
  const lane = V.immediate(s).and(elements - 1);
  const mask = vector(numbers, equal, vectorOf(elements === 2 ? lane.widen() : lane, splat));
  const register = s.vectorRegister('reg');
  register.write(s.local(vector(vectorOf(kept, splat), OP.bitselect, register.read('v128', 16), mask)), 16);
};
const insertByte: Semantics = cold((s) => insert(s, s.rmOfSize(1).read(), OP.splat8, OP.eq8, BYTE_NUMBERS, 16));
const insertLarge: Semantics = cold((s) => {
  if (s.size === 8) insert(s, s.rm.read(), OP.splat64, OP.eq64, V.words([0, 0, 0, 0, 1, 0, 0, 0]), 2);
  else insert(s, s.rm.read(), OP.splat32, OP.eq32, V.words([0, 0, 1, 0, 2, 0, 3, 0]), 4);
});

const pack: Semantics = simple(OP.narrow32Unsigned);

// ── general registers ──

/** ZF says that there was nothing to count; the other flags are cleared (SDM 2B, POPCNT). */
const countBits: Semantics = cold((s) => {
  const value = s.local(s.rm.read());
  s.reg.write(s.local(value.popcnt()));
  s.setArithmeticFlags(select(value.isZero(), i32(ZF), i32(0)));
});

export const VECTOR_SSE4: SemanticsTable = {
  pshufb: shuffleBytes, palignr: align,
  phaddw: horizontal(OP.add16, 2), phaddd: horizontal(OP.add32, 4), phaddsw: horizontal(OP.addSaturated16, 2),
  phsubw: horizontal(OP.sub16, 2), phsubd: horizontal(OP.sub32, 4), phsubsw: horizontal(OP.subSaturated16, 2),
  pmaddubsw: multiplyAddBytes, pmulhrsw: multiplyRounded,
  psignb: sign(OP.gt8, OP.sub8, OP.eq8), psignw: sign(OP.gt16, OP.sub16, OP.eq16), psignd: sign(OP.gt32, OP.sub32, OP.eq32),
  pabsb: unary(OP.abs8), pabsw: unary(OP.abs16), pabsd: unary(OP.abs32),
  pblendvb: blendByRegister(OP.shrSigned8, 8), blendvps: blendByRegister(OP.shrSigned32, 32), blendvpd: blendByRegister(OP.shrSigned64, 64),
  blendps: blendByImmediate(OP.splat32, OP.eq32, V.words([1, 0, 2, 0, 4, 0, 8, 0])),
  blendpd: blendByImmediate(OP.splat64, OP.eq64, V.words([1, 0, 0, 0, 2, 0, 0, 0])),
  pblendw: blendByImmediate(OP.splat16, OP.eq16, V.words([1, 2, 4, 8, 16, 32, 64, 128])),
  ptest: test,
  pmovsxbw: extend(8, OP.extendLow8Signed), pmovsxbd: extend(4, OP.extendLow8Signed, OP.extendLow16Signed),
  pmovsxbq: extend(2, OP.extendLow8Signed, OP.extendLow16Signed, OP.extendLow32Signed),
  pmovsxwd: extend(8, OP.extendLow16Signed), pmovsxwq: extend(4, OP.extendLow16Signed, OP.extendLow32Signed), pmovsxdq: extend(8, OP.extendLow32Signed),
  pmovzxbw: extend(8, OP.extendLow8), pmovzxbd: extend(4, OP.extendLow8, OP.extendLow16),
  pmovzxbq: extend(2, OP.extendLow8, OP.extendLow16, OP.extendLow32),
  pmovzxwd: extend(8, OP.extendLow16), pmovzxwq: extend(4, OP.extendLow16, OP.extendLow32), pmovzxdq: extend(8, OP.extendLow32),
  pmuldq: multiplySigned, pmulld: simple(OP.mul32), packusdw: pack, movntdqa: load,
  pcmpeqq: simple(OP.eq64), pcmpgtq: simple(OP.gt64),
  pminsb: simple(OP.minSigned8), pmaxsb: simple(OP.maxSigned8), pminuw: simple(OP.minUnsigned16), pmaxuw: simple(OP.maxUnsigned16),
  pminsd: simple(OP.minSigned32), pmaxsd: simple(OP.maxSigned32), pminud: simple(OP.minUnsigned32), pmaxud: simple(OP.maxUnsigned32),
  pextrb: extractSmall(1), pextrw_to_rm: extractSmall(2), pextrd: extract, extractps: extract, pinsrb: insertByte, pinsrd: insertLarge,
  popcnt: countBits,
};
