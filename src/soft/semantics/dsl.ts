/**
 * The language in which instruction semantics are written, once. A definition is a function from a {@link Scope} to emitted
 * WebAssembly; the scope decides where operands live. The interpreter's scope reads them through the decoded record, a
 * translator's scope has them as locals and constants. Definitions know neither.
 *
 * Values: an operand of 1, 2 or 4 bytes is an i32 (zero-extended when read), of 8 bytes an i64. Bits above the operand size
 * may be garbage in computed values; `write` and the flag functions ignore them.
 */
import type { Code, ValueType } from '../wasm/code.ts';
import type { Value } from '../wasm/value.ts';
import type { F80FunctionName } from '../x87/f80-functions.ts';
import type { X87Stack } from './x87-stack.ts';

export type Size = 1 | 2 | 4 | 8;
export type Word = 'i32' | 'i64';

export interface Operand {
  readonly size: Size;
  readonly isMemory: boolean;
  read(): Value;
  write(value: Value): void;
  /** Read-modify-write of one location: access rights are checked for writing before `change` computes, so that nothing can fault after it. */
  modify(change: (old: Value) => Value): void;
}

/** Both i32, 0 or 1. */
export interface CarryOverflow {
  readonly carry: Value;
  readonly overflow: Value;
}

/** An XMM register, or an MMX one in its low 8 bytes, as pieces in memory order. */
export interface VectorRegister {
  read(type: ValueType, size: number, offset?: number): Value;
  write(value: Value, size: number, offset?: number): void;
}

export interface Scope {
  readonly code: Code;
  /** Operand size of the instruction, in bytes. */
  readonly size: Size;
  readonly word: Word;

  /** ModRM.rm: register or memory. */
  readonly rm: Operand;
  /** ModRM.reg. */
  readonly reg: Operand;
  /** The immediate at operand size; reading only. */
  readonly imm: Operand;
  /** First and second operand as the instruction's pattern orders them (`rm,reg`, `reg,rm`, `rm,imm`). */
  readonly destination: Operand;
  readonly source: Operand;
  /** The vector register that ModRM.reg or, in a register form, ModRM.rm names. */
  vectorRegister(role: 'reg' | 'rm'): VectorRegister;
  /** The rm operand read at another size (MOVZX, MOVSX). */
  rmOfSize(size: Size): Operand;
  /** A fixed register by number (RAX = 0 …) at a size; low part. */
  register(number: number, size: Size): Operand;
  /** AH: bits 15:8 of RAX. */
  readonly ah: Operand;
  /** The effective address of the memory operand without its segment base (LEA), i64. */
  effectiveAddress(): Value;
  /** The linear address of the memory operand, i64. */
  linearAddress(): Value;
  /** Condition code of Jcc, SETcc, CMOVcc (0–15), known when code is generated. */
  readonly condition: number;

  /** Evaluates once into a local. */
  local(value: Value): Value;
  /** A local that can be assigned again. */
  variable(initial: Value): { readonly value: Value; set(value: Value): void };
  if(condition: Value, then: () => void, otherwise?: () => void): void;

  /** Guest memory at a linear address (i64), checked; a fault leaves the instruction with nothing changed. */
  load(address: Value, size: Size): Value;
  store(address: Value, size: Size, value: Value): void;
  /** 16 bytes; the address must have been checked for alignment where the instruction demands it. */
  load128(address: Value): Value;
  store128(address: Value, value: Value): void;
  push(value: Value, size: Size): void;
  /** Reads the stack top without moving RSP; see {@link Scope.releaseStack}. */
  readStack(size: Size, offset?: number): Value;
  /** RSP += bytes (i64 value or constant), within the stack's size. */
  releaseStack(bytes: Value | number): void;

  /** `carryIn`: a carry (borrow) went in as well, so that a and b alone do not tell what came out. */
  addFlags(a: Value, b: Value, result: Value, carryIn?: boolean): void;
  subtractFlags(a: Value, b: Value, result: Value, borrowIn?: boolean): void;
  /** As a subtraction whose result nobody keeps. */
  compareFlags(a: Value, b: Value): void;
  /** As add/subtract of 1, CF kept. */
  incrementFlags(a: Value, result: Value): void;
  decrementFlags(a: Value, result: Value): void;
  /** CF = OF = AF = 0. */
  logicFlags(result: Value): void;
  /** ZF, SF, PF from `result`; CF and OF given (i32, 0 or 1); AF = 0. */
  resultFlags(result: Value, carry: Value, overflow: Value): void;
  /** The same where CF and OF cost something: `flags` may be called later, or never, with what these operands and this result are then. */
  resultFlagsLater(result: Value, operands: readonly Value[], flags: (operands: readonly Value[], result: Value) => CarryOverflow): void;
  /** CF and ZF given (i32, 0 or 1, not both 1); OF = SF = PF = AF = 0. */
  orderFlags(isLess: Value, isEqual: Value): void;
  /** Only CF and OF (i32, 0 or 1); the others kept. */
  carryOverflowFlags(carry: Value, overflow: Value): void;
  /** The same, of a rotated value, as {@link Scope.resultFlagsLater}. */
  rotatedFlagsLater(result: Value, flags: (result: Value) => CarryOverflow): void;
  /** Only CF; the others kept. */
  carryFlag(carry: Value): void;
  /** CF as 0 or 1. */
  carry(): Value;
  /** Condition `code` (SDM 1 appendix B) as 0 or 1. */
  test(conditionCode: number): Value;
  /** The low byte of RFLAGS as LAHF stores it, and back. */
  lowFlags(): Value;
  setLowFlags(flags: Value): void;
  /** RFLAGS as PUSHF stores it, VM and RF clear (i32). */
  flagsImage(): Value;
  /** All six arithmetic flags from an image (i32). */
  setArithmeticFlags(image: Value): void;

  /** RIP of this instruction, i64, not masked. */
  rip(): Value;
  /** RIP of the instruction that follows, i64. */
  nextRip(): Value;
  /**
   * Before anything changes: this is where the instruction will go on (left out: the following instruction plus the immediate). A target that
   * is not canonical is the branch's own fault (SDM 3A §6.15, #GP), wherever that is noticed.
   */
  checkTarget(rip?: Value): void;
  /** Continue at this RIP (i64; masked to the mode's width already). Ends the instruction. */
  jump(rip: Value): void;
  /** Continue at the following instruction plus the immediate. Ends the instruction. */
  jumpRelative(): void;
  /** Raises an exception without error code. */
  raise(vector: number): void;
  /** Hands the whole instruction to a system operation in TypeScript. Ends the instruction. */
  system(mnemonic: string): void;
  /** A 32- or 64-bit field of the state block. */
  field(offset: number, type: Word): Value;
  setField(offset: number, value: Value): void;
  /** Address of the state block (i32). */
  readonly state: Value;
  /** Calls a function of x87/f80-functions.ts; its results, each in a local. */
  f80(name: F80FunctionName, args: readonly Value[]): readonly Value[];
  /** The x87 unit, for the instruction of that name. */
  x87(mnemonic: string): X87Stack;
  /** A field of the decoded record that is known when an instruction is decoded (i32 or i64). */
  recordField(offset: number, type: Word, size: Size): Value;
  /** Repeat this instruction (REP), after consuming `extra` (i32) instructions of the budget beyond the one dispatched. */
  repeat(extra: Value): void;
  consume(extra: Value): void;
  /** Instructions left in this run (i32), the current one not included. */
  budget(): Value;
  /** Host address of guest memory at `address` when a TLB has it and nothing is special about it, else 0 (i32). */
  probe(address: Value, forWrite: boolean): Value;
  /** Ends the instruction: the next one follows. Falling off the end of the body does the same. */
  finish(): void;
}

export interface Semantics {
  /** In the interpreter's main loop (true) or its second function, where rarer instructions keep out of the way. */
  readonly hot: boolean;
  /** Runs many times for one decoding (REP): the interpreter keeps it to itself. */
  readonly repeats?: true;
  /** The operand size means nothing: one handler serves all. */
  readonly ignoresSize?: true;
  /** An x87 instruction, and how many registers it takes off the stack: −1 when it pushes one. */
  readonly popped?: number;
  readonly body: (s: Scope) => void;
}

/** Mnemonic → semantics. */
export type SemanticsTable = Readonly<Record<string, Semantics>>;

export const hot = (body: (s: Scope) => void): Semantics => ({ hot: true, body });
export const cold = (body: (s: Scope) => void): Semantics => ({ hot: false, body });
