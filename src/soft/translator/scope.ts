/**
 * How the translator lowers the semantics: record fields are constants of the translated instruction, general and vector registers
 * and flags are locals of the region's function, everything else stays in the state block.
 *
 * A memory access looks into the TLB; where that is not enough, and for whatever else is not plain, the region is left before the
 * instruction has done anything, and the interpreter does all of it. So translated code has no faults and no devices in it, and what it
 * computes is what the interpreter would have computed.
 */
import { BASE, DISP, INDEX, LENGTH, OFFSET, REG, SCALE, SEGMENT } from '../../x86/record.ts';
import * as S from '../../x86/state.ts';
import type { Handler } from '../handlers.ts';
import { type Endings, type Imports, InterpreterScope, type Place } from '../interpreter-scope.ts';
import { TLB_ENTRIES, TLB_ENTRY_SIZE, TLB_WRITE_DISTANCE } from '../layout.ts';
import type { CarryOverflow, Size, VectorRegister, Word } from '../semantics/dsl.ts';
import type { X87Stack } from '../semantics/x87-stack.ts';
import type { ValueType } from '../wasm/code.ts';
import { call, constant, getLocal, i32, i64, type Value } from '../wasm/value.ts';
import type { Setter } from './flags.ts';
import { targetOf } from './outline.ts';
import type { RegionState } from './region-state.ts';
import { MISS_WAS_EMPTY_SHIFT, MISS_WRITES } from './shared-functions.ts';
import { NOT_OPEN, type Window } from './windows.ts';
import { X87InLocals } from './x87-locals.ts';

const TLB_INDEX_MASK = (TLB_ENTRIES - 1) * TLB_ENTRY_SIZE;
const PAGE = 4096;
const GENERAL_REGISTERS = 16;
const VECTOR_REGISTERS = 16;

/** Where the instruction being translated goes when it is not straight on. */
export interface Exits extends Endings {
  /** Leaves the region; the interpreter does the whole instruction. */
  interpret(): void;
  /** Where alone it may go, when it goes anywhere. */
  readonly expected?: Value | undefined;
}

/** `extract_lane` and `replace_lane` by type and size: WebAssembly SIMD opcodes. */
const LANES: Readonly<Record<string, readonly [number, number]>> = {
  'f32.4': [0x1f, 0x20], 'f64.8': [0x21, 0x22], 'i64.8': [0x1d, 0x1e], 'i32.4': [0x1b, 0x1c], 'i32.2': [0x19, 0x1a], 'i32.1': [0x16, 0x17],
};

export class TranslatorScope extends InterpreterScope {
  readonly #state: RegionState;
  readonly #mnemonic: string;
  readonly #records: DataView;
  readonly #record: number;
  readonly #exits: Exits;
  readonly #miss: number;
  readonly #translate: number;

  /** `record`: offset of the instruction's record in `records`; `imports.readSlow` and `writeSlow` are the module's `miss` and `translate` (shared-functions.ts). */
  constructor(state: RegionState, { shape, mnemonic }: Pick<Handler, 'shape' | 'mnemonic'>, imports: Imports, exits: Exits, records: DataView, record: number) {
    super(state.code, shape, imports, exits);
    this.#state = state;
    this.#mnemonic = mnemonic;
    this.#records = records;
    this.#record = record;
    this.#exits = exits;
    this.#miss = imports.readSlow;
    this.#translate = imports.writeSlow;
  }

  override recordField(offset: number, type: Word, size: Size): Value {
    const at = this.#record + offset;
    switch (size) {
      case 1: return constant(type, this.#records.getUint8(at));
      case 2: return constant(type, this.#records.getUint16(at, true));
      case 4: return type === 'i64' ? i64(this.#records.getUint32(at, true)) : i32(this.#records.getInt32(at, true));
      case 8: return type === 'i64' ? i64(this.#records.getBigInt64(at, true)) : i32(this.#records.getInt32(at, true));
    }
  }

  override effectiveAddress(): Value {
    const word = this.#addressWord;
    const base = this.readPlace({ field: BASE }, 8).to(word);
    const index = this.readPlace({ field: INDEX }, 8).to(word).shl(this.#records.getUint8(this.#record + SCALE));
    return base.add(index).add(this.#records.getInt32(this.#record + DISP, true)).widen();
  }

  /** Outside 64-bit mode addresses are formed in 32 bits, where they wrap by themselves. */
  get #addressWord(): Word { return this.#state.is64Bit ? 'i64' : 'i32'; }

  override linearAddress(): Value {
    const segment = this.#records.getUint16(this.#record + SEGMENT, true);
    // Flat: the bases of ES, CS, SS and DS are 0.
    const hasBase = segment === S.segmentBase(S.FS) || segment === S.segmentBase(S.GS);
    if (!hasBase) return this.effectiveAddress();
    const word = this.#addressWord;
    return this.effectiveAddress().to(word).add(super.field(segment, 'i64').to(word)).widen();
  }

  override local(value: Value): Value {
    if (value.known !== undefined) return value;
    return value.narrow === undefined ? super.local(value).from(value.origin) : super.local(value.narrow).from(value.origin).widen();
  }

  // ── the stack: flat, as wide as the mode ──

  override push(value: Value, size: Size): void {
    const kept = this.local(value);
    const top = this.local(this.#stackTop(-size));
    this.store(top, size, kept);
    this.#state.setGeneral(S.RSP, top);
  }

  override readStack(size: Size, offset = 0): Value {
    return this.load(this.local(this.#stackTop(offset)), size);
  }

  override releaseStack(bytes: Value | number): void {
    this.#state.setGeneral(S.RSP, this.#stackTop(bytes));
  }

  #stackTop(distance: Value | number): Value {
    const word = this.#addressWord;
    return this.#state.general(S.RSP).to(word).add(typeof distance === 'number' ? distance : distance.to(word)).widen();
  }

  // ── where things live ──

  protected override addressOf(place: Place): Value {
    const offset = this.#offset(place);
    if (offset < S.GPR + GENERAL_REGISTERS * 8) throw new Error('a register that is a local has no address');
    return super.addressOf({ offset });
  }

  protected override readPlace(place: Place, size: Size): Value {
    const offset = this.#offset(place);
    if (offset >= S.GPR + GENERAL_REGISTERS * 8) {
      return size === 8 ? this.field(offset, 'i64') : super.readPlace({ offset }, size);
    }
    const whole = this.#state.general((offset - S.GPR) >>> 3);
    if (size === 8) return whole;
    const low = whole.wrap().shr((offset & 7) * 8);
    return size === 4 ? low : low.and(size === 1 ? 0xff : 0xffff);
  }

  protected override writePlace(place: Place, size: Size, value: Value): void {
    const offset = this.#offset(place);
    if (offset >= S.GPR + GENERAL_REGISTERS * 8) {
      super.writePlace({ offset }, size, value);
      return;
    }
    const number = (offset - S.GPR) >>> 3;
    if (size === 8) this.#state.setGeneral(number, value);
    else if (size === 4) this.#state.setGeneral(number, value.widen());
    else {
      const word = this.#addressWord;
      const shift = (offset & 7) * 8;
      const mask = (size === 1 ? 0xffn : 0xffffn) << BigInt(shift);
      const part = value.and(size === 1 ? 0xff : 0xffff).to(word).shl(shift);
      this.#state.setGeneral(number, this.#state.general(number).to(word).and(constant(word, ~mask)).or(part).widen());
    }
  }

  override vectorRegister(role: 'reg' | 'rm'): VectorRegister {
    const inMemory = super.vectorRegister(role);
    const offset = this.recordField(role === 'reg' ? REG : BASE, 'i32', 2).known as number;
    const number = vectorAt(offset);
    if (number === undefined) return inMemory;
    const state = this.#state;
    return {
      read: (type, size, at = 0) => (type === 'v128' ? state.vector(number) : lane(state.vector(number), type, size, at)),
      write: (value, size, at = 0) => {
        if (value.type === 'v128') state.setVector(number, value);
        else this.#setLane(number, value, size, at);
      },
    };
  }

  #setLane(number: number, value: Value, size: number, at: number): void {
    const state = this.#state;
    const type = value.type === 'i64' && size < 8 ? 'i32' : value.type;
    const [, replace] = LANES[`${type}.${size}`] as readonly [number, number];
    state.setVector(number, state.vector(number).simdLane('v128', replace, at / size, value.type === type ? value : value.wrap()));
  }

  override field(offset: number, type: Word): Value {
    const state = this.#state;
    switch (offset) {
      case S.ZERO: return constant(type, 0);
      case S.FLAG_RESULT: return state.flagResult.to(type);
      case S.FLAG_AUX: return state.flagAux;
      case S.CODE_PAGE: return state.ripAt(0);
      case S.LINEAR_MASK: case S.STACK_MASK: return i64(state.is64Bit ? -1n : 0xffff_ffffn);
      case S.CODE_BASE: case S.STACK_BASE: return i64(0);
    }
    if (offset < S.GPR + GENERAL_REGISTERS * 8) return state.general((offset - S.GPR) >>> 3).to(type);
    const vector = vectorAt(offset & ~8);
    return vector === undefined ? super.field(offset, type) : lane(state.vector(vector), type, type === 'i64' ? 8 : 4, offset & 8);
  }

  override setField(offset: number, value: Value): void {
    const state = this.#state;
    const vector = vectorAt(offset & ~8);
    if (offset === S.FLAG_RESULT) state.setFlagResult(value);
    else if (offset === S.FLAG_AUX) state.setFlagAux(value);
    else if (offset < S.GPR + GENERAL_REGISTERS * 8) state.setGeneral((offset - S.GPR) >>> 3, value);
    else if (vector !== undefined) this.#setLane(vector, value, value.type === 'i64' ? 8 : 4, offset & 8);
    else {
      super.setField(offset, value);
      if (offset === S.TLB_READ) state.loadTlb();
    }
  }

  #offset(place: Place): number {
    return 'field' in place ? this.#records.getUint16(this.#record + place.field, true) : place.offset;
  }

  // ── memory ──

  #look(address: Value, size: number, forWrite: boolean): Value {
    const { windows } = this.#state;
    const word = address.narrow ?? address;
    const { origin } = word;
    const window = origin && windows.windowOf(origin);
    if (origin === undefined) return this.#lookUp(address, word, size, forWrite, undefined);
    if (window !== undefined && (window.isForWrite || !forWrite)) {
      const distance = origin.distance - window.distance;
      if (Math.abs(distance) <= PAGE - size) return this.#lookThrough(window, address, distance, size, forWrite);
    }
    return this.#lookUp(address, word, size, forWrite, windows.open(origin, forWrite, () => this.code.permanentLocal('i32')));
  }

  /** In the TLB. */
  #lookUp(address: Value, word: Value, size: number, forWrite: boolean, window: Window | undefined): Value {
    const { code } = this;
    const table = forWrite ? TLB_WRITE_DISTANCE : 0;
    const entry = this.local(this.#state.tlb.add(word.wrap().shr(8).and(TLB_INDEX_MASK)));
    const tag = this.local(entry.load('i64', 8, table));
    const addend = this.variable(entry.load('i32', 4, table + 8));
    if (window !== undefined) code.setLocal(window.offset, word.wrap().and(PAGE - 1));
    // An access that crosses its page misses, because its last byte has another tag.
    const page = word.add(size - 1).and(-PAGE).widen();
    code.if(tag.ne(page), () => {
      // With another use of the tag V8 loads it once: else it does so for the comparison and once more for nothing.
      const how = tag.wrap().and(1).shl(MISS_WAS_EMPTY_SHIFT).or(size | (forWrite ? MISS_WRITES : 0));
      addend.set(call('i32', this.#miss, [address, how]));
      code.if(addend.value.isZero(), () => this.#exits.interpret(), undefined, false);
      addend.set(addend.value.sub(word.wrap()));
      if (window !== undefined) code.setLocal(window.offset, i32(NOT_OPEN));
    }, undefined, false);
    // Added only here: V8 knows of a sum, but not of what two paths bring, that its upper half is 0.
    const host = this.local(addend.value.add(word.wrap()));
    if (window !== undefined) code.setLocal(window.host, host);
    return host;
  }

  /** On the page of an earlier access, when it is that. */
  #lookThrough(window: Window, address: Value, distance: number, size: number, forWrite: boolean): Value {
    const { code } = this;
    const offset = getLocal('i32', window.offset);
    const base = this.variable(getLocal('i32', window.host));
    const leaves = distance >= 0 ? offset.gt(PAGE - size - distance) : offset.add(distance).gt(PAGE - size);
    code.if(leaves, () => {
      base.set(call('i32', this.#translate, [this.#state.tlb.add(forWrite ? TLB_WRITE_DISTANCE : 0), address, i32(size | (forWrite ? MISS_WRITES : 0))]));
      code.if(base.value.isZero(), () => this.#exits.interpret(), undefined, false);
      base.set(base.value.sub(distance));
    }, undefined, false);
    return this.local(base.value.add(distance));
  }

  protected override hostForRead(address: Value, size: Size | 16): Value {
    return this.#look(this.local(address), size, false);
  }

  protected override storeThrough(address: Value, size: Size | 16, _readFirst: boolean, write: (host: Value) => void): void {
    write(this.#look(this.local(address), size, true));
  }

  // ── flags ──

  override addFlags(a: Value, b: Value, result: Value, carryIn = false): void {
    this.#state.flags.sum(carryIn ? 'add-with-carry' : 'add', this.size, a, b, result);
  }

  override subtractFlags(a: Value, b: Value, result: Value, borrowIn = false): void {
    this.#state.flags.sum(borrowIn ? 'subtract-with-borrow' : 'subtract', this.size, a, b, result);
  }

  override compareFlags(a: Value, b: Value): void {
    this.#state.flags.sum('compare', this.size, a, b, a);
  }

  override incrementFlags(_a: Value, result: Value): void {
    this.#state.flags.count('increment', this.size, result);
  }

  override decrementFlags(_a: Value, result: Value): void {
    this.#state.flags.count('decrement', this.size, result);
  }

  override logicFlags(result: Value): void {
    this.#state.flags.logic(this.size, result);
  }

  override resultFlags(result: Value, carry: Value, overflow: Value): void {
    this.#state.flags.result(this.size, result, { carry, overflow });
  }

  override resultFlagsLater(result: Value, operands: readonly Value[], flags: NonNullable<Setter['flags']>): void {
    this.#state.flags.later(this.#mnemonic, this.size, result, operands, flags);
  }

  override rotatedFlagsLater(result: Value, flags: (result: Value) => CarryOverflow): void {
    this.#state.flags.rotateLater(this.#mnemonic, this.size, result, flags);
  }

  override carryOverflowFlags(carry: Value, overflow: Value): void {
    this.#state.flags.rotate(carry, overflow);
  }

  override carryFlag(carry: Value): void {
    this.carryOverflowFlags(this.local(carry), this.local(this.overflow()));
  }

  protected override overflow(): Value {
    const { setter } = this.#state.flags;
    return setter === undefined ? super.overflow() : this.#state.flags.overflow(setter);
  }

  override carry(): Value {
    const { setter } = this.#state.flags;
    return setter === undefined ? super.carry() : this.#state.flags.carry(setter);
  }

  override test(conditionCode: number): Value {
    const { flags } = this.#state;
    const { setter } = flags;
    if (setter === undefined) return super.test(conditionCode);
    const positive = [
      () => flags.overflow(setter),
      () => flags.carry(setter),
      () => flags.zero(setter),
      () => flags.belowOrEqual(setter),
      () => flags.sign(setter),
      () => flags.parity(setter),
      () => flags.less(setter),
      () => flags.lessOrEqual(setter),
    ][conditionCode >> 1] as () => Value;
    return conditionCode & 1 ? positive().isZero() : positive();
  }

  override lowFlags(): Value {
    this.#state.settleFlags();
    return super.lowFlags();
  }

  override setLowFlags(flags: Value): void {
    const kept = this.local(flags);
    this.#state.settleFlags();
    super.setLowFlags(kept);
  }

  override flagsImage(): Value {
    this.#state.settleFlags();
    return super.flagsImage();
  }

  override setArithmeticFlags(image: Value): void {
    const kept = this.local(image);
    this.#state.flags.setter = undefined;
    super.setArithmeticFlags(kept);
  }

  override x87(mnemonic: string): X87Stack {
    const { x87 } = this.#state;
    return x87 === undefined ? super.x87(mnemonic) : new X87InLocals(this, mnemonic, x87);
  }

  // ── control ──

  override if(condition: Value, then: () => void, otherwise?: () => void): void {
    if (condition.known !== undefined) {
      if (Number(condition.known) !== 0) then();
      else otherwise?.();
      return;
    }
    this.#state.branch(condition, then, otherwise);
  }

  override checkTarget(rip?: Value): void {
    const state = this.#state;
    const { expected } = this.#exits;
    if (expected !== undefined) {
      this.code.if((rip ?? this.relativeTarget()).ne(expected), () => this.#exits.interpret(), undefined, false);
      return;
    }
    if (!state.is64Bit || (rip === undefined && targetOf(this.#records, this.#record) !== undefined)) return;
    const target = this.local(rip ?? this.relativeTarget());
    this.code.if(target.shl(16).shrSigned(16).ne(target), () => this.#exits.interpret(), undefined, false);
  }

  override raise(): void {
    this.#exits.interpret();
  }

  override system(): void {
    this.#exits.interpret();
  }

  /** RIP of this instruction: flat code, so linear addresses are offsets into CS. */
  override rip(): Value {
    return this.#state.ripAt(this.#records.getUint16(this.#record + OFFSET, true));
  }

  override nextRip(): Value {
    const next = this.#records.getUint16(this.#record + OFFSET, true) + this.#records.getUint8(this.#record + LENGTH);
    return this.#state.ripAt(next);
  }
}

function vectorAt(offset: number): number | undefined {
  const distance = offset - S.XMM;
  return distance >= 0 && distance < VECTOR_REGISTERS * S.XMM_STRIDE && distance % S.XMM_STRIDE === 0 ? distance / S.XMM_STRIDE : undefined;
}

/** Part of a vector, zero-extended. */
function lane(vector: Value, type: ValueType, size: number, at: number): Value {
  if (type === 'i64' && size < 8) return lane(vector, 'i32', size, at).widen();
  const [extract] = LANES[`${type}.${size}`] as readonly [number, number];
  return vector.simdLane(type, extract, at / size);
}
