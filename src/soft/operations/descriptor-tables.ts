/**
 * Descriptor-table registers and the instructions that look into descriptors: LGDT, SGDT, LLDT, LTR, LAR, LSL, VERR, VERW, ARPL
 * (SDM 2), and INVLPG, INVPCID, INVD, WBINVD.
 */
import { CR4_PCIDE } from '../../x86/control.ts';
import * as S from '../../x86/state.ts';
import { GENERAL_PROTECTION } from '../../x86/vectors.ts';
import type { Core } from '../core.ts';
import {
  effectiveAddress,
  effectiveOffset,
  linearAddress,
  namesMemory,
  operandSize,
  readReg,
  readRm,
  regOffset,
  rmOffset,
  segmentOf,
  writeRegisterBig,
  writeRm,
} from '../operands.ts';
import {
  Descriptor,
  findDescriptor,
  loadLocalDescriptorTable,
  loadTaskRegister,
  TSS_BUSY,
  TYPE_CALL_GATE16,
  TYPE_CALL_GATE32,
  TYPE_LDT,
  TYPE_TASK_GATE,
  TYPE_TSS16,
  TYPE_TSS32,
} from '../segments.ts';
import { setZeroFlag } from './arithmetic-flags.ts';
import { refuseUserMode, requireSupervisor, type SystemOperations } from './operation.ts';

const CANONICAL_END = 2 ** 47;
const descriptor = new Descriptor();

/** Descriptor types that LAR and LSL accept besides code and data (SDM 2, tables of LAR and LSL). */
const LAR_TYPES: ReadonlySet<number> = new Set([
  TYPE_TSS16,
  TYPE_TSS16 | TSS_BUSY,
  TYPE_LDT,
  TYPE_CALL_GATE16,
  TYPE_TASK_GATE,
  TYPE_TSS32,
  TYPE_TSS32 | TSS_BUSY,
  TYPE_CALL_GATE32,
]);
const LAR_TYPES_LONG: ReadonlySet<number> = new Set([TYPE_LDT, TYPE_TSS32, TYPE_TSS32 | TSS_BUSY, TYPE_CALL_GATE32]);
const LSL_TYPES: ReadonlySet<number> = new Set([TYPE_TSS16, TYPE_TSS16 | TSS_BUSY, TYPE_LDT, TYPE_TSS32, TYPE_TSS32 | TSS_BUSY]);
const LSL_TYPES_LONG: ReadonlySet<number> = new Set([TYPE_LDT, TYPE_TSS32, TYPE_TSS32 | TSS_BUSY]);

function storeTable(core: Core, record: number, limitField: number, baseField: number): void {
  refuseUserMode(core);
  const linear = effectiveAddress(core, record);
  const isWide = core.is64Bit;
  core.mmu.probeWrite(linear, isWide ? 10 : 6);
  core.mmu.store16(linear, core.get32(limitField));
  if (isWide) core.mmu.store64(linear + 2, core.get64(baseField));
  else core.mmu.store32((linear + 2) >>> 0, core.get32(baseField));
}

function loadTable(core: Core, record: number, limitField: number, baseField: number): void {
  requireSupervisor(core);
  const linear = effectiveAddress(core, record);
  const limit = core.mmu.load16(linear);
  let base: number;
  if (core.is64Bit) {
    base = core.mmu.loadCanonical(linear + 2);
    if (base < -CANONICAL_END || base >= CANONICAL_END) core.raise(GENERAL_PROTECTION, 0);
  } else {
    base = core.mmu.load32((linear + 2) >>> 0);
    // A 16-bit operand size loads 24 bits of base.
    if (operandSize(core, record) === 2) base &= 0x00ff_ffff;
  }
  core.set32(limitField, limit);
  core.setNumber(baseField, base);
}

/** The selector names a descriptor that CPL and RPL may see. `descriptor` is filled. */
function isVisible(core: Core, selector: number): boolean {
  if ((selector & 0xfffc) === 0 || !findDescriptor(core, selector, descriptor)) return false;
  if (descriptor.isCode && descriptor.isConforming) return true;
  return core.cpl <= descriptor.privilege && (selector & 3) <= descriptor.privilege;
}

function verify(core: Core, record: number, isAllowed: (d: Descriptor) => boolean): void {
  const selector = readRm(core, record, 2);
  setZeroFlag(core, isVisible(core, selector) && !descriptor.isSystem && isAllowed(descriptor));
}

/** SLDT, STR: 16 bits to memory, zero-extended to a register. */
function storeSelector(core: Core, record: number, segment: number): void {
  refuseUserMode(core);
  const selector = core.get32(S.segmentSelector(segment));
  if (namesMemory(core, record)) writeRm(core, record, 2, selector);
  else writeRegisterBig(core, rmOffset(core, record), operandSize(core, record), BigInt(selector));
}

export const DESCRIPTOR_OPERATIONS: SystemOperations = {
  sgdt: (core, record) => storeTable(core, record, S.GDTR_LIMIT, S.GDTR_BASE),
  sidt: (core, record) => storeTable(core, record, S.IDTR_LIMIT, S.IDTR_BASE),
  lgdt: (core, record) => loadTable(core, record, S.GDTR_LIMIT, S.GDTR_BASE),
  lidt: (core, record) => loadTable(core, record, S.IDTR_LIMIT, S.IDTR_BASE),

  sldt: (core, record) => storeSelector(core, record, S.LDTR),
  str: (core, record) => storeSelector(core, record, S.TR),
  lldt: (core, record) => {
    requireSupervisor(core);
    loadLocalDescriptorTable(core, readRm(core, record, 2));
  },
  ltr: (core, record) => {
    requireSupervisor(core);
    loadTaskRegister(core, readRm(core, record, 2));
  },

  lar: (core, record) => {
    const selector = readRm(core, record, 2);
    const types = core.isLongMode ? LAR_TYPES_LONG : LAR_TYPES;
    const isValid = isVisible(core, selector) && (!descriptor.isSystem || types.has(descriptor.type));
    if (isValid) writeRegisterBig(core, regOffset(core, record), operandSize(core, record), BigInt(descriptor.high & 0x00f0_ff00));
    setZeroFlag(core, isValid);
  },
  lsl: (core, record) => {
    const selector = readRm(core, record, 2);
    const types = core.isLongMode ? LSL_TYPES_LONG : LSL_TYPES;
    const isValid = isVisible(core, selector) && (!descriptor.isSystem || types.has(descriptor.type));
    if (isValid) writeRegisterBig(core, regOffset(core, record), operandSize(core, record), BigInt(descriptor.limit));
    setZeroFlag(core, isValid);
  },
  verr: (core, record) => verify(core, record, (d) => !d.isCode || d.isReadableOrWritable),
  verw: (core, record) => verify(core, record, (d) => !d.isCode && d.isReadableOrWritable),

  arpl: (core, record) => {
    const destination = readRm(core, record, 2);
    const level = readReg(core, record, 2) & 3;
    const isLower = (destination & 3) < level;
    if (isLower) writeRm(core, record, 2, (destination & 0xfffc) | level);
    setZeroFlag(core, isLower);
  },

  invlpg: (core, record) => {
    requireSupervisor(core);
    const linear = linearAddress(core, segmentOf(core, record), effectiveOffset(core, record));
    // A non-canonical address has no translation to forget, and is no fault.
    if (linear >= -CANONICAL_END && linear < CANONICAL_END) core.mmu.invalidatePage(linear);
    core.leave = true;
  },
  /**
   * Types: 0 one address of a PCID, 1 a PCID, 2 everything, 3 everything but global pages (SDM 2, INVPCID). As no translation
   * knows its PCID, types 0, 1 and 3 forget those of all.
   */
  invpcid: (core, record) => {
    requireSupervisor(core);
    const register = regOffset(core, record);
    const type = core.get32(register);
    const linear = effectiveAddress(core, record);
    const pcid = core.mmu.load64(linear);
    const address = core.mmu.load64(core.is64Bit ? linear + 8 : (linear + 8) >>> 0);
    const isKnown = type <= 3 && (!core.is64Bit || core.get32(register + 4) === 0);
    const names = type <= 1 && pcid !== 0n;
    if (!isKnown || pcid > 0xfffn || (names && (core.getSigned32(S.CR4) & CR4_PCIDE) === 0)) core.raise(GENERAL_PROTECTION, 0);
    if (type === 0 && BigInt.asUintN(64, BigInt.asIntN(48, address)) !== address) core.raise(GENERAL_PROTECTION, 0);
    if (type === 0) core.mmu.invalidatePage(Number(BigInt.asIntN(64, address)));
    else if (type === 2) core.mmu.flush();
    else core.mmu.flushLocal();
    core.leave = true;
  },

  /** Caches are not modelled: there is nothing to write back or lose. */
  invd: requireSupervisor,
  wbinvd: requireSupervisor,
};
