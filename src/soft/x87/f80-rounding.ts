/**
 * Rounding of 80-bit results in generated code, and what every function of f80-functions.ts returns: a significand and an
 * *outcome*, one word with sign and exponent in bits 15:0 and what the status word gains (flags, C1) above bit 16. An outcome
 * below zero means: this needs the exact form in TypeScript (f80.ts), and nothing has been changed.
 */
import { INEXACT } from '../float/environment.ts';
import type { FunctionBody } from '../wasm/function-body.ts';
import { i32, i64, select, type Value } from '../wasm/value.ts';
import { C1 } from './unit.ts';

export const OUTCOME_STATUS_SHIFT = 16;
/** Sign bit of an outcome: no result here. */
export const NEEDS_EXACT_FORM: number = 1 << 31;
export const SIGN = 0x8000;
export const EXPONENT = 0x7fff;
export const BIAS = 16383;
export const INTEGER_BIT: bigint = 1n << 63n;
/** Biased exponents of normal numbers are 1 to this. */
const LARGEST_EXPONENT = 0x7ffe;
const isOutside = (biased: Value): Value => biased.sub(1).ge(LARGEST_EXPONENT);

const INEXACT_SHIFT: number = OUTCOME_STATUS_SHIFT + Math.log2(INEXACT);
const ROUNDED_UP_SHIFT: number = OUTCOME_STATUS_SHIFT + Math.log2(C1);
/** FCW: rounding control, precision control, the mask of the inexact exception (SDM 1 §8.1.5). */
const RC = 0xc00;
const RC_DOWN = 0x400;
const RC_UP = 0x800;
const PC = 0x300;
const PC_24 = 0x000;
const PC_53 = 0x200;
const PC_64 = 0x300;

export const isRoundingDown = (control: Value): Value => control.and(RC).eq(RC_DOWN);
/** FCW with its rounding control set to "towards zero". */
export const towardsZero = (control: Value): Value => control.or(RC);

/** A result before it is rounded; every part is a local. */
export interface Unrounded {
  /** Bit 63 is set. */
  readonly high: Value;
  /** What follows below `high`; its last bit stands for everything after it. Zero: exact. */
  readonly low: Value;
  /** Biased, of the bit 63; may lie outside the format. */
  readonly exponent: Value;
  /** In bit 15. */
  readonly sign: Value;
}

/** 1 (i64) when to nearest means up: more than half of the last place follows, or half and it is odd. `odd`: the last place in bit 0. */
const nearestUp = (low: Value, odd: Value): Value => low.shr(63).and(low.shl(1).ne(0).widen().or(odd));

/** 1 (i64) when the magnitude is to be increased, by FCW's rounding control. */
export function increment(f: FunctionBody, control: Value, sign: Value, odd: Value, low: Value): Value {
  const up = f.variable(nearestUp(low, odd));
  f.if(control.and(RC), () => {
    const away = f.local(select(sign, i32(RC_DOWN), i32(RC_UP)));
    up.set(control.and(RC).eq(away).and(low.ne(0)).widen());
  }, undefined, false);
  return up.value;
}

/** The status part of an outcome: inexact, C1 (`up`, i64), and the demand for the exact form when inexact is unmasked. */
export function inexactStatus(f: FunctionBody, control: Value, low: Value, up: Value): Value {
  const inexact = f.local(low.ne(0));
  const unmasked = control.shr(Math.log2(INEXACT)).not().and(inexact).shl(31);
  return inexact.shl(INEXACT_SHIFT).or(up.wrap().shl(ROUNDED_UP_SHIFT)).or(unmasked);
}

/**
 * Rounds and returns. To nearest, 64 bits and inexact masked, as nearly every program has it, is done on the spot, exact results
 * first; everything else in the function `round`.
 */
export function returnResult(f: FunctionBody, round: number, { high, low, exponent, sign }: Unrounded, control: Value): void {
  const plain = sign.or(exponent);
  f.code.block((general) => {
    f.code.branchIf(general, control.and(RC | PC | INEXACT).ne(PC_64 | INEXACT), false);
    f.code.branchIf(general, isOutside(exponent), false);
    f.if(low.isZero(), () => f.return(high, plain));
    const up = f.local(nearestUp(low, high));
    const rounded = f.local(high.add(up));
    f.code.branchIf(general, rounded.isZero(), false);
    f.return(rounded, plain.or(1 << INEXACT_SHIFT).or(up.wrap().shl(ROUNDED_UP_SHIFT)));
  });
  f.returnCall(round, [high, low, exponent, sign, control]);
}

/**
 * `round(high, low, exponent, sign, control)`: by any rounding and precision control (01 is reserved; silicon takes it as 64 bits).
 * Overflow and underflow are left to the exact form.
 */
export function emitRound(f: FunctionBody): void {
  const [high, low, exponent, sign, control] = f.parameters as [Value, Value, Value, Value, Value];
  const precision = f.local(control.and(PC));
  const drop = f.local(select(precision.eq(PC_24), i64(40), select(precision.eq(PC_53), i64(11), i64(0))));
  const kept = f.variable(high);
  const rest = f.variable(low);
  f.if(drop.ne(0), () => {
    rest.set(high.shl(i64(64).sub(drop)).or(low.ne(0).widen()));
    kept.set(high.shr(drop).shl(drop));
  });
  const up = increment(f, control, sign, kept.value.shr(drop), rest.value);
  const status = f.local(inexactStatus(f, control, rest.value, up));
  const rounded = f.local(kept.value.add(up.shl(drop)));
  const carried = f.local(rounded.isZero());
  const biased = f.local(exponent.add(carried));
  f.return(rounded.or(carried.widen().shl(63)), sign.or(biased).or(status).or(isOutside(biased).shl(31)));
}
