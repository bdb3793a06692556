/**
 * XSAVE, XSAVEOPT, XSAVEC, XRSTOR, XGETBV, XSETBV (SDM 1 chapter 13) for the components that exist: x87 (0) and SSE (1). Both lie
 * in the legacy region, where FXSAVE puts them, so standard and compacted form differ in the header alone.
 *
 * Not modelled: XSAVES and XRSTORS, the modified optimization of XSAVEOPT (which may leave out what did not change).
 */
import { CR0_TS, CR4_OSXSAVE } from '../../x86/control.ts';
import * as S from '../../x86/state.ts';
import { DEVICE_NOT_AVAILABLE, GENERAL_PROTECTION } from '../../x86/vectors.ts';
import type { Core } from '../core.ts';
import { effectiveAddress, writeRegister } from '../operands.ts';
import {
  checkedMxcsr,
  deliver,
  isWide,
  LEGACY_AREA_BYTES,
  openForLoading,
  openForStoring,
  restoreX87,
  restoreXmm,
  saveMxcsr,
  saveX87,
  saveXmm,
} from './fx-state.ts';
import { raiseUndefined, type SystemOperations } from './operation.ts';

const X87_STATE = 1 << 0;
const SSE_STATE = 1 << 1;
/** What XCR0 may have (SDM 1 §13.3). */
export const XCR0_DEFINED: number = X87_STATE | SSE_STATE;

/** The header: XSTATE_BV, XCOMP_BV, reserved (SDM 1 §13.4.2). */
const HEADER = LEGACY_AREA_BYTES;
const HEADER_BYTES = 64;
const AREA_BYTES = HEADER + HEADER_BYTES;
const COMPACTED = 0x8000_0000;
const ALIGNMENT = 64;
const INITIAL_MXCSR = 0x1f80;
const INITIAL_FCW = 0x037f;
const ALL_EMPTY = 0xffff;

const RAX = S.gpr(S.RAX);
const RCX = S.gpr(S.RCX);
const RDX = S.gpr(S.RDX);

function requireEnabled(core: Core): void {
  if ((core.getSigned32(S.CR4) & CR4_OSXSAVE) === 0) raiseUndefined(core);
}

/** Linear address of the area, all of which is touched or none. */
function areaAddress(core: Core, record: number): number {
  requireEnabled(core);
  if ((core.getSigned32(S.CR0) & CR0_TS) !== 0) core.raise(DEVICE_NOT_AVAILABLE);
  const at = effectiveAddress(core, record);
  if (at % ALIGNMENT !== 0) core.raise(GENERAL_PROTECTION, 0);
  return at;
}

/** EDX:EAX and XCR0. Nothing above bit 31 exists. */
const requested = (core: Core): number => core.get32(RAX) & core.get32(S.XCR0);

function isZero(core: Core, offset: number, bytes: number): boolean {
  const { i32 } = core;
  const first = (core.base + offset) >>> 2;
  for (let i = first; i < first + bytes / 4; i++) if (i32[i] !== 0) return false;
  return true;
}

/** XINUSE: components that are not in their initial configuration (SDM 1 §13.6). */
function inUse(core: Core): number {
  let state = 0;
  const isInitialX87 =
    core.get32(S.FCW) === INITIAL_FCW && core.get32(S.FSW) === 0 && core.get32(S.FTW) === ALL_EMPTY && core.get32(S.FOP) === 0 &&
    isZero(core, S.FIP, 8) && isZero(core, S.FDP, 8) && core.get32(S.FCS) === 0 && core.get32(S.FDS) === 0 && isZero(core, S.X87, 128);
  if (!isInitialX87) state |= X87_STATE;
  const registers = core.is64Bit ? 16 : 8;
  for (let i = 0; i < registers && (state & SSE_STATE) === 0; i++) if (!isZero(core, S.xmm(i), 16)) state |= SSE_STATE;
  return state;
}

function store(core: Core, record: number, at: number, area: number, components: number): void {
  if ((components & X87_STATE) !== 0) saveX87(core, at, area, isWide(core, record));
  if ((components & SSE_STATE) !== 0) {
    saveMxcsr(core, at, area);
    saveXmm(core, at, area);
  }
}

/** XSAVE keeps the header's bits of what it does not save; XSAVEOPT does not write what is in its initial configuration. */
function save(core: Core, record: number, leavesOutInitial: boolean): void {
  const at = areaAddress(core, record);
  const area = openForStoring(core, at, AREA_BYTES);
  const components = requested(core);
  const used = inUse(core) & components;
  store(core, record, at, area, leavesOutInitial ? used : components);
  // MXCSR goes with the request, whether or not the registers do (SDM 1 §13.7, §13.8)
  if (leavesOutInitial && (components & SSE_STATE) !== 0) saveMxcsr(core, at, area);
  core.mmu.store32(at + HEADER, (core.mmu.load32(at + HEADER) & ~components) | used);
}

/** SDM 1 §13.10: the header says what is there, and that it is compacted. MXCSR alone makes SSE state worth saving. */
function saveCompacted(core: Core, record: number): void {
  const at = areaAddress(core, record);
  const area = openForStoring(core, at, AREA_BYTES);
  const components = requested(core);
  const extra = core.get32(S.MXCSR) === INITIAL_MXCSR ? 0 : SSE_STATE;
  const used = (inUse(core) | extra) & components;
  store(core, record, at, area, used);
  const header = area + HEADER / 4;
  core.i32[header] = used;
  core.i32[header + 1] = 0;
  core.i32[header + 2] = components;
  core.i32[header + 3] = COMPACTED;
  deliver(core, at, area, HEADER, HEADER + 16);
}

/** What makes a header invalid (SDM 1 §13.8.1, §13.8.2). */
function checkHeader(core: Core, area: number): boolean {
  const word = (offset: number): number => core.i32[area + (HEADER + offset) / 4] as number;
  const present = word(0);
  const compaction = word(8);
  const isCompacted = (word(12) & COMPACTED) !== 0;
  const xcr0 = core.get32(S.XCR0);
  let wrong = word(4);
  if (isCompacted) wrong |= (compaction & ~xcr0) | (present & ~compaction) | (word(12) & ~COMPACTED);
  else wrong |= (present & ~xcr0) | compaction | word(12);
  // the standard form checks the first 24 bytes only, the compacted one all
  const last = isCompacted ? HEADER_BYTES : 24;
  for (let i = 16; i < last; i += 4) wrong |= word(i);
  if (wrong !== 0 || (isCompacted && !core.features.has('xsavec'))) core.raise(GENERAL_PROTECTION, 0);
  return isCompacted;
}

function clear(core: Core, offset: number, bytes: number): void {
  const first = (core.base + offset) >>> 2;
  for (let i = first; i < first + bytes / 4; i++) core.i32[i] = 0;
}

function initializeX87(core: Core): void {
  core.set32(S.FCW, INITIAL_FCW);
  for (const field of [S.FSW, S.FOP, S.FCS, S.FDS]) core.set32(field, 0);
  core.set32(S.FTW, ALL_EMPTY);
  core.setNumber(S.FIP, 0);
  core.setNumber(S.FDP, 0);
  clear(core, S.X87, 128);
}

function restore(core: Core, record: number): void {
  const at = areaAddress(core, record);
  const area = openForLoading(core, at, AREA_BYTES);
  const isCompacted = checkHeader(core, area);
  const components = requested(core);
  const present = (core.i32[area + HEADER / 4] as number) & components;
  let mxcsr = core.get32(S.MXCSR);
  if ((components & SSE_STATE) !== 0) {
    if (!isCompacted || (present & SSE_STATE) !== 0) mxcsr = checkedMxcsr(core, area);
    else mxcsr = INITIAL_MXCSR;
  }
  if ((present & X87_STATE) !== 0) restoreX87(core, area, isWide(core, record));
  else if ((components & X87_STATE) !== 0) initializeX87(core);
  core.set32(S.MXCSR, mxcsr);
  if ((present & SSE_STATE) !== 0) restoreXmm(core, area);
  else if ((components & SSE_STATE) !== 0) for (let i = 0; i < (core.is64Bit ? 16 : 8); i++) clear(core, S.xmm(i), 16);
}

export const XSAVE_OPERATIONS: SystemOperations = {
  xsave: (core, record) => save(core, record, false),
  xsaveopt: (core, record) => save(core, record, true),
  xsavec: saveCompacted,
  xrstor: restore,

  /** ECX 0: XCR0; 1: of that, what is in use, where there is such a thing. */
  xgetbv: (core) => {
    requireEnabled(core);
    const index = core.get32(RCX);
    if (index > (core.features.has('xgetbv1') ? 1 : 0)) core.raise(GENERAL_PROTECTION, 0);
    writeRegister(core, RAX, 4, core.get32(S.XCR0) & (index === 1 ? inUse(core) : -1));
    writeRegister(core, RDX, 4, 0);
  },

  xsetbv: (core) => {
    requireEnabled(core);
    const value = core.get32(RAX);
    const isAllowed = core.cpl === 0 && core.get32(RCX) === 0 && core.get32(RDX) === 0 && (value & ~XCR0_DEFINED) === 0;
    if (!isAllowed || (value & X87_STATE) === 0) core.raise(GENERAL_PROTECTION, 0);
    core.set32(S.XCR0, value);
    core.leave = true;
  },
};
