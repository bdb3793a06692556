/**
 * The x87 instructions (SDM 2, instruction reference; SDM 1 chapter 8), exact in every case. The generated semantics
 * (semantics/x87.ts) do what is frequent and come here for the rest. Names: `m32`, `m64`, `m80` real operands, `i16`,
 * `i32`, `i64` integer operands, `st0_sti` and `sti_st0` the order of register operands. The record's immediate is the 11-bit
 * x87 opcode, whose low three bits are the stack index.
 *
 * Every operation goes: `enter` (#NM, #MF) → memory operand (may fault) → `remember` → compute → store (may fault) → `settle`
 * and pop. So nothing has changed when a fault is raised. An unmasked exception found before computing leaves the destination
 * and the stack alone; the fault itself comes with the next waiting instruction.
 */
import { CF, PF, ZF } from '../../x86/flags.ts';
import type { Core } from '../core.ts';
import { EQUAL, GREATER, LESS } from '../float/arithmetic.ts';
import type { FloatEnvironment } from '../float/environment.ts';
import { type FloatValue, INDEFINITE, POSITIVE_ZERO } from '../float/value.ts';
import { CONTROL_OPERATIONS } from './control.ts';
import * as F from './f80.ts';
import {
  index,
  type Load,
  loadDouble,
  loadInteger16,
  loadInteger32,
  loadOperand,
  loadSingle,
  startRegister,
  type X87Operation,
} from './operands.ts';
import { TRANSCENDENTAL_OPERATIONS } from './transcendental-operations.ts';
import { TRANSFER_OPERATIONS } from './transfers.ts';
import * as U from './unit.ts';

type Binary = (environment: FloatEnvironment, a: FloatValue, b: FloatValue) => FloatValue;
/** In opcode order (ModRM.reg of D8); FCOM and FCOMP, 2 and 3, are no arithmetic. */
const ARITHMETIC: Readonly<Record<string, Binary>> = {
  add: F.add,
  mul: F.multiply,
  sub: F.subtract,
  subr: (environment, a, b) => F.subtract(environment, b, a),
  div: F.divide,
  divr: (environment, a, b) => F.divide(environment, b, a),
};

/** ST(target) ← ST(target) op b; `source` is the register b came from, -1 for memory. Returns whether it completed. */
function combine(
  core: Core,
  target: number,
  source: number,
  compute: (a: FloatValue, b: FloatValue) => FloatValue,
  b?: FloatValue,
): boolean {
  const { environment } = U;
  let result: FloatValue;
  if (U.isEmpty(core, target) || (source >= 0 && U.isEmpty(core, source))) {
    U.stackFault(false);
    result = INDEFINITE;
  } else {
    result = compute(U.readStack(core, target), b ?? U.readStack(core, source));
  }
  const done = !environment.stopped;
  if (done) U.writeStack(core, target, result);
  U.settle(core);
  return done;
}

const arithmeticMemory =
  (operation: Binary, load: Load): X87Operation =>
  (core, record) => {
    const b = loadOperand(core, record, load);
    combine(core, 0, -1, (x, y) => operation(U.environment, x, y), b);
  };

const arithmeticToTop =
  (operation: Binary): X87Operation =>
  (core, record) => {
    startRegister(core, record);
    combine(core, 0, index(core, record), (x, y) => operation(U.environment, x, y));
  };

const arithmeticToRegister =
  (operation: Binary, popping: boolean): X87Operation =>
  (core, record) => {
    startRegister(core, record);
    const done = combine(core, index(core, record), 0, (x, y) => operation(U.environment, x, y));
    if (done && popping) U.pop(core);
  };

const unary =
  (operation: (environment: FloatEnvironment, a: FloatValue) => FloatValue): X87Operation =>
  (core, record) => {
    startRegister(core, record);
    combine(core, 0, 0, (a) => operation(U.environment, a));
  };

/** Condition bits of a comparison's outcome (SDM 2A, FCOM). */
function conditions(relation: number): number {
  if (relation === GREATER) return 0;
  if (relation === LESS) return U.C0;
  return relation === EQUAL ? U.C3 : U.C3 | U.C2 | U.C0;
}

interface Comparison {
  readonly quiet?: boolean;
  readonly pops?: number;
  /** FCOMI and its kin: the outcome goes to ZF, PF, CF. */
  readonly toFlags?: boolean;
}

/** ST(0) against `b` (or ST(source)). */
function relate(core: Core, source: number, b: FloatValue | undefined, { quiet = false, pops = 0, toFlags = false }: Comparison): void {
  const { environment } = U;
  let relation = F.UNORDERED;
  if (U.isEmpty(core, 0) || (source >= 0 && U.isEmpty(core, source))) U.stackFault(false);
  else relation = F.compare(environment, U.readStack(core, 0), b ?? U.readStack(core, source), quiet);
  // The SDM leaves the conditions alone after an unmasked exception; silicon (Zen) reports the outcome and only does not pop.
  const bits = conditions(relation);
  if (toFlags) {
    core.setArithmeticFlags((bits & U.C3 ? ZF : 0) | (bits & U.C2 ? PF : 0) | (bits & U.C0 ? CF : 0));
    U.settle(core);
  } else U.settle(core, U.CONDITIONS, bits);
  if (!environment.stopped) for (let i = 0; i < pops; i++) U.pop(core);
}

const compareMemory =
  (load: Load, comparison: Comparison): X87Operation =>
  (core, record) => {
    const b = loadOperand(core, record, load);
    relate(core, -1, b, comparison);
  };

const compareRegister =
  (comparison: Comparison): X87Operation =>
  (core, record) => {
    startRegister(core, record);
    relate(core, index(core, record), undefined, comparison);
  };

const compareZero: X87Operation = (core, record) => {
  startRegister(core, record);
  relate(core, -1, POSITIVE_ZERO, {});
};

/** FABS and FCHS touch the sign bit of anything, NaNs included, and raise nothing but stack faults. */
const changeSign =
  (change: (signExponent: number) => number): X87Operation =>
  (core, record) => {
    startRegister(core, record);
    if (U.isEmpty(core, 0)) {
      U.stackFault(false);
      if (!U.environment.stopped) U.writeStack(core, 0, INDEFINITE);
    } else U.writeRaw(core, 0, U.significandOf(core, 0), change(U.signExponentOf(core, 0)));
    U.settle(core);
  };

/** FXAM looks even into an empty register: class empty, and its sign. */
const examine: X87Operation = (core, record) => {
  startRegister(core, record);
  const value = U.readStack(core, 0);
  const sign = U.signExponentOf(core, 0) & 0x8000 ? U.C1 : 0;
  U.settle(core, U.CONDITIONS, (U.isEmpty(core, 0) ? U.C3 | U.C0 : F.examine(value)) | sign);
};

const extract: X87Operation = (core, record) => {
  const environment = startRegister(core, record);
  let significand = INDEFINITE;
  let exponent = INDEFINITE;
  if (U.isEmpty(core, 0)) U.stackFault(false);
  else if (!U.isEmpty(core, 7)) U.stackFault(true);
  else ({ significand, exponent } = F.extract(environment, U.readStack(core, 0)));
  if (!environment.stopped) {
    U.writeStack(core, 0, exponent);
    U.push(core, significand);
  }
  U.settle(core);
};

const remainder =
  (nearest: boolean): X87Operation =>
  (core, record) => {
    const environment = startRegister(core, record);
    if (U.isEmpty(core, 0) || U.isEmpty(core, 1)) {
      U.stackFault(false);
      if (!environment.stopped) U.writeStack(core, 0, INDEFINITE);
      U.settle(core, U.C1 | U.C2);
      return;
    }
    const { value, quotient, partial } = F.remainder(environment, U.readStack(core, 0), U.readStack(core, 1), nearest);
    if (environment.stopped) {
      U.settle(core, U.C1 | U.C2);
      return;
    }
    U.writeStack(core, 0, value);
    environment.roundedUp = false;
    if (value.isNaN) {
      U.settle(core, U.C2); // no quotient: C0 and C3 stay as they are in silicon
      return;
    }
    const bits = (quotient & 4 ? U.C0 : 0) | (quotient & 2 ? U.C3 : 0) | (quotient & 1 ? U.C1 : 0);
    U.settle(core, U.CONDITIONS, partial ? U.C2 : bits);
  };

const scale: X87Operation = (core, record) => {
  startRegister(core, record);
  combine(core, 0, 1, (a, b) => F.scale(U.environment, a, b));
};

const table: Record<string, X87Operation> = {
  ...CONTROL_OPERATIONS,
  ...TRANSFER_OPERATIONS,
  ...TRANSCENDENTAL_OPERATIONS,
  fcom_m32: compareMemory(loadSingle, {}),
  fcom_m64: compareMemory(loadDouble, {}),
  fcomp_m32: compareMemory(loadSingle, { pops: 1 }),
  fcomp_m64: compareMemory(loadDouble, { pops: 1 }),
  ficom_i16: compareMemory(loadInteger16, {}),
  ficom_i32: compareMemory(loadInteger32, {}),
  ficomp_i16: compareMemory(loadInteger16, { pops: 1 }),
  ficomp_i32: compareMemory(loadInteger32, { pops: 1 }),
  fcom: compareRegister({}),
  fcomp: compareRegister({ pops: 1 }),
  fcompp: compareRegister({ pops: 2 }),
  fucom: compareRegister({ quiet: true }),
  fucomp: compareRegister({ quiet: true, pops: 1 }),
  fucompp: compareRegister({ quiet: true, pops: 2 }),
  fcomi: compareRegister({ toFlags: true }),
  fcomip: compareRegister({ toFlags: true, pops: 1 }),
  fucomi: compareRegister({ toFlags: true, quiet: true }),
  fucomip: compareRegister({ toFlags: true, quiet: true, pops: 1 }),
  ftst: compareZero,
  fxam: examine,

  fchs: changeSign((signExponent) => signExponent ^ 0x8000),
  fabs: changeSign((signExponent) => signExponent & 0x7fff),
  fsqrt: unary(F.squareRoot),
  frndint: unary(F.toIntegral),
  fscale: scale,
  fxtract: extract,
  fprem: remainder(false),
  fprem1: remainder(true),
};

for (const [name, operation] of Object.entries(ARITHMETIC)) {
  table[`f${name}_m32`] = arithmeticMemory(operation, loadSingle);
  table[`f${name}_m64`] = arithmeticMemory(operation, loadDouble);
  table[`fi${name}_i16`] = arithmeticMemory(operation, loadInteger16);
  table[`fi${name}_i32`] = arithmeticMemory(operation, loadInteger32);
  table[`f${name}_st0_sti`] = arithmeticToTop(operation);
  table[`f${name}_sti_st0`] = arithmeticToRegister(operation, false);
  table[`f${name}p_sti_st0`] = arithmeticToRegister(operation, true);
}

export const X87_OPERATIONS: Readonly<Record<string, X87Operation>> = table;
