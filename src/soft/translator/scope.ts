/**
 * How the translator lowers the semantics: record fields are constants of the translated instruction, general and vector registers
 * and flags are locals of the region's function, everything else stays in the state block.
 *
 * A memory access looks into the TLB; where that is not enough, and for whatever else is not plain, the region is left before the
 * instruction has done anything, and the interpreter does all of it. So translated code has no faults, no devices and no system
 * operations in it, and what it computes is what the interpreter would have computed.
 */
import { BASE, DISP, INDEX, LENGTH, OFFSET, REG, SCALE, SEGMENT } from '../../x86/record.ts';
import * as S from '../../x86/state.ts';
import { type Endings, type Imports, InterpreterScope, type Place, type Shape } from '../interpreter-scope.ts';
import { TLB_ENTRIES, TLB_ENTRY_SIZE } from '../layout.ts';
import type { Size, VectorRegister, Word } from '../semantics/dsl.ts';
import type { X87Stack } from '../semantics/x87-stack.ts';
import type { ValueType } from '../wasm/code.ts';
import { call, constant, i32, i64, type Value } from '../wasm/value.ts';
import { targetOf } from './plan.ts';
import type { RegionState } from './region-state.ts';
import { MISS_WRITES } from './shared-functions.ts';
import { X87InLocals } from './x87-locals.ts';

const TLB_INDEX_MASK = (TLB_ENTRIES - 1) * TLB_ENTRY_SIZE;
const GENERAL_REGISTERS = 16;
const VECTOR_REGISTERS = 16;

/** Where the instruction being translated goes when it is not straight on. */
export interface Exits extends Endings {
  /** Leaves the region; the interpreter does the whole instruction. */
  interpret(): void;
}

/** `extract_lane` and `replace_lane` by type and size: WebAssembly SIMD opcodes. */
const LANES: Readonly<Record<string, readonly [number, number]>> = {
  'f32.4': [0x1f, 0x20], 'f64.8': [0x21, 0x22], 'i64.8': [0x1d, 0x1e], 'i32.4': [0x1b, 0x1c], 'i32.2': [0x19, 0x1a], 'i32.1': [0x16, 0x17],
};

export class TranslatorScope extends InterpreterScope {
  readonly #state: RegionState;
  readonly #records: DataView;
  readonly #record: number;
  readonly #exits: Exits;
  readonly #miss: number;

  /** `record`: offset of the instruction's record in `records`; `imports.readSlow` is the module's `miss` (shared-functions.ts). */
  constructor(state: RegionState, shape: Shape, imports: Imports, exits: Exits, records: DataView, record: number) {
    super(state.code, shape, imports, exits);
    this.#state = state;
    this.#records = records;
    this.#record = record;
    this.#exits = exits;
    this.#miss = imports.readSlow;
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
    const base = this.readPlace({ field: BASE }, 8);
    const index = this.readPlace({ field: INDEX }, 8).shl(this.#records.getUint8(this.#record + SCALE));
    return base.add(index).add(i64(this.#records.getInt32(this.#record + DISP, true)));
  }

  override linearAddress(): Value {
    const segment = this.#records.getUint16(this.#record + SEGMENT, true);
    // Flat: the bases of ES, CS, SS and DS are 0.
    const hasBase = segment === S.segmentBase(S.FS) || segment === S.segmentBase(S.GS);
    const address = hasBase ? this.effectiveAddress().add(super.field(segment, 'i64')) : this.effectiveAddress();
    return address.and(this.field(S.LINEAR_MASK, 'i64'));
  }

  override local(value: Value): Value {
    return value.known === undefined ? super.local(value) : value;
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
    const low = whole.shr((offset & 7) * 8).wrap();
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
      const shift = (offset & 7) * 8;
      const mask = (size === 1 ? 0xffn : 0xffffn) << BigInt(shift);
      const part = value.and(size === 1 ? 0xff : 0xffff).widen().shl(shift);
      this.#state.setGeneral(number, this.#state.general(number).and(~mask).or(part));
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
        else {
          const type = value.type === 'i64' && size < 8 ? 'i32' : value.type;
          const [, replace] = LANES[`${type}.${size}`] as readonly [number, number];
          state.setVector(number, state.vector(number).simdLane('v128', replace, at / size, value.type === type ? value : value.wrap()));
        }
      },
    };
  }

  override field(offset: number, type: Word): Value {
    const state = this.#state;
    switch (offset) {
      case S.ZERO: return constant(type, 0);
      case S.FLAG_RESULT: return state.flagResult.to(type);
      case S.FLAG_AUX: return state.flagAux;
      case S.CODE_PAGE: return state.page;
      case S.LINEAR_MASK: case S.STACK_MASK: return i64(state.is64Bit ? -1n : 0xffff_ffffn);
      case S.CODE_BASE: case S.STACK_BASE: return i64(0);
    }
    if (offset < S.GPR + GENERAL_REGISTERS * 8) return state.general((offset - S.GPR) >>> 3).to(type);
    const vector = vectorAt(offset & ~8);
    return vector === undefined ? super.field(offset, type) : lane(state.vector(vector), type, type === 'i64' ? 8 : 4, offset & 8);
  }

  override setField(offset: number, value: Value): void {
    const state = this.#state;
    if (offset === S.FLAG_RESULT) state.setFlagResult(value);
    else if (offset === S.FLAG_AUX) state.setFlagAux(value);
    else if (offset < S.GPR + GENERAL_REGISTERS * 8) state.setGeneral((offset - S.GPR) >>> 3, value);
    else super.setField(offset, value);
  }

  #offset(place: Place): number {
    return 'field' in place ? this.#records.getUint16(this.#record + place.field, true) : place.offset;
  }

  // ── memory ──

  #look(address: Value, size: number, forWrite: boolean): Value {
    const { code } = this;
    const state = this.#state;
    const table = forWrite ? state.tlbWrite : state.tlbRead;
    const entry = this.local(table.add(address.shr(8).wrap().and(TLB_INDEX_MASK)));
    const host = this.variable(address.wrap().add(entry.load('i32', 4, 8)));
    // An access that crosses its page misses, because its last byte has another tag.
    const last = size === 1 ? address : address.add(size - 1);
    code.if(entry.load('i64', 8).ne(last.and(-4096)), () => {
      host.set(call('i32', this.#miss, [address, i32(size | (forWrite ? MISS_WRITES : 0))]));
      code.if(host.value.isZero(), () => this.#exits.interpret(), undefined, false);
    }, undefined, false);
    return host.value;
  }

  protected override hostForRead(address: Value, size: Size | 16): Value {
    return this.#look(this.local(address), size, false);
  }

  protected override storeThrough(address: Value, size: Size | 16, _readFirst: boolean, write: (host: Value) => void): void {
    write(this.#look(this.local(address), size, true));
  }

  // ── flags ──

  override addFlags(a: Value, b: Value, result: Value, carryIn = false): void {
    this.#state.flags.set(carryIn ? 'add-with-carry' : 'add', this.size, result, a, b);
  }

  override subtractFlags(a: Value, b: Value, result: Value, borrowIn = false): void {
    this.#state.flags.set(borrowIn ? 'subtract-with-borrow' : 'subtract', this.size, result, a, b);
  }

  override incrementFlags(a: Value, result: Value): void {
    this.#state.flags.keepCarry(this.carry());
    this.#state.flags.set('increment', this.size, result, a);
  }

  override decrementFlags(a: Value, result: Value): void {
    this.#state.flags.keepCarry(this.carry());
    this.#state.flags.set('decrement', this.size, result, a);
  }

  override logicFlags(result: Value): void {
    this.#state.flags.set('logic', this.size, result);
  }

  override resultFlags(result: Value, carry: Value, overflow: Value): void {
    const { flags } = this.#state;
    flags.keepCarry(carry);
    flags.keepOverflow(overflow);
    flags.set('result', this.size, result);
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
    return this.#state.page.add(i64(this.#records.getUint16(this.#record + OFFSET, true)));
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
