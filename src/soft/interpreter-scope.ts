/**
 * How the interpreter lowers semantics: operands are read through the decoded record, state lives in the vCPU's block. The
 * same scope serves the main loop and the second function of rarer instructions; they differ only in how an instruction ends.
 */
import { BASE, DISP, IMM, INDEX, LENGTH, LINK, OFFSET, REG, RM, SCALE, SEGMENT } from '../x86/record.ts';
import * as S from '../x86/state.ts';
import { TLB_ENTRIES, TLB_ENTRY_SIZE } from './layout.ts';
import type { CarryOverflow, Operand, Scope, Size, VectorRegister, Word } from './semantics/dsl.ts';
import { X87InMemory } from './semantics/x87-in-memory.ts';
import type { X87Stack } from './semantics/x87-stack.ts';
import type { Code } from './wasm/code.ts';
import { callForResults } from './wasm/function-body.ts';
import { call, constant, getLocal, i32, select, store, Value } from './wasm/value.ts';
import { F80_SIGNATURES, type F80FunctionName, type F80Functions } from './x87/f80-functions.ts';

/** Functions that generated code calls. */
export interface Imports {
  readonly readSlow: number;
  readonly writeSlow: number;
  readonly commitStore: number;
  readonly system: number;
  readonly f80: F80Functions;
}

/** How an instruction ends in the function being generated. */
export interface Endings {
  /** Before and after a call out of generated code, where the budget is kept in a local. */
  saveBudget(): void;
  restoreBudget(): void;
  next(): void;
  fault(): void;
  jump(rip: Value): void;
  jumpRelative(): void;
  repeat(): void;
  /** A system operation was called with this result: 0 continue with the next instruction, or a Leave code (interpreter.ts). */
  afterSystem(status: Value): void;
  setBudget(value: Value): void;
  budget(): Value;
}

/** Address of the state block: a constant, or the first parameter of every function that uses it. */
export const STATE: Value = new Value('i32', (code) => (code.state === undefined ? getLocal('i32', 0) : i32(code.state)).emit(code));
export const RECORD: Value = getLocal('i32', 1);
const TLB_INDEX_MASK = (TLB_ENTRIES - 1) * TLB_ENTRY_SIZE;

/** A register: named by a field of the record, or fixed. */
export type Place = { readonly field: number } | { readonly offset: number };

export interface Shape {
  /** Operand roles in order: `rm,reg`, `reg,rm,imm`, `rm,cl`, … */
  readonly pattern: string;
  readonly size: Size;
  readonly memory: boolean;
  readonly condition: number;
}

export class InterpreterScope implements Scope {
  readonly code: Code;
  readonly size: Size;
  readonly word: Word;
  readonly condition: number;
  readonly rm: Operand;
  readonly reg: Operand;
  readonly imm: Operand;
  readonly destination: Operand;
  readonly source: Operand;
  readonly ah: Operand;
  readonly state: Value = STATE;
  readonly #imports: Imports;
  readonly #ends: Endings;
  readonly #memory: boolean;

  constructor(code: Code, shape: Shape, imports: Imports, ends: Endings) {
    this.code = code;
    this.size = shape.size;
    this.word = shape.size === 8 ? 'i64' : 'i32';
    this.condition = shape.condition;
    this.#imports = imports;
    this.#ends = ends;
    this.#memory = shape.memory;
    this.rm = this.rmOfSize(shape.size);
    this.reg = this.#registerOperand({ field: REG }, shape.size);
    this.imm = this.#readOnly(shape.size, () => this.recordField(IMM, this.word, this.size === 8 ? 8 : 4));
    this.ah = this.#registerOperand({ offset: S.gpr(S.RAX) + 1 }, 1);
    const roles: Readonly<Record<string, Operand>> = { rm: this.rm, reg: this.reg, imm: this.imm, cl: this.register(S.RCX, 1) };
    const [first, second] = shape.pattern.split(',');
    this.destination = roles[first as string] ?? this.rm;
    this.source = roles[second as string] ?? this.imm;
  }

  rmOfSize(size: Size): Operand {
    return this.#memory ? this.#memoryOperand(size) : this.#registerOperand({ field: RM }, size);
  }

  vectorRegister(role: 'reg' | 'rm'): VectorRegister {
    const address = (): Value => this.addressOf({ field: role === 'reg' ? REG : RM });
    return {
      read: (type, size, offset = 0) => address().load(type, size, offset),
      write: (value, size, offset = 0) => store(this.code, address(), size, value, offset),
    };
  }

  register(number: number, size: Size): Operand {
    return this.#registerOperand({ offset: S.gpr(number) }, size);
  }

  effectiveAddress(): Value {
    return this.readPlace({ field: BASE }, 8)
      .add(this.readPlace({ field: INDEX }, 8).shl(this.recordField(SCALE, 'i64', 1)))
      .add(RECORD.loadSigned('i64', 4, DISP));
  }

  linearAddress(): Value {
    return this.effectiveAddress().add(this.readPlace({ field: SEGMENT }, 8)).and(this.field(S.LINEAR_MASK, 'i64'));
  }

  local(value: Value): Value {
    const index = this.code.newLocal(value.type);
    this.code.setLocal(index, value);
    return getLocal(value.type, index);
  }

  variable(initial: Value): { readonly value: Value; set(value: Value): void } {
    const index = this.code.newLocal(initial.type);
    this.code.setLocal(index, initial);
    return { value: getLocal(initial.type, index), set: (value) => this.code.setLocal(index, value) };
  }

  if(condition: Value, then: () => void, otherwise?: () => void): void {
    this.code.if(condition, then, otherwise);
  }

  load(address: Value, size: Size): Value {
    return this.local(this.hostForRead(address, size).load(size === 8 ? 'i64' : 'i32', size));
  }

  store(address: Value, size: Size, value: Value): void {
    const kept = this.local(value);
    this.storeThrough(address, size, false, (host) => store(this.code, host, size, kept));
  }

  load128(address: Value): Value {
    return this.local(this.hostForRead(address, 16).load('v128', 16));
  }

  store128(address: Value, value: Value): void {
    const kept = this.local(value);
    this.storeThrough(address, 16, false, (host) => store(this.code, host, 16, kept));
  }

  push(value: Value, size: Size): void {
    const kept = this.local(value);
    const mask = this.local(this.field(S.STACK_MASK, 'i64'));
    const rsp = this.local(this.field(S.gpr(S.RSP), 'i64'));
    const top = this.local(rsp.sub(size).and(mask));
    this.store(this.local(top.add(this.field(S.STACK_BASE, 'i64')).and(this.field(S.LINEAR_MASK, 'i64'))), size, kept);
    this.setField(S.gpr(S.RSP), top.or(rsp.and(mask.not())));
  }

  readStack(size: Size, offset = 0): Value {
    const top = this.field(S.gpr(S.RSP), 'i64').add(offset).and(this.field(S.STACK_MASK, 'i64'));
    return this.load(this.local(top.add(this.field(S.STACK_BASE, 'i64')).and(this.field(S.LINEAR_MASK, 'i64'))), size);
  }

  releaseStack(bytes: Value | number): void {
    const mask = this.local(this.field(S.STACK_MASK, 'i64'));
    const rsp = this.local(this.field(S.gpr(S.RSP), 'i64'));
    this.setField(S.gpr(S.RSP), rsp.add(bytes).and(mask).or(rsp.and(mask.not())));
  }

  // ── flags (the representation is described in x86/state.ts) ──

  addFlags(a: Value, b: Value, result: Value): void {
    this.#setFlags(result, this.#normalised(this.local(a.and(b).or(a.or(b).and(result.not())))));
  }

  subtractFlags(a: Value, b: Value, result: Value): void {
    const notA = this.local(a.not());
    this.#setFlags(result, this.#normalised(this.local(notA.and(b).or(notA.or(b).and(result)))));
  }

  compareFlags(a: Value, b: Value): void {
    this.subtractFlags(a, b, this.local(a.sub(b)));
  }

  incrementFlags(a: Value, result: Value): void {
    this.#countFlags(a, result, result);
  }

  decrementFlags(a: Value, result: Value): void {
    this.#countFlags(a, result, a);
  }

  /** OF when the sign changed towards `signOwner`; AF when bit 4 changed; CF stays. */
  #countFlags(a: Value, result: Value, signOwner: Value): void {
    const changed = this.local(a.xor(result));
    const overflow = changed.and(signOwner).shr(this.size * 8 - 1).wrap().and(1);
    const carry = this.local(this.carry());
    this.#setFlags(result, carry.shl(31).or(overflow.xor(carry).shl(30)).or(changed.wrap().shr(1).and(S.AUX_ADJUST)));
  }

  logicFlags(result: Value): void {
    this.#setFlags(result, i32(0));
  }

  resultFlags(result: Value, carry: Value, overflow: Value): void {
    this.#setFlags(result, carry.shl(31).or(carry.xor(overflow).shl(30)));
  }

  resultFlagsLater(result: Value, operands: readonly Value[], flags: (operands: readonly Value[], result: Value) => CarryOverflow): void {
    const { carry, overflow } = flags(operands, result);
    this.resultFlags(result, carry, overflow);
  }

  rotatedFlagsLater(result: Value, flags: (result: Value) => CarryOverflow): void {
    const { carry, overflow } = flags(result);
    this.carryOverflowFlags(carry, overflow);
  }

  orderFlags(isLess: Value, isEqual: Value): void {
    // Of the results 0 and 1 the first has even parity, which is not wanted.
    const equal = this.local(isEqual);
    this.setField(S.FLAG_AUX, isLess.negate().and(S.AUX_CARRY | S.AUX_PARTIAL).or(equal.shl(S.AUX_PARITY_DELTA_SHIFT)));
    this.setField(S.FLAG_RESULT, equal.xor(1).widen());
  }

  carryOverflowFlags(carry: Value, overflow: Value): void {
    this.setField(S.FLAG_AUX, this.field(S.FLAG_AUX, 'i32').and(0x3fff_ffff).or(carry.shl(31)).or(carry.xor(overflow).shl(30)));
  }

  carryFlag(carry: Value): void {
    const kept = this.local(carry);
    this.carryOverflowFlags(kept, this.local(this.overflow()));
  }

  carry(): Value {
    return this.field(S.FLAG_AUX, 'i32').shr(31);
  }

  test(conditionCode: number): Value {
    const result = this.field(S.FLAG_RESULT, 'i64');
    const positive = [
      (): Value => this.overflow(),
      (): Value => this.carry(),
      (): Value => result.isZero(),
      (): Value => this.carry().or(result.isZero()),
      (): Value => this.sign(),
      (): Value => this.parity(),
      (): Value => this.sign().xor(this.overflow()),
      (): Value => this.sign().xor(this.overflow()).or(result.isZero()),
    ][conditionCode >> 1] as () => Value;
    return conditionCode & 1 ? positive().isZero() : positive();
  }

  lowFlags(): Value {
    return this.carry()
      .or(this.parity().shl(2))
      .or(this.field(S.FLAG_AUX, 'i32').and(S.AUX_ADJUST).shl(1))
      .or(this.field(S.FLAG_RESULT, 'i64').isZero().shl(6))
      .or(this.sign().shl(7))
      .or(2);
  }

  setLowFlags(flags: Value): void {
    const overflow = this.local(this.overflow());
    this.setArithmeticFlags(this.local(flags.and(0xd5).or(overflow.shl(11))));
  }

  flagsImage(): Value {
    return this.field(S.SYSTEM_FLAGS, 'i32').and(0x00fc_ffff).or(this.lowFlags()).or(this.overflow().shl(11));
  }

  setArithmeticFlags(image: Value): void {
    const flags = this.local(image);
    const bit = (n: number): Value => flags.shr(n).and(1);
    // A result of 0 says ZF; 1 says not. The deltas make SF and PF what they must be.
    const result = this.local(bit(6).xor(1));
    this.setField(S.FLAG_RESULT, result.widen());
    this.setField(
      S.FLAG_AUX,
      bit(7)
        .or(flags.shr(1).and(S.AUX_ADJUST))
        .or(result.xor(bit(2)).xor(1).shl(S.AUX_PARITY_DELTA_SHIFT))
        .or(bit(0).xor(bit(11)).shl(30))
        .or(bit(0).shl(31)),
    );
  }

  protected overflow(): Value {
    const aux = this.field(S.FLAG_AUX, 'i32');
    return aux.xor(aux.shl(1)).shr(31);
  }

  protected sign(): Value {
    return this.field(S.FLAG_RESULT, 'i64').shr(63n).wrap().xor(this.field(S.FLAG_AUX, 'i32').and(S.AUX_SIGN_DELTA));
  }

  protected parity(): Value {
    const low = this.field(S.FLAG_RESULT, 'i32').xor(this.field(S.FLAG_AUX, 'i32').shr(S.AUX_PARITY_DELTA_SHIFT));
    return low.and(0xff).popcnt().and(1).xor(1);
  }

  #setFlags(result: Value, aux: Value): void {
    const wide = this.size === 8 ? result : (this.size === 4 ? result : result.extend(this.size === 2 ? 16 : 8)).widenSigned();
    this.setField(S.FLAG_RESULT, wide);
    this.setField(S.FLAG_AUX, aux);
  }

  /** Brings a carry vector's top two bits to 31 and 30; bit 3 stays. */
  #normalised(vector: Value): Value {
    switch (this.size) {
      case 1: return vector.shl(24).or(vector.and(S.AUX_ADJUST));
      case 2: return vector.shl(16).or(vector.and(S.AUX_ADJUST));
      case 4: return vector.and(S.AUX_CARRY | S.AUX_PARTIAL | S.AUX_ADJUST);
      case 8: return vector.shr(32n).wrap().and(S.AUX_CARRY | S.AUX_PARTIAL).or(vector.wrap().and(S.AUX_ADJUST));
    }
  }

  // ── control ──

  nextRip(): Value {
    return this.rip().add(this.recordField(LENGTH, 'i64', 1)).and(this.field(S.LINEAR_MASK, 'i64'));
  }

  /** RIP of this instruction (not masked). */
  rip(): Value {
    return this.field(S.CODE_PAGE, 'i64').add(this.recordField(OFFSET, 'i64', 2)).sub(this.field(S.CODE_BASE, 'i64'));
  }

  /** Where a relative branch goes; a 16-bit operand size cuts the target to IP. */
  relativeTarget(): Value {
    const target = this.nextRip().add(this.recordField(IMM, 'i64', 8));
    return this.size === 2 ? target.and(0xffff) : target.and(this.field(S.LINEAR_MASK, 'i64'));
  }

  /** Noticed when the target's block is looked for (non-canonical.ts). */
  checkTarget(): void {}

  jump(rip: Value): void {
    this.#ends.jump(rip);
  }

  jumpRelative(): void {
    this.#ends.jumpRelative();
  }

  finish(): void {
    this.#ends.next();
  }

  raise(vector: number): void {
    this.setField(S.FAULT_VECTOR, i32(vector));
    this.setField(S.FAULT_HAS_ERROR_CODE, i32(0));
    this.#ends.fault();
  }

  system(mnemonic: string): void {
    this.systemCall(i32(this.systemNumber(mnemonic)));
  }

  /** Set by the generator: the number of a system operation. */
  systemNumber: (mnemonic: string) => number = () => 0;

  systemCall(operation: Value): void {
    this.setField(S.RIP, this.local(this.rip().and(this.field(S.LINEAR_MASK, 'i64'))));
    this.setField(S.NEXT_RIP, this.nextRip());
    this.#ends.saveBudget();
    const status = this.local(call('i32', this.#imports.system, [RECORD, operation]));
    this.#ends.restoreBudget();
    this.#ends.afterSystem(status);
  }

  field(offset: number, type: Word): Value {
    return STATE.load(type, type === 'i64' ? 8 : 4, offset);
  }

  setField(offset: number, value: Value): void {
    store(this.code, STATE, value.type === 'i64' ? 8 : 4, value, offset);
  }

  f80(name: F80FunctionName, args: readonly Value[]): readonly Value[] {
    return callForResults(this.code, this.#imports.f80[name], args, F80_SIGNATURES[name].results);
  }

  x87(mnemonic: string): X87Stack {
    return new X87InMemory(this, mnemonic);
  }

  recordField(offset: number, type: Word, size: Size): Value {
    return RECORD.load(type, size, offset);
  }

  repeat(extra: Value): void {
    this.consume(extra);
    this.#ends.repeat();
  }

  consume(extra: Value): void {
    this.#ends.setBudget(this.#ends.budget().sub(extra));
  }

  budget(): Value {
    return this.#ends.budget();
  }

  probe(address: Value, forWrite: boolean): Value {
    const at = this.local(address);
    const entry = this.#entry(at, forWrite);
    return select(entry.load('i64', 8).eq(at.and(-4096)), at.wrap().add(entry.load('i32', 4, 8)), i32(0));
  }

  // ── operands ──

  /** Where a register's bytes lie (i32). */
  protected addressOf(place: Place): Value {
    return 'field' in place ? STATE.add(this.recordField(place.field, 'i32', 2)) : STATE.add(place.offset);
  }

  protected readPlace(place: Place, size: Size): Value {
    const type = size === 8 ? 'i64' : 'i32';
    return 'field' in place ? this.addressOf(place).load(type, size) : STATE.load(type, size, place.offset);
  }

  /** A 32-bit result clears the upper half (SDM 1 §3.4.1.1); smaller ones keep the rest. */
  protected writePlace(place: Place, size: Size, value: Value): void {
    const [bytes, wide] = size === 4 ? [8, value.widen()] : [size, value];
    if ('field' in place) store(this.code, this.addressOf(place), bytes, wide);
    else store(this.code, STATE, bytes, wide, place.offset);
  }

  #readOnly(size: Size, read: () => Value): Operand {
    const refuse = (): never => { throw new Error('an immediate cannot be written'); };
    return { size, isMemory: false, read, write: refuse, modify: refuse };
  }

  #registerOperand(place: Place, size: Size): Operand {
    const read = (): Value => this.readPlace(place, size);
    const write = (value: Value): void => this.writePlace(place, size, value);
    return { size, isMemory: false, read, write, modify: (change) => write(change(this.local(read()))) };
  }

  #memoryOperand(size: Size): Operand {
    return {
      size,
      isMemory: true,
      read: () => this.load(this.local(this.linearAddress()), size),
      write: (value) => {
        const kept = this.local(value);
        this.store(this.local(this.linearAddress()), size, kept);
      },
      modify: (change) => {
        this.storeThrough(this.local(this.linearAddress()), size, true, (host) => {
          const old = this.local(host.load(size === 8 ? 'i64' : 'i32', size));
          store(this.code, host, size, this.local(change(old)));
        });
      },
    };
  }

  // ── memory ──

  #entry(address: Value, forWrite: boolean): Value {
    const table = this.field(forWrite ? S.TLB_WRITE : S.TLB_READ, 'i32');
    return this.local(table.add(address.shr(8n).wrap().and(TLB_INDEX_MASK)));
  }

  /** An access that crosses its page misses here, because its last byte has another tag: the slow path takes it apart. */
  #hit(entry: Value, address: Value, size: number): Value {
    const last = size === 1 ? address : address.add(size - 1);
    return entry.load('i64', 8).eq(last.and(-4096));
  }

  protected hostForRead(address: Value, size: Size | 16): Value {
    const at = this.local(address);
    const entry = this.#entry(at, false);
    const host = this.variable(at.wrap().add(entry.load('i32', 4, 8)));
    this.code.if(this.#hit(entry, at, size).isZero(), () => {
      this.#ends.saveBudget();
      host.set(call('i32', this.#imports.readSlow, [at.wrap(), at.shr(32n).wrap(), i32(size)]));
      this.#ends.restoreBudget();
      this.code.if(host.value.isZero(), () => this.#ends.fault(), undefined, false);
    }, undefined, false);
    return host.value;
  }

  protected storeThrough(address: Value, size: Size | 16, readFirst: boolean, write: (host: Value) => void): void {
    const at = this.local(address);
    const entry = this.#entry(at, true);
    const host = this.variable(at.wrap().add(entry.load('i32', 4, 8)));
    const scratch = STATE.add(S.SCRATCH);
    this.code.if(this.#hit(entry, at, size).isZero(), () => {
      this.#ends.saveBudget();
      host.set(call('i32', this.#imports.writeSlow, [at.wrap(), at.shr(32n).wrap(), i32(size), i32(readFirst ? 1 : 0)]));
      this.#ends.restoreBudget();
      this.code.if(host.value.isZero(), () => this.#ends.fault(), undefined, false);
    }, undefined, false);
    write(host.value);
    this.code.if(host.value.eq(scratch), () => {
      this.#ends.saveBudget();
      const repeats = this.local(call('i32', this.#imports.commitStore, []));
      this.#ends.restoreBudget();
      this.code.if(repeats, () => this.#ends.fault(), undefined, false);
    }, undefined, false);
  }
}

export const linkOf = (): Value => RECORD.load('i32', 4, LINK);
export const advanceRecord = (code: Code, bytes: number): void => code.setLocal(1, RECORD.add(constant('i32', bytes)));
