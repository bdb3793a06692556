/**
 * String instructions (SDM 1 §7.3.9). One REP iteration counts as one instruction, and an interrupt or fault between two
 * iterations finds the registers as if the instruction were about to start again. REP MOVS and REP STOS move in bulk as far as
 * both pages, the budget and an ascending, non-overlapping order allow.
 *
 * The record's immediate is the address mask; segments that are not flat never come here (the decoder sends them to system
 * code).
 */
import { DF } from '../../x86/flags.ts';
import { IMM, SEGMENT } from '../../x86/record.ts';
import { LINEAR_MASK, RAX, RCX, RDI, REPEATING, RSI, SYSTEM_FLAGS, segmentBase, ES, MODE, MODE_CODE_64, MODE_CODE_SIZE } from '../../x86/state.ts';
import { getLocal, i32, i64, select, store, type Value } from '../wasm/value.ts';
import { cold, type Scope, type SemanticsTable } from './dsl.ts';

const addressMask = (s: Scope): Value => s.recordField(IMM, 'i64', 8);

/** +size or −size by DF, i64. */
const step = (s: Scope): Value =>
  s.local(select(s.field(SYSTEM_FLAGS, 'i32').and(DF).isZero(), i64(s.size), i64(-s.size)));

/** A 16-bit index register keeps its upper bits, a 32-bit one zero-extends. */
const advance = (s: Scope, register: number, mask: Value, by: Value): void => {
  const whole = s.register(register, 8);
  const value = s.local(whole.read());
  const kept = select(mask.eq(0xffff), value.and(-0x1_0000), i64(0));
  whole.write(value.add(by).and(mask).or(kept));
};

const sourceAddress = (s: Scope, mask: Value): Value => {
  const base = getLocal('i32', 0).add(s.recordField(SEGMENT, 'i32', 2)).load('i64', 8);
  return s.local(s.register(RSI, 8).read().and(mask).add(base).and(s.field(LINEAR_MASK, 'i64')));
};
const destinationAddress = (s: Scope, mask: Value): Value => {
  const base = select(s.field(MODE, 'i32').and(MODE_CODE_SIZE).eq(MODE_CODE_64), i64(0), s.field(segmentBase(ES), 'i64'));
  return s.local(s.register(RDI, 8).read().and(mask).add(base).and(s.field(LINEAR_MASK, 'i64')));
};

const move = (s: Scope, mask: Value): void => {
  const value = s.local(s.load(sourceAddress(s, mask), s.size));
  s.store(destinationAddress(s, mask), s.size, value);
  const by = step(s);
  advance(s, RSI, mask, by);
  advance(s, RDI, mask, by);
};
const fill = (s: Scope, mask: Value): void => {
  s.store(destinationAddress(s, mask), s.size, s.local(s.register(RAX, s.size).read()));
  advance(s, RDI, mask, step(s));
};
const loadString = (s: Scope, mask: Value): void => {
  s.register(RAX, s.size).write(s.load(sourceAddress(s, mask), s.size));
  advance(s, RSI, mask, step(s));
};
const compare = (s: Scope, mask: Value): void => {
  const a = s.local(s.load(sourceAddress(s, mask), s.size));
  const b = s.local(s.load(destinationAddress(s, mask), s.size));
  s.subtractFlags(a, b, s.local(a.sub(b)));
  const by = step(s);
  advance(s, RSI, mask, by);
  advance(s, RDI, mask, by);
};
const scan = (s: Scope, mask: Value): void => {
  const a = s.local(s.register(RAX, s.size).read());
  const b = s.local(s.load(destinationAddress(s, mask), s.size));
  s.subtractFlags(a, b, s.local(a.sub(b)));
  advance(s, RDI, mask, step(s));
};

const once = (element: (s: Scope, mask: Value) => void): ((s: Scope) => void) => (s) => element(s, s.local(addressMask(s)));

/** Counts one off RCX and repeats the instruction while any are left (and `again`, for REPE and REPNE). */
const repeating = (
  element: (s: Scope, mask: Value) => void,
  again: ((s: Scope) => Value) | undefined,
  bulk?: (s: Scope, mask: Value, count: Value) => void,
): ((s: Scope) => void) => (s) => {
  const mask = s.local(addressMask(s));
  const count = s.local(s.register(RCX, 8).read().and(mask));
  s.if(count.ne(0), () => {
    bulk?.(s, mask, count);
    element(s, mask);
    advance(s, RCX, mask, i64(-1));
    const left = count.ne(1);
    const goesOn = s.local(again ? left.and(again(s)) : left);
    s.setField(REPEATING, goesOn);
    s.if(goesOn, () => s.repeat(i32(0)));
  });
};

/** Elements that fit from `address` to the end of its page. */
const toPageEnd = (s: Scope, address: Value): Value =>
  s.local(i64(0x1000).sub(address.and(0xfff)).divUnsigned(i64(s.size)));

const smaller = (s: Scope, a: Value, b: Value): Value => s.local(select(a.lt(b), a, b));

/** Ascending and directly in RAM: as many elements as the pages and the budget have, in one go. */
const inBulk = (
  s: Scope, mask: Value, count: Value, withSource: boolean,
  run: (destination: Value, source: Value, elements: Value) => void,
): void => {
  s.if(s.field(SYSTEM_FLAGS, 'i32').and(DF).isZero().and(count.gt(3)), () => {
    const to = destinationAddress(s, mask);
    const from = withSource ? sourceAddress(s, mask) : to;
    const destination = s.local(s.probe(to, true));
    const source = withSource ? s.local(s.probe(from, false)) : destination;
    let elements = smaller(s, count, s.local(s.budget().widen().add(1)));
    elements = smaller(s, elements, toPageEnd(s, to));
    if (withSource) elements = smaller(s, elements, toPageEnd(s, from));
    // A 16-bit index must not wrap inside the run.
    elements = smaller(s, elements, s.local(select(mask.eq(0xffff), i64(1), elements)));
    const bytes = s.local(elements.mul(s.size).wrap());
    const apart = withSource
      ? destination.sub(source).ge(bytes).and(source.sub(destination).ge(bytes))
      : i32(1);
    s.if(destination.ne(0).and(source.ne(0)).and(elements.gt(1)).and(apart), () => {
      run(destination, source, elements);
      const moved = s.local(elements.mul(s.size));
      if (withSource) advance(s, RSI, mask, moved);
      advance(s, RDI, mask, moved);
      advance(s, RCX, mask, elements.negate());
      const extra = elements.sub(1).wrap();
      const goesOn = s.local(count.ne(elements));
      s.setField(REPEATING, goesOn);
      s.if(goesOn, () => s.repeat(extra));
      s.consume(extra);
      s.finish();
    });
  });
};

const moveBulk = (s: Scope, mask: Value, count: Value): void =>
  inBulk(s, mask, count, true, (destination, source, elements) => {
    destination.emit(s.code);
    source.emit(s.code);
    elements.mul(s.size).wrap().emit(s.code);
    s.code.bytes.raw([0xfc, 0x0a, 0, 0]); // memory.copy
  });

const fillBulk = (s: Scope, mask: Value, count: Value): void =>
  inBulk(s, mask, count, false, (destination, _, elements) => {
    const value = s.local(s.register(RAX, s.size).read());
    if (s.size === 1) {
      destination.emit(s.code);
      value.emit(s.code);
      elements.wrap().emit(s.code);
      s.code.bytes.raw([0xfc, 0x0b, 0]); // memory.fill
      return;
    }
    const cursor = s.variable(destination);
    const end = s.local(destination.add(elements.mul(s.size).wrap()));
    s.code.loop((again) => {
      store(s.code, cursor.value, s.size, value);
      cursor.set(cursor.value.add(s.size));
      s.code.branchIf(again, cursor.value.ne(end));
    });
  });

export const STRINGS: SemanticsTable = {
  movs: cold(once(move)),
  stos: cold(once(fill)),
  lods: cold(once(loadString)),
  cmps: cold(once(compare)),
  scas: cold(once(scan)),
  rep_movs: { ...cold(repeating(move, undefined, moveBulk)), repeats: true },
  rep_stos: { ...cold(repeating(fill, undefined, fillBulk)), repeats: true },
  rep_lods: { ...cold(repeating(loadString, undefined)), repeats: true },
  repe_cmps: { ...cold(repeating(compare, (s) => s.test(4))), repeats: true },
  repne_cmps: { ...cold(repeating(compare, (s) => s.test(5))), repeats: true },
  repe_scas: { ...cold(repeating(scan, (s) => s.test(4))), repeats: true },
  repne_scas: { ...cold(repeating(scan, (s) => s.test(5))), repeats: true },
};
