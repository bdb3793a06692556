/**
 * The x87 instructions (SDM 2, instruction reference; SDM 1 chapter 8). Names: `m32`, `m64`, `m80` real operands, `i16`,
 * `i32`, `i64` integer operands, `st0_sti` and `sti_st0` the order of register operands. The record's immediate is the 11-bit
 * x87 opcode, whose low three bits are the stack index.
 *
 * Every operation goes: `enter` (#NM, #MF) → memory operand (may fault) → `remember` → compute → store (may fault) → `settle`
 * and pop. So nothing has changed when a fault is raised. An unmasked exception found before computing leaves the destination
 * and the stack alone; the fault itself comes with the next waiting instruction.
 */
import { CF, PF, ZF } from '../../x86/flags.ts';
import { IMM } from '../../x86/record.ts';
import type { Core } from '../core.ts';
import { EQUAL, GREATER, LESS } from '../float/arithmetic.ts';
import { type FloatEnvironment, INVALID, OVERFLOW, UNDERFLOW } from '../float/environment.ts';
import { fromInteger, pack32, pack64, unpack32, unpack64 } from '../float/formats.ts';
import { BINARY32, BINARY64, type FloatValue, finite, INDEFINITE, POSITIVE_ZERO } from '../float/value.ts';
import { effectiveAddress } from '../operands.ts';
import { CONTROL_OPERATIONS } from './control.ts';
import * as F from './f80.ts';
import { TRANSCENDENTAL_OPERATIONS } from './transcendental-operations.ts';
import * as U from './unit.ts';

export type X87Operation = (core: Core, record: number) => void;

/** ST index of the instruction. */
const index = (core: Core, record: number): number => (core.u8[record + IMM] as number) & 7;

type Binary = (environment: FloatEnvironment, a: FloatValue, b: FloatValue) => FloatValue;
type Load = (core: Core, address: number) => FloatValue;

/** In opcode order (ModRM.reg of D8); FCOM and FCOMP, 2 and 3, are no arithmetic. */
const ARITHMETIC: Readonly<Record<string, Binary>> = {
  add: F.add,
  mul: F.multiply,
  sub: F.subtract,
  subr: (environment, a, b) => F.subtract(environment, b, a),
  div: F.divide,
  divr: (environment, a, b) => F.divide(environment, b, a),
};

const REAL_OPERANDS: Readonly<Record<string, Load>> = {
  m32: (core, address) => unpack32(core.mmu.load32(address)),
  m64: (core, address) => unpack64(core.mmu.load64(address)),
};
const INTEGER_OPERANDS: Readonly<Record<string, Load>> = {
  i16: (core, address) => fromInteger(BigInt((core.mmu.load16(address) << 16) >> 16)),
  i32: (core, address) => fromInteger(BigInt(core.mmu.load32(address) | 0)),
};
const INTEGER_LOADS: Readonly<Record<string, Load>> = {
  ...INTEGER_OPERANDS,
  i64: (core, address) => fromInteger(BigInt.asIntN(64, core.mmu.load64(address))),
};

/** Common start of an instruction with a memory source: its value. */
function loadOperand(core: Core, record: number, load: Load): FloatValue {
  U.enter(core);
  const address = effectiveAddress(core, record);
  const value = load(core, address);
  U.remember(core, record, address);
  U.prepare(core);
  return value;
}

function startRegister(core: Core, record: number): FloatEnvironment {
  U.enter(core);
  U.remember(core, record);
  return U.prepare(core);
}

/** ST(target) ← ST(target) op b; `source` is the register b came from, -1 for memory. Returns whether it completed. */
function combine(core: Core, target: number, source: number, compute: (a: FloatValue, b: FloatValue) => FloatValue, b?: FloatValue): boolean {
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

/** Pushes what `value` computes, or reports the overflow. */
function pushResult(core: Core, value: () => FloatValue): void {
  const { environment } = U;
  let result = INDEFINITE;
  if (U.isEmpty(core, 7)) result = value();
  else U.stackFault(true);
  // FLD of a denormal completes even when that is unmasked (Zen)
  if ((environment.flags & ~environment.masks & INVALID) === 0) U.push(core, result);
  U.settle(core);
}

const loadReal =
  (load: Load): X87Operation =>
  (core, record) => {
    const value = loadOperand(core, record, load);
    pushResult(core, () => F.widen(U.environment, value));
  };

/** Integers and decimals are exact. */
const loadExact =
  (load: Load): X87Operation =>
  (core, record) => {
    const value = loadOperand(core, record, load);
    pushResult(core, () => value);
  };

/** Pushes 80 bits as they are: not even a signaling NaN is looked at. */
function pushRaw(core: Core, significand: bigint, signExponent: number): void {
  if (U.environment.flags === 0 && !U.isEmpty(core, 7)) U.stackFault(true);
  if (U.environment.flags === 0) {
    U.setTop(core, U.getTop(core) - 1);
    U.writeRaw(core, 0, significand, signExponent);
  } else if (!U.environment.stopped) U.push(core, INDEFINITE);
  U.settle(core);
}

const loadExtended: X87Operation = (core, record) => {
  U.enter(core);
  const address = effectiveAddress(core, record);
  core.mmu.probeRead(address, 10);
  const significand = core.mmu.load64(address);
  const signExponent = core.mmu.load16(address + 8);
  U.remember(core, record, address);
  U.prepare(core);
  pushRaw(core, significand, signExponent);
};

const loadRegister: X87Operation = (core, record) => {
  startRegister(core, record);
  const i = index(core, record);
  if (U.isEmpty(core, i)) U.stackFault(false);
  pushRaw(core, U.significandOf(core, i), U.signExponentOf(core, i));
};

const constant =
  (value: (environment: FloatEnvironment) => FloatValue): X87Operation =>
  (core, record) => {
    startRegister(core, record);
    pushResult(core, () => value(U.environment));
  };

/** A constant known to one bit more than 64: `lower` is it cut off, the next bit being set means `nearest` is one more. */
const irrational =
  (exponent: number, lower: bigint, nearestIsUp: boolean) =>
  (environment: FloatEnvironment): FloatValue => {
    const up = environment.rounding === 2 || (environment.rounding === 0 && nearestIsUp);
    return finite(false, exponent - 63, up ? lower + 1n : lower);
  };

function store(core: Core, address: number, bytes: number, bits: bigint): void {
  const { mmu } = core;
  if (bytes === 2) mmu.store16(address, Number(bits));
  else if (bytes === 4) mmu.store32(address, Number(bits));
  else if (bytes === 8) mmu.store64(address, bits);
  else {
    mmu.probeWrite(address, bytes); // two stores, but no fault between them
    mmu.store64(address, BigInt.asUintN(64, bits));
    mmu.store16(address + 8, Number(bits >> 64n));
  }
}

/** Stores ST(0) through `convert`, which writes to memory unless the environment stops it; pops when done. */
const storeMemory =
  (bytes: number, convert: (environment: FloatEnvironment, value: FloatValue) => bigint, fallback: bigint, popping: boolean): X87Operation =>
  (core, record) => {
    U.enter(core);
    const address = effectiveAddress(core, record);
    const environment = U.prepare(core);
    let bits = fallback;
    if (U.isEmpty(core, 0)) U.stackFault(false);
    else bits = convert(environment, U.readStack(core, 0));
    // unmasked overflow or underflow of a store: nothing is stored (SDM 1 §8.5.4, §8.5.5)
    const done = !environment.stopped && (environment.flags & ~environment.masks & (OVERFLOW | UNDERFLOW)) === 0;
    if (done) store(core, address, bytes, bits);
    U.remember(core, record, address);
    U.settle(core);
    if (done && popping) U.pop(core);
  };

const storeReal = (bits: 32 | 64, popping: boolean): X87Operation =>
  bits === 32
    ? storeMemory(4, (e, value) => BigInt.asUintN(32, BigInt(pack32(F.narrow(e, value, BINARY32)))), 0xffc0_0000n, popping)
    : storeMemory(8, (e, value) => pack64(F.narrow(e, value, BINARY64)), 0xfff8_0000_0000_0000n, popping);

const storeInteger = (bits: number, popping: boolean, truncate = false): X87Operation =>
  storeMemory(
    bits / 8,
    (e, value) => BigInt.asUintN(bits, F.toInteger(e, value, bits, truncate)),
    1n << BigInt(bits - 1),
    popping,
  );

const storeExtended: X87Operation = (core, record) => {
  U.enter(core);
  const address = effectiveAddress(core, record);
  U.prepare(core);
  let bits = 0xffff_c000_0000_0000_0000n;
  if (U.isEmpty(core, 0)) U.stackFault(false);
  else bits = U.significandOf(core, 0) | (BigInt(U.signExponentOf(core, 0)) << 64n);
  const done = !U.environment.stopped;
  if (done) store(core, address, 10, bits);
  U.remember(core, record, address);
  U.settle(core);
  if (done) U.pop(core);
};

const storeRegister =
  (popping: boolean): X87Operation =>
  (core, record) => {
    startRegister(core, record);
    const target = index(core, record);
    if (U.isEmpty(core, 0)) {
      U.stackFault(false);
      if (!U.environment.stopped) U.writeStack(core, target, INDEFINITE);
    } else U.writeRaw(core, target, U.significandOf(core, 0), U.signExponentOf(core, 0));
    const done = !U.environment.stopped;
    U.settle(core);
    if (done && popping) U.pop(core);
  };

/** D9 D8+i, in no manual but in every x87: FSTP without the check for an empty ST(0), which is then just popped. */
const storeUnchecked: X87Operation = (core, record) => {
  startRegister(core, record);
  if (!U.isEmpty(core, 0)) U.writeRaw(core, index(core, record), U.significandOf(core, 0), U.signExponentOf(core, 0));
  U.settle(core);
  U.pop(core);
};

const exchange: X87Operation = (core, record) => {
  startRegister(core, record);
  const i = index(core, record);
  const emptyTop = U.isEmpty(core, 0);
  const emptyOther = U.isEmpty(core, i);
  if (emptyTop || emptyOther) U.stackFault(false);
  if (!U.environment.stopped) {
    const significand = U.significandOf(core, 0);
    const signExponent = U.signExponentOf(core, 0);
    if (emptyOther) U.writeStack(core, 0, INDEFINITE);
    else U.writeRaw(core, 0, U.significandOf(core, i), U.signExponentOf(core, i));
    if (emptyTop) U.writeStack(core, i, INDEFINITE);
    else U.writeRaw(core, i, significand, signExponent);
  }
  U.settle(core);
};

/** FCMOVcc: on CF, ZF, PF as the integer unit left them. C1 stays unless the stack is at fault. */
const conditionalMove =
  (mask: number, wanted: boolean): X87Operation =>
  (core, record) => {
    startRegister(core, record);
    const i = index(core, record);
    if (U.isEmpty(core, 0) || U.isEmpty(core, i)) {
      U.stackFault(false);
      if (!U.environment.stopped) U.writeStack(core, 0, INDEFINITE);
      U.settle(core);
    } else if (((core.getFlags() & mask) !== 0) === wanted) {
      U.writeRaw(core, 0, U.significandOf(core, i), U.signExponentOf(core, i));
    }
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
  ...TRANSCENDENTAL_OPERATIONS,
  fld_m32: loadReal(REAL_OPERANDS['m32'] as Load),
  fld_m64: loadReal(REAL_OPERANDS['m64'] as Load),
  fld_m80: loadExtended,
  fbld: loadExact((core, address) => F.fromPackedDecimal(core.mmu.load64(address) | (BigInt(core.mmu.load16(address + 8)) << 64n))),
  fst_m32: storeReal(32, false),
  fst_m64: storeReal(64, false),
  fstp_m32: storeReal(32, true),
  fstp_m64: storeReal(64, true),
  fstp_m80: storeExtended,
  fist_i16: storeInteger(16, false),
  fist_i32: storeInteger(32, false),
  fistp_i16: storeInteger(16, true),
  fistp_i32: storeInteger(32, true),
  fistp_i64: storeInteger(64, true),
  fisttp_i16: storeInteger(16, true, true),
  fisttp_i32: storeInteger(32, true, true),
  fisttp_i64: storeInteger(64, true, true),
  fbstp: storeMemory(10, (e, value) => F.toPackedDecimal(e, value), F.BCD_INDEFINITE, true),
  fld_sti: loadRegister,
  fst_sti: storeRegister(false),
  fstp_sti: storeRegister(true),
  fstp_sti_unchecked: storeUnchecked,
  fxch: exchange,

  fld1: constant(() => finite(false, 0, 1n)),
  fldz: constant(() => POSITIVE_ZERO),
  // SDM 1 §8.3.8: kept to 66 bits and rounded by FCW.RC, without an inexact exception
  fldl2t: constant(irrational(1, 0xd49a_784b_cd1b_8afen, false)),
  fldl2e: constant(irrational(0, 0xb8aa_3b29_5c17_f0bbn, true)),
  fldpi: constant(irrational(1, 0xc90f_daa2_2168_c234n, true)),
  fldlg2: constant(irrational(-2, 0x9a20_9a84_fbcf_f798n, true)),
  fldln2: constant(irrational(-1, 0xb172_17f7_d1cf_79abn, true)),

  fcom_m32: compareMemory(REAL_OPERANDS['m32'] as Load, {}),
  fcom_m64: compareMemory(REAL_OPERANDS['m64'] as Load, {}),
  fcomp_m32: compareMemory(REAL_OPERANDS['m32'] as Load, { pops: 1 }),
  fcomp_m64: compareMemory(REAL_OPERANDS['m64'] as Load, { pops: 1 }),
  ficom_i16: compareMemory(INTEGER_OPERANDS['i16'] as Load, {}),
  ficom_i32: compareMemory(INTEGER_OPERANDS['i32'] as Load, {}),
  ficomp_i16: compareMemory(INTEGER_OPERANDS['i16'] as Load, { pops: 1 }),
  ficomp_i32: compareMemory(INTEGER_OPERANDS['i32'] as Load, { pops: 1 }),
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

  fcmovb: conditionalMove(CF, true),
  fcmove: conditionalMove(ZF, true),
  fcmovbe: conditionalMove(CF | ZF, true),
  fcmovu: conditionalMove(PF, true),
  fcmovnb: conditionalMove(CF, false),
  fcmovne: conditionalMove(ZF, false),
  fcmovnbe: conditionalMove(CF | ZF, false),
  fcmovnu: conditionalMove(PF, false),

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
  for (const [operand, load] of Object.entries(REAL_OPERANDS)) table[`f${name}_${operand}`] = arithmeticMemory(operation, load);
  for (const [operand, load] of Object.entries(INTEGER_OPERANDS)) table[`fi${name}_${operand}`] = arithmeticMemory(operation, load);
  table[`f${name}_st0_sti`] = arithmeticToTop(operation);
  table[`f${name}_sti_st0`] = arithmeticToRegister(operation, false);
  table[`f${name}p_sti_st0`] = arithmeticToRegister(operation, true);
}
for (const [operand, load] of Object.entries(INTEGER_LOADS)) table[`fild_${operand}`] = loadExact(load);

export const X87_OPERATIONS: Readonly<Record<string, X87Operation>> = table;
