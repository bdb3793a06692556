/**
 * The x87 unit's registers in the vCPU's state block: the stack, the tag and status words, and the two ends of every x87
 * instruction, `enter` and `settle` (SDM 1 chapter 8).
 *
 * The tag word keeps only "empty" truthfully: what else a tag can say is computed when the word is stored (SDM 1 §8.1.7).
 * Not modelled: FERR#/IGNNE# reporting with CR0.NE = 0; a pending exception raises #MF whatever NE says.
 */
import { CR0_EM, CR0_TS } from '../../x86/control.ts';
import { INFO, INFO_MEMORY, INFO_SEGMENT_SHIFT, IMM } from '../../x86/record.ts';
import * as S from '../../x86/state.ts';
import { DEVICE_NOT_AVAILABLE, FLOATING_POINT } from '../../x86/vectors.ts';
import type { Core } from '../core.ts';
import { ALL_EXCEPTIONS, FloatEnvironment, INVALID } from '../float/environment.ts';
import { type FloatValue, INFINITE, UNSUPPORTED, ZERO } from '../float/value.ts';
import { decode80, encode80, encodedSignExponent } from './f80.ts';

/** FSW bits (SDM 1 §8.1.3). */
export const STACK_FAULT = 1 << 6;
export const ERROR_SUMMARY = 1 << 7;
export const C0 = 1 << 8;
export const C1 = 1 << 9;
export const C2 = 1 << 10;
export const C3 = 1 << 14;
export const BUSY = 1 << 15;
export const CONDITIONS: number = C0 | C1 | C2 | C3;
const TOP_SHIFT = 11;
const TOP_MASK = 7 << TOP_SHIFT;
/** FCW as FNINIT leaves it: all masked, 64-bit precision, to nearest. */
export const INITIAL_CONTROL = 0x037f;
/** FCW bit 6 always reads as one; 7 and 13–15 are reserved. */
export const CONTROL_ONE: number = 1 << 6;
export const CONTROL_DEFINED = 0x1f7f;
const EMPTY = 3;
/** FCW.PC: 01 is reserved; silicon takes it as 64 bits. */
const PRECISIONS: readonly number[] = [24, 64, 53, 64];

/** One for all: an x87 operation is over before the next begins, whichever vCPU of this thread it belongs to. */
export const environment: FloatEnvironment = new FloatEnvironment();
environment.wraps = true;

/** #NM when the unit is not there to use (SDM 3A table 2-2). */
export function requireUnit(core: Core): void {
  if (core.get32(S.CR0) & (CR0_EM | CR0_TS)) core.raise(DEVICE_NOT_AVAILABLE);
}

/** The beginning of every waiting instruction: #NM, or #MF for an exception that an earlier one left (SDM 1 §8.6). */
export function enter(core: Core): void {
  requireUnit(core);
  if (core.get32(S.FSW) & ERROR_SUMMARY) core.raise(FLOATING_POINT);
}

/** What the next computation works under. Nothing of the unit's state changes yet. */
export function prepare(core: Core): FloatEnvironment {
  const control = core.get32(S.FCW);
  environment.rounding = (control >> 10) & 3;
  environment.precision = PRECISIONS[(control >> 8) & 3] as number;
  environment.masks = control & ALL_EXCEPTIONS;
  environment.flags = 0;
  environment.roundedUp = false;
  return environment;
}

/**
 * Remembers this instruction as the last (non-control) one (SDM 1 §8.1.8, §8.1.9): FIP, FCS, FOP and, with a memory operand,
 * FDP and FDS. `linear` is the operand's address.
 */
export function remember(core: Core, record: number, linear?: number): void {
  const word = core.base >>> 2;
  core.u32[word + (S.FIP >>> 2)] = core.u32[word + (S.RIP >>> 2)] as number;
  core.u32[word + (S.FIP >>> 2) + 1] = core.u32[word + (S.RIP >>> 2) + 1] as number;
  core.set32(S.FCS, core.get32(S.segmentSelector(S.CS)));
  core.set32(S.FOP, core.view.getUint16(record + IMM, true) & 0x7ff);
  const info = core.view.getUint16(record + INFO, true);
  if (linear === undefined || !(info & INFO_MEMORY)) return;
  const segment = (info >> INFO_SEGMENT_SHIFT) & 7;
  const offset = linear - Number(core.i64[(core.base + S.segmentBase(segment)) >>> 3]);
  core.set64(S.FDP, BigInt.asUintN(64, BigInt(offset)) & core.get64(S.LINEAR_MASK));
  core.set32(S.FDS, core.get32(S.segmentSelector(segment)));
}

export const getTop = (core: Core): number => (core.get32(S.FSW) & TOP_MASK) >> TOP_SHIFT;

export function setTop(core: Core, top: number): void {
  core.set32(S.FSW, (core.get32(S.FSW) & ~TOP_MASK) | ((top & 7) << TOP_SHIFT));
}

const physical = (core: Core, i: number): number => (getTop(core) + i) & 7;

export function isEmpty(core: Core, i: number): boolean {
  return ((core.get32(S.FTW) >> (2 * physical(core, i))) & 3) === EMPTY;
}

export function free(core: Core, i: number): void {
  core.set32(S.FTW, core.get32(S.FTW) | (EMPTY << (2 * physical(core, i))));
}

export function readStack(core: Core, i: number): FloatValue {
  const offset = core.base + S.X87 + 16 * physical(core, i);
  return decode80(core.u16[(offset + 8) >>> 1] as number, core.u64[offset >>> 3] as bigint);
}

/** Bits of ST(i) as they are, for moves that interpret nothing. */
export const significandOf = (core: Core, i: number): bigint => core.u64[(core.base + S.X87 + 16 * physical(core, i)) >>> 3] as bigint;
export const signExponentOf = (core: Core, i: number): number => core.u16[(core.base + S.X87 + 16 * physical(core, i) + 8) >>> 1] as number;

export function writeRaw(core: Core, i: number, significand: bigint, signExponent: number): void {
  const register = physical(core, i);
  const offset = core.base + S.X87 + 16 * register;
  core.u64[offset >>> 3] = significand;
  core.u16[(offset + 8) >>> 1] = signExponent;
  core.set32(S.FTW, core.get32(S.FTW) & ~(EMPTY << (2 * register)));
}

export function writeStack(core: Core, i: number, value: FloatValue): void {
  writeRaw(core, i, encode80(value), encodedSignExponent);
}

export function pop(core: Core): void {
  free(core, 0);
  setTop(core, getTop(core) + 1);
}

export function push(core: Core, value: FloatValue): void {
  setTop(core, getTop(core) - 1);
  writeStack(core, 0, value);
}

/** ES and B follow from the flags and their masks (SDM 1 §8.1.3.3). */
export function summarize(core: Core): void {
  const status = core.get32(S.FSW) & ~(ERROR_SUMMARY | BUSY);
  const pending = status & ~core.get32(S.FCW) & ALL_EXCEPTIONS;
  core.set32(S.FSW, pending ? status | ERROR_SUMMARY | BUSY : status);
}

/**
 * The end of every instruction that can raise an exception: flags become sticky, C1 tells the direction of rounding, `set` are
 * further condition bits out of `defined`.
 */
export function settle(core: Core, defined = C1, set = 0): void {
  const status = (core.get32(S.FSW) & ~(defined | C1)) | environment.flags | set | (environment.roundedUp ? C1 : 0);
  core.set32(S.FSW, status);
  summarize(core);
}

/** An empty register was read, or a full one would be overwritten (`overflow`): SDM 1 §8.5.1.1. Takes effect in `settle`. */
export function stackFault(overflow: boolean): void {
  environment.raise(INVALID | STACK_FAULT);
  environment.roundedUp = overflow; // C1 tells which
}

/** FCW: reserved bits are held. */
export function setControl(core: Core, value: number): void {
  core.set32(S.FCW, (value & CONTROL_DEFINED) | CONTROL_ONE);
  summarize(core);
}

/** A loaded FSW: ES and B are derived, not loaded. */
export function setStatus(core: Core, value: number): void {
  core.set32(S.FSW, value & 0xffff);
  summarize(core);
}

/** FNINIT (SDM 2A; SDM 3A table 10-1). The registers' contents stay. */
export function initialize(core: Core): void {
  core.set32(S.FCW, INITIAL_CONTROL);
  core.set32(S.FSW, 0);
  core.set32(S.FTW, 0xffff);
  core.set32(S.FOP, 0);
  core.set32(S.FCS, 0);
  core.set32(S.FDS, 0);
  core.set64(S.FIP, 0n);
  core.set64(S.FDP, 0n);
}

/** The tag word with every tag computed: 00 valid, 01 zero, 10 special, 11 empty (SDM 1 figure 8-7). */
export function fullTags(core: Core): number {
  const kept = core.get32(S.FTW);
  let tags = 0;
  for (let register = 0; register < 8; register++) {
    const offset = core.base + S.X87 + 16 * register;
    let tag = EMPTY;
    if (((kept >> (2 * register)) & 3) !== EMPTY) {
      const value = decode80(core.u16[(offset + 8) >>> 1] as number, core.u64[offset >>> 3] as bigint);
      const special = value.denormal || value.isNaN || value.kind === INFINITE || value.kind === UNSUPPORTED;
      tag = value.kind === ZERO ? 1 : special ? 2 : 0;
    }
    tags |= tag << (2 * register);
  }
  return tags;
}
