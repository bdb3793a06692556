/**
 * The x87 register stack for semantics (SDM 1 §8.1): numbers in its registers, tags, TOP, the status word, and the conditions under
 * which an instruction goes to its exact form (x87/operations.ts) instead: a pending exception, an empty or full register, numbers
 * that the functions of f80-functions.ts refuse. Until the last of these is asked, an instruction changes nothing.
 *
 * CR0.EM and CR0.TS are not asked: with one of them set, x87 instructions are decoded as what raises #NM.
 */
import { IMM } from '../../x86/record.ts';
import { FCW, FSW, FTW, X87 } from '../../x86/state.ts';
import { NEEDS_EXACT_FORM, OUTCOME_STATUS_SHIFT } from '../x87/f80-rounding.ts';
import type { F80FunctionName } from '../x87/f80-functions.ts';
import { C1, CONDITIONS, ERROR_SUMMARY } from '../x87/unit.ts';
import { i32, store, type Value } from '../wasm/value.ts';
import { cold, type Scope, type Semantics } from './dsl.ts';

const TOP_SHIFT = 11;
const TOP = 7 << TOP_SHIFT;
const EMPTY = 3;
/** log2 of the distance of registers in the state block. */
const REGISTER_SHIFT = 4;
/** Of the second half, sign and exponent. */
const SIGN_EXPONENT = 8;

/** A number as a register holds it; both parts are locals. */
export interface Extended {
  readonly significand: Value;
  /** Bits 15:0 count; what stands above them is never stored. */
  readonly signExponent: Value;
}

/** What an 80-bit function delivered, with what the status word gains. */
export interface Result extends Extended {
  /** FSW bits: exceptions, and C1 when it was rounded up. */
  readonly status: Value;
}

/** ST(i), as a number or as a value below 8. */
export type StackIndex = number | Value;

const isExact = (outcome: Value): Value => outcome.and(NEEDS_EXACT_FORM);

export class Stack {
  readonly #s: Scope;
  /** The mnemonic: where the exact form is found. */
  readonly #name: string;
  /** FSW and FTW as the instruction found them. */
  readonly status: Value;
  readonly #tags: Value;

  constructor(s: Scope, name: string) {
    this.#s = s;
    this.#name = name;
    this.status = s.local(s.field(FSW, 'i32'));
    this.#tags = s.local(s.field(FTW, 'i32'));
  }

  /** The stack index that the instruction names. */
  get operand(): StackIndex {
    const index = this.#s.recordField(IMM, 'i32', 1);
    return index.known === undefined ? this.#s.local(index.and(7)) : Number(index.known) & 7;
  }

  /** FCW as the functions want it. */
  get control(): Value {
    return this.#s.field(FCW, 'i32');
  }

  /** Goes to the exact form when `condition` (i32) is not zero. */
  exactIf(condition: Value): void {
    this.#s.code.if(condition, () => this.#s.system(this.#name), undefined, false);
  }

  /** The beginning of every instruction: no exception pending, and `filled` not empty. */
  enter(...filled: readonly StackIndex[]): void {
    this.exactIf(filled.map((i) => this.isEmpty(i)).reduce((all, one) => all.or(one), this.status.and(ERROR_SUMMARY)));
  }

  /** The same, with room for one more. */
  enterWithRoom(...filled: readonly StackIndex[]): void {
    this.exactIf(filled.map((i) => this.isEmpty(i)).reduce((all, one) => all.or(one), this.status.and(ERROR_SUMMARY).or(this.isEmpty(7).isZero())));
  }

  isEmpty(i: StackIndex): Value {
    return this.#tags.shr(this.#tagShift(i)).and(EMPTY).eq(EMPTY);
  }

  read(i: StackIndex): Extended {
    const s = this.#s;
    const address = s.local(this.#address(i));
    return { significand: s.local(address.load('i64', 8, X87)), signExponent: s.local(address.load('i32', 2, X87 + SIGN_EXPONENT)) };
  }

  /** Into a register that is not empty, or one that {@link push} or {@link finish} make valid. */
  write(i: StackIndex, { significand, signExponent }: Extended): void {
    const { code } = this.#s;
    const address = this.#s.local(this.#address(i));
    store(code, address, 8, significand, X87);
    store(code, address, 2, signExponent, X87 + SIGN_EXPONENT);
  }

  /** Calls an 80-bit function that cannot refuse. */
  call(name: F80FunctionName, ...args: readonly Value[]): Result {
    const [significand, outcome] = this.#s.f80(name, args) as [Value, Value];
    return { significand, signExponent: outcome, status: outcome.shr(OUTCOME_STATUS_SHIFT) };
  }

  /** Calls an 80-bit function; what it refuses goes to the exact form. */
  compute(name: F80FunctionName, ...args: readonly Value[]): Result {
    const result = this.call(name, ...args);
    this.exactIf(isExact(result.signExponent));
    return result;
  }

  /** The same for a function with one result. */
  computeOne(name: F80FunctionName, ...args: readonly Value[]): Value {
    const [result] = this.#s.f80(name, args) as [Value];
    this.exactIf(isExact(result));
    return result;
  }

  /** After a comparison: all four condition bits are replaced, then as many registers popped. */
  settleConditions(gained: Value, pops = 0): void {
    this.#end(this.status.and(~CONDITIONS).or(gained), pops);
  }

  /** Pushes; the register must be empty ({@link enterWithRoom}). */
  push(number: Extended, gained?: Value): void {
    const s = this.#s;
    this.write(7, number);
    s.setField(FTW, this.#tags.and(this.#tagMask(7).not()));
    const moved = this.status.sub(1 << TOP_SHIFT).and(TOP).or(this.status.and(~(TOP | C1)));
    s.setField(FSW, gained === undefined ? moved : moved.or(gained));
  }

  /** After a result: C1 is replaced by what `gained` says, exceptions are added; then pops. `valid` was written and may have been empty. */
  finish(pops: number, gained?: Value, valid?: StackIndex): void {
    const kept = this.status.and(~C1);
    this.#end(gained === undefined ? kept : kept.or(gained), pops, valid);
  }

  /** Marks a register empty. */
  free(i: StackIndex, pops = 0): void {
    this.#end(this.status.and(~C1), pops, undefined, this.#tagMask(i));
  }

  /** Moves TOP by one, and nothing else. */
  rotate(by: 1 | -1): void {
    this.#s.setField(FSW, this.status.add(by << TOP_SHIFT).and(TOP).or(this.status.and(~(TOP | C1))));
  }

  #end(status: Value, pops: number, valid?: StackIndex, freed?: Value): void {
    const s = this.#s;
    let tags = this.#tags;
    if (valid !== undefined) tags = tags.and(this.#tagMask(valid).not());
    if (freed !== undefined) tags = tags.or(freed);
    for (let i = 0; i < pops; i++) tags = tags.or(this.#tagMask(i));
    if (tags !== this.#tags) s.setField(FTW, tags);
    s.setField(FSW, pops === 0 ? status : s.local(status).and(~TOP).or(this.status.add(pops << TOP_SHIFT).and(TOP)));
  }

  #address(i: StackIndex): Value {
    const top = this.status.shr(TOP_SHIFT - REGISTER_SHIFT);
    return this.#s.state.add(plus(top, i, REGISTER_SHIFT).and(7 << REGISTER_SHIFT));
  }

  /** Twice the physical number of ST(i). */
  #tagShift(i: StackIndex): Value {
    return plus(this.status.shr(TOP_SHIFT - 1), i, 1).and(14);
  }

  #tagMask(i: StackIndex): Value {
    return i32(EMPTY).shl(this.#tagShift(i));
  }
}

/** `value` + i × 2^shift. */
function plus(value: Value, i: StackIndex, shift: number): Value {
  return typeof i === 'number' ? value.add(i << shift) : value.add(i.shl(shift));
}

/** Semantics of the x87 instruction `mnemonic`; its operand size means nothing. */
export const x87 = (mnemonic: string, body: (s: Scope, stack: Stack) => void): Semantics => ({
  ...cold((s) => body(s, new Stack(s, mnemonic))),
  ignoresSize: true,
});
