/**
 * Segment registers and descriptors: loading (SDM 3A §3.4–§3.5, §5.6–§5.8; the pseudocode of MOV, POP, LDS in SDM 2), limit and
 * type checks of memory operands (§5.3, §5.5), and the LDT and task registers.
 */
import {
  ATTRIBUTE_CODE,
  ATTRIBUTE_DEFAULT_BIG,
  ATTRIBUTE_DOWN_CONFORMING,
  ATTRIBUTE_DPL_SHIFT,
  ATTRIBUTE_NOT_SYSTEM,
  ATTRIBUTE_READ_WRITE,
  ATTRIBUTE_TYPE,
  ATTRIBUTE_UNUSABLE,
} from '../x86/control.ts';
import * as S from '../x86/state.ts';
import { GENERAL_PROTECTION, SEGMENT_NOT_PRESENT, STACK_FAULT } from '../x86/vectors.ts';
import type { Core } from './core.ts';
import { isPlainData, updateDataMode, updateMode } from './mode.ts';

/** System descriptor types (SDM 3A table 3-2). */
export const TYPE_TSS16 = 0x1;
export const TYPE_LDT = 0x2;
export const TYPE_CALL_GATE16 = 0x4;
export const TYPE_TASK_GATE = 0x5;
export const TYPE_INTERRUPT_GATE16 = 0x6;
export const TYPE_TRAP_GATE16 = 0x7;
/** 64-bit in IA-32e mode, as the next two. */
export const TYPE_TSS32 = 0x9;
export const TYPE_CALL_GATE32 = 0xc;
export const TYPE_INTERRUPT_GATE32 = 0xe;
export const TYPE_TRAP_GATE32 = 0xf;
/** ORed into the type of a TSS in use. */
export const TSS_BUSY = 0x2;

/** Attributes of a segment in virtual-8086 mode: present, DPL 3, writable data, accessed (SDM 3B §21.1.1). */
export const ATTRIBUTES_VIRTUAL_8086 = 0xf3;

/** One 8-byte descriptor, and where it was read from. */
export class Descriptor {
  /** Linear address. */
  address = 0;
  low = 0;
  high = 0;
  /** Bits 63:32 of the base (or offset) of a 16-byte descriptor. */
  upper = 0;

  get attributes(): number {
    return (this.high >>> 8) & 0xf0ff;
  }
  get type(): number {
    return (this.high >>> 8) & ATTRIBUTE_TYPE;
  }
  get isSystem(): boolean {
    return (this.high & 0x1000) === 0;
  }
  get isCode(): boolean {
    return (this.high & 0x1800) === 0x1800;
  }
  /** Code: conforming. */
  get isConforming(): boolean {
    return (this.high & 0x400) !== 0;
  }
  get isReadableOrWritable(): boolean {
    return (this.high & 0x200) !== 0;
  }
  get isPresent(): boolean {
    return (this.high & 0x8000) !== 0;
  }
  get privilege(): number {
    return (this.high >>> 13) & 3;
  }
  get base(): number {
    return ((this.low >>> 16) | ((this.high & 0xff) << 16) | (this.high & 0xff00_0000)) >>> 0;
  }
  /** In bytes, after granularity. */
  get limit(): number {
    const limit = (this.low & 0xffff) | (this.high & 0x000f_0000);
    return this.high & 0x0080_0000 ? ((limit << 12) | 0xfff) >>> 0 : limit;
  }
  get isLong(): boolean {
    return (this.high & 0x0020_0000) !== 0;
  }
  get isDefaultBig(): boolean {
    return (this.high & 0x0040_0000) !== 0;
  }
}

/** Reads the descriptor that `selector` names; `vector` with the selector as error code when its table ends before it. */
export function readDescriptor(core: Core, selector: number, vector: number, external: number, into: Descriptor): void {
  if (!findDescriptor(core, selector, into)) core.raise(vector, (selector & 0xfffc) | external);
}

/** As {@link readDescriptor}; false when the table ends before it. Page faults are raised. */
export function findDescriptor(core: Core, selector: number, into: Descriptor): boolean {
  const offset = selector & 0xfff8;
  let limit: number;
  let base: number;
  if (selector & 4) {
    if (core.getSigned32(S.segmentAttributes(S.LDTR)) & ATTRIBUTE_UNUSABLE) return false;
    limit = core.get32(S.segmentLimit(S.LDTR));
    base = core.getCanonical(S.segmentBase(S.LDTR));
  } else {
    limit = core.get32(S.GDTR_LIMIT);
    base = core.getCanonical(S.GDTR_BASE);
  }
  if (offset + 7 > limit) return false;
  into.address = systemLinear(core, base + offset);
  into.low = core.mmu.loadSystem32(into.address);
  into.high = core.mmu.loadSystem32(systemLinear(core, into.address + 4));
  into.upper = 0;
  return true;
}

/** The second half of a 16-byte system descriptor (SDM 3A §3.5.2): bits 63:32 of its address. */
export function readUpperHalf(core: Core, selector: number, vector: number, external: number, descriptor: Descriptor): void {
  const limit = selector & 4 ? core.get32(S.segmentLimit(S.LDTR)) : core.get32(S.GDTR_LIMIT);
  const isType0 = (selector & 0xfff8) + 15 <= limit && (core.mmu.loadSystem32(descriptor.address + 12) & 0x1f00) === 0;
  if (!isType0) core.raise(vector, (selector & 0xfffc) | external);
  descriptor.upper = core.mmu.loadSystem32(descriptor.address + 8);
}

/** Addresses of descriptor tables and TSSs wrap at 4 GiB unless long mode is active. */
export function systemLinear(core: Core, address: number): number {
  return core.isLongMode ? address : address >>> 0;
}

/** Sets the accessed bit of a code or data descriptor in its table, once. */
export function markAccessed(core: Core, descriptor: Descriptor): void {
  if ((descriptor.high & 0x100) !== 0) return;
  descriptor.high |= 0x100;
  core.mmu.storeSystem8(systemLinear(core, descriptor.address + 5), (descriptor.high >>> 8) & 0xff);
}

/** Puts a checked descriptor into a segment register. The caller calls `updateMode`. */
export function installSegment(core: Core, segment: number, selector: number, descriptor: Descriptor): void {
  setSegment(core, segment, selector, descriptor.base, descriptor.limit, descriptor.attributes);
}

export function setSegment(core: Core, segment: number, selector: number, base: number, limit: number, attributes: number): void {
  core.set32(S.segmentSelector(segment), selector);
  core.setNumber(S.segmentBase(segment), base);
  core.set32(S.segmentLimit(segment), limit);
  core.set32(S.segmentAttributes(segment), attributes);
}

/** Real-address mode changes selector and base only: limit and attributes stay (SDM 3B §21.1.1, "unreal" mode). */
export function setRealSegment(core: Core, segment: number, selector: number): void {
  core.set32(S.segmentSelector(segment), selector);
  core.setNumber(S.segmentBase(segment), selector << 4);
}

export function setVirtual8086Segment(core: Core, segment: number, selector: number): void {
  setSegment(core, segment, selector, selector << 4, 0xffff, ATTRIBUTES_VIRTUAL_8086);
}

/** A null selector: every access through it faults, in 64-bit mode none does (SDM 3A §3.4.4). */
export function setNullSegment(core: Core, segment: number, selector: number, privilege = 0): void {
  setSegment(core, segment, selector, 0, 0, ATTRIBUTE_UNUSABLE | (privilege << ATTRIBUTE_DPL_SHIFT));
}

const loaded = new Descriptor();

/** MOV, POP or LxS to ES, SS, DS, FS or GS, in every mode. Nothing has changed when it raises. */
export function loadSegment(core: Core, segment: number, selector: number): void {
  const wasPlain = isPlainData(core, segment);
  if (!core.isProtected) {
    if (core.isVirtual8086) setVirtual8086Segment(core, segment, selector);
    else setRealSegment(core, segment, selector);
  } else if (segment === S.SS) {
    loadStackSegment(core, selector);
  } else if ((selector & 0xfffc) === 0) {
    setNullSegment(core, segment, selector);
  } else {
    readDescriptor(core, selector, GENERAL_PROTECTION, 0, loaded);
    const privilege = loaded.privilege;
    const isPrivate = !loaded.isCode || !loaded.isConforming;
    if (
      loaded.isSystem ||
      (loaded.isCode && !loaded.isReadableOrWritable) ||
      (isPrivate && ((selector & 3) > privilege || core.cpl > privilege))
    ) {
      core.raise(GENERAL_PROTECTION, selector & 0xfffc);
    }
    if (!loaded.isPresent) core.raise(SEGMENT_NOT_PRESENT, selector & 0xfffc);
    markAccessed(core, loaded);
    installSegment(core, segment, selector, loaded);
  }
  // Of a data segment the mode knows no more than this; an operating system loads several at each entry to it.
  if (segment === S.SS || !core.isProtected) updateMode(core);
  else if (isPlainData(core, segment) !== wasPlain) updateDataMode(core, segment);
}

function loadStackSegment(core: Core, selector: number): void {
  const cpl = core.cpl;
  if ((selector & 0xfffc) === 0) {
    // 64-bit mode runs on a null SS below CPL 3 (SDM 3A §5.4.1.1).
    if (!core.is64Bit || cpl === 3 || (selector & 3) !== cpl) core.raise(GENERAL_PROTECTION, 0);
    setNullSegment(core, S.SS, selector, cpl);
    return;
  }
  checkStackSegment(core, selector, cpl, GENERAL_PROTECTION, 0, loaded);
  markAccessed(core, loaded);
  installSegment(core, S.SS, selector, loaded);
}

/** A stack segment for privilege level `level`: writable data, RPL and DPL equal to it, present (#SS). `vector` says #GP or #TS. */
export function checkStackSegment(core: Core, selector: number, level: number, vector: number, external: number, into: Descriptor): void {
  const errorCode = (selector & 0xfffc) | external;
  readDescriptor(core, selector, vector, external, into);
  if ((selector & 3) !== level || into.isSystem || into.isCode || !into.isReadableOrWritable || into.privilege !== level) {
    core.raise(vector, errorCode);
  }
  if (!into.isPresent) core.raise(STACK_FAULT, errorCode);
}

/** DS, ES, FS and GS that a less privileged level may not keep become null (SDM 2, RET: return to outer privilege level). */
export function dropPrivilegedSegments(core: Core): void {
  const cpl = core.cpl;
  for (const segment of DATA_SEGMENTS) {
    const attributes = core.getSigned32(S.segmentAttributes(segment));
    const isConformingCode = (attributes & (ATTRIBUTE_CODE | ATTRIBUTE_DOWN_CONFORMING)) === (ATTRIBUTE_CODE | ATTRIBUTE_DOWN_CONFORMING);
    const privilege = (attributes >>> ATTRIBUTE_DPL_SHIFT) & 3;
    const isNull = (core.get32(S.segmentSelector(segment)) & 0xfffc) === 0;
    // A null selector keeps its hidden base: FS and GS bases set by MSR must outlive a return to user mode.
    if (!isNull && !isConformingCode && privilege < cpl) setNullSegment(core, segment, 0);
  }
}
const DATA_SEGMENTS = [S.ES, S.DS, S.FS, S.GS] as const;

/** All of `[offset, offset+size)` lies within the segment (SDM 3A §5.3). */
export function segmentHolds(attributes: number, limit: number, offset: number, size: number): boolean {
  if (attributes & ATTRIBUTE_UNUSABLE) return false;
  const last = offset + size - 1;
  const isDown =
    (attributes & (ATTRIBUTE_CODE | ATTRIBUTE_DOWN_CONFORMING | ATTRIBUTE_NOT_SYSTEM)) ===
    (ATTRIBUTE_DOWN_CONFORMING | ATTRIBUTE_NOT_SYSTEM);
  if (!isDown) return last <= limit;
  return offset > limit && last <= (attributes & ATTRIBUTE_DEFAULT_BIG ? 0xffff_ffff : 0xffff);
}

/**
 * A memory operand against its segment: #GP(0), or #SS(0) through SS, when the segment is null, of the wrong type or too short.
 * Not for 64-bit mode, which checks nothing here.
 */
export function checkSegment(core: Core, segment: number, offset: number, size: number, isRead: boolean, isWrite: boolean): void {
  const attributes = core.getSigned32(S.segmentAttributes(segment));
  let allowed = segmentHolds(attributes, core.get32(S.segmentLimit(segment)), offset, size);
  // Types bind in protected mode only: real mode writes through CS.
  if (allowed && core.isProtected) {
    const isCode = (attributes & ATTRIBUTE_CODE) !== 0;
    const hasRight = (attributes & ATTRIBUTE_READ_WRITE) !== 0;
    allowed = (!isWrite || (!isCode && hasRight)) && (!isRead || !isCode || hasRight);
  }
  if (!allowed) core.raise(segment === S.SS ? STACK_FAULT : GENERAL_PROTECTION, 0);
}

/** Checks where 64-bit mode does not, and gives the linear address. For operands that system code addresses by itself. */
export function checkedLinear(core: Core, segment: number, offset: number, size: number, isWrite: boolean): number {
  if (core.is64Bit) {
    return segment === S.FS || segment === S.GS ? core.getCanonical(S.segmentBase(segment)) + offset : offset;
  }
  checkSegment(core, segment, offset, size, !isWrite, isWrite);
  return (core.get32(S.segmentBase(segment)) + offset) >>> 0;
}

/** LLDT (SDM 2). */
export function loadLocalDescriptorTable(core: Core, selector: number): void {
  if ((selector & 0xfffc) === 0) {
    setNullSegment(core, S.LDTR, selector);
    return;
  }
  const errorCode = selector & 0xfffc;
  if (selector & 4) core.raise(GENERAL_PROTECTION, errorCode);
  readDescriptor(core, selector, GENERAL_PROTECTION, 0, loaded);
  if (!loaded.isSystem || loaded.type !== TYPE_LDT) core.raise(GENERAL_PROTECTION, errorCode);
  if (!loaded.isPresent) core.raise(SEGMENT_NOT_PRESENT, errorCode);
  if (core.isLongMode) readUpperHalf(core, selector, GENERAL_PROTECTION, 0, loaded);
  setSegment(core, S.LDTR, selector, systemBase(core, loaded), loaded.limit, loaded.attributes);
}

/** LTR (SDM 2): the TSS becomes busy. */
export function loadTaskRegister(core: Core, selector: number): void {
  const errorCode = selector & 0xfffc;
  if (errorCode === 0) core.raise(GENERAL_PROTECTION, 0);
  if (selector & 4) core.raise(GENERAL_PROTECTION, errorCode);
  readDescriptor(core, selector, GENERAL_PROTECTION, 0, loaded);
  const isAvailable = loaded.type === TYPE_TSS32 || (loaded.type === TYPE_TSS16 && !core.isLongMode);
  if (!loaded.isSystem || !isAvailable) core.raise(GENERAL_PROTECTION, errorCode);
  if (!loaded.isPresent) core.raise(SEGMENT_NOT_PRESENT, errorCode);
  if (core.isLongMode) readUpperHalf(core, selector, GENERAL_PROTECTION, 0, loaded);
  loaded.high |= TSS_BUSY << 8;
  core.mmu.storeSystem8(systemLinear(core, loaded.address + 5), (loaded.high >>> 8) & 0xff);
  setSegment(core, S.TR, selector, systemBase(core, loaded), loaded.limit, loaded.attributes);
}

function systemBase(core: Core, descriptor: Descriptor): number {
  const base = descriptor.base + (descriptor.upper | 0) * 0x1_0000_0000;
  if (base >= 2 ** 47 || base < -(2 ** 47)) core.raise(GENERAL_PROTECTION, 0);
  return base;
}
