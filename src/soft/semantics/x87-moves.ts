/** x87 loads, stores, constants and moves (SDM 1 §8.3.3, §8.3.4); what they leave to the exact form stands in x87-stack.ts. */
import { i32, i64, select, store, type Value } from '../wasm/value.ts';
import type { Scope, Semantics, SemanticsTable } from './dsl.ts';
import { INTEGERS, loadNumber, type MemoryFormat, narrowTop, REALS } from './x87-memory.ts';
import { type Extended, type X87Stack, x87 } from './x87-stack.ts';

const BIAS = 16383;
const PAGE_SIZE = 4096;
/** FCW's rounding control. */
const RC_SHIFT = 10;
const RC_NEAREST = 0;
const RC_UP = 2;

const loadMemory = (mnemonic: string, format: MemoryFormat): Semantics =>
  x87(mnemonic, -1, (s, stack) => {
    stack.enterWithRoom();
    const { number, address } = loadNumber(s, stack, format);
    stack.push(number);
    stack.remember(address);
  });

const storeMemory = (mnemonic: string, format: MemoryFormat, pops: number, truncates = false): Semantics =>
  x87(mnemonic, pops, (s, stack) => {
    stack.enter(0);
    const { bits, status } = narrowTop(stack, format, truncates);
    const gained = s.local(status);
    const address = s.local(s.linearAddress());
    s.store(address, format.bytes, bits);
    stack.finish(pops, gained);
    stack.remember(address);
  });

/** 80 bits as they are. */
const loadExtended = x87('fld_m80', -1, (s, stack) => {
  stack.enterWithRoom();
  const address = s.local(s.linearAddress());
  const significand = s.load(address, 8);
  const signExponent = s.load(s.local(address.add(8)), 2);
  stack.push({ significand, signExponent });
  stack.remember(address);
});

/** Ten bytes at once or, where they are not one piece of RAM, the exact way: nothing may be stored when the last byte faults. */
const storeExtended = x87('fstp_m80', 1, (s, stack) => {
  stack.enter(0);
  const address = s.local(s.linearAddress());
  const host = s.local(s.probe(address, true));
  stack.exactIf(host.isZero().or(address.wrap().and(PAGE_SIZE - 1).gt(PAGE_SIZE - 10)));
  const { significand, signExponent } = stack.read(0);
  store(s.code, host, 8, significand);
  store(s.code, host, 2, signExponent, 8);
  stack.finish(1);
  stack.remember(address);
});

const constant = (mnemonic: string, number: (s: Scope, stack: X87Stack) => Extended): Semantics =>
  x87(mnemonic, -1, (s, stack) => {
    stack.enterWithRoom();
    stack.push(number(s, stack));
    stack.remember();
  });

/** A constant cut off after 64 bits; `nearestIsUp`: the bit behind is set. Rounded by FCW, but never inexact (SDM 1 §8.3.8). */
const irrational = (mnemonic: string, exponent: number, lower: bigint, nearestIsUp: boolean): Semantics =>
  constant(mnemonic, (s, stack) => {
    const rounding = s.local(stack.control.shr(RC_SHIFT).and(3));
    const up = rounding.eq(RC_UP).or(nearestIsUp ? rounding.eq(RC_NEAREST) : i32(0));
    return { significand: i64(lower).add(up.widen()), signExponent: i32(BIAS + exponent) };
  });

const loadRegister = x87('fld_sti', -1, (_, stack) => {
  const i = stack.operand;
  stack.enterWithRoom(i);
  stack.push(stack.read(i));
  stack.remember();
});

const storeRegister = (mnemonic: string, pops: number): Semantics =>
  x87(mnemonic, pops, (_, stack) => {
    const i = stack.operand;
    stack.enter(0);
    stack.write(i, stack.read(0));
    stack.finish(pops, undefined, i);
    stack.remember();
  });

const exchange = x87('fxch', 0, (_, stack) => {
  const i = stack.operand;
  stack.enter(0, i);
  const [top, other] = [stack.read(0), stack.read(i)];
  stack.write(0, other);
  stack.write(i, top);
  stack.finish(0);
  stack.remember();
});

/** FCMOVcc by the condition code of CMOVcc. C1 stays as it is. */
const conditionalMove = (mnemonic: string, condition: number): Semantics =>
  x87(mnemonic, 0, (s, stack) => {
    const i = stack.operand;
    stack.enter(0, i);
    const [top, other] = [stack.read(0), stack.read(i)];
    const moves = s.local(s.test(condition));
    const pick = (a: Value, b: Value): Value => select(moves, a, b);
    stack.write(0, { significand: pick(other.significand, top.significand), signExponent: pick(other.signExponent, top.signExponent) });
    stack.remember();
  });

const table: Record<string, Semantics> = {
  fld_m80: loadExtended,
  fstp_m80: storeExtended,
  fld_sti: loadRegister,
  fst_sti: storeRegister('fst_sti', 0),
  fstp_sti: storeRegister('fstp_sti', 1),
  fxch: exchange,

  fld1: constant('fld1', () => ({ significand: i64(1n << 63n), signExponent: i32(BIAS) })),
  fldz: constant('fldz', () => ({ significand: i64(0), signExponent: i32(0) })),
  fldl2t: irrational('fldl2t', 1, 0xd49a_784b_cd1b_8afen, false),
  fldl2e: irrational('fldl2e', 0, 0xb8aa_3b29_5c17_f0bbn, true),
  fldpi: irrational('fldpi', 1, 0xc90f_daa2_2168_c234n, true),
  fldlg2: irrational('fldlg2', -2, 0x9a20_9a84_fbcf_f798n, true),
  fldln2: irrational('fldln2', -1, 0xb172_17f7_d1cf_79abn, true),

  fcmovb: conditionalMove('fcmovb', 2),
  fcmovnb: conditionalMove('fcmovnb', 3),
  fcmove: conditionalMove('fcmove', 4),
  fcmovne: conditionalMove('fcmovne', 5),
  fcmovbe: conditionalMove('fcmovbe', 6),
  fcmovnbe: conditionalMove('fcmovnbe', 7),
  fcmovu: conditionalMove('fcmovu', 10),
  fcmovnu: conditionalMove('fcmovnu', 11),
};
for (const format of REALS) {
  const { name } = format;
  table[`fld_${name}`] = loadMemory(`fld_${name}`, format);
  table[`fst_${name}`] = storeMemory(`fst_${name}`, format, 0);
  table[`fstp_${name}`] = storeMemory(`fstp_${name}`, format, 1);
}
for (const format of INTEGERS) {
  const { name } = format;
  table[`fild_${name}`] = loadMemory(`fild_${name}`, format);
  if (format.bytes < 8) table[`fist_${name}`] = storeMemory(`fist_${name}`, format, 0);
  table[`fistp_${name}`] = storeMemory(`fistp_${name}`, format, 1);
  table[`fisttp_${name}`] = storeMemory(`fisttp_${name}`, format, 1, true);
}

export const X87_MOVES: SemanticsTable = table;
