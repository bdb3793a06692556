/**
 * Shifts, rotates, bit tests and scans (SDM 2). A masked count of 0 changes no flag. OF is defined for counts of 1 only; for
 * others it follows the same formula.
 */
import { IMM } from '../../x86/record.ts';
import { RCX } from '../../x86/state.ts';
import { constant, i64, select, type Value } from '../wasm/value.ts';
import { cold, hot, type Scope, type SemanticsTable } from './dsl.ts';

interface Shifted {
  readonly result: Value;
  readonly carry: Value;
  readonly overflow: Value;
}
type Shift = (s: Scope, a: Value, count: Value) => Shifted;

const bitsOf = (s: Scope): number => s.size * 8;
const topBit = (s: Scope, value: Value): Value => s.local(value.shr(bitsOf(s) - 1).wrap().and(1));
const bit0 = (s: Scope, value: Value): Value => s.local(value.wrap().and(1));

const shiftLeft: Shift = (s, a, count) => {
  const result = s.local(a.shl(count));
  const carry = s.size === 8
    ? bit0(s, a.shr(i64(64).sub(count)))
    : bit0(s, a.widen().shl(count.widen()).shr(BigInt(bitsOf(s))));
  return { result, carry, overflow: topBit(s, result).xor(carry) };
};
const shiftRight: Shift = (s, a, count) => {
  const result = s.local(a.shr(count));
  return { result, carry: bit0(s, a.shr(count.sub(1))), overflow: topBit(s, result.xor(result.shl(1))) };
};
const shiftRightSigned: Shift = (s, a, count) => {
  const value = s.local(signExtended(s, a));
  return { result: s.local(value.shrSigned(count)), carry: bit0(s, value.shrSigned(count.sub(1))), overflow: bit0(s, value.and(0)) };
};

const signExtended = (s: Scope, a: Value): Value => (s.size >= 4 ? a : a.extend(s.size === 1 ? 8 : 16));

/** Counts are taken modulo 32, or 64 for 64-bit operands (SDM 2B SAL/SAR/SHL/SHR). */
const maskedCount = (s: Scope): Value => {
  const raw = s.source.size === s.size ? s.source.read() : s.source.read().to(s.word);
  return s.local(raw.to(s.word).and(s.size === 8 ? 63 : 31));
};

const shifting = (shift: Shift): ((s: Scope) => void) => (s) => {
  const count = maskedCount(s);
  s.destination.modify((old) => {
    const result = s.variable(old);
    s.if(count.ne(0), () => {
      const shifted = shift(s, old, count);
      s.resultFlags(shifted.result, shifted.carry, shifted.overflow);
      result.set(shifted.result);
    });
    return result.value;
  });
};

const rotating = (rotate: Shift): ((s: Scope) => void) => (s) => {
  const count = maskedCount(s);
  s.destination.modify((old) => {
    const result = s.variable(old);
    s.if(count.ne(0), () => {
      const rotated = rotate(s, old, count);
      s.carryOverflowFlags(rotated.carry, rotated.overflow);
      result.set(rotated.result);
    });
    return result.value;
  });
};

/** 8- and 16-bit rotates work on the value repeated until it fills 32 bits. */
const repeated = (s: Scope, a: Value): Value => {
  if (s.size >= 4) return a;
  if (s.size === 2) return s.local(a.or(a.shl(16)));
  return s.local(a.mul(0x0101_0101));
};
const rotateLeft: Shift = (s, a, count) => {
  const result = s.local(repeated(s, a).rotl(count));
  const carry = bit0(s, result);
  return { result, carry, overflow: topBit(s, result).xor(carry) };
};
const rotateRight: Shift = (s, a, count) => {
  const result = s.local(repeated(s, a).rotr(count));
  return { result, carry: topBit(s, result), overflow: topBit(s, result.xor(result.shl(1))) };
};

/** Through carry: a rotation of size+1 bits; for 8 and 16 bits the count is further taken modulo 9 and 17. */
const rotateCarryLeft: Shift = (s, a, rawCount) => {
  const bits = bitsOf(s);
  const carryIn = s.local(s.carry().widen());
  const value = s.local(a.widen());
  const count = s.local((s.size === 1 ? rawCount.remUnsigned(9) : s.size === 2 ? rawCount.remUnsigned(17) : rawCount).widen());
  const rotated = s.local(
    value.shl(count).or(carryIn.shl(count.sub(1))).or(value.shr(i64(bits).sub(count).and(63)).shr(1)),
  );
  // A count that became 0 rotates by nothing: carry and value stay.
  const result = s.local(select(count.isZero(), value, rotated));
  const carry = s.local(select(count.isZero(), carryIn, value.shr(i64(bits).sub(count)).and(1)).wrap());
  return { result: s.local(result.to(s.word)), carry, overflow: topBit(s, result.to(s.word)).xor(carry) };
};
const rotateCarryRight: Shift = (s, a, rawCount) => {
  const bits = bitsOf(s);
  const carryIn = s.local(s.carry().widen());
  const value = s.local(a.widen());
  const count = s.local((s.size === 1 ? rawCount.remUnsigned(9) : s.size === 2 ? rawCount.remUnsigned(17) : rawCount).widen());
  const rotated = s.local(
    value.shr(count).or(carryIn.shl(i64(bits).sub(count))).or(value.shl(i64(bits).sub(count)).shl(1)),
  );
  const result = s.local(select(count.isZero(), value, rotated));
  const carry = s.local(select(count.isZero(), carryIn, value.shr(count.sub(1)).and(1)).wrap());
  const word = s.local(result.to(s.word));
  return { result: word, carry, overflow: topBit(s, word.xor(word.shl(1))) };
};

/** SHLD, SHRD: bits come in from the register. */
const doubleShift = (left: boolean, countOf: (s: Scope) => Value): ((s: Scope) => void) => (s) => {
  const bits = bitsOf(s);
  const count = s.local(countOf(s).to(s.word).and(s.size === 8 ? 63 : 31));
  const incoming = s.local(s.reg.read());
  s.rm.modify((old) => {
    const result = s.variable(old);
    s.if(count.ne(0), () => {
      let shifted: Value;
      let carry: Value;
      if (s.size === 2) {
        // Three words, the incoming one twice: counts of 17 to 31 are undefined, and this is what silicon (Zen 3) does.
        const twice = incoming.widen().mul(left ? 0x1_0001n : 0x1_0001_0000n);
        const words = s.local(old.widen().shl(left ? 32 : 0).or(twice));
        const by = s.local(count.widen());
        shifted = s.local((left ? words.shl(by).shr(32) : words.shr(by)).wrap().and(0xffff));
        carry = bit0(s, words.shr(left ? i64(48).sub(by) : by.sub(1)));
      } else {
        const rest = s.local(constant(s.word, bits).sub(count));
        shifted = s.local(left ? old.shl(count).or(incoming.shr(rest)) : old.shr(count).or(incoming.shl(rest)));
        carry = bit0(s, left ? old.shr(rest) : old.shr(count.sub(1)));
      }
      s.resultFlags(shifted, carry, topBit(s, shifted.xor(old)));
      result.set(shifted);
    });
    return result.value;
  });
};

/** BT family. A register index beyond a memory operand reaches neighbouring words (SDM 2A BT). CF = the bit. */
const bitTest = (change: ((value: Value, mask: Value) => Value) | undefined): ((s: Scope) => void) => (s) => {
  const index = s.local(s.source.read());
  const position = s.local(index.and(bitsOf(s) - 1));
  const one = constant(s.word, 1);
  if (s.rm.isMemory && s.source === s.reg) {
    const signed = s.size === 2 ? index.extend(16).widenSigned() : index.widenSigned();
    const byteOffset = signed.shrSigned(s.size === 2 ? 4n : s.size === 4 ? 5n : 6n).mul(BigInt(s.size));
    const address = s.local(s.linearAddress().add(byteOffset));
    const value = s.local(s.load(address, s.size));
    // The store goes first: it may fault, the flag must not change then.
    if (change) s.store(address, s.size, change(value, s.local(one.shl(position))));
    s.carryFlag(bit0(s, value.shr(position)));
    return;
  }
  if (!change) {
    s.carryFlag(bit0(s, s.rm.read().shr(position)));
    return;
  }
  s.rm.modify((old) => {
    s.carryFlag(bit0(s, old.shr(position)));
    return change(old, s.local(one.shl(position)));
  });
};

/** BSF, BSR: the destination is kept when the source is zero (documented for AMD, true of Intel's silicon). */
const bitScan = (find: (s: Scope, value: Value) => Value): ((s: Scope) => void) => (s) => {
  const value = s.local(s.rm.read());
  s.logicFlags(value);
  s.if(value.ne(0), () => s.reg.write(find(s, value)));
};

const immediateCount = (s: Scope): Value => s.recordField(IMM, 'i32', 1);
const clCount = (s: Scope): Value => s.register(RCX, 1).read();

export const SHIFTS: SemanticsTable = {
  shl: hot(shifting(shiftLeft)),
  shr: hot(shifting(shiftRight)),
  sar: hot(shifting(shiftRightSigned)),
  rol: hot(rotating(rotateLeft)),
  ror: hot(rotating(rotateRight)),
  rcl: cold(rotating(rotateCarryLeft)),
  rcr: cold(rotating(rotateCarryRight)),
  shld: cold(doubleShift(true, immediateCount)),
  shrd: cold(doubleShift(false, immediateCount)),
  shld_cl: cold(doubleShift(true, clCount)),
  shrd_cl: cold(doubleShift(false, clCount)),
  bt: hot(bitTest(undefined)),
  bts: cold(bitTest((value, mask) => value.or(mask))),
  btr: cold(bitTest((value, mask) => value.and(mask.not()))),
  btc: cold(bitTest((value, mask) => value.xor(mask))),
  bsf: cold(bitScan((_, value) => value.ctz())),
  bsr: cold(bitScan((s, value) => value.clz().xor(s.size === 8 ? 63 : 31))),
};
