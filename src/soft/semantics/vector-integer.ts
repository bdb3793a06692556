/** MMX and SSE2 integer arithmetic, comparisons, packing and shifts (SDM 1 §9.4, §11.4.2, §11.4.3). */
import { i32, i64, select, type Value } from '../wasm/value.ts';
import { cold, hot, type Scope, type Semantics, type SemanticsTable } from './dsl.ts';
import * as V from './vector.ts';

const { OP, simple } = V;

/** Packing takes both operands' elements; an MMX pair lies in one vector first. */
const pack = (opcode: number): Semantics =>
  V.binary((a, b, s) => {
    if (V.isWide(s)) return a.simd('v128', opcode, b);
    const both = s.local(a.simdLane('v128', OP.replace64, 1, V.lowHalf(b)));
    return both.simd('v128', opcode, both);
  });

/** The upper halves of eight 16 × 16-bit products. */
const multiplyHigh = (low: number, high: number): Semantics =>
  V.binary((a, b) =>
    V.shuffle(a.simd('v128', low, b), a.simd('v128', high, b), [2, 3, 6, 7, 10, 11, 14, 15, 18, 19, 22, 23, 26, 27, 30, 31]));

const LOW_DOUBLEWORDS: Value = V.words([-1, -1, 0, 0, -1, -1, 0, 0]);
const multiplyDoublewords: Semantics = V.binary((a, b) =>
  a.simd('v128', OP.and, LOW_DOUBLEWORDS).simd('v128', OP.mul64, b.simd('v128', OP.and, LOW_DOUBLEWORDS)));

/** PSADBW: sums of absolute differences of 8 bytes each. */
const sumDifferences: Semantics = V.binary((a, b, s) => {
  const difference = a.simd('v128', OP.subSaturatedUnsigned8, b).simd('v128', OP.or, b.simd('v128', OP.subSaturatedUnsigned8, a));
  const fours = s.local(difference.simd('v128', OP.addPairs8Unsigned).simd('v128', OP.addPairs16Unsigned));
  return fours.simd('v128', OP.and, LOW_DOUBLEWORDS).simd('v128', OP.add64, fours.simd('v128', OP.shr64, i32(32)));
});

/**
 * Shifts by an immediate (of the rm register) or by the low 64 bits of the source. Counts of the element's width and more give
 * zeros, or for arithmetic shifts copies of the sign (SDM 2B, PSLLW); WebAssembly takes counts modulo the width.
 */
const shift = (opcode: number, width: number, arithmetic = false): Semantics =>
  cold((s) => {
    if (!V.isWide(s)) V.requireMmx(s);
    const byImmediate = s.source === s.imm;
    const role = byImmediate ? 'rm' : 'reg';
    const count = s.local(byImmediate ? V.immediate(s).widen() : V.lowHalf(V.readRm(s, V.isWide(s) ? 16 : 8)));
    const value = s.local(read(s, role));
    const tooFar = count.gt(i64(width - 1));
    if (arithmetic) V.writeVector(s, role, value.simd('v128', opcode, select(tooFar, i64(width - 1), count).wrap()));
    else V.writeVector(s, role, s.local(select(tooFar, V.ZEROS, value.simd('v128', opcode, count.wrap()))));
  });

const read = (s: Scope, role: 'reg' | 'rm'): Value => {
  const register = s.vectorRegister(role);
  return V.isWide(s) ? register.read('v128', 16) : V.fromWord(register.read('i64', 8));
};

const BYTE_NUMBERS: Value = V.bytes([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
/** PSLLDQ, PSRLDQ: by bytes. A swizzle gives zeros for indexes outside 0–15. */
const shiftBytes = (step: number): Semantics =>
  cold((s) => {
    const count = V.immediate(s);
    const limited = s.local(select(count.gt(15), i32(16), count));
    const indexes = BYTE_NUMBERS.simd('v128', step, limited.simd('v128', OP.splat8));
    const register = s.vectorRegister('rm');
    register.write(register.read('v128', 16).simd('v128', OP.swizzle, indexes), 16);
  });

const emms: Semantics = cold((s) => {
  V.requireMmx(s);
  V.leaveMmx(s);
});

export const VECTOR_INTEGER: SemanticsTable = {
  paddb: simple(OP.add8), paddw: simple(OP.add16), paddd: simple(OP.add32), paddq: simple(OP.add64),
  psubb: simple(OP.sub8), psubw: simple(OP.sub16), psubd: simple(OP.sub32), psubq: simple(OP.sub64),
  paddsb: simple(OP.addSaturated8), paddsw: simple(OP.addSaturated16),
  paddusb: simple(OP.addSaturatedUnsigned8), paddusw: simple(OP.addSaturatedUnsigned16),
  psubsb: simple(OP.subSaturated8), psubsw: simple(OP.subSaturated16),
  psubusb: simple(OP.subSaturatedUnsigned8), psubusw: simple(OP.subSaturatedUnsigned16),
  pminub: simple(OP.minUnsigned8), pmaxub: simple(OP.maxUnsigned8), pminsw: simple(OP.minSigned16), pmaxsw: simple(OP.maxSigned16),
  pavgb: simple(OP.average8), pavgw: simple(OP.average16),
  pcmpeqb: simple(OP.eq8, hot), pcmpeqw: simple(OP.eq16), pcmpeqd: simple(OP.eq32),
  pcmpgtb: simple(OP.gt8), pcmpgtw: simple(OP.gt16), pcmpgtd: simple(OP.gt32),
  pmullw: simple(OP.mul16), pmaddwd: simple(OP.dot16),
  pmulhw: multiplyHigh(OP.multiplyLow16, OP.multiplyHigh16), pmulhuw: multiplyHigh(OP.multiplyLow16Unsigned, OP.multiplyHigh16Unsigned),
  pmuludq: multiplyDoublewords, psadbw: sumDifferences,
  packsswb: pack(OP.narrow16Signed), packuswb: pack(OP.narrow16Unsigned), packssdw: pack(OP.narrow32Signed),
  psllw: shift(OP.shl16, 16), pslld: shift(OP.shl32, 32), psllq: shift(OP.shl64, 64),
  psrlw: shift(OP.shr16, 16), psrld: shift(OP.shr32, 32), psrlq: shift(OP.shr64, 64),
  psraw: shift(OP.shrSigned16, 16, true), psrad: shift(OP.shrSigned32, 32, true),
  pslldq: shiftBytes(OP.sub8), psrldq: shiftBytes(OP.add8),
  emms,
};
