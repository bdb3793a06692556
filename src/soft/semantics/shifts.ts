/**
 * Shifts, rotates, bit tests and scans (SDM 2). A masked count of 0 changes no flag. OF is defined for counts of 1 only; for
 * others it follows the same formula.
 */
import { IMM } from '../../x86/record.ts';
import { RCX } from '../../x86/state.ts';
import { constant, i32, i64, select, type Value } from '../wasm/value.ts';
import { type CarryOverflow, cold, hot, type Scope, type SemanticsTable } from './dsl.ts';

/** `count` is not 0. CF and OF follow from the operands and the result. */
interface Shift {
  result(s: Scope, a: Value, count: Value): Value;
  flags(s: Scope, a: Value, count: Value, result: Value): CarryOverflow;
}

const bitsOf = (s: Scope): number => s.size * 8;
const topBit = (s: Scope, value: Value): Value => s.local(value.shr(bitsOf(s) - 1).wrap().and(1));
const bit0 = (s: Scope, value: Value): Value => s.local(value.wrap().and(1));

const shiftLeft: Shift = {
  result: (_, a, count) => a.shl(count),
  flags(s, a, count, result) {
    const carry = s.size === 8
      ? bit0(s, a.shr(i64(64).sub(count)))
      : bit0(s, a.widen().shl(count.widen()).shr(BigInt(bitsOf(s))));
    return { carry, overflow: topBit(s, result).xor(carry) };
  },
};
const shiftRight: Shift = {
  result: (_, a, count) => a.shr(count),
  flags: (s, a, count, result) => ({ carry: bit0(s, a.shr(count.sub(1))), overflow: topBit(s, result.xor(result.shl(1))) }),
};
const shiftRightSigned: Shift = {
  result: (s, a, count) => signExtended(s, a).shrSigned(count),
  flags: (s, a, count) => ({ carry: bit0(s, signExtended(s, a).shrSigned(count.sub(1))), overflow: i32(0) }),
};

const signExtended = (s: Scope, a: Value): Value => (s.size >= 4 ? a : a.extend(s.size === 1 ? 8 : 16));

/** Counts are taken modulo 32, or 64 for 64-bit operands (SDM 2B SAL/SAR/SHL/SHR). */
const maskedCount = (s: Scope): Value => {
  const raw = s.source.size === s.size ? s.source.read() : s.source.read().to(s.word);
  return s.local(raw.to(s.word).and(s.size === 8 ? 63 : 31));
};

/** Where the count is not 0: a new value, and its flags. */
const moving = (move: (s: Scope, old: Value, count: Value) => Value): ((s: Scope) => void) => (s) => {
  const count = maskedCount(s);
  s.destination.modify((old) => {
    const result = s.variable(old);
    s.if(count.ne(0), () => result.set(move(s, old, count)));
    return result.value;
  });
};

const shifting = (shift: Shift): ((s: Scope) => void) => moving((s, old, count) => {
  const result = s.local(shift.result(s, old, count));
  s.resultFlagsLater(result, [old, count], ([a, by], r) => shift.flags(s, a as Value, by as Value, r));
  return result;
});

const rotating = (rotate: Rotation): ((s: Scope) => void) => moving((s, old, count) => {
  const result = s.local(rotate.result(s, old, count));
  s.rotatedFlagsLater(result, (rotated) => rotate.flags(s, rotated));
  return result;
});

interface Rotation {
  result(s: Scope, a: Value, count: Value): Value;
  flags(s: Scope, result: Value): CarryOverflow;
}

/** 8- and 16-bit rotates work on the value repeated until it fills 32 bits. */
const repeated = (s: Scope, a: Value): Value => {
  if (s.size >= 4) return a;
  if (s.size === 2) return s.local(a.or(a.shl(16)));
  return s.local(a.mul(0x0101_0101));
};
const rotateLeft: Rotation = {
  result: (s, a, count) => repeated(s, a).rotl(count),
  flags(s, result) {
    const carry = bit0(s, result);
    return { carry, overflow: topBit(s, result).xor(carry) };
  },
};
const rotateRight: Rotation = {
  result: (s, a, count) => repeated(s, a).rotr(count),
  flags: (s, result) => ({ carry: topBit(s, result), overflow: topBit(s, result.xor(result.shl(1))) }),
};

/** Through carry: a rotation of size+1 bits; for 8 and 16 bits the count is further taken modulo 9 and 17. */
const rotatingThroughCarry = (left: boolean): ((s: Scope) => void) => moving((s, a, rawCount) => {
  const bits = bitsOf(s);
  const carryIn = s.local(s.carry().widen());
  const value = s.local(a.widen());
  const count = s.local((s.size === 1 ? rawCount.remUnsigned(9) : s.size === 2 ? rawCount.remUnsigned(17) : rawCount).widen());
  const rest = s.local(i64(bits).sub(count));
  const rotated = s.local(left
    ? value.shl(count).or(carryIn.shl(count.sub(1))).or(value.shr(rest.and(63)).shr(1))
    : value.shr(count).or(carryIn.shl(rest)).or(value.shl(rest).shl(1)));
  // A count that became 0 rotates by nothing: carry and value stay.
  const result = s.local(select(count.isZero(), value, rotated).to(s.word));
  const carry = s.local(select(count.isZero(), carryIn, value.shr(left ? rest : count.sub(1)).and(1)).wrap());
  s.carryOverflowFlags(carry, left ? topBit(s, result).xor(carry) : topBit(s, result.xor(result.shl(1))));
  return result;
});

/** SHLD, SHRD: bits come in from the register. */
const doubleShift = (left: boolean, countOf: (s: Scope) => Value): ((s: Scope) => void) => (s) => {
  const count = s.local(countOf(s).to(s.word).and(s.size === 8 ? 63 : 31));
  const incoming = s.local(s.reg.read());
  s.rm.modify((old) => {
    const result = s.variable(old);
    s.if(count.ne(0), () => {
      if (s.size === 2) {
        // Three words, the incoming one twice: counts of 17 to 31 are undefined, and this is what silicon (Zen 3) does.
        const twice = incoming.widen().mul(left ? 0x1_0001n : 0x1_0001_0000n);
        const words = s.local(old.widen().shl(left ? 32 : 0).or(twice));
        const by = s.local(count.widen());
        const shifted = s.local((left ? words.shl(by).shr(32) : words.shr(by)).wrap().and(0xffff));
        s.resultFlags(shifted, bit0(s, words.shr(left ? i64(48).sub(by) : by.sub(1))), topBit(s, shifted.xor(old)));
        result.set(shifted);
        return;
      }
      const restOf = (by: Value): Value => constant(s.word, bitsOf(s)).sub(by);
      const shifted = s.local(left ? old.shl(count).or(incoming.shr(restOf(count))) : old.shr(count).or(incoming.shl(restOf(count))));
      s.resultFlagsLater(shifted, [old, count], ([a, by], r) => ({
        carry: bit0(s, (a as Value).shr(left ? restOf(by as Value) : (by as Value).sub(1))),
        overflow: topBit(s, r.xor(a as Value)),
      }));
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
  rol: cold(rotating(rotateLeft)),
  ror: cold(rotating(rotateRight)),
  rcl: cold(rotatingThroughCarry(true)),
  rcr: cold(rotatingThroughCarry(false)),
  shld: cold(doubleShift(true, immediateCount)),
  shrd: cold(doubleShift(false, immediateCount)),
  shld_cl: cold(doubleShift(true, clCount)),
  shrd_cl: cold(doubleShift(false, clCount)),
  bt: cold(bitTest(undefined)),
  bts: cold(bitTest((value, mask) => value.or(mask))),
  btr: cold(bitTest((value, mask) => value.and(mask.not()))),
  btc: cold(bitTest((value, mask) => value.xor(mask))),
  bsf: cold(bitScan((_, value) => value.ctz())),
  bsr: cold(bitScan((s, value) => value.clz().xor(s.size === 8 ? 63 : 31))),
};
