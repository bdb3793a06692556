/**
 * PCMPESTRI, PCMPESTRM, PCMPISTRI, PCMPISTRM (SDM 1 §12.10; SDM 2B §4.1): two strings of bytes or words in 16 bytes each are
 * compared element by element, and the comparisons combined as the immediate says. A comparison of all elements with one is a bit set.
 */
import { CF, OF, SF, ZF } from '../../x86/flags.ts';
import { RAX, RCX, RDX, xmm } from '../../x86/state.ts';
import { i32, select, type Value } from '../wasm/value.ts';
import { cold, type Scope, type Semantics, type SemanticsTable } from './dsl.ts';
import * as V from './vector.ts';

const { OP } = V;

/** Bits of the immediate (SDM 2B §4.1.2 to §4.1.6). */
const WORDS = 1 << 0;
const SIGNED = 1 << 1;
const RANGES_OR_ORDERED = 1 << 2;
const EACH_OR_ORDERED = 1 << 3;
const NEGATED = 1 << 4;
const ONLY_VALID = 1 << 5;
/** The last match instead of the first; a mask of elements instead of bits. */
const LAST_OR_EXPANDED = 1 << 6;

/** What bytes and words have each their own of. */
interface Elements {
  readonly count: 8 | 16;
  readonly splat: number;
  readonly equal: number;
  readonly bits: number;
  readonly first: number;
  readonly atLeast: readonly [unsigned: number, signed: number];
  readonly atMost: readonly [unsigned: number, signed: number];
}
const BYTES: Elements = {
  count: 16, splat: OP.splat8, equal: OP.eq8, bits: OP.bitmask8, first: OP.extract8,
  atLeast: [OP.atLeastUnsigned8, OP.atLeast8], atMost: [OP.atMostUnsigned8, OP.atMost8],
};
const TEXT_WORDS: Elements = {
  count: 8, splat: OP.splat16, equal: OP.eq16, bits: OP.bitmask16, first: OP.extract16,
  atLeast: [OP.atLeastUnsigned16, OP.atLeast16], atMost: [OP.atMostUnsigned16, OP.atMost16],
};

interface Text {
  /** v128. */
  readonly elements: Value;
  /** i32: how many of them count. */
  readonly length: Value;
}

/** Bits 0 … n − 1. */
const ones = (n: Value): Value => i32(1).shl(n).sub(1);
const all = ({ count }: Elements): number => (1 << count) - 1;
const behind = ({ count }: Elements, text: Value, elements: number): Value =>
  V.shuffle(text, V.ZEROS, Array.from({ length: 16 }, (_, i) => i + (elements * 16) / count));

/** Generates one of two, where the immediate is known when code is generated; else both, and chooses between them. */
function either(s: Scope, control: Value, bit: number, yes: () => void, no: () => void): void {
  if (control.known === undefined) s.code.if(control.and(bit), yes, no);
  else if (Number(control.known) & bit) yes();
  else no();
}
const eitherOf = (control: Value, bit: number, yes: Value, no: Value): Value =>
  control.known === undefined ? select(control.and(bit), yes, no) : Number(control.known) & bit ? yes : no;

/** `body` for the first element of `a`, and so on while `step` more of them count; it gets what is left, and how many went before (i32). */
function forElements(s: Scope, kind: Elements, a: Text, step: 1 | 2, body: (left: Value, before: Value) => void): void {
  const left = s.variable(a.elements);
  const before = s.variable(i32(0));
  s.code.block((done) => s.code.loop((again) => {
    s.code.branchIf(done, before.value.add(step).gt(a.length));
    body(left.value, before.value);
    left.set(behind(kind, left.value, step));
    before.set(before.value.add(step));
    s.code.branch(again);
  }));
}

/** A bit for each element of `b` that compares so with the first of `elements`. */
const withFirst = ({ splat, first, bits }: Elements, elements: Value, b: Value, comparison: number): Value =>
  b.simd('v128', comparison, elements.simdLane('i32', first, 0).simd('v128', splat)).simd('i32', bits);

/** The comparisons before negation: IntRes1 (SDM 2B §4.1.4, §4.1.5, table 4-7). */
function aggregate(s: Scope, kind: Elements, control: Value, a: Text, b: Text, found: { readonly value: Value; set(value: Value): void }): void {
  const [inA, inB] = [ones(a.length), ones(b.length)];
  /** For each element of `b`: it is one of `a`'s. */
  const equalAny = (): void => {
    forElements(s, kind, a, 1, (left) => found.set(found.value.or(withFirst(kind, left, b.elements, kind.equal))));
    found.set(found.value.and(inB));
  };
  /** It lies between two of `a`'s. */
  const inRanges = (sign: 0 | 1) => (): void => {
    forElements(s, kind, a, 2, (left) => {
      const low = withFirst(kind, left, b.elements, kind.atLeast[sign]);
      found.set(found.value.or(low.and(withFirst(kind, behind(kind, left, 1), b.elements, kind.atMost[sign]))));
    });
    found.set(found.value.and(inB));
  };
  /** Both have it alike, or neither has it. */
  const equalEach = (): void => {
    const alike = a.elements.simd('v128', kind.equal, b.elements).simd('i32', kind.bits);
    found.set(alike.and(inA).and(inB).or(inA.or(inB).xor(all(kind))));
  };
  /** All of `a` begins there; what would lie beyond the vector is not held against it. */
  const equalOrdered = (): void => {
    found.set(i32(all(kind)));
    forElements(s, kind, a, 1, (left, before) => {
      const alike = withFirst(kind, left, b.elements, kind.equal).and(inB);
      found.set(found.value.and(alike.shr(before).or(i32(all(kind)).shr(before).xor(all(kind)))));
    });
  };
  either(s, control, EACH_OR_ORDERED, () => {
    either(s, control, RANGES_OR_ORDERED, equalOrdered, equalEach);
  }, () => {
    either(s, control, RANGES_OR_ORDERED, () => either(s, control, SIGNED, inRanges(1), inRanges(0)), equalAny);
  });
}

/** Elements before the first zero. */
const implicitLength = ({ equal, bits, count }: Elements, text: Value): Value =>
  text.simd('v128', equal, V.ZEROS).simd('i32', bits).or(1 << count).ctz();

/** |EAX| or |RAX| and the like, at most a whole vector. */
function explicitLength(s: Scope, { count }: Elements, register: number): Value {
  const size = s.size === 8 ? 8 : 4;
  const value = s.local(s.register(register, size).read());
  const sign = s.local(value.shrSigned(size * 8 - 1));
  const magnitude = s.local(value.xor(sign).sub(sign));
  return s.local(select(magnitude.gt(count), i32(count), magnitude.wrap()));
}

/** Of bits, a vector of elements: to XMM0. */
function writeMask(s: Scope, kind: Elements, control: Value, found: Value): void {
  const write = (mask: Value): void => {
    const kept = s.local(mask);
    s.setField(xmm(0), V.lowHalf(kept));
    s.setField(xmm(0) + 8, V.highHalf(kept));
  };
  const bits = kind === BYTES
    ? V.bytes(Array.from({ length: 16 }, (_, i) => 1 << (i & 7)))
    : V.words(Array.from({ length: 8 }, (_, i) => 1 << i));
  const spread = kind === BYTES
    ? found.simd('v128', OP.splat16).simd('v128', OP.swizzle, V.bytes(Array.from({ length: 16 }, (_, i) => i >> 3)))
    : found.simd('v128', OP.splat16);
  const expanded = spread.simd('v128', OP.and, bits).simd('v128', kind.equal, bits);
  either(s, control, LAST_OR_EXPANDED, () => write(expanded), () => write(V.fromWord(found.widen())));
}

function compare(isExplicit: boolean, givesMask: boolean): Semantics {
  return cold((s) => {
    const control = s.local(V.immediate(s));
    const b = V.readRm(s, 16, true);
    const a = s.local(s.vectorRegister('reg').read('v128', 16));
    const give = (kind: Elements) => (): void => {
      const { count } = kind;
      const lengthOf = (text: Value, register: number): Value => (isExplicit ? explicitLength(s, kind, register) : s.local(implicitLength(kind, text)));
      const [lengthA, lengthB] = [lengthOf(a, RAX), lengthOf(b, RDX)];
      const found = s.variable(i32(0));
      aggregate(s, kind, control, { elements: a, length: lengthA }, { elements: b, length: lengthB }, found);
      const negation = eitherOf(control, NEGATED, eitherOf(control, ONLY_VALID, ones(lengthB), i32(all(kind))), i32(0));
      const result = s.local(found.value.xor(negation));
      if (givesMask) writeMask(s, kind, control, result);
      else {
        const index = eitherOf(control, LAST_OR_EXPANDED, i32(31).sub(result.clz()), result.ctz());
        s.register(RCX, 4).write(s.local(select(result, index, i32(count))));
      }
      const flag = (condition: Value, bit: number): Value => select(condition, i32(bit), i32(0));
      s.setArithmeticFlags(s.local(
        flag(result, CF).or(flag(lengthB.lt(count), ZF)).or(flag(lengthA.lt(count), SF)).or(flag(result.and(1), OF))));
    };
    either(s, control, WORDS, give(TEXT_WORDS), give(BYTES));
  });
}

export const VECTOR_TEXT: SemanticsTable = {
  pcmpestri: compare(true, false),
  pcmpestrm: compare(true, true),
  pcmpistri: compare(false, false),
  pcmpistrm: compare(false, true),
};
