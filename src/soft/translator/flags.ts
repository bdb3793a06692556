/**
 * Arithmetic flags in translated code: what set them is remembered while code is generated, and only its operands are kept, in
 * locals. Conditions are formed from the operands; the two words of the state block (x86/state.ts) are formed where flags leave
 * the region or paths meet. What nobody asks for is never computed.
 */
import { AUX_ADJUST, AUX_CARRY, AUX_PARITY_DELTA_SHIFT, AUX_PARTIAL, AUX_SIGN_DELTA } from '../../x86/state.ts';
import type { Size } from '../semantics/dsl.ts';
import type { Code, ValueType } from '../wasm/code.ts';
import { getLocal, i32, type Value } from '../wasm/value.ts';

/** `words`: the two words in their locals are right. */
type Kind = 'words' | 'add' | 'add-with-carry' | 'subtract' | 'subtract-with-borrow' | 'logic' | 'increment' | 'decrement' | 'result';

/** What set the flags last. Operands of 1 and 2 bytes are kept shifted up to the top of an i32. */
export interface Setter {
  readonly kind: Kind;
  readonly size: Size;
  /** A rotation after that: CF and OF are its own. */
  readonly isRotated?: true;
}

const widthOf = (size: Size): 'i32' | 'i64' => (size === 8 ? 'i64' : 'i32');
const shiftOf = (size: Size): number => (size === 8 ? 0 : 32 - size * 8);

/** The two words of the state block, as they are in locals. */
export interface FlagWords {
  readonly result: Value;
  readonly aux: Value;
}

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

  /** CF and OF change, the others stay. */
  rotate(carry: Value, overflow: Value): void {
    this.#keep('rotated-carry', 'i32', carry);
    this.#keep('rotated-overflow', 'i32', overflow);
    const { kind, size } = this.setter ?? { kind: 'words', size: 8 };
    this.setter = { kind, size, isRotated: true };
  }

  set(kind: Kind, size: Size, result: Value, a?: Value, b?: Value): void {
    const width = widthOf(size);
    const shift = shiftOf(size);
    if (a !== undefined) this.#keep('a', width, a.shl(shift));
    if (b !== undefined) this.#keep('b', width, b.shl(shift));
    this.#keep('r', width, result.shl(shift));
    this.setter = { kind, size };
  }

  /** CF and OF (i32) for setters that do not imply them. */
  keepCarry(carry: Value): void {
    this.#keep('carry', 'i32', carry);
  }
  keepOverflow(overflow: Value): void {
    this.#keep('overflow', 'i32', overflow);
  }

  carry({ kind, size, isRotated }: Setter): Value {
    if (isRotated) return this.#i32('rotated-carry');
    switch (kind) {
      case 'words': return this.#words().aux.shr(31);
      case 'add': return this.#r(size).lt(this.#a(size));
      case 'subtract': return this.#a(size).lt(this.#b(size));
      case 'logic': return i32(0);
      case 'increment': case 'decrement': case 'result': return this.#i32('carry');
      case 'add-with-carry': case 'subtract-with-borrow': return this.#topBit(this.#carries(kind, size), size);
    }
  }

  overflow({ kind, size, isRotated }: Setter): Value {
    if (isRotated) return this.#i32('rotated-overflow');
    if (kind === 'words') return this.#words().aux.xor(this.#words().aux.shl(1)).shr(31);
    const [a, b, r] = [this.#a(size), this.#b(size), this.#r(size)];
    switch (kind) {
      case 'add': case 'add-with-carry': return this.#topBit(a.xor(r).and(b.xor(r)), size);
      case 'subtract': case 'subtract-with-borrow': return this.#topBit(a.xor(b).and(a.xor(r)), size);
      case 'logic': return i32(0);
      case 'increment': return this.#topBit(a.xor(r).and(r), size);
      case 'decrement': return this.#topBit(a.xor(r).and(a), size);
      case 'result': return this.#i32('overflow');
    }
  }

  sign({ kind, size }: Setter): Value {
    if (kind === 'words') return this.#words().result.shr(63).wrap().xor(this.#words().aux.and(AUX_SIGN_DELTA));
    return this.#r(size).ltSigned(0);
  }

  zero({ kind, size }: Setter): Value {
    if (kind === 'words') return this.#words().result.isZero();
    return kind === 'subtract' ? this.#a(size).eq(this.#b(size)) : this.#r(size).isZero();
  }

  parity({ kind, size }: Setter): Value {
    if (kind === 'words') {
      const low = this.#words().result.wrap().xor(this.#words().aux.shr(AUX_PARITY_DELTA_SHIFT));
      return low.and(0xff).popcnt().and(1).xor(1);
    }
    return this.#r(size).shr(shiftOf(size)).wrap().and(0xff).popcnt().and(1).xor(1);
  }

  belowOrEqual(setter: Setter): Value {
    const { kind, size } = setter;
    return kind === 'subtract' && !setter.isRotated ? this.#a(size).le(this.#b(size)) : this.carry(setter).or(this.zero(setter));
  }

  less(setter: Setter): Value {
    const { kind, size, isRotated } = setter;
    if (kind === 'subtract' && !isRotated) return this.#a(size).ltSigned(this.#b(size));
    return kind === 'logic' && !isRotated ? this.sign(setter) : this.sign(setter).xor(this.overflow(setter));
  }

  lessOrEqual(setter: Setter): Value {
    const { kind, size, isRotated } = setter;
    if (kind === 'subtract' && !isRotated) return this.#a(size).leSigned(this.#b(size));
    return kind === 'logic' && !isRotated ? this.#r(size).leSigned(0) : this.less(setter).or(this.zero(setter));
  }

  /** FLAG_RESULT: the result, sign-extended. */
  resultWord({ kind, size }: Setter): Value {
    if (kind === 'words') return this.#words().result;
    return size === 8 ? this.#r(8) : this.#r(size).shrSigned(shiftOf(size)).widenSigned();
  }

  /** FLAG_AUX. */
  auxWord(setter: Setter): Value {
    const { kind, size, isRotated } = setter;
    if (isRotated) {
      const others = this.auxWord({ kind, size }).and(~(AUX_CARRY | AUX_PARTIAL));
      return others.or(carryAndOverflow(this.#i32('rotated-carry'), this.#i32('rotated-overflow')));
    }
    const shift = shiftOf(size);
    switch (kind) {
      case 'words': return this.#words().aux;
      case 'logic': return i32(0);
      case 'result': return carryAndOverflow(this.#i32('carry'), this.#i32('overflow'));
      case 'increment': case 'decrement': {
        const adjust = this.#a(size).xor(this.#r(size)).shr(shift + 1).wrap().and(AUX_ADJUST);
        return carryAndOverflow(this.#i32('carry'), this.overflow(setter)).or(adjust);
      }
      default: {
        const carries = this.#carries(kind, size);
        const high = size === 8 ? carries.shr(32).wrap() : carries;
        return high.and(AUX_CARRY | AUX_PARTIAL).or(carries.shr(shift).wrap().and(AUX_ADJUST));
      }
    }
  }

  /** The carry (or borrow) out of every bit. */
  #carries(kind: Kind, size: Size): Value {
    const [a, b, r] = [this.#a(size), this.#b(size), this.#r(size)];
    if (kind === 'add' || kind === 'add-with-carry') return a.and(b).or(a.or(b).and(r.not()));
    return a.not().and(b).or(a.not().or(b).and(r));
  }

  #topBit(value: Value, size: Size): Value {
    return value.shr(size === 8 ? 63 : 31).wrap();
  }

  #a(size: Size): Value { return this.#get('a', widthOf(size)); }
  #b(size: Size): Value { return this.#get('b', widthOf(size)); }
  #r(size: Size): Value { return this.#get('r', widthOf(size)); }
  #i32(name: string): Value { return this.#get(name, 'i32'); }

  #get(name: string, type: ValueType): Value {
    const key = name + type;
    let index = this.#locals.get(key);
    if (index === undefined) {
      index = this.#code.permanentLocal(type);
      this.#locals.set(key, index);
    }
    return getLocal(type, index);
  }

  #keep(name: string, type: ValueType, value: Value): void {
    this.#get(name, type);
    this.#code.setLocal(this.#locals.get(name + type) as number, value);
  }
}

const carryAndOverflow = (carry: Value, overflow: Value): Value => carry.shl(31).or(carry.xor(overflow).shl(30));
