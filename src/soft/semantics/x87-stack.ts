/**
 * The x87 register stack for semantics (SDM 1 §8.1): numbers in its registers, tags, TOP, the status word, and the conditions under
 * which an instruction goes to its exact form (x87/operations.ts) instead: a pending exception, an empty or full register, numbers
 * that the functions of f80-functions.ts refuse. Until the last of these is asked, an instruction changes nothing.
 *
 * CR0.EM and CR0.TS are not asked: with one of them set, x87 instructions are decoded as what raises #NM.
 */
import { IMM } from '../../x86/record.ts';
import { OUTCOME_STATUS_SHIFT } from '../x87/f80-rounding.ts';
import type { F80FunctionName } from '../x87/f80-functions.ts';
import type { Value } from '../wasm/value.ts';
import { cold, type Scope, type Semantics } from './dsl.ts';

/** A number as a register holds it. */
export interface Extended {
  readonly significand: Value;
  /** Bits 15:0 count. */
  readonly signExponent: Value;
}

/** What an 80-bit function delivered, with what the status word gains. */
export interface Result extends Extended {
  /** FSW bits: exceptions, and C1 when it was rounded up. */
  readonly status: Value;
}

/** ST(i), as a number or as a value below 8. */
export type StackIndex = number | Value;

/**
 * The unit as one instruction sees it. Order within an instruction: `enter`, reads and computations, memory, and then what
 * changes the unit, of which `push`, `finish`, `compared`, `free` and `rotate` come at most once.
 */
export abstract class X87Stack {
  protected readonly s: Scope;
  /** The mnemonic: where the exact form is found. */
  readonly #name: string;

  constructor(s: Scope, name: string) {
    this.s = s;
    this.#name = name;
  }

  /** The stack index that the instruction names. */
  get operand(): StackIndex {
    const index = this.s.recordField(IMM, 'i32', 1);
    return index.known === undefined ? this.s.local(index.and(7)) : Number(index.known) & 7;
  }

  /** Goes to the exact form when `condition` (i32) is not zero. */
  exactIf(condition: Value): void {
    this.s.code.if(condition, () => this.s.system(this.#name), undefined, false);
  }

  /** The beginning of every waiting instruction: no exception pending, and `filled` not empty. */
  enter(...filled: readonly StackIndex[]): void {
    this.#exactIfAny([this.pending(), ...filled.map((i) => this.empty(i))]);
  }

  /** The same, with room for one more. */
  enterWithRoom(...filled: readonly StackIndex[]): void {
    this.#exactIfAny([this.pending(), ...filled.map((i) => this.empty(i)), this.full()]);
  }

  #exactIfAny(conditions: readonly (Value | undefined)[]): void {
    const asked = conditions.filter((condition) => condition !== undefined);
    if (asked.length > 0) this.exactIf(asked.reduce((all, one) => all.or(one)));
  }

  /** Calls an 80-bit function that cannot refuse. */
  call(name: F80FunctionName, ...args: readonly Value[]): Result {
    const [significand, outcome] = this.s.f80(name, args) as [Value, Value];
    return { significand, signExponent: outcome, status: outcome.shr(OUTCOME_STATUS_SHIFT) };
  }

  /** Calls an 80-bit function; what it refuses goes to the exact form. */
  compute(name: F80FunctionName, ...args: readonly Value[]): Result {
    const result = this.call(name, ...args);
    this.exactIf(result.signExponent.ltSigned(0));
    return result;
  }

  /** The same for a function with one result. */
  computeOne(name: F80FunctionName, ...args: readonly Value[]): Value {
    const [result] = this.s.f80(name, args) as [Value];
    this.exactIf(result.ltSigned(0));
    return result;
  }

  /** Not zero when an exception is pending; undefined when it is known that none is. */
  protected abstract pending(): Value | undefined;
  /** Not zero when the register is empty; undefined when it is known not to be. */
  protected abstract empty(i: StackIndex): Value | undefined;
  /** Not zero when ST(7) is not empty; undefined when it is known to be. */
  protected abstract full(): Value | undefined;

  /** FCW. */
  abstract readonly control: Value;
  abstract setControl(control: Value): void;
  /** FSW with TOP in its place. */
  abstract readonly status: Value;
  /** Everything but TOP. */
  abstract setStatus(status: Value): void;

  abstract read(i: StackIndex): Extended;
  /** Into a register that is not empty, or that `finish` makes valid. */
  abstract write(i: StackIndex, number: Extended): void;

  /** C1 is cleared. */
  abstract push(number: Extended): void;
  /** After a result: C1 is replaced by what `gained` says, exceptions are added; then pops. `valid` was written and may have been empty. */
  abstract finish(pops: number, gained?: Value, valid?: StackIndex): void;
  /** After a comparison: all four condition bits are replaced; then pops. */
  abstract compared(conditions: Value, pops?: number): void;
  /** Marks a register empty, clears C1; then pops. */
  abstract free(i: StackIndex, pops?: number): void;
  /** Moves TOP by one, clears C1. */
  abstract rotate(by: 1 | -1): void;

  /** FIP, FCS and FOP, and with the linear address of a memory operand FDP and FDS, are now those of this instruction (SDM 1 §8.1.8). */
  abstract remember(operand?: Value): void;
}

/** Semantics of the x87 instruction `mnemonic`; its operand size means nothing. `popped`: by how much TOP grows (−1: a push). */
export const x87 = (mnemonic: string, popped: number, body: (s: Scope, stack: X87Stack) => void): Semantics => ({
  ...cold((s) => body(s, s.x87(mnemonic))),
  ignoresSize: true,
  popped,
});
