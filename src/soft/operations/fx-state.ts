/** FXSAVE, FXRSTOR, LDMXCSR, STMXCSR (SDM 1 §10.5; SDM 2, table 3-43 for the 512-byte image). */
import { CR0_EM, CR0_TS, CR4_OSFXSR } from '../../x86/control.ts';
import * as S from '../../x86/state.ts';
import { DEVICE_NOT_AVAILABLE, GENERAL_PROTECTION } from '../../x86/vectors.ts';
import type { Core } from '../core.ts';
import { effectiveAddress, operandSize } from '../operands.ts';
import { raiseUndefined, type SystemOperations } from './operation.ts';

export const LEGACY_AREA_BYTES = 512;
const IMAGE_MXCSR = 24;
const IMAGE_X87 = 32;
const IMAGE_XMM = 160;
/** Bits of MXCSR that exist: all sixteen, DAZ included. */
const MXCSR_MASK = 0xffff;
/** Tag of an empty register in the full tag word. */
const TAG_EMPTY = 3;

function checkFxAvailable(core: Core): void {
  if ((core.getSigned32(S.CR0) & (CR0_EM | CR0_TS)) !== 0) core.raise(DEVICE_NOT_AVAILABLE);
}

function checkSseAvailable(core: Core): void {
  if ((core.getSigned32(S.CR0) & CR0_EM) !== 0 || (core.getSigned32(S.CR4) & CR4_OSFXSR) === 0) raiseUndefined(core);
  if ((core.getSigned32(S.CR0) & CR0_TS) !== 0) core.raise(DEVICE_NOT_AVAILABLE);
}

function imageAddress(core: Core, record: number): number {
  const linear = effectiveAddress(core, record);
  if (linear % 16 !== 0) core.raise(GENERAL_PROTECTION, 0);
  return linear;
}

const top = (core: Core): number => (core.get32(S.FSW) >>> 11) & 7;
const xmmCount = (core: Core): number => (core.is64Bit ? 16 : 8);

/** One bit for each physical register: set when it is not empty. */
function abridgedTags(tags: number): number {
  let abridged = 0;
  for (let i = 0; i < 8; i++) if (((tags >>> (i * 2)) & 3) !== TAG_EMPTY) abridged |= 1 << i;
  return abridged;
}

/** Valid 0, zero 1, special 2: from what the register holds (SDM 2, FXRSTOR / table 3-45). */
function tagOf(core: Core, physical: number): number {
  const at = (core.base + S.X87 + physical * 16) >>> 2;
  const low = core.u32[at] as number;
  const high = core.u32[at + 1] as number;
  const exponent = (core.u32[at + 2] as number) & 0x7fff;
  if (exponent === 0) return low === 0 && high === 0 ? 1 : 2;
  return exponent === 0x7fff || high >>> 31 === 0 ? 2 : 0;
}

function copyToGuest(core: Core, field: number, linear: number, bytes: number): void {
  for (let i = 0; i < bytes; i += 4) core.mmu.store32(linear + i, core.get32(field + i));
}

function copyFromGuest(core: Core, field: number, linear: number, bytes: number): void {
  for (let i = 0; i < bytes; i += 4) core.set32(field + i, core.mmu.load32(linear + i));
}

/** Stores the x87 part of the image at linear address `at`. `isWide` (REX.W): 64-bit pointers without selectors. */
export function saveX87(core: Core, at: number, isWide: boolean): void {
  const { mmu } = core;
  mmu.store16(at, core.get32(S.FCW));
  mmu.store16(at + 2, core.get32(S.FSW));
  mmu.store16(at + 4, abridgedTags(core.get32(S.FTW)));
  mmu.store16(at + 6, core.get32(S.FOP));
  if (isWide) {
    mmu.store64(at + 8, core.get64(S.FIP));
    mmu.store64(at + 16, core.get64(S.FDP));
  } else {
    mmu.store32(at + 8, core.get32(S.FIP));
    mmu.store32(at + 12, core.get32(S.FCS) & 0xffff);
    mmu.store32(at + 16, core.get32(S.FDP));
    mmu.store32(at + 20, core.get32(S.FDS) & 0xffff);
  }
  for (let i = 0; i < 8; i++) {
    const register = S.X87 + ((i + top(core)) & 7) * 16;
    copyToGuest(core, register, at + IMAGE_X87 + i * 16, 8);
    mmu.store32(at + IMAGE_X87 + i * 16 + 8, core.get32(register + 8) & 0xffff);
    mmu.store32(at + IMAGE_X87 + i * 16 + 12, 0);
  }
}

export function saveMxcsr(core: Core, at: number): void {
  core.mmu.store32(at + IMAGE_MXCSR, core.get32(S.MXCSR));
  core.mmu.store32(at + IMAGE_MXCSR + 4, MXCSR_MASK);
}

/** XMM0–XMM15, in 64-bit mode; elsewhere the first eight. */
export function saveXmm(core: Core, at: number): void {
  for (let i = 0; i < xmmCount(core); i++) copyToGuest(core, S.xmm(i), at + IMAGE_XMM + i * 16, 16);
}

export function restoreX87(core: Core, at: number, isWide: boolean): void {
  const { mmu } = core;
  core.set32(S.FCW, mmu.load16(at));
  core.set32(S.FSW, mmu.load16(at + 2));
  const abridged = mmu.load8(at + 4);
  core.set32(S.FOP, mmu.load16(at + 6) & 0x7ff);
  if (isWide) {
    core.set64(S.FIP, mmu.load64(at + 8));
    core.set64(S.FDP, mmu.load64(at + 16));
  } else {
    core.setNumber(S.FIP, mmu.load32(at + 8));
    core.set32(S.FCS, mmu.load16(at + 12));
    core.setNumber(S.FDP, mmu.load32(at + 16));
    core.set32(S.FDS, mmu.load16(at + 20));
  }
  for (let i = 0; i < 8; i++) {
    const register = S.X87 + ((i + top(core)) & 7) * 16;
    copyFromGuest(core, register, at + IMAGE_X87 + i * 16, 8);
    core.set32(register + 8, mmu.load16(at + IMAGE_X87 + i * 16 + 8));
    core.set32(register + 12, 0);
  }
  let tags = 0;
  for (let i = 0; i < 8; i++) tags |= ((abridged >>> i) & 1 ? tagOf(core, i) : TAG_EMPTY) << (i * 2);
  core.set32(S.FTW, tags);
}

/** The image's MXCSR; reserved bits raise #GP(0). */
export function checkedMxcsr(core: Core, at: number): number {
  const mxcsr = core.mmu.load32(at + IMAGE_MXCSR);
  if ((mxcsr & ~MXCSR_MASK) !== 0) core.raise(GENERAL_PROTECTION, 0);
  return mxcsr;
}

export function restoreXmm(core: Core, at: number): void {
  for (let i = 0; i < xmmCount(core); i++) copyFromGuest(core, S.xmm(i), at + IMAGE_XMM + i * 16, 16);
}

const isWide = (core: Core, record: number): boolean => core.is64Bit && operandSize(core, record) === 8;

function save(core: Core, record: number): void {
  checkFxAvailable(core);
  const at = imageAddress(core, record);
  core.mmu.probeWrite(at, LEGACY_AREA_BYTES);
  saveX87(core, at, isWide(core, record));
  saveMxcsr(core, at);
  saveXmm(core, at);
}

function restore(core: Core, record: number): void {
  checkFxAvailable(core);
  const at = imageAddress(core, record);
  core.mmu.probeRead(at, LEGACY_AREA_BYTES);
  const mxcsr = checkedMxcsr(core, at);
  restoreX87(core, at, isWide(core, record));
  core.set32(S.MXCSR, mxcsr);
  restoreXmm(core, at);
}

export const FX_STATE_OPERATIONS: SystemOperations = {
  fxsave: save,
  fxrstor: restore,
  ldmxcsr: (core, record) => {
    checkSseAvailable(core);
    const value = core.mmu.load32(effectiveAddress(core, record));
    if ((value & ~MXCSR_MASK) !== 0) core.raise(GENERAL_PROTECTION, 0);
    core.set32(S.MXCSR, value);
  },
  stmxcsr: (core, record) => {
    checkSseAvailable(core);
    core.mmu.store32(effectiveAddress(core, record), core.get32(S.MXCSR));
  },
};
