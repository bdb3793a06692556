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

/** The image, or the part of it that is on its way between registers and guest memory. */
const image = new DataView(new ArrayBuffer(LEGACY_AREA_BYTES));

/** Bytes `from` to `to` of the image go to guest memory, where it begins at linear address `at`. All are multiples of 4. */
function writeImage(core: Core, at: number, from: number, to: number): void {
  const host = core.mmu.directWrite(at + from, to - from);
  if (host >= 0) for (let i = from; i < to; i += 4) core.i32[(host + i - from) >>> 2] = image.getInt32(i, true);
  else for (let i = from; i < to; i += 4) core.mmu.store32(at + i, image.getUint32(i, true));
}

function readImage(core: Core, at: number, from: number, to: number): void {
  const host = core.mmu.directRead(at + from, to - from);
  if (host >= 0) for (let i = from; i < to; i += 4) image.setInt32(i, core.i32[(host + i - from) >>> 2] as number, true);
  else for (let i = from; i < to; i += 4) image.setUint32(i, core.mmu.load32(at + i), true);
}

/** Stores the x87 part of the image at linear address `at`. `isWide` (REX.W): 64-bit pointers without selectors. */
export function saveX87(core: Core, at: number, isWide: boolean): void {
  image.setUint16(0, core.get32(S.FCW), true);
  image.setUint16(2, core.get32(S.FSW), true);
  image.setUint16(4, abridgedTags(core.get32(S.FTW)), true);
  image.setUint16(6, core.get32(S.FOP), true);
  image.setUint32(8, core.get32(S.FIP), true);
  image.setUint32(12, isWide ? core.get32(S.FIP + 4) : core.get32(S.FCS) & 0xffff, true);
  image.setUint32(16, core.get32(S.FDP), true);
  image.setUint32(20, isWide ? core.get32(S.FDP + 4) : core.get32(S.FDS) & 0xffff, true);
  writeImage(core, at, 0, IMAGE_MXCSR);
  for (let i = 0; i < 8; i++) {
    const register = S.X87 + ((i + top(core)) & 7) * 16;
    const slot = IMAGE_X87 + i * 16;
    image.setUint32(slot, core.get32(register), true);
    image.setUint32(slot + 4, core.get32(register + 4), true);
    image.setUint32(slot + 8, core.get32(register + 8) & 0xffff, true);
    image.setUint32(slot + 12, 0, true);
  }
  writeImage(core, at, IMAGE_X87, IMAGE_XMM);
}

export function saveMxcsr(core: Core, at: number): void {
  image.setUint32(IMAGE_MXCSR, core.get32(S.MXCSR), true);
  image.setUint32(IMAGE_MXCSR + 4, MXCSR_MASK, true);
  writeImage(core, at, IMAGE_MXCSR, IMAGE_X87);
}

/** XMM0–XMM15, in 64-bit mode; elsewhere the first eight. */
export function saveXmm(core: Core, at: number): void {
  const bytes = xmmCount(core) * 16;
  for (let i = 0; i < bytes; i += 4) image.setUint32(IMAGE_XMM + i, core.get32(S.xmm(i >>> 4) + (i & 15)), true);
  writeImage(core, at, IMAGE_XMM, IMAGE_XMM + bytes);
}

export function restoreX87(core: Core, at: number, isWide: boolean): void {
  readImage(core, at, 0, IMAGE_MXCSR);
  core.set32(S.FCW, image.getUint16(0, true));
  core.set32(S.FSW, image.getUint16(2, true));
  const abridged = image.getUint8(4);
  core.set32(S.FOP, image.getUint16(6, true) & 0x7ff);
  core.set32(S.FIP, image.getUint32(8, true));
  core.set32(S.FIP + 4, isWide ? image.getUint32(12, true) : 0);
  core.set32(S.FDP, image.getUint32(16, true));
  core.set32(S.FDP + 4, isWide ? image.getUint32(20, true) : 0);
  if (!isWide) {
    core.set32(S.FCS, image.getUint16(12, true));
    core.set32(S.FDS, image.getUint16(20, true));
  }
  readImage(core, at, IMAGE_X87, IMAGE_XMM);
  for (let i = 0; i < 8; i++) {
    const register = S.X87 + ((i + top(core)) & 7) * 16;
    const slot = IMAGE_X87 + i * 16;
    core.set32(register, image.getUint32(slot, true));
    core.set32(register + 4, image.getUint32(slot + 4, true));
    core.set32(register + 8, image.getUint16(slot + 8, true));
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
  const bytes = xmmCount(core) * 16;
  readImage(core, at, IMAGE_XMM, IMAGE_XMM + bytes);
  for (let i = 0; i < bytes; i += 4) core.set32(S.xmm(i >>> 4) + (i & 15), image.getUint32(IMAGE_XMM + i, true));
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
