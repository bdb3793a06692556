/** x87 loads, stores and moves (SDM 1 §8.3.3, §8.3.4): numbers change their place or format, nothing is computed. */
import { CF, PF, ZF } from '../../x86/flags.ts';
import type { Core } from '../core.ts';
import { type FloatEnvironment, INVALID, OVERFLOW, UNDERFLOW } from '../float/environment.ts';
import { pack32, pack64 } from '../float/formats.ts';
import { BINARY32, BINARY64, type FloatValue, finite, INDEFINITE, POSITIVE_ZERO } from '../float/value.ts';
import { effectiveAddress } from '../operands.ts';
import * as F from './f80.ts';
import {
  index,
  type Load,
  loadDouble,
  loadInteger16,
  loadInteger32,
  loadInteger64,
  loadOperand,
  loadSingle,
  startRegister,
  type X87Operation,
} from './operands.ts';
import * as U from './unit.ts';

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
  (
    bytes: number,
    convert: (environment: FloatEnvironment, value: FloatValue) => bigint,
    fallback: bigint,
    popping: boolean,
  ): X87Operation =>
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
  storeMemory(bits / 8, (e, value) => BigInt.asUintN(bits, F.toInteger(e, value, bits, truncate)), 1n << BigInt(bits - 1), popping);

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

export const TRANSFER_OPERATIONS: Readonly<Record<string, X87Operation>> = {
  fld_m32: loadReal(loadSingle),
  fld_m64: loadReal(loadDouble),
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
  fild_i16: loadExact(loadInteger16),
  fild_i32: loadExact(loadInteger32),
  fild_i64: loadExact(loadInteger64),

  fcmovb: conditionalMove(CF, true),
  fcmove: conditionalMove(ZF, true),
  fcmovbe: conditionalMove(CF | ZF, true),
  fcmovu: conditionalMove(PF, true),
  fcmovnb: conditionalMove(CF, false),
  fcmovne: conditionalMove(ZF, false),
  fcmovnbe: conditionalMove(CF | ZF, false),
  fcmovnu: conditionalMove(PF, false),
};
