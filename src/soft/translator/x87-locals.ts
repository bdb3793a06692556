/**
 * The x87 unit in the locals of a region's function. Where TOP is when the region is entered is known only at run time, but how
 * instructions move it is known when they are translated: so ST(i) is a local, by its distance from where TOP was, and stack
 * checks that have been made need not be made again. What the last instruction was is kept as a constant until somebody may ask.
 */
import { IMM, INFO, INFO_SEGMENT_SHIFT, OFFSET } from '../../x86/record.ts';
import {
  CS, FCS, FCW, FDP, FDS, FIP, FOP, FSW, FTW, SEGMENT_BASE, SEGMENT_SELECTOR, segmentSelector, X87,
} from '../../x86/state.ts';
import { STATE } from '../interpreter-scope.ts';
import type { Scope } from '../semantics/dsl.ts';
import { type Extended, type StackIndex, X87Stack } from '../semantics/x87-stack.ts';
import type { Code } from '../wasm/code.ts';
import { getLocal, i32, store, type Value } from '../wasm/value.ts';
import { C1, CONDITIONS, ERROR_SUMMARY } from '../x87/unit.ts';

const TOP_SHIFT = 11;
const TOP = 7 << TOP_SHIFT;
const EMPTY = 3;
const REGISTERS = 8;
const REGISTER_SHIFT = 4;
const SIGN_EXPONENT = 8;
/** `last`: offset in the page, opcode, and a bit that says that there was an instruction. */
const OPCODE_SHIFT = 16;
const OPCODE = 0x7ff;
const OFFSET_MASK = 0x1fff;
const WAS_EXECUTED = 1 << 31;

/** What is known where code is being generated. */
interface Known {
  /** TOP, relative to where it was when the locals were loaded. */
  readonly top: number;
  /** Registers, relative likewise, that are certainly not empty; that certainly are. */
  readonly filled: number;
  readonly empty: number;
  /** No exception is pending. */
  readonly isQuiet: boolean;
}

export class X87Locals {
  readonly #code: Code;
  /** Registers that the region touches, as a bit set relative to TOP at its entry. */
  readonly #touched: number;
  readonly #significands: readonly number[];
  readonly #signExponents: readonly number[];
  readonly #names: Readonly<Record<'base' | 'moved' | 'status' | 'tags' | 'last' | 'segment', number>>;
  readonly #operand: number;
  known: Known = { top: 0, filled: 0, empty: 0, isQuiet: false };

  constructor(code: Code, touched: number) {
    this.#code = code;
    this.#touched = touched;
    const local = (): number => code.permanentLocal('i32');
    this.#significands = Array.from({ length: REGISTERS }, () => code.permanentLocal('i64'));
    this.#signExponents = Array.from({ length: REGISTERS }, local);
    this.#names = { base: local(), moved: local(), status: local(), tags: local(), last: local(), segment: local() };
    this.#operand = code.permanentLocal('i64');
  }

  /** FSW without TOP. */
  get status(): Value { return getLocal('i32', this.#names.status); }
  setStatus(value: Value): void { this.#code.setLocal(this.#names.status, value); }
  /** FTW, rotated so that the register that TOP named at the entry comes first. */
  get tags(): Value { return getLocal('i32', this.#names.tags); }
  setTags(value: Value): void { this.#code.setLocal(this.#names.tags, value); }
  get top(): Value { return this.#base.add(this.known.top).and(REGISTERS - 1); }

  significand(n: number): Value { return getLocal('i64', this.#significands[n] as number); }
  signExponent(n: number): Value { return getLocal('i32', this.#signExponents[n] as number); }
  setRegister(n: number, { significand, signExponent }: Extended): void {
    this.checkLoaded(n);
    this.#code.setLocal(this.#significands[n] as number, significand);
    this.#code.setLocal(this.#signExponents[n] as number, signExponent.and(0xffff));
  }

  /** The plan (x87-plan.ts) must have said that the region touches it. */
  checkLoaded(n: number): void {
    if ((this.#touched & (1 << n)) === 0) throw new Error('a register of the x87 stack that is not loaded');
  }

  /** `operand`: the linear address of a memory operand in `segment`. Without one the data pointer stays. */
  remember(offset: number, opcode: number, segment: number, operand: Value | undefined): void {
    this.#code.setLocal(this.#names.last, i32(WAS_EXECUTED | (opcode << OPCODE_SHIFT) | offset));
    if (operand === undefined) return;
    this.#code.setLocal(this.#names.segment, i32(segment));
    this.#code.setLocal(this.#operand, operand);
  }

  /** Generating goes on where TOP is so far from the entry's, by whatever way. */
  enterBlock(top: number): void {
    this.known = { top, filled: 0, empty: 0, isQuiet: false };
  }

  /** Before a branch to a place where TOP is to be `top` from the entry: other locals become what these are. */
  moveTo(top: number): void {
    const by = (this.known.top - top) & (REGISTERS - 1);
    if (by === 0) return;
    const { base, tags } = this.#names;
    const from = (n: number): number => (n + by) & (REGISTERS - 1);
    const all = [...this.#significands.keys()];
    for (const n of all) this.significand(from(n)).emit(this.#code);
    for (const n of all.toReversed()) this.#popInto(this.#significands[n] as number);
    for (const n of all) this.signExponent(from(n)).emit(this.#code);
    for (const n of all.toReversed()) this.#popInto(this.#signExponents[n] as number);
    this.#code.setLocal(tags, rotatedLeft(this.tags, i32(16 - 2 * by)));
    this.#code.setLocal(base, this.#base.add(by).and(REGISTERS - 1));
  }

  /** Before a branch to code that saves: it must know where TOP is. */
  beforeSave(): void {
    this.#code.setLocal(this.#names.moved, i32(this.known.top));
  }

  load(): void {
    const { base, status, tags, last, segment } = this.#names;
    const code = this.#code;
    code.setLocal(status, STATE.load('i32', 4, FSW));
    code.setLocal(base, this.status.shr(TOP_SHIFT).and(REGISTERS - 1));
    code.setLocal(status, this.status.and(~TOP));
    code.setLocal(tags, rotatedLeft(STATE.load('i32', 4, FTW), i32(16).sub(this.#base.shl(1))));
    code.setLocal(last, i32(0));
    code.setLocal(segment, i32(-1));
    this.#forEachTouched((n, address) => {
      code.setLocal(this.#significands[n] as number, address.load('i64', 8, X87));
      code.setLocal(this.#signExponents[n] as number, address.load('i32', 2, X87 + SIGN_EXPONENT));
    });
    this.enterBlock(0);
  }

  /** `page`: the linear address of the region's page; `mask`: of linear addresses. */
  save(page: Value, mask: Value): void {
    const code = this.#code;
    const top = this.#base.add(getLocal('i32', this.#names.moved)).and(REGISTERS - 1);
    store(code, STATE, 4, this.status.or(top.shl(TOP_SHIFT)), FSW);
    store(code, STATE, 4, rotatedLeft(this.tags, this.#base.shl(1)), FTW);
    this.#forEachTouched((n, address) => {
      store(code, address, 8, this.significand(n), X87);
      store(code, address, 2, this.signExponent(n), X87 + SIGN_EXPONENT);
    });
    const last = getLocal('i32', this.#names.last);
    const segment = getLocal('i32', this.#names.segment);
    code.if(last, () => {
      store(code, STATE, 8, page.add(last.and(OFFSET_MASK).widen()).and(mask), FIP);
      store(code, STATE, 4, last.shr(OPCODE_SHIFT).and(OPCODE), FOP);
      store(code, STATE, 4, STATE.load('i32', 4, segmentSelector(CS)), FCS);
    });
    code.if(segment.geSigned(0), () => {
      const base = STATE.add(segment.shl(3)).load('i64', 8, SEGMENT_BASE);
      store(code, STATE, 8, getLocal('i64', this.#operand).sub(base).and(mask), FDP);
      store(code, STATE, 4, STATE.add(segment.shl(2)).load('i32', 4, SEGMENT_SELECTOR), FDS);
    });
  }

  get #base(): Value { return getLocal('i32', this.#names.base); }

  #popInto(local: number): void {
    this.#code.bytes.byte(0x21).unsigned(local);
  }

  #forEachTouched(use: (n: number, address: Value) => void): void {
    for (let n = 0; n < REGISTERS; n++) {
      if ((this.#touched & (1 << n)) === 0) continue;
      use(n, STATE.add(this.#base.add(n).and(REGISTERS - 1).shl(REGISTER_SHIFT)));
    }
  }
}

/** 16 bits, rotated by 0 to 16. */
const rotatedLeft = (bits: Value, by: Value): Value => bits.shl(by).or(bits.shr(i32(16).sub(by))).and(0xffff);

/** One instruction on these locals. */
export class X87InLocals extends X87Stack {
  readonly #locals: X87Locals;

  constructor(s: Scope, name: string, locals: X87Locals) {
    super(s, name);
    this.#locals = locals;
  }

  get control(): Value {
    return this.s.field(FCW, 'i32');
  }

  setControl(control: Value): void {
    this.s.setField(FCW, control);
  }

  get status(): Value {
    return this.#locals.status.or(this.#locals.top.shl(TOP_SHIFT));
  }

  setStatus(status: Value): void {
    this.#locals.setStatus(status.and(~TOP));
  }

  protected pending(): Value | undefined {
    const { known, status } = this.#locals;
    if (known.isQuiet) return undefined;
    this.#locals.known = { ...known, isQuiet: true };
    return status.and(ERROR_SUMMARY);
  }

  protected empty(i: StackIndex): Value | undefined {
    const bit = 1 << this.#register(i);
    const { known } = this.#locals;
    if (known.filled & bit) return undefined;
    this.#locals.known = { ...known, filled: known.filled | bit, empty: known.empty & ~bit };
    return this.#isEmpty(i);
  }

  protected full(): Value | undefined {
    const bit = 1 << this.#register(7);
    const { known } = this.#locals;
    if (known.empty & bit) return undefined;
    this.#locals.known = { ...known, empty: known.empty | bit, filled: known.filled & ~bit };
    return this.#isEmpty(7).isZero();
  }

  read(i: StackIndex): Extended {
    const n = this.#register(i);
    this.#locals.checkLoaded(n);
    return { significand: this.s.local(this.#locals.significand(n)), signExponent: this.s.local(this.#locals.signExponent(n)) };
  }

  write(i: StackIndex, number: Extended): void {
    this.#locals.setRegister(this.#register(i), number);
  }

  push(number: Extended): void {
    this.write(7, number);
    this.#fill(7);
    this.#locals.setStatus(this.#locals.status.and(~C1));
    this.#move(-1);
  }

  finish(pops: number, gained?: Value, valid?: StackIndex): void {
    const kept = this.#locals.status.and(~C1);
    if (valid !== undefined) this.#fill(valid);
    this.#locals.setStatus(gained === undefined ? kept : kept.or(gained));
    this.#pop(pops);
  }

  compared(conditions: Value, pops = 0): void {
    this.#locals.setStatus(this.#locals.status.and(~CONDITIONS).or(conditions));
    this.#pop(pops);
  }

  free(i: StackIndex, pops = 0): void {
    this.#locals.setStatus(this.#locals.status.and(~C1));
    this.#drain(i);
    this.#pop(pops);
  }

  rotate(by: 1 | -1): void {
    this.#locals.setStatus(this.#locals.status.and(~C1));
    this.#move(by);
  }

  remember(operand?: Value): void {
    const { s } = this;
    const constantOf = (field: number): number => Number(s.recordField(field, 'i32', 2).known);
    const segment = (constantOf(INFO) >> INFO_SEGMENT_SHIFT) & 7;
    this.#locals.remember(constantOf(OFFSET), constantOf(IMM) & OPCODE, segment, operand);
  }

  /** The stack index of a translated instruction is known. */
  #register(i: StackIndex): number {
    return (this.#locals.known.top + Number(typeof i === 'number' ? i : i.known)) & (REGISTERS - 1);
  }

  #isEmpty(i: StackIndex): Value {
    return this.#locals.tags.shr(2 * this.#register(i)).and(EMPTY).eq(EMPTY);
  }

  #fill(i: StackIndex): void {
    const n = this.#register(i);
    const { known, tags } = this.#locals;
    this.#locals.known = { ...known, filled: known.filled | (1 << n), empty: known.empty & ~(1 << n) };
    this.#locals.setTags(tags.and(~(EMPTY << (2 * n))));
  }

  #drain(i: StackIndex): void {
    const n = this.#register(i);
    const { known, tags } = this.#locals;
    this.#locals.known = { ...known, filled: known.filled & ~(1 << n), empty: known.empty | (1 << n) };
    this.#locals.setTags(tags.or(EMPTY << (2 * n)));
  }

  #pop(count: number): void {
    for (let n = 0; n < count; n++) {
      this.#drain(0);
      this.#move(1);
    }
  }

  #move(by: number): void {
    const { known } = this.#locals;
    this.#locals.known = { ...known, top: (known.top + by) & (REGISTERS - 1) };
  }
}
