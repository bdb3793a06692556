/** A function of its own in a generated module: parameters, named values, several results. */
import type { Code, ValueType } from './code.ts';
import type { Signature } from './module.ts';
import { getLocal, type Value } from './value.ts';

export interface Variable {
  readonly value: Value;
  set(value: Value): void;
}

export class FunctionBody {
  readonly code: Code;
  readonly parameters: readonly Value[];

  constructor(code: Code, signature: Signature) {
    this.code = code;
    this.parameters = signature.parameters.map((type, index) => getLocal(type, index));
  }

  /** Evaluates once. */
  local(value: Value): Value {
    return this.variable(value).value;
  }

  /** A local that can be assigned again. */
  variable(initial: Value): Variable {
    const index = this.code.newLocal(initial.type);
    this.code.setLocal(index, initial);
    return { value: getLocal(initial.type, index), set: (value) => this.code.setLocal(index, value) };
  }

  /** `likely` as in {@link Code.if}. */
  if(condition: Value, then: () => void, otherwise?: () => void, likely?: boolean): void {
    this.code.if(condition, then, otherwise, likely);
  }

  return(...results: readonly Value[]): void {
    for (const result of results) result.emit(this.code);
    this.code.op(0x0f);
  }

  /** Returns what another function of the same results returns. */
  returnCall(index: number, args: readonly Value[]): void {
    this.code.callVoid(index, args);
    this.code.op(0x0f);
  }

  call(index: number, args: readonly Value[], results: readonly ValueType[]): Value[] {
    return callForResults(this.code, index, args, results);
  }
}

/** Calls a function with any number of results, each in a local of its own. */
export function callForResults(code: Code, index: number, args: readonly Value[], results: readonly ValueType[]): Value[] {
  code.callVoid(index, args);
  const locals = results.map((type) => code.newLocal(type));
  for (const local of locals.toReversed()) code.bytes.byte(0x21).unsigned(local);
  return locals.map((local, i) => getLocal(results[i] as ValueType, local));
}
