/** FXSAVE, FXRSTOR, LDMXCSR, STMXCSR (SDM 1 §10.5; SDM 2, table 3-43 for the 512-byte image). */
import { CR0_EM, CR0_TS, CR4_OSFXSR } from '../../x86/control.ts';
import * as S from '../../x86/state.ts';
import { DEVICE_NOT_AVAILABLE, GENERAL_PROTECTION } from '../../x86/vectors.ts';
import { PAGE } from '../access.ts';
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

/**
 * The image, or the XSAVE area that begins with it, at linear address `at` (a multiple of 16), for storing to. Returns the index of its first
 * word in `core.i32`: the image is put together where it belongs if that is one piece of RAM, and otherwise beside it. Faults as a store does.
 */
export function openForStoring(core: Core, at: number, bytes: number): number {
  core.mmu.probeWrite(at, bytes);
  const host = core.mmu.directWrite(at, bytes);
  return (host >= 0 ? host : core.base + S.XSAVE_AREA) >>> 2;
}

/** The same for loading from. */
export function openForLoading(core: Core, at: number, bytes: number): number {
  core.mmu.probeRead(at, bytes);
  const host = core.mmu.directRead(at, bytes);
  if (host >= 0) return host >>> 2;
  const area = (core.base + S.XSAVE_AREA) >>> 2;
  for (let done = 0; done < bytes; ) {
    const size = untilPageEnd(at + done, bytes - done);
    const piece = core.mmu.directRead(at + done, size);
    if (piece >= 0) copyWords(core.i32, piece >>> 2, area + done / 4, size / 4);
    else for (let i = done; i < done + size; i += 4) core.i32[area + i / 4] = core.mmu.load32(at + i);
    done += size;
  }
  return area;
}

/** Bytes `from` to `to` of the opened area are complete: if it was put together beside its place, they go there. All are multiples of 4. */
export function deliver(core: Core, at: number, area: number, from: number, to: number): void {
  if (area !== (core.base + S.XSAVE_AREA) >>> 2) return;
  for (let done = from; done < to; ) {
    const size = untilPageEnd(at + done, to - done);
    const piece = core.mmu.directWrite(at + done, size);
    if (piece >= 0) copyWords(core.i32, area + done / 4, piece >>> 2, size / 4);
    else for (let i = done; i < done + size; i += 4) core.mmu.store32(at + i, core.i32[area + i / 4] as number);
    done += size;
  }
}

const untilPageEnd = (linear: number, bytes: number): number => Math.min(bytes, PAGE - (linear & (PAGE - 1)));

function copyWords(i32: Int32Array, from: number, to: number, count: number): void {
  for (let i = 0; i < count; i++) i32[to + i] = i32[from + i] as number;
}

/** Stores the x87 part of an opened image. `isWide` (REX.W): 64-bit pointers without selectors. */
export function saveX87(core: Core, at: number, image: number, isWide: boolean): void {
  const { i32 } = core;
  i32[image] = (core.get32(S.FSW) << 16) | (core.get32(S.FCW) & 0xffff);
  i32[image + 1] = (core.get32(S.FOP) << 16) | abridgedTags(core.get32(S.FTW));
  i32[image + 2] = core.get32(S.FIP);
  i32[image + 3] = isWide ? core.get32(S.FIP + 4) : core.get32(S.FCS) & 0xffff;
  i32[image + 4] = core.get32(S.FDP);
  i32[image + 5] = isWide ? core.get32(S.FDP + 4) : core.get32(S.FDS) & 0xffff;
  deliver(core, at, image, 0, IMAGE_MXCSR);
  const registers = (core.base + S.X87) >>> 2;
  const first = top(core);
  for (let i = 0; i < 8; i++) {
    const register = registers + ((i + first) & 7) * 4;
    const slot = image + IMAGE_X87 / 4 + i * 4;
    i32[slot] = i32[register] as number;
    i32[slot + 1] = i32[register + 1] as number;
    i32[slot + 2] = (i32[register + 2] as number) & 0xffff;
    i32[slot + 3] = 0;
  }
  deliver(core, at, image, IMAGE_X87, IMAGE_XMM);
}

export function saveMxcsr(core: Core, at: number, image: number): void {
  core.i32[image + IMAGE_MXCSR / 4] = core.get32(S.MXCSR);
  core.i32[image + IMAGE_MXCSR / 4 + 1] = MXCSR_MASK;
  deliver(core, at, image, IMAGE_MXCSR, IMAGE_X87);
}

/** XMM0–XMM15, in 64-bit mode; elsewhere the first eight. */
export function saveXmm(core: Core, at: number, image: number): void {
  const count = xmmCount(core);
  for (let n = 0; n < count; n++) copyWords(core.i32, (core.base + S.xmm(n)) >>> 2, image + IMAGE_XMM / 4 + n * 4, 4);
  deliver(core, at, image, IMAGE_XMM, IMAGE_XMM + count * 16);
}

export function restoreX87(core: Core, image: number, isWide: boolean): void {
  const { i32 } = core;
  const word = (index: number): number => i32[image + index] as number;
  const abridged = word(1) & 0xff;
  core.set32(S.FCW, word(0) & 0xffff);
  core.set32(S.FSW, word(0) >>> 16);
  core.set32(S.FOP, (word(1) >>> 16) & 0x7ff);
  core.set32(S.FIP, word(2));
  core.set32(S.FIP + 4, isWide ? word(3) : 0);
  core.set32(S.FDP, word(4));
  core.set32(S.FDP + 4, isWide ? word(5) : 0);
  if (!isWide) {
    core.set32(S.FCS, word(3) & 0xffff);
    core.set32(S.FDS, word(5) & 0xffff);
  }
  const registers = (core.base + S.X87) >>> 2;
  const first = top(core);
  for (let i = 0; i < 8; i++) {
    const register = registers + ((i + first) & 7) * 4;
    const slot = IMAGE_X87 / 4 + i * 4;
    i32[register] = word(slot);
    i32[register + 1] = word(slot + 1);
    i32[register + 2] = word(slot + 2) & 0xffff;
    i32[register + 3] = 0;
  }
  let tags = 0;
  for (let i = 0; i < 8; i++) tags |= ((abridged >>> i) & 1 ? tagOf(core, i) : TAG_EMPTY) << (i * 2);
  core.set32(S.FTW, tags);
}

/** The opened image's MXCSR; reserved bits raise #GP(0). */
export function checkedMxcsr(core: Core, image: number): number {
  const mxcsr = core.i32[image + IMAGE_MXCSR / 4] as number;
  if ((mxcsr & ~MXCSR_MASK) !== 0) core.raise(GENERAL_PROTECTION, 0);
  return mxcsr;
}

export function restoreXmm(core: Core, image: number): void {
  const count = xmmCount(core);
  for (let n = 0; n < count; n++) copyWords(core.i32, image + IMAGE_XMM / 4 + n * 4, (core.base + S.xmm(n)) >>> 2, 4);
}

export const isWide = (core: Core, record: number): boolean => core.is64Bit && operandSize(core, record) === 8;

function save(core: Core, record: number): void {
  checkFxAvailable(core);
  const at = imageAddress(core, record);
  const image = openForStoring(core, at, LEGACY_AREA_BYTES);
  saveX87(core, at, image, isWide(core, record));
  saveMxcsr(core, at, image);
  saveXmm(core, at, image);
}

function restore(core: Core, record: number): void {
  checkFxAvailable(core);
  const at = imageAddress(core, record);
  const image = openForLoading(core, at, LEGACY_AREA_BYTES);
  const mxcsr = checkedMxcsr(core, image);
  restoreX87(core, image, isWide(core, record));
  core.set32(S.MXCSR, mxcsr);
  restoreXmm(core, image);
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
