/** What lives in the locals of a region's function, and which registers the region touches. */
import * as S from '../../x86/state.ts';
import type { Code } from '../wasm/code.ts';
import { getLocal, i32, i64, result, select, store, type Value } from '../wasm/value.ts';
import { STATE } from '../interpreter-scope.ts';
import { TLB_ENTRIES, TLB_ENTRY_SIZE, TLB_WRITE_DISTANCE } from '../layout.ts';
import { ELSEWHERE, LazyFlags } from './flags.ts';
import { NOT_OPEN, Windows } from './windows.ts';
import type { X87Locals } from './x87-locals.ts';

/** Registers as bit sets: general ones in bits 0–15, vector ones in bits 16–31. */
export interface Touched {
  readonly read: number;
  readonly changed: number;
  readonly flags: boolean;
}
export const NOTHING: Touched = { read: 0, changed: 0, flags: false };

const VECTOR = 16;
const PAGE = 4096;

/** `region(depth, rsp, budget) → (rsp, status)`: what every call and return changes stays out of memory. The status: see leave.ts. */
export const REGION_SIGNATURE = { parameters: ['i32', 'i64', 'i32'], results: ['i64', 'i32'] } as const;
export const DEPTH: Value = getLocal('i32', 0);
const STACK_PARAMETER = 1;
const BUDGET_PARAMETER = 2;

const STACK_POINTER = `g${S.RSP}`;

export class RegionState {
  readonly code: Code;
  readonly is64Bit: boolean;
  readonly flags: LazyFlags;
  /** Undefined: the x87 unit stays in the state block. */
  readonly x87: X87Locals | undefined;
  /** Control does not come here: the code before has left. */
  hasLeft = false;
  /** Bytes from the region's page to that of the code being generated. */
  distance = 0;
  /** The instruction being generated does nothing about flags. */
  keepsFlags = false;
  readonly #locals = new Map<string, number>([['budget', BUDGET_PARAMETER]]);
  #read = 0;
  #changed = 0;
  #usesFlags = false;
  /** Registers that may differ from the state block where code is being generated; like {@link Touched}. */
  dirty = 0;
  readonly #known: Touched;
  readonly windows: Windows;

  /** `worthwhile`: registers that windows pay for. */
  constructor(code: Code, is64Bit: boolean, known: Touched, x87?: X87Locals, worthwhile = 0) {
    this.code = code;
    this.windows = new Windows(worthwhile);
    this.is64Bit = is64Bit;
    this.flags = new LazyFlags(code, () => ({ result: this.flagResult, aux: this.flagAux }));
    this.x87 = x87;
    this.#known = known;
    if (is64Bit) this.#locals.set(STACK_POINTER, STACK_PARAMETER);
  }

  get touched(): Touched {
    return { read: this.#read, changed: this.#changed, flags: this.#usesFlags };
  }

  /** i64. Outside 64-bit mode only the low halves are there: the upper ones are 0 (mode.ts). */
  general(n: number): Value {
    this.#read |= 1 << n;
    return this.#get(`g${n}`, this.#word).from(this.windows.originOf(n)).widen();
  }
  setGeneral(n: number, value: Value): void {
    this.#changed |= 1 << n;
    this.dirty |= 1 << n;
    this.#set(`g${n}`, value.to(this.#word));
    this.windows.changed(n, value.origin);
  }
  get #word(): 'i32' | 'i64' { return this.is64Bit ? 'i64' : 'i32'; }
  vector(n: number): Value {
    this.#read |= 1 << (VECTOR + n);
    return this.#get(`v${n}`, 'v128');
  }
  setVector(n: number, value: Value): void {
    this.#changed |= 1 << (VECTOR + n);
    this.dirty |= 1 << (VECTOR + n);
    this.#set(`v${n}`, value);
  }

  get flagResult(): Value {
    this.#usesFlags = true;
    return this.#get('result', 'i64');
  }
  get flagAux(): Value {
    this.#usesFlags = true;
    return this.#get('aux', 'i32');
  }
  setFlagResult(value: Value): void {
    this.#usesFlags = true;
    this.#set('result', value);
    this.flags.setter = undefined;
  }
  setFlagAux(value: Value): void {
    this.#usesFlags = true;
    this.#set('aux', value);
    this.flags.setter = undefined;
  }

  /** As regions hand it to each other, i64. */
  get stackPointer(): Value { return this.#get(STACK_POINTER, this.#word).widen(); }
  get budget(): Value { return this.#get('budget', 'i32'); }
  setBudget(value: Value): void { this.#set('budget', value); }
  /** The region's page. */
  get page(): Value { return this.#get('page', 'i64'); }
  /** The TLB for reading; the one for writing lies behind it. */
  get tlb(): Value { return this.#get('tlb', 'i32'); }

  /** Opens a window at a distance from a register, where the TLB has the page. */
  openWindow(n: number, distance: number, isForWrite: boolean): void {
    const address = this.general(n).to(this.#word).add(distance);
    const window = address.origin && this.windows.open(address.origin, isForWrite, () => this.code.permanentLocal('i32'));
    if (window === undefined) return;
    const table = isForWrite ? TLB_WRITE_DISTANCE : 0;
    const entry = getLocal('i32', window.host);
    this.code.setLocal(window.host, this.tlb.add(address.wrap().shr(8).and((TLB_ENTRIES - 1) * TLB_ENTRY_SIZE)));
    const isKnown = entry.load('i64', 8, table).eq(address.and(-PAGE).widen());
    this.code.setLocal(window.offset, select(isKnown, address.wrap().and(PAGE - 1), i32(NOT_OPEN)));
    this.code.setLocal(window.host, address.wrap().add(entry.load('i32', 4, table + 8)));
  }

  /** RIP of an offset of the page of this code, or of another one; it may lie behind its end. */
  ripAt(offset: number, distance: number = this.distance): Value {
    const rip = this.page.add(i64(distance + offset));
    return (distance === 0 && offset < PAGE) || this.is64Bit ? rip : rip.and(i64(0xffff_ffffn));
  }

  /** A local of the function by name. */
  variable(name: string, type: 'i32' | 'i64'): { readonly value: Value; set(value: Value): void } {
    return { value: this.#get(name, type), set: (value) => this.#set(name, value) };
  }

  /** Forms the two words of the flags from what set them last. */
  settleFlags(): void {
    const { setter } = this.flags;
    if (setter === undefined) return;
    if (setter === ELSEWHERE) throw new Error('nobody knows here what had set the flags');
    const result = this.flags.resultWord(setter);
    const aux = this.flags.auxWord(setter);
    this.setFlagAux(aux);
    if (setter.kind !== 'words') this.setFlagResult(result);
  }

  /** Generates something that leaves beside the path that goes on: what is known here stays as it is. */
  aside(generate: () => void): void {
    const { setter } = this.flags;
    const { hasLeft, windows: { places } } = this;
    this.#keepingX87(generate);
    this.flags.setter = setter;
    this.hasLeft = hasLeft;
    this.windows.places = places;
  }

  /** `if`, after which the flags are as one side or the other left them. */
  branch(condition: Value, then: () => void, otherwise?: () => void): void {
    const { places } = this.windows;
    const changed = new Set<number>();
    const side = (generate: () => void) => (): void => {
      this.windows.places = places;
      generate();
      if (!this.hasLeft) for (let n = 0; n < 16; n++) if (this.windows.originOf(n) !== places.origins[n]) changed.add(n);
    };
    this.#branchFlags(condition, side(then), otherwise && side(otherwise));
    this.windows.resume(places, [...changed].reduce((bits, n) => bits | (1 << n), 0));
  }

  #branchFlags(condition: Value, then: () => void, otherwise?: () => void): void {
    if (this.keepsFlags) {
      this.#branchKeepingFlags(condition, then, otherwise);
      return;
    }
    if (otherwise !== undefined) this.settleFlags();
    const before = this.flags.setter;
    let left = false;
    let isSettled = false;
    this.code.ifElse(condition, () => {
      this.#keepingX87(then);
      left = this.hasLeft;
      this.hasLeft = false;
      isSettled = !left && this.flags.setter !== before;
      if (isSettled) this.settleFlags();
      if (otherwise === undefined && !isSettled) return undefined;
      return () => {
        this.flags.setter = before;
        if (otherwise === undefined) this.settleFlags();
        else {
          this.#keepingX87(otherwise);
          this.settleFlags();
          left = left && this.hasLeft;
          this.hasLeft = false;
        }
      };
    });
    this.flags.setter = isSettled || otherwise !== undefined ? undefined : before;
    if (otherwise !== undefined) this.hasLeft = left;
  }

  #branchKeepingFlags(condition: Value, then: () => void, otherwise?: () => void): void {
    const before = this.flags.setter;
    let left = false;
    const side = (generate: () => void): boolean => {
      this.flags.setter = before;
      this.hasLeft = false;
      this.#keepingX87(generate);
      return this.hasLeft;
    };
    this.code.if(condition, () => { left = side(then); }, otherwise && (() => { left = side(otherwise) && left; }));
    this.flags.setter = before;
    this.hasLeft = otherwise !== undefined && left;
  }

  /** Generates a way on which the x87 stack may move: behind it, it is where it was. */
  #keepingX87(generate: () => void): void {
    const { x87 } = this;
    const known = x87?.known;
    generate();
    if (x87 !== undefined && known !== undefined) x87.known = known;
  }

  /** Loads everything that the region touches but the budget and RSP; the flags where they matter. */
  load(needsFlags: boolean): void {
    for (let n = 0; n < 16; n++) if (n !== S.RSP && this.#touches(n)) this.#set(`g${n}`, STATE.load(this.#word, this.is64Bit ? 8 : 4, S.gpr(n)));
    for (let n = 0; n < 16; n++) if (this.#touches(VECTOR + n)) this.#set(`v${n}`, STATE.load('v128', 16, S.xmm(n)));
    if (this.#known.flags && needsFlags) {
      this.#set('result', STATE.load('i64', 8, S.FLAG_RESULT));
      this.#set('aux', STATE.load('i32', 4, S.FLAG_AUX));
    }
    this.windows.forget();
    this.x87?.load();
    this.loadTlb();
    this.flags.setter = undefined;
    this.dirty = 0;
  }

  /** From the state block. */
  loadBudgetAndStack(): void {
    this.#set('budget', STATE.load('i32', 4, S.BUDGET));
    this.#set(STACK_POINTER, STATE.load(this.#word, this.is64Bit ? 8 : 4, S.gpr(S.RSP)));
  }

  /** From the region that was called. */
  takeResults(): void {
    this.#set('budget', result('i32'));
    this.#set(STACK_POINTER, result('i64').to(this.#word));
  }

  /** What a region is entered with. */
  enter(): void {
    if (!this.is64Bit) this.#set(STACK_POINTER, getLocal('i64', STACK_PARAMETER).wrap());
    this.#set('page', STATE.load('i64', 8, S.CODE_PAGE));
  }

  /** The TLBs of the current level, which STAC and CLAC exchange. */
  loadTlb(): void {
    this.windows.close();
    this.#set('tlb', STATE.load('i32', 4, S.TLB_READ));
  }

  /** To the state block. */
  saveBudgetAndStack(): void {
    store(this.code, STATE, 4, this.budget, S.BUDGET);
    store(this.code, STATE, 8, this.stackPointer, S.gpr(S.RSP));
  }

  /**
   * Stores the registers that may have changed, or all that the region changes, but RSP. The flags must be settled, and the x87 stack's place noted
   * where control came from.
   */
  save(registers: number = this.#known.changed): void {
    const { code } = this;
    const isIn = (bit: number): boolean => (registers & (1 << bit)) !== 0;
    for (let n = 0; n < 16; n++) if (n !== S.RSP && isIn(n)) store(code, STATE, this.is64Bit ? 8 : 4, this.#get(`g${n}`, this.#word), S.gpr(n));
    for (let n = 0; n < 16; n++) if (isIn(VECTOR + n)) store(code, STATE, 16, this.#get(`v${n}`, 'v128'), S.xmm(n));
    if (this.#known.flags) {
      store(code, STATE, 8, this.#get('result', 'i64'), S.FLAG_RESULT);
      store(code, STATE, 4, this.#get('aux', 'i32'), S.FLAG_AUX);
    }
    this.x87?.save(this.page, i64(this.is64Bit ? -1n : 0xffff_ffffn));
  }

  #touches(bit: number): boolean {
    return ((this.#known.read | this.#known.changed) & (1 << bit)) !== 0;
  }

  #index(name: string, type: 'i32' | 'i64' | 'v128'): number {
    let index = this.#locals.get(name);
    if (index === undefined) {
      index = this.code.permanentLocal(type);
      this.#locals.set(name, index);
    }
    return index;
  }
  #get(name: string, type: 'i32' | 'i64' | 'v128'): Value {
    return getLocal(type, this.#index(name, type));
  }
  #set(name: string, value: Value): void {
    this.code.setLocal(this.#index(name, value.type as 'i32' | 'i64' | 'v128'), value);
  }
}
