/** The x87 unit in the state block, where the interpreter finds it (x86/state.ts): TOP is part of FSW, so registers are found by it. */
import { IMM, INFO, INFO_SEGMENT_SHIFT } from '../../x86/record.ts';
import {
  CS, FCS, FCW, FDP, FDS, FIP, FOP, FSW, FTW, LINEAR_MASK, SEGMENT_BASE, SEGMENT_SELECTOR, segmentSelector, X87,
} from '../../x86/state.ts';
import { i32, store, type Value } from '../wasm/value.ts';
import { C1, CONDITIONS, ERROR_SUMMARY } from '../x87/unit.ts';
import type { Scope } from './dsl.ts';
import { type Extended, type StackIndex, X87Stack } from './x87-stack.ts';

const TOP_SHIFT = 11;
const TOP = 7 << TOP_SHIFT;
const EMPTY = 3;
/** log2 of the distance of registers in the state block. */
const REGISTER_SHIFT = 4;
/** Where sign and exponent lie in a register. */
const SIGN_EXPONENT = 8;
const OPCODE = 0x7ff;

export class X87InMemory extends X87Stack {
  /** FSW and FTW as the instruction found them. */
  readonly status: Value;
  readonly #tags: Value;

  constructor(s: Scope, name: string) {
    super(s, name);
    this.status = s.local(s.field(FSW, 'i32'));
    this.#tags = s.local(s.field(FTW, 'i32'));
  }

  get control(): Value {
    return this.s.field(FCW, 'i32');
  }

  setControl(control: Value): void {
    this.s.setField(FCW, control);
  }

  setStatus(status: Value): void {
    this.s.setField(FSW, status);
  }

  protected pending(): Value {
    return this.status.and(ERROR_SUMMARY);
  }

  protected empty(i: StackIndex): Value {
    return this.#tags.shr(this.#tagShift(i)).and(EMPTY).eq(EMPTY);
  }

  protected full(): Value {
    return this.empty(7).isZero();
  }

  read(i: StackIndex): Extended {
    const address = this.s.local(this.#address(i));
    return {
      significand: this.s.local(address.load('i64', 8, X87)),
      signExponent: this.s.local(address.load('i32', 2, X87 + SIGN_EXPONENT)),
    };
  }

  write(i: StackIndex, { significand, signExponent }: Extended): void {
    const { code } = this.s;
    const address = this.s.local(this.#address(i));
    store(code, address, 8, significand, X87);
    store(code, address, 2, signExponent, X87 + SIGN_EXPONENT);
  }

  push(number: Extended): void {
    this.write(7, number);
    this.#end(this.status.and(~C1), -1, this.#tags.and(this.#tagMask(7).not()));
  }

  finish(pops: number, gained?: Value, valid?: StackIndex): void {
    const kept = this.status.and(~C1);
    const tags = valid === undefined ? this.#tags : this.#tags.and(this.#tagMask(valid).not());
    this.#end(gained === undefined ? kept : kept.or(gained), pops, tags);
  }

  compared(conditions: Value, pops = 0): void {
    this.#end(this.status.and(~CONDITIONS).or(conditions), pops, this.#tags);
  }

  free(i: StackIndex, pops = 0): void {
    this.#end(this.status.and(~C1), pops, this.#tags.or(this.#tagMask(i)));
  }

  rotate(by: 1 | -1): void {
    this.#setTop(this.status.and(~C1), by);
  }

  remember(operand?: Value): void {
    const { s } = this;
    s.setField(FIP, s.rip().and(s.field(LINEAR_MASK, 'i64')));
    s.setField(FCS, s.field(segmentSelector(CS), 'i32'));
    s.setField(FOP, s.recordField(IMM, 'i32', 2).and(OPCODE));
    if (operand === undefined) return;
    const segment = s.local(s.recordField(INFO, 'i32', 2).shr(INFO_SEGMENT_SHIFT).and(7));
    const base = s.state.add(segment.shl(3)).load('i64', 8, SEGMENT_BASE);
    s.setField(FDP, operand.sub(base).and(s.field(LINEAR_MASK, 'i64')));
    s.setField(FDS, s.state.add(segment.shl(2)).load('i32', 4, SEGMENT_SELECTOR));
  }

  #end(status: Value, pops: number, tags: Value): void {
    let left = tags;
    for (let i = 0; i < pops; i++) left = left.or(this.#tagMask(i));
    if (left !== this.#tags) this.s.setField(FTW, left);
    this.#setTop(status, pops);
  }

  #setTop(status: Value, moved: number): void {
    const { s } = this;
    s.setField(FSW, moved === 0 ? status : status.and(~TOP).or(this.status.add(moved << TOP_SHIFT).and(TOP)));
  }

  #address(i: StackIndex): Value {
    const top = this.status.shr(TOP_SHIFT - REGISTER_SHIFT);
    return this.s.state.add(plus(top, i, REGISTER_SHIFT).and(7 << REGISTER_SHIFT));
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
