/**
 * The x87's arithmetic as functions in a generated module, called by the semantics (semantics/x87.ts). Operands are a significand
 * (i64) and sign and exponent (i32, bits 15:0), as a register holds them; results are described in f80-rounding.ts. They work for
 * what programs mostly compute with, and refuse the rest: no result, the exact form in TypeScript follows.
 */
import type { ValueType } from '../wasm/code.ts';
import { FunctionBody } from '../wasm/function-body.ts';
import type { ModuleBuilder, Signature } from '../wasm/module.ts';
import { emitAdd, emitDivide, emitMultiply, emitSquareRoot } from './f80-arithmetic.ts';
import {
  emitCompare, emitExamine, emitFromDouble, emitFromInteger, emitFromSingle, emitScale, emitToDouble, emitToInteger, emitToIntegral,
  emitToSingle,
} from './f80-conversions.ts';
import { emitRound } from './f80-rounding.ts';

export type F80FunctionName =
  | 'round' | 'add' | 'multiply' | 'divide' | 'squareRoot' | 'toIntegral' | 'scale' | 'compare' | 'examine'
  | 'fromSingle' | 'fromDouble' | 'fromInteger' | 'toSingle' | 'toDouble' | 'toInteger';

/** Index of each function in a module. */
export type F80Functions = Readonly<Record<F80FunctionName, number>>;

type Emit = (f: FunctionBody, round: number) => void;

const signature = (parameters: string, results: string): Signature => ({
  parameters: parameters.split(' ') as ValueType[],
  results: results.split(' ') as ValueType[],
});
const NUMBER = 'i64 i32';
const CONTROL = 'i32';
const BINARY = signature(`${NUMBER} ${NUMBER} ${CONTROL}`, NUMBER);
const UNARY = signature(`${NUMBER} ${CONTROL}`, NUMBER);
const WIDENING = signature('i64', NUMBER);

const FUNCTIONS: readonly (readonly [F80FunctionName, Signature, Emit])[] = [
  ['round', signature('i64 i64 i32 i32 i32', NUMBER), emitRound],
  ['add', BINARY, emitAdd],
  ['multiply', BINARY, emitMultiply],
  ['divide', BINARY, emitDivide],
  ['squareRoot', UNARY, emitSquareRoot],
  ['toIntegral', UNARY, emitToIntegral],
  ['toSingle', UNARY, emitToSingle],
  ['toDouble', UNARY, emitToDouble],
  ['toInteger', UNARY, emitToInteger],
  ['scale', signature(`${NUMBER} ${NUMBER}`, NUMBER), emitScale],
  ['compare', signature(`${NUMBER} ${NUMBER}`, 'i32'), emitCompare],
  ['examine', signature(NUMBER, 'i32'), emitExamine],
  ['fromSingle', WIDENING, emitFromSingle],
  ['fromDouble', WIDENING, emitFromDouble],
  ['fromInteger', WIDENING, emitFromInteger],
];

export const F80_SIGNATURES: Readonly<Record<F80FunctionName, Signature>> = Object.fromEntries(
  FUNCTIONS.map(([name, form]) => [name, form]),
) as Record<F80FunctionName, Signature>;

/**
 * Functions of the module under construction, each written when it is first asked for and exported under its name. They stand in
 * every module that calls them: a call within a module costs a fifth of the arithmetic less than one across.
 */
export function f80FunctionsOf(builder: ModuleBuilder): F80Functions {
  const indexes = new Map<F80FunctionName, number>();
  const indexOf = (name: F80FunctionName): number => {
    const known = indexes.get(name);
    if (known !== undefined) return known;
    const [, form, emit] = FUNCTIONS.find(([other]) => other === name) as (typeof FUNCTIONS)[number];
    const round = name === 'round' ? -1 : indexOf('round');
    const index = builder.function(form, `f80_${name}`, (code) => {
      emit(new FunctionBody(code, form), round);
      code.op(0x00); // unreachable: every path has returned
    });
    indexes.set(name, index);
    return index;
  };
  return Object.defineProperties({}, Object.fromEntries(FUNCTIONS.map(([name]) => [name, { get: () => indexOf(name) }]))) as F80Functions;
}

/** For code that is thrown away. */
export const F80_NOWHERE: F80Functions = Object.fromEntries(FUNCTIONS.map(([name]) => [name, 0])) as F80Functions;
