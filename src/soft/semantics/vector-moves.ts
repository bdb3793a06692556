/** MMX and SSE data movement and bitwise logic (SDM 2, instruction reference). Non-temporal hints are only hints: plain stores here. */
import { i32, select, type Value } from '../wasm/value.ts';
import { cold, hot, type Scope, type Semantics, type SemanticsTable } from './dsl.ts';
import * as V from './vector.ts';

const { OP } = V;
const loads = (s: Scope): boolean => s.destination === s.reg;

/** 16-byte moves, by direction; `aligned` for memory. */
const move = (aligned: boolean): Semantics =>
  hot((s) => {
    if (loads(s)) s.vectorRegister('reg').write(V.readRm(s, 16, !aligned), 16);
    else if (!s.rm.isMemory) s.vectorRegister('rm').write(s.vectorRegister('reg').read('v128', 16), 16);
    else {
      const address = aligned ? V.alignedAddress(s) : s.local(s.linearAddress());
      s.store128(address, s.vectorRegister('reg').read('v128', 16));
    }
  });

/** MOVSS, MOVSD: from memory they clear the rest of the register, between registers they keep it (SDM 2B). */
const moveScalar = (size: 4 | 8): Semantics =>
  cold((s) => {
    const type = size === 4 ? 'i32' : 'i64';
    const reg = s.vectorRegister('reg');
    if (!s.rm.isMemory) {
      const [to, from] = loads(s) ? (['reg', 'rm'] as const) : (['rm', 'reg'] as const);
      s.vectorRegister(to).write(s.vectorRegister(from).read(type, size), size);
    } else if (loads(s)) reg.write(V.fromWord(s.load(s.local(s.linearAddress()), size).widen()), 16);
    else s.store(s.local(s.linearAddress()), size, reg.read(type, size));
  });

/** MOVLPS, MOVHPS and kin: one half of the register and 8 bytes of memory. */
const moveHalf = (offset: 0 | 8): Semantics =>
  cold((s) => {
    const reg = s.vectorRegister('reg');
    const address = s.local(s.linearAddress());
    if (loads(s)) reg.write(s.load(address, 8), 8, offset);
    else s.store(address, 8, reg.read('i64', 8, offset));
  });

const moveBetweenHalves = (from: 0 | 8, to: 0 | 8): Semantics =>
  cold((s) => {
    s.vectorRegister('reg').write(s.vectorRegister('rm').read('i64', 8, from), 8, to);
  });

/** MOVQ xmm, MOVD: the low piece; the rest of a destination register is cleared. */
const moveQuad: Semantics = hot((s) => {
  const reg = s.vectorRegister('reg');
  if (loads(s)) reg.write(V.readRm(s, 8), 16);
  else if (s.rm.isMemory) s.store(s.local(s.linearAddress()), 8, reg.read('i64', 8));
  else s.vectorRegister('rm').write(V.fromWord(s.local(reg.read('i64', 8))), 16);
});

const moveMmx: Semantics = cold((s) => {
  V.requireMmx(s);
  if (loads(s)) {
    V.writeVector(s, 'reg', V.readRm(s, 8));
    return;
  }
  const value = s.local(V.readReg(s));
  if (!s.rm.isMemory) {
    V.writeVector(s, 'rm', value);
    return;
  }
  s.store(s.local(s.linearAddress()), 8, V.lowHalf(value));
  V.enterMmx(s);
});

const toXmm: Semantics = hot((s) => {
  s.vectorRegister('reg').write(V.fromWord(s.local(s.rm.read().widen())), 16);
});
const fromXmm: Semantics = hot((s) => {
  s.rm.write(s.vectorRegister('reg').read(s.word, s.size));
});
/** MOVD and MOVQ with a general operand: 4 bytes are zero-extended to the MMX register's 8. */
const toMmx: Semantics = cold((s) => {
  V.requireMmx(s);
  const value = s.local(s.rm.read().widen());
  const register = s.vectorRegister('reg');
  register.write(value, 8);
  register.write(i32(0xffff), 2, 8);
  V.enterMmx(s);
});
const fromMmx: Semantics = cold((s) => {
  V.requireMmx(s);
  s.rm.write(s.vectorRegister('reg').read(s.word, s.size));
  V.enterMmx(s);
});

const quadToXmm: Semantics = cold((s) => {
  V.requireMmx(s);
  s.vectorRegister('reg').write(V.fromWord(s.local(s.vectorRegister('rm').read('i64', 8))), 16);
  V.enterMmx(s);
});
const quadToMmx: Semantics = cold((s) => {
  V.requireMmx(s);
  const register = s.vectorRegister('reg');
  register.write(s.local(s.vectorRegister('rm').read('i64', 8)), 8);
  register.write(i32(0xffff), 2, 8);
  V.enterMmx(s);
});

/** Top bits of all elements to a general register. */
const mask = (opcode: number, size: 8 | 16, place = cold): Semantics =>
  place((s) => {
    if (size === 8) V.requireMmx(s);
    const register = s.vectorRegister('rm');
    if (size === 16) s.reg.write(register.read('v128', 16).simd('i32', opcode));
    else {
      s.reg.write(V.fromWord(register.read('i64', 8)).simd('i32', opcode));
      V.enterMmx(s);
    }
  });

const BYTE_NUMBERS: Value = V.bytes([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
const WORD_NUMBERS: Value = V.words([0, 1, 2, 3, 4, 5, 6, 7]);

/** PINSRW: which word is replaced is only known when the instruction runs. */
const insertWord: Semantics = cold((s) => {
  const isWide = V.isWide(s);
  if (!isWide) V.requireMmx(s);
  const word = s.local(s.rmOfSize(2).read().to('i32'));
  const lane = V.immediate(s).and(isWide ? 7 : 3);
  const chosen = WORD_NUMBERS.simd('v128', OP.eq16, lane.simd('v128', OP.splat16));
  V.writeVector(s, 'reg', word.simd('v128', OP.splat16).simd('v128', OP.bitselect, V.readReg(s), chosen));
});

const extractWord = (size: 8 | 16): Semantics =>
  cold((s) => {
    if (size === 8) V.requireMmx(s);
    const register = s.vectorRegister('rm');
    const vector = size === 16 ? register.read('v128', 16) : V.fromWord(register.read('i64', 8));
    const first = V.immediate(s).and(size / 2 - 1).shl(1);
    const indexes = BYTE_NUMBERS.simd('v128', OP.add8, first.simd('v128', OP.splat8));
    s.reg.write(vector.simd('v128', OP.swizzle, indexes).simdLane('i32', OP.extract16, 0));
    if (size === 8) V.enterMmx(s);
  });

/** SSE3 moves that repeat elements. */
const repeat = (indexes: readonly number[]): Semantics =>
  cold((s) => {
    const value = V.readRm(s, 16);
    s.vectorRegister('reg').write(V.shuffle(value, value, indexes), 16);
  });
const repeatLow: Semantics = cold((s) => {
  s.vectorRegister('reg').write(s.local(V.lowHalf(V.readRm(s, 8))).simd('v128', OP.splat64), 16);
});

const logic = (opcode: number): Semantics => V.simple(opcode, hot);
/** ANDN complements the destination, WebAssembly's instruction its second operand. */
const andNot: Semantics = V.binary((a, b) => b.simd('v128', OP.andNot, a));

/** Immediate 2-bit selectors for four elements, in the low bits of four lanes of `laneOp`'s width: (imm × 64, 16, 4, 1 >> 6) & 3. */
const selectors32 = (s: Scope): Value =>
  V.immediate(s).simd('v128', OP.splat32)
    .simd('v128', OP.mul32, V.words([64, 0, 16, 0, 4, 0, 1, 0]))
    .simd('v128', OP.shr32, i32(6))
    .simd('v128', OP.and, V.words([3, 0, 3, 0, 3, 0, 3, 0]));
/** Byte indexes for a swizzle that picks 32-bit elements. */
const picks32 = (s: Scope): Value =>
  s.local(
    selectors32(s)
      .simd('v128', OP.mul32, V.bytes(Array.from({ length: 16 }, () => 4)))
      .simd('v128', OP.add8, V.bytes(Array.from({ length: 16 }, (_, i) => i & 3))),
  );

/** PSHUFLW, PSHUFHW, PSHUFW: four words are picked, the other four (from `kept`) stay. */
function picks16(s: Scope, high: boolean): Value {
  const factors = high ? [0, 0, 0, 0, 64, 16, 4, 1] : [64, 16, 4, 1, 0, 0, 0, 0];
  const own = (n: number): number => 0x0100 + 0x0202 * n;
  // kept words have their own bytes; picked ones count from the first of their half
  const base = (high ? [0, 1, 2, 3, 4, 4, 4, 4] : [0, 0, 0, 0, 4, 5, 6, 7]).map(own);
  const picked = (factor: number): boolean => factor !== 0;
  return V.immediate(s).simd('v128', OP.splat16)
    .simd('v128', OP.mul16, V.words(factors))
    .simd('v128', OP.shr16, i32(6))
    .simd('v128', OP.and, V.words(factors.map((factor) => (picked(factor) ? 3 : 0))))
    .simd('v128', OP.mul16, V.words(factors.map(() => 0x0202)))
    .simd('v128', OP.add16, V.words(base));
}
const shuffleWords = (high: boolean): Semantics => V.binary((_, b, s) => b.simd('v128', OP.swizzle, picks16(s, high)));
const shuffleDoublewords: Semantics = V.binary((_, b, s) => b.simd('v128', OP.swizzle, picks32(s)));

/** SHUFPS: two elements of the destination, then two of the source. */
const shuffleSingles: Semantics = V.binary((a, b, s) => {
  const picks = picks32(s);
  const fromA = a.simd('v128', OP.swizzle, picks);
  const fromB = b.simd('v128', OP.swizzle, picks);
  return V.shuffle(fromA, fromB, [0, 1, 2, 3, 4, 5, 6, 7, 24, 25, 26, 27, 28, 29, 30, 31]);
});
const shuffleDoubles: Semantics = V.binary((a, b, s) => {
  const low = select(V.immediate(s).and(1), V.highHalf(a), V.lowHalf(a));
  const high = select(V.immediate(s).and(2), V.highHalf(b), V.lowHalf(b));
  return V.fromWord(low).simdLane('v128', OP.replace64, 1, high);
});

/** Elements of `width` bytes, alternately from a and b, beginning at byte `first`; MMX takes half as many. */
function interleaved(width: number, high: boolean, isWide: boolean): number[] {
  const half = isWide ? 8 : 4;
  const first = high ? half : 0;
  const indexes: number[] = [];
  for (let at = first; at < first + half; at += width) {
    for (const source of [0, 16]) for (let i = 0; i < width; i++) indexes.push(source + at + i);
  }
  while (indexes.length < 16) indexes.push(0);
  return indexes;
}
const unpack = (width: 1 | 2 | 4 | 8, high: boolean): Semantics =>
  V.binary((a, b, s) => V.shuffle(a, b, interleaved(width, high, V.isWide(s))), high ? 8 : 4);

export const VECTOR_MOVES: SemanticsTable = {
  movups: move(false), movupd: move(false), movdqu: move(false), lddqu: move(false),
  movaps: move(true), movapd: move(true), movdqa: move(true), movntps: move(true), movntpd: move(true), movntdq: move(true),
  movss: moveScalar(4), movsd: moveScalar(8),
  movlps: moveHalf(0), movlpd: moveHalf(0), movhps: moveHalf(8), movhpd: moveHalf(8),
  movhlps: moveBetweenHalves(8, 0), movlhps: moveBetweenHalves(0, 8),
  movq: moveQuad, movq_mmx: moveMmx, movntq: moveMmx, movq2dq: quadToXmm, movdq2q: quadToMmx,
  movd_to_xmm: toXmm, movd_from_xmm: fromXmm, movd_to_mmx: toMmx, movd_from_mmx: fromMmx,
  movmskps: mask(OP.bitmask32, 16), movmskpd: mask(OP.bitmask64, 16), pmovmskb: mask(OP.bitmask8, 16, hot), pmovmskb_mmx: mask(OP.bitmask8, 8),
  pinsrw: insertWord, pextrw: extractWord(16), pextrw_mmx: extractWord(8),
  movsldup: repeat([0, 1, 2, 3, 0, 1, 2, 3, 8, 9, 10, 11, 8, 9, 10, 11]),
  movshdup: repeat([4, 5, 6, 7, 4, 5, 6, 7, 12, 13, 14, 15, 12, 13, 14, 15]),
  movddup: repeatLow,
  pand: logic(OP.and), andps: logic(OP.and), andpd: logic(OP.and),
  por: logic(OP.or), orps: logic(OP.or), orpd: logic(OP.or),
  pxor: logic(OP.xor), xorps: logic(OP.xor), xorpd: logic(OP.xor),
  pandn: andNot, andnps: andNot, andnpd: andNot,
  pshufd: shuffleDoublewords, pshuflw: shuffleWords(false), pshufhw: shuffleWords(true), pshufw: shuffleWords(false),
  shufps: shuffleSingles, shufpd: shuffleDoubles,
  punpcklbw: unpack(1, false), punpcklwd: unpack(2, false), punpckldq: unpack(4, false), punpcklqdq: unpack(8, false),
  punpckhbw: unpack(1, true), punpckhwd: unpack(2, true), punpckhdq: unpack(4, true), punpckhqdq: unpack(8, true),
  unpcklps: unpack(4, false), unpckhps: unpack(4, true), unpcklpd: unpack(8, false), unpckhpd: unpack(8, true),
};
