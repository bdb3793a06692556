/**
 * MOV to and from control and debug registers, LMSW, SMSW, CLTS (SDM 2; SDM 3A §2.5; §10.8.5 for entering and leaving IA-32e
 * mode; SDM 3B §18.2 for debug registers).
 *
 * PCIDs (§4.10.1) are accepted and read back; translations are forgotten as if there were one.
 *
 * Not modelled: cache control (CR0.CD and NW are storage), 5-level paging.
 */
import {
  ATTRIBUTE_LONG,
  CR0_AM,
  CR0_CD,
  CR0_EM,
  CR0_ET,
  CR0_MP,
  CR0_NE,
  CR0_NW,
  CR0_PE,
  CR0_PG,
  CR0_TS,
  CR0_WP,
  CR4_DE,
  CR4_FSGSBASE,
  CR4_MCE,
  CR4_OSFXSR,
  CR4_OSXMMEXCPT,
  CR4_OSXSAVE,
  CR4_PAE,
  CR4_PCE,
  CR4_PCIDE,
  CR4_PGE,
  CR4_PSE,
  CR4_PVI,
  CR4_SMAP,
  CR4_SMEP,
  CR4_TSD,
  CR4_UMIP,
  CR4_VME,
  EFER_LMA,
  EFER_LME,
} from '../../x86/control.ts';
import * as S from '../../x86/state.ts';
import { DEBUG, GENERAL_PROTECTION } from '../../x86/vectors.ts';
import type { Core } from '../core.ts';
import { PHYSICAL_ADDRESS_BITS } from '../access.ts';
import { updateMode } from '../mode.ts';
import { namesMemory, operandSize, readRm, rmOffset, specialRegister, writeRegisterBig, writeRm } from '../operands.ts';
import { isPaePaging, loadPageDirectoryPointers } from '../paging-registers.ts';
import { raiseUndefined, refuseUserMode, requireSupervisor, type SystemOperations } from './operation.ts';

const CR0_DEFINED = CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_NW | CR0_CD | CR0_PG;
/** Of the others, each enables something that CPUID does not announce. */
const CR4_DEFINED =
  CR4_VME | CR4_PVI | CR4_TSD | CR4_DE | CR4_PSE | CR4_PAE | CR4_MCE | CR4_PGE | CR4_PCE | CR4_OSFXSR | CR4_OSXMMEXCPT | CR4_OSXSAVE | CR4_UMIP |
  CR4_FSGSBASE | CR4_PCIDE | CR4_SMEP | CR4_SMAP;
/** Bits that exist with a feature only: where CPUID does not announce it, they are reserved. */
const CR4_OF_FEATURE: readonly (readonly [bits: number, feature: string])[] = [
  [CR4_VME | CR4_PVI, 'vme'], [CR4_DE, 'de'], [CR4_MCE, 'mce'], [CR4_UMIP, 'umip'], [CR4_FSGSBASE, 'fsgsbase'], [CR4_PCIDE, 'pcid'],
  [CR4_OSXSAVE, 'xsave'], [CR4_SMEP, 'smep'], [CR4_SMAP, 'smap'],
];
const reservedBits = new WeakMap<Core, number>();

/** What may not be set in CR4; worked out once for each core. */
function reservedInCr4(core: Core): number {
  let reserved = reservedBits.get(core);
  if (reserved === undefined) {
    reserved = ~CR4_DEFINED;
    for (const [bits, feature] of CR4_OF_FEATURE) if (!core.features.has(feature)) reserved |= bits;
    reservedBits.set(core, reserved);
  }
  return reserved;
}

/** Changes of these make cached translations wrong (SDM 3A §4.10.4.1). */
const CR0_TRANSLATION = CR0_PG | CR0_WP | CR0_PE;
const CR4_TRANSLATION = CR4_PSE | CR4_PAE | CR4_PGE | CR4_SMEP | CR4_SMAP | CR4_PCIDE;

const DR7 = S.DR + 7 * 8;
/** Bits that read as one (SDM 3B §18.2.3, §18.2.4). */
const DR6_FIXED = 0xffff_0ff0;
const DR6_WRITABLE = 0x0000_e00f;
const DR6_BD = 1 << 13;
const DR7_FIXED = 0x0000_0400;
const DR7_WRITABLE = 0xffff_23ff;
const DR7_GD = 1 << 13;

export function writeCr0(core: Core, value: number): void {
  const old = core.get32(S.CR0);
  const next = ((value & CR0_DEFINED) | CR0_ET) >>> 0;
  const isPaging = (next & CR0_PG) !== 0;
  if (isPaging && (next & CR0_PE) === 0) core.raise(GENERAL_PROTECTION, 0);
  if (!isPaging && (core.getSigned32(S.CR4) & CR4_PCIDE) !== 0) core.raise(GENERAL_PROTECTION, 0);
  if ((next & CR0_NW) !== 0 && (next & CR0_CD) === 0) core.raise(GENERAL_PROTECTION, 0);
  let efer = core.get32(S.EFER);
  const cr4 = core.get32(S.CR4);
  const isCodeLong = (core.getSigned32(S.segmentAttributes(S.CS)) & ATTRIBUTE_LONG) !== 0;
  if (((old ^ next) & CR0_PG) !== 0) {
    if (isPaging && (efer & EFER_LME) !== 0) {
      if ((cr4 & CR4_PAE) === 0 || isCodeLong) core.raise(GENERAL_PROTECTION, 0);
      efer |= EFER_LMA;
    } else if (!isPaging) {
      if (core.is64Bit) core.raise(GENERAL_PROTECTION, 0);
      efer &= ~EFER_LMA;
    }
  }
  if (((old ^ next) & (CR0_PG | CR0_CD | CR0_NW)) !== 0 && isPaePaging(next, cr4, efer)) {
    loadPageDirectoryPointers(core, core.get32(S.CR3));
  }
  core.set32(S.CR0, next);
  core.set32(S.EFER, efer);
  if (((old ^ next) & CR0_TRANSLATION) !== 0) core.mmu.flush();
  updateMode(core);
  core.leave = true;
}

/** `value` is exact below 2^53; bits above MAXPHYADDR raise #GP(0), so nothing beyond that matters (bit 63 is the caller's). */
export function writeCr3(core: Core, value: number): void {
  if (value >= 2 ** PHYSICAL_ADDRESS_BITS || value < 0) core.raise(GENERAL_PROTECTION, 0);
  const cr4 = core.get32(S.CR4);
  if (isPaePaging(core.get32(S.CR0), cr4, core.get32(S.EFER))) loadPageDirectoryPointers(core, value);
  core.setNumber(S.CR3, value);
  if ((cr4 & CR4_PGE) !== 0) core.mmu.flushLocal();
  else core.mmu.flush();
  core.leave = true;
}

export function writeCr4(core: Core, value: number): void {
  const old = core.get32(S.CR4);
  const changed = old ^ value;
  if ((value & reservedInCr4(core)) !== 0) core.raise(GENERAL_PROTECTION, 0);
  if ((changed & CR4_PAE) !== 0 && core.isLongMode) core.raise(GENERAL_PROTECTION, 0);
  // PCIDs are for IA-32e mode, and start from PCID 0 (SDM 3A §4.10.1).
  if ((changed & value & CR4_PCIDE) !== 0 && (!core.isLongMode || (core.get32(S.CR3) & 0xfff) !== 0)) core.raise(GENERAL_PROTECTION, 0);
  if ((changed & CR4_TRANSLATION) !== 0 && isPaePaging(core.get32(S.CR0), value, core.get32(S.EFER))) {
    loadPageDirectoryPointers(core, core.get32(S.CR3));
  }
  core.set32(S.CR4, value);
  if ((changed & CR4_DE) !== 0) core.breakpoints.update();
  if ((changed & CR4_TRANSLATION) !== 0) core.mmu.flush();
  updateMode(core);
  core.leave = true;
}

/** The source register: all of it in 64-bit mode, the low half elsewhere. Above 2^53 rounded, which only reserved bits can reach. */
function sourceRegister(core: Core, record: number): number {
  const offset = rmOffset(core, record);
  return core.is64Bit ? core.getNumber(offset) : core.get32(offset);
}

/** The value for CR3. With PCIDs bit 63 permits the processor to keep translations, and is no part of it (SDM 3A §4.10.4.1). */
function pageTableBase(core: Core, record: number): number {
  const offset = rmOffset(core, record);
  if (!core.is64Bit) return core.get32(offset);
  const mask = (core.getSigned32(S.CR4) & CR4_PCIDE) !== 0 ? 0x7fff_ffff : 0xffff_ffff;
  return ((core.get32(offset + 4) & mask) >>> 0) * 0x1_0000_0000 + core.get32(offset);
}

function writeDestination(core: Core, record: number, value: bigint): void {
  writeRegisterBig(core, rmOffset(core, record), core.is64Bit ? 8 : 4, value);
}

/** DR4 and DR5 are DR6 and DR7 unless CR4.DE says they are not there. */
function debugRegister(core: Core, record: number): number {
  let number = specialRegister(core, record);
  if (number > 7) raiseUndefined(core);
  if (number === 4 || number === 5) {
    if ((core.getSigned32(S.CR4) & CR4_DE) !== 0) raiseUndefined(core);
    number += 2;
  }
  requireSupervisor(core);
  if ((core.getSigned32(DR7) & DR7_GD) !== 0) {
    core.breakpoints.report(DR6_BD);
    core.raise(DEBUG);
  }
  return number;
}

export const CONTROL_REGISTER_OPERATIONS: SystemOperations = {
  mov_from_cr: (core, record) => {
    const number = specialRegister(core, record);
    if (number !== 0 && number !== 2 && number !== 3 && number !== 4 && number !== 8) raiseUndefined(core);
    requireSupervisor(core);
    let value: bigint;
    if (number === 0) value = BigInt(core.get32(S.CR0));
    else if (number === 2) value = core.get64(S.CR2);
    else if (number === 3) value = core.get64(S.CR3);
    else if (number === 4) value = BigInt(core.get32(S.CR4));
    else value = BigInt(core.wiring.readTaskPriority());
    writeDestination(core, record, value);
  },

  mov_to_cr: (core, record) => {
    const number = specialRegister(core, record);
    if (number !== 0 && number !== 2 && number !== 3 && number !== 4 && number !== 8) raiseUndefined(core);
    requireSupervisor(core);
    const value = sourceRegister(core, record);
    // CR3 has its own upper limit; CR2 takes any value; the others have nothing above bit 31.
    if ((number === 0 || number === 4) && value > 0xffff_ffff) core.raise(GENERAL_PROTECTION, 0);
    if (number === 0) writeCr0(core, value);
    else if (number === 2) core.set64(S.CR2, core.is64Bit ? core.get64(rmOffset(core, record)) : BigInt(value));
    else if (number === 3) writeCr3(core, pageTableBase(core, record));
    else if (number === 4) writeCr4(core, value);
    else {
      if (value > 15) core.raise(GENERAL_PROTECTION, 0);
      core.wiring.writeTaskPriority(value);
      core.leave = true;
    }
  },

  mov_from_dr: (core, record) => {
    const number = debugRegister(core, record);
    const value = core.get64(S.DR + number * 8);
    const fixed = number === 6 ? DR6_FIXED : number === 7 ? DR7_FIXED : 0;
    writeDestination(core, record, value | BigInt(fixed >>> 0));
  },

  mov_to_dr: (core, record) => {
    const number = debugRegister(core, record);
    if (number >= 6) {
      const value = sourceRegister(core, record);
      if (value > 0xffff_ffff) core.raise(GENERAL_PROTECTION, 0);
      core.setNumber(
        S.DR + number * 8,
        ((value & (number === 6 ? DR6_WRITABLE : DR7_WRITABLE)) | (number === 6 ? DR6_FIXED : DR7_FIXED)) >>> 0,
      );
    } else {
      const offset = rmOffset(core, record);
      core.set64(S.DR + number * 8, core.is64Bit ? core.get64(offset) : BigInt(core.get32(offset)));
    }
    core.breakpoints.update();
    core.leave = true;
  },

  smsw: (core, record) => {
    refuseUserMode(core);
    const size = operandSize(core, record);
    if (namesMemory(core, record)) writeRm(core, record, 2, core.get32(S.CR0) & 0xffff);
    else writeRegisterBig(core, rmOffset(core, record), size, BigInt(core.get32(S.CR0)));
  },

  /** Sets PE but never clears it. */
  lmsw: (core, record) => {
    requireSupervisor(core);
    const value = readRm(core, record, 2) & (CR0_PE | CR0_MP | CR0_EM | CR0_TS);
    const old = core.get32(S.CR0);
    writeCr0(core, (old & ~(CR0_MP | CR0_EM | CR0_TS)) | value);
  },

  clts: (core) => {
    requireSupervisor(core);
    core.set32(S.CR0, core.get32(S.CR0) & ~CR0_TS);
    updateMode(core);
    core.leave = true;
  },
};
