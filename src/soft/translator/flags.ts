/**
 * Arithmetic flags in translated code: what set them is remembered while code is generated, and only its operands are kept, in
 * locals. Conditions are formed from the operands; the two words of the state block (x86/state.ts) are formed where somebody reads
 * flags that several paths bring, and behind exits. What nobody asks for is never computed.
 *
 * Operands that only exits need cost a register for as long as an exit is possible. So exits take those that live anyway: the result,
 * which a guest register holds, in place of the first operand, which it replaced.
 */
import { AUX_ADJUST, AUX_CARRY, AUX_PARITY_DELTA_SHIFT, AUX_PARTIAL, AUX_SIGN_DELTA } from '../../x86/state.ts';
import type { CarryOverflow, Size } from '../semantics/dsl.ts';
import type { Code, ValueType } from '../wasm/code.ts';
import { constant, getLocal, i32, type Value } from '../wasm/value.ts';

type SumKind = 'add' | 'add-with-carry' | 'subtract' | 'subtract-with-borrow' | 'compare';
/** `words`: the two words in their locals are right. `later`: a function of the semantics tells. */
type Kind = SumKind | 'words' | 'logic' | 'increment' | 'decrement' | 'result' | 'later';

/** CF and OF of their own, after the setter. */
interface Rotated {
  /** What tells two of them apart. */
  readonly name: string;
  readonly size: Size;
  /** Of the rotated value. Left out: both are in locals. */
  readonly flags?: (result: Value) => CarryOverflow;
}

/** What set the flags last. Operands of 1 and 2 bytes are kept shifted up to the top of an i32. */
export interface Setter {
  readonly kind: Kind;
  readonly size: Size;
  /** Of `later`: what tells two of them apart. */
  readonly name?: string;
  readonly flags?: (operands: readonly Value[], result: Value) => CarryOverflow;
  /** Of increments and decrements: what had set CF; its operands were copied. */
  readonly carry?: Setter;
  readonly rotated?: Rotated;
}

/** Several paths met; a local says which setter it was. Exits can tell; nothing else may ask. */
export const ELSEWHERE: Setter = { kind: 'words', size: 8, name: 'elsewhere' };

export const isSameSetter = (a: Setter | undefined, b: Setter | undefined): boolean =>
  a === b || (a !== undefined && b !== undefined && a.kind === b.kind && a.size === b.size && a.name === b.name &&
    a.rotated?.name === b.rotated?.name && a.rotated?.size === b.rotated?.size && isSameSetter(a.carry, b.carry));

const WORDS: Setter = { kind: 'words', size: 8 };
const widthOf = (size: Size): 'i32' | 'i64' => (size === 8 ? 'i64' : 'i32');
const shiftOf = (size: Size): number => (size === 8 ? 0 : 32 - size * 8);

/** The two words of the state block, as they are in locals. */
export interface FlagWords {
  readonly result: Value;
  readonly aux: Value;
}

/** `a` and `b` are operands, `r` the result. Copies for a later CF have names that begin so. */
const COPY = 'copy-';

export class LazyFlags {
  readonly #code: Code;
  readonly #words: () => FlagWords;
  readonly #locals = new Map<string, number>();
  /** undefined: the two words in their locals are right. */
  setter: Setter | undefined;

  constructor(code: Code, words: () => FlagWords) {
    this.#code = code;
    this.#words = words;
  }

  sum(kind: SumKind, size: Size, a: Value, b: Value, result: Value): void {
    const width = widthOf(size);
    const shift = shiftOf(size);
    this.#keep('a', width, a.shl(shift));
    this.#keep('b', width, b.shl(shift));
    if (kind !== 'compare') this.#keep('r', width, result.shl(shift));
    this.setter = { kind, size };
  }

  logic(size: Size, result: Value): void {
    this.#keep('r', widthOf(size), result.shl(shiftOf(size)));
    this.setter = { kind: 'logic', size };
  }

  /** One more or less; CF stays. */
  count(kind: 'increment' | 'decrement', size: Size, result: Value): void {
    const carry = this.#copyCarry(this.setter ?? WORDS);
    this.#keep('r', widthOf(size), result.shl(shiftOf(size)));
    this.setter = { kind, size, carry };
  }

  /** CF and OF as given (i32), the others of the result. */
  result(size: Size, result: Value, { carry, overflow }: CarryOverflow): void {
    this.#keep('carry', 'i32', carry);
    this.#keep('overflow', 'i32', overflow);
    this.#keep('r', widthOf(size), result.shl(shiftOf(size)));
    this.setter = { kind: 'result', size };
  }

  /** The same, from operands, when they are asked for. `name` tells the function from others. */
  later(name: string, size: Size, result: Value, operands: readonly Value[], flags: NonNullable<Setter['flags']>): void {
    for (const [n, operand] of operands.entries()) this.#keep(OPERANDS[n] as string, operand.type, operand);
    this.#keep('r', widthOf(size), result.shl(shiftOf(size)));
    this.setter = { kind: 'later', size, name: `${name}/${operands.map(({ type }) => type).join()}`, flags };
  }

  /** CF and OF change, the others stay. */
  rotate(carry: Value, overflow: Value): void {
    this.#keep('rotated-carry', 'i32', carry);
    this.#keep('rotated-overflow', 'i32', overflow);
    this.#rotated({ name: 'given', size: 4 });
  }

  /** The same, from the rotated value, when they are asked for. */
  rotateLater(name: string, size: Size, result: Value, flags: NonNullable<Rotated['flags']>): void {
    this.#keep('rotated', widthOf(size), result);
    this.#rotated({ name, size, flags });
  }

  #rotated(rotated: Rotated): void {
    this.setter = { ...(this.setter ?? WORDS), rotated };
  }

  /** Copies what CF is made of, because the next setter has operands of its own. */
  #copyCarry(setter: Setter): Setter {
    const { kind, size, rotated } = setter;
    if (rotated === undefined && setter.carry !== undefined) return setter.carry;
    const copy = (type: ValueType, ...names: readonly string[]): void => {
      for (const name of names) this.#keep(COPY + name, type, this.#get(name, type));
    };
    if (rotated !== undefined) {
      if (rotated.flags === undefined) copy('i32', 'rotated-carry');
      else copy(widthOf(rotated.size), 'rotated');
    } else {
      switch (kind) {
        case 'add': case 'subtract': copy(widthOf(size), 'b', 'r'); break;
        case 'compare': copy(widthOf(size), 'a', 'b'); break;
        case 'add-with-carry': case 'subtract-with-borrow': copy(widthOf(size), 'a', 'b', 'r'); break;
        case 'result': copy('i32', 'carry'); break;
        case 'later':
          for (const [n, type] of typesOf(setter).entries()) copy(type, OPERANDS[n] as string);
          copy(widthOf(size), 'r');
          break;
        case 'words': copy('i32', 'aux'); break;
      }
    }
    return setter;
  }

  // ── conditions, as 0 or 1 ──

  carry(setter: Setter): Value {
    return this.#carry(setter, new Operands(this, '', false));
  }

  overflow(setter: Setter): Value {
    return this.#overflow(setter, new Operands(this, '', false));
  }

  #carry(setter: Setter, from: Operands): Value {
    const { kind, size, rotated } = setter;
    if (rotated !== undefined) {
      return rotated.flags === undefined ? from.i32('rotated-carry') : rotated.flags(from.value('rotated', widthOf(rotated.size))).carry;
    }
    switch (kind) {
      case 'words': return from.isCopy ? from.i32('aux').shr(31) : this.#words().aux.shr(31);
      case 'add': return from.r(setter).lt(from.isLean ? from.b(setter) : from.a(setter));
      case 'subtract': case 'compare': return from.a(setter).lt(from.b(setter));
      case 'logic': return i32(0);
      case 'increment': case 'decrement': return this.#carry(setter.carry as Setter, new Operands(this, COPY, true));
      case 'result': return from.i32('carry');
      case 'later': return this.#told(setter, from).carry;
      case 'add-with-carry': case 'subtract-with-borrow': return topBit(carriesOf(setter, from), size);
    }
  }

  #overflow(setter: Setter, from: Operands): Value {
    const { kind, size, rotated } = setter;
    if (rotated !== undefined) {
      return rotated.flags === undefined ? from.i32('rotated-overflow') : rotated.flags(from.value('rotated', widthOf(rotated.size))).overflow;
    }
    switch (kind) {
      case 'words': return this.#words().aux.xor(this.#words().aux.shl(1)).shr(31);
      case 'logic': return i32(0);
      case 'result': return from.i32('overflow');
      case 'later': return this.#told(setter, from).overflow;
      // Only the step to the smallest, and from it, leaves the range.
      case 'increment': return from.r(setter).eq(constant(widthOf(size), SMALLEST[widthOf(size)]));
      case 'decrement': return from.r(setter).eq(constant(widthOf(size), SMALLEST[widthOf(size)]).sub(unitOf(size)));
      default: {
        const [a, b, r] = [from.a(setter), from.b(setter), from.r(setter)];
        return topBit(kind === 'add' || kind === 'add-with-carry' ? a.xor(r).and(b.xor(r)) : a.xor(b).and(a.xor(r)), size);
      }
    }
  }

  #told(setter: Setter, from: Operands): CarryOverflow {
    const result = from.r(setter).shr(shiftOf(setter.size));
    return (setter.flags as NonNullable<Setter['flags']>)(typesOf(setter).map((type, n) => from.value(OPERANDS[n] as string, type)), result);
  }

  sign(setter: Setter): Value {
    if (setter.kind === 'words') return this.#words().result.shr(63).wrap().xor(this.#words().aux.and(AUX_SIGN_DELTA));
    return this.#r(setter).ltSigned(0);
  }

  zero(setter: Setter): Value {
    if (setter.kind === 'words') return this.#words().result.isZero();
    return isDifference(setter) ? this.#a(setter).eq(this.#b(setter)) : this.#r(setter).isZero();
  }

  parity(setter: Setter): Value {
    if (setter.kind === 'words') {
      const low = this.#words().result.wrap().xor(this.#words().aux.shr(AUX_PARITY_DELTA_SHIFT));
      return low.and(0xff).popcnt().and(1).xor(1);
    }
    return this.#r(setter).shr(shiftOf(setter.size)).wrap().and(0xff).popcnt().and(1).xor(1);
  }

  belowOrEqual(setter: Setter): Value {
    return isPlainDifference(setter) ? this.#a(setter).le(this.#b(setter)) : this.carry(setter).or(this.zero(setter));
  }

  less(setter: Setter): Value {
    if (isPlainDifference(setter)) return this.#a(setter).ltSigned(this.#b(setter));
    return setter.kind === 'logic' && setter.rotated === undefined ? this.sign(setter) : this.sign(setter).xor(this.overflow(setter));
  }

  lessOrEqual(setter: Setter): Value {
    if (isPlainDifference(setter)) return this.#a(setter).leSigned(this.#b(setter));
    return setter.kind === 'logic' && setter.rotated === undefined ? this.#r(setter).leSigned(0) : this.less(setter).or(this.zero(setter));
  }

  // ── the two words ──

  /** FLAG_RESULT: the result, sign-extended. */
  resultWord(setter: Setter): Value {
    const { kind, size } = setter;
    if (kind === 'words') return this.#words().result;
    const result = new Operands(this, '', true).r(setter);
    return size === 8 ? result : result.shrSigned(shiftOf(size)).widenSigned();
  }

  /** FLAG_AUX. */
  auxWord(setter: Setter): Value {
    const { rotated, ...plain } = setter;
    const { kind, size } = plain;
    const from = new Operands(this, '', true);
    if (rotated !== undefined) {
      const others = this.auxWord(plain).and(~(AUX_CARRY | AUX_PARTIAL));
      return others.or(carryAndOverflow(this.#carry(setter, from), this.#overflow(setter, from)));
    }
    switch (kind) {
      case 'words': return this.#words().aux;
      case 'logic': return i32(0);
      case 'result': case 'later': {
        const { carry, overflow } = kind === 'later' ? this.#told(setter, from) : { carry: from.i32('carry'), overflow: from.i32('overflow') };
        return carryAndOverflow(carry, overflow);
      }
      case 'increment': case 'decrement': {
        const r = from.r(setter);
        const before = kind === 'increment' ? r.sub(unitOf(size)) : r.add(unitOf(size));
        const adjust = before.xor(r).shr(shiftOf(size) + 1).wrap().and(AUX_ADJUST);
        return carryAndOverflow(this.#carry(setter, from), this.#overflow(setter, from)).or(adjust);
      }
      default: {
        const carries = carriesOf(setter, from);
        if (size === 4) return carries.and(AUX_CARRY | AUX_PARTIAL | AUX_ADJUST);
        const high = size === 8 ? carries.shr(32).wrap() : carries;
        return high.and(AUX_CARRY | AUX_PARTIAL).or(carries.shr(shiftOf(size)).wrap().and(AUX_ADJUST));
      }
    }
  }

  #a(setter: Setter): Value { return new Operands(this, '', false).a(setter); }
  #b(setter: Setter): Value { return new Operands(this, '', false).b(setter); }
  #r(setter: Setter): Value { return new Operands(this, '', false).r(setter); }

  /** @internal */
  local(name: string, type: ValueType): Value {
    return this.#get(name, type);
  }

  #index(name: string, type: ValueType): number {
    const key = name + type;
    let index = this.#locals.get(key);
    if (index === undefined) {
      index = this.#code.permanentLocal(type);
      this.#locals.set(key, index);
    }
    return index;
  }

  #get(name: string, type: ValueType): Value {
    return name === 'aux' ? this.#words().aux : getLocal(type, this.#index(name, type));
  }

  #keep(name: string, type: ValueType, value: Value): void {
    this.#code.setLocal(this.#index(name, type), value);
  }
}

const OPERANDS = ['a', 'b'] as const;
const typesOf = ({ name }: Setter): ValueType[] => (name as string).slice((name as string).indexOf('/') + 1).split(',') as ValueType[];
const SMALLEST = { i32: -0x8000_0000, i64: -0x8000_0000_0000_0000n } as const;
/** 1, where operands of this size are kept. */
const unitOf = (size: Size): Value => constant(widthOf(size), size === 8 ? 1n : 2 ** shiftOf(size));

/** The operands of a setter. Lean: from no more than what exits are to keep alive. */
class Operands {
  readonly isLean: boolean;
  readonly #flags: LazyFlags;
  readonly #prefix: string;

  constructor(flags: LazyFlags, prefix: string, isLean: boolean) {
    this.#flags = flags;
    this.#prefix = prefix;
    this.isLean = isLean;
  }

  get isCopy(): boolean { return this.#prefix !== ''; }

  a(setter: Setter): Value {
    if (this.isLean && setter.kind === 'add') return this.r(setter).sub(this.b(setter));
    if (this.isLean && setter.kind === 'subtract') return this.r(setter).add(this.b(setter));
    return this.value('a', widthOf(setter.size));
  }
  b(setter: Setter): Value { return this.value('b', widthOf(setter.size)); }
  r(setter: Setter): Value {
    return setter.kind === 'compare' ? this.a(setter).sub(this.b(setter)) : this.value('r', widthOf(setter.size));
  }
  value(name: string, type: ValueType): Value {
    return this.#flags.local(this.#prefix + name, type);
  }
  i32(name: string): Value { return this.value(name, 'i32'); }
}

const isDifference = ({ kind }: Setter): boolean => kind === 'subtract' || kind === 'compare';
const isPlainDifference = (setter: Setter): boolean => isDifference(setter) && setter.rotated === undefined;

/** The carry (or borrow) out of every bit. */
function carriesOf(setter: Setter, from: Operands): Value {
  const [a, b, r] = [from.a(setter), from.b(setter), from.r(setter)];
  return setter.kind === 'add' || setter.kind === 'add-with-carry' ? a.and(b).or(a.or(b).and(r.not())) : a.not().and(b).or(a.not().or(b).and(r));
}

const topBit = (value: Value, size: Size): Value => value.shr(size === 8 ? 63 : 31).wrap();
const carryAndOverflow = (carry: Value, overflow: Value): Value => carry.shl(31).or(carry.xor(overflow).shl(30));
