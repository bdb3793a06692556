/**
 * The body of one WebAssembly function, written straight into bytes: structured control flow with labels instead of depths,
 * pooled locals, branch hints. Spec: WebAssembly 2.0 §5.4 (instructions), branch hinting proposal (custom section).
 */

export type ValueType = 'i32' | 'i64' | 'f32' | 'f64' | 'v128';
export const TYPE_BYTE: Readonly<Record<ValueType, number>> = { i32: 0x7f, i64: 0x7e, f32: 0x7d, f64: 0x7c, v128: 0x7b };
const BLOCK_VOID = 0x40;

/** A growing byte string with LEB128. */
export class Bytes {
  #bytes: Uint8Array = new Uint8Array(256);
  length = 0;

  byte(value: number): this {
    if (this.length === this.#bytes.length) this.#grow(this.length * 2);
    this.#bytes[this.length++] = value;
    return this;
  }

  raw(data: ArrayLike<number>): this {
    if (this.length + data.length > this.#bytes.length) this.#grow((this.length + data.length) * 2);
    this.#bytes.set(data, this.length);
    this.length += data.length;
    return this;
  }

  unsigned(value: number): this {
    let rest = value >>> 0;
    while (rest >= 0x80) {
      this.byte((rest & 0x7f) | 0x80);
      rest >>>= 7;
    }
    return this.byte(rest);
  }

  signed32(value: number): this {
    let rest = value | 0;
    for (;;) {
      const group = rest & 0x7f;
      rest >>= 7;
      if ((rest === 0 && !(group & 0x40)) || (rest === -1 && group & 0x40)) return this.byte(group);
      this.byte(group | 0x80);
    }
  }

  signed64(value: bigint): this {
    let rest = BigInt.asIntN(64, value);
    for (;;) {
      const group = Number(rest & 0x7fn);
      rest >>= 7n;
      if ((rest === 0n && !(group & 0x40)) || (rest === -1n && group & 0x40)) return this.byte(group);
      this.byte(group | 0x80);
    }
  }

  text(value: string): this {
    this.unsigned(value.length);
    for (let i = 0; i < value.length; i++) this.byte(value.charCodeAt(i));
    return this;
  }

  done(): Uint8Array<ArrayBuffer> {
    return this.#bytes.slice(0, this.length) as Uint8Array<ArrayBuffer>;
  }

  #grow(size: number): void {
    const larger = new Uint8Array(Math.max(size, 256));
    larger.set(this.#bytes.subarray(0, this.length));
    this.#bytes = larger;
  }
}

/** Something that leaves one value on the stack. */
export interface Emittable {
  readonly type: ValueType;
  emit(code: Code): void;
}

export interface Label {
  readonly depth: number;
}

export interface BranchHint {
  readonly position: number;
  readonly likely: boolean;
}

export class Code {
  readonly bytes: Bytes = new Bytes();
  readonly hints: BranchHint[] = [];
  /** Types of the locals after the parameters. */
  readonly locals: ValueType[] = [];
  readonly #parameters: number;
  /** Where the state block is, when that is known: else it is the first parameter (interpreter-scope.ts, STATE). */
  readonly state: number | undefined;
  #depth = 0;
  readonly #free: Record<ValueType, number[]> = { i32: [], i64: [], f32: [], f64: [], v128: [] };
  #scope: { readonly type: ValueType; readonly index: number }[] = [];

  constructor(parameters: number, state?: number) {
    this.#parameters = parameters;
    this.state = state;
  }

  /** A local that lives until the innermost `scope` ends. */
  newLocal(type: ValueType): number {
    const index = this.#free[type].pop() ?? this.#parameters + this.locals.push(type) - 1;
    this.#scope.push({ type, index });
    return index;
  }

  /** A local that lives as long as the function. */
  permanentLocal(type: ValueType): number {
    return this.#parameters + this.locals.push(type) - 1;
  }

  scope(body: () => void): void {
    const outer = this.#scope;
    this.#scope = [];
    body();
    for (const { type, index } of this.#scope) this.#free[type].push(index);
    this.#scope = outer;
  }

  op(opcode: number): this {
    this.bytes.byte(opcode);
    return this;
  }

  setLocal(index: number, value: Emittable): void {
    value.emit(this);
    this.bytes.byte(0x21).unsigned(index);
  }

  block(body: (label: Label) => void): void {
    this.#structured(0x02, BLOCK_VOID, body);
  }

  loop(body: (label: Label) => void): void {
    this.#structured(0x03, BLOCK_VOID, body);
  }

  /** `likely` becomes a branch hint: V8 moves the unlikely side out of line. */
  if(condition: Emittable, then: () => void, otherwise?: () => void, likely?: boolean): void {
    condition.emit(this);
    if (likely !== undefined) this.hints.push({ position: this.bytes.length, likely });
    this.bytes.byte(0x04).byte(BLOCK_VOID);
    this.#depth++;
    then();
    if (otherwise) {
      this.bytes.byte(0x05);
      otherwise();
    }
    this.#depth--;
    this.bytes.byte(0x0b);
  }

  /** As `if`, where only the first side knows whether there is another: it returns it. */
  ifElse(condition: Emittable, then: () => (() => void) | undefined): void {
    condition.emit(this);
    this.bytes.byte(0x04).byte(BLOCK_VOID);
    this.#depth++;
    const otherwise = then();
    if (otherwise !== undefined) {
      this.bytes.byte(0x05);
      otherwise();
    }
    this.#depth--;
    this.bytes.byte(0x0b);
  }

  branch(label: Label): void {
    this.bytes.byte(0x0c).unsigned(this.#depth - label.depth);
  }

  branchIf(label: Label, condition: Emittable, likely?: boolean): void {
    condition.emit(this);
    if (likely !== undefined) this.hints.push({ position: this.bytes.length, likely });
    this.bytes.byte(0x0d).unsigned(this.#depth - label.depth);
  }

  /** Goes to `labels[selector]`; a selector beyond them to the last. */
  branchTable(labels: readonly Label[], selector: Emittable): void {
    selector.emit(this);
    this.bytes.byte(0x0e).unsigned(labels.length - 1);
    for (const label of labels) this.bytes.unsigned(this.#depth - label.depth);
  }

  /** Runs `arms[map[selector]]`, all of which leave; a selector beyond the map, or one without an arm there, runs `otherwise`. */
  dispatch(selector: Emittable, map: readonly (number | undefined)[], arms: readonly (() => void)[], otherwise: () => void): void {
    // Innermost the first arm, outermost what is otherwise.
    const all = [...arms, otherwise];
    const emit = (n: number): void => {
      if (n === 0) {
        selector.emit(this);
        this.bytes.byte(0x0e).unsigned(map.length);
        for (const arm of map) this.bytes.unsigned(arm ?? arms.length);
        this.bytes.unsigned(arms.length);
        return;
      }
      this.block(() => emit(n - 1));
      (all[n - 1] as () => void)();
    };
    emit(all.length);
  }

  /** Runs `cases[selector]`; a selector beyond them runs `fallback`. Each case must leave by itself or falls out behind the switch. */
  switch(selector: Emittable, cases: readonly (() => void)[], fallback: () => void): void {
    const end = { depth: 0 };
    this.bytes.byte(0x02).byte(BLOCK_VOID);
    end.depth = ++this.#depth;
    for (let i = 0; i <= cases.length; i++) this.bytes.byte(0x02).byte(BLOCK_VOID);
    this.#depth += cases.length + 1;
    selector.emit(this);
    this.bytes.byte(0x0e).unsigned(cases.length);
    for (let i = 0; i <= cases.length; i++) this.bytes.unsigned(i);
    for (const body of [...cases, fallback]) {
      this.bytes.byte(0x0b);
      this.#depth--;
      this.scope(body);
      this.branch(end);
    }
    this.#depth--;
    this.bytes.byte(0x0b);
  }

  returnValue(...values: readonly Emittable[]): void {
    for (const value of values) value.emit(this);
    this.bytes.byte(0x0f);
  }

  /** Calls for its effect; `results` values are dropped. */
  callVoid(index: number, args: readonly Emittable[]): void {
    for (const argument of args) argument.emit(this);
    this.bytes.byte(0x10).unsigned(index);
  }

  /** Calls in place of returning (tail calls, WebAssembly 3.0 §4.4.8). */
  returnCall(index: number, args: readonly Emittable[]): void {
    for (const argument of args) argument.emit(this);
    this.bytes.byte(0x12).unsigned(index);
  }

  /** Calls entry `index` of table 0, of the function type `type`; its results stay on the stack. */
  callIndirect(type: number, index: Emittable, args: readonly Emittable[]): void {
    this.#indirect(0x11, type, index, args);
  }

  /** The same in place of returning. */
  returnCallIndirect(type: number, index: Emittable, args: readonly Emittable[]): void {
    this.#indirect(0x13, type, index, args);
  }

  #indirect(opcode: number, type: number, index: Emittable, args: readonly Emittable[]): void {
    for (const argument of args) argument.emit(this);
    index.emit(this);
    this.bytes.byte(opcode).unsigned(type).unsigned(0);
  }

  #structured(opcode: number, blockType: number, body: (label: Label) => void): void {
    this.bytes.byte(opcode).byte(blockType);
    this.#depth++;
    body({ depth: this.#depth });
    this.#depth--;
    this.bytes.byte(0x0b);
  }
}
