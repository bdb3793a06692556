/**
 * The operands of a decoded record, for system code in TypeScript: effective addresses and values by size, with the rules
 * for partial registers (SDM 1 §3.4.1.1: a 32-bit result clears the upper half, 8- and 16-bit results keep the rest).
 */
import * as R from '../x86/record.ts';
import * as S from '../x86/state.ts';
import { GENERAL_PROTECTION, STACK_FAULT } from '../x86/vectors.ts';
import type { Core } from './core.ts';

const TWO_32 = 0x1_0000_0000;

export function infoOf(core: Core, record: number): number {
  return core.u16[(record + R.INFO) >>> 1] as number;
}
/** Operand size in bytes: 1, 2, 4, 8 or 16. */
export function operandSize(core: Core, record: number): number {
  return 1 << (infoOf(core, record) & R.INFO_SIZE);
}
export function namesMemory(core: Core, record: number): boolean {
  return (infoOf(core, record) & R.INFO_MEMORY) !== 0;
}
/** 2, 4 or 8. */
export function addressSize(core: Core, record: number): number {
  return 2 << ((infoOf(core, record) >>> R.INFO_ADDRESS_SHIFT) & 3);
}
/** The segment register that the memory operand is in. */
export function segmentOf(core: Core, record: number): number {
  return (infoOf(core, record) >>> R.INFO_SEGMENT_SHIFT) & 7;
}
/** ModRM.reg where it names a segment, control or debug register. */
export function specialRegister(core: Core, record: number): number {
  return infoOf(core, record) >>> R.INFO_REG_SHIFT;
}
/** State offsets of the registers that ModRM.rm and ModRM.reg name. */
export function rmOffset(core: Core, record: number): number {
  return core.u16[(record + R.RM) >>> 1] as number;
}
export function regOffset(core: Core, record: number): number {
  return core.u16[(record + R.REG) >>> 1] as number;
}
/** Low 32 bits of the immediate, signed. */
export function immediate(core: Core, record: number): number {
  return core.i32[(record + R.IMM) >>> 2] as number;
}
export function immediateHigh(core: Core, record: number): number {
  return core.i32[(record + R.IMM + 4) >>> 2] as number;
}
export function displacement(core: Core, record: number): number {
  return core.i32[(record + R.DISP) >>> 2] as number;
}

/** The two halves of the last offset computed: no allocation, and no second result. */
let offsetLow = 0;
let offsetHigh = 0;

/** base + index·scale + displacement modulo 2^64, into `offsetLow` and `offsetHigh` (unsigned, signed). */
function computeOffset(core: Core, record: number): void {
  const base = (core.base + (core.u16[(record + R.BASE) >>> 1] as number)) >>> 2;
  const index = (core.base + (core.u16[(record + R.INDEX) >>> 1] as number)) >>> 2;
  const scale = core.u8[record + R.SCALE] as number;
  const displacementLow = displacement(core, record);
  const indexLow = core.u32[index] as number;
  const indexHigh = core.u32[index + 1] as number;
  const scaledHigh = scale === 0 ? indexHigh : (indexHigh << scale) | (indexLow >>> (32 - scale));
  const sum = (core.u32[base] as number) + ((indexLow << scale) >>> 0) + (displacementLow >>> 0);
  offsetLow = sum >>> 0;
  offsetHigh = ((core.i32[base + 1] as number) + scaledHigh + (displacementLow >> 31) + Math.floor(sum / TWO_32)) | 0;
  const size = addressSize(core, record);
  if (size === 8) return;
  offsetHigh = 0;
  if (size === 2) offsetLow &= 0xffff;
}

/**
 * The offset of the memory operand in its segment, masked to the address size. In 64-bit mode signed; when it is not
 * canonical it is only known to lie outside ±2^47.
 */
export function effectiveOffset(core: Core, record: number): number {
  computeOffset(core, record);
  return offsetHigh * TWO_32 + offsetLow;
}

/** The linear address of the memory operand, segment base included. Raises #GP(0) or #SS(0) when it is not canonical. */
export function effectiveAddress(core: Core, record: number): number {
  computeOffset(core, record);
  const segment = (core.base + (core.u16[(record + R.SEGMENT) >>> 1] as number)) >>> 2;
  const sum = offsetLow + (core.u32[segment] as number);
  if (!core.is64Bit) return sum >>> 0;
  const high = (offsetHigh + (core.i32[segment + 1] as number) + (sum >= TWO_32 ? 1 : 0)) | 0;
  if ((high + 0x8000) >>> 16 !== 0) {
    core.raise(segmentOf(core, record) === S.SS ? STACK_FAULT : GENERAL_PROTECTION, 0);
  }
  return high * TWO_32 + (sum >>> 0);
}

/** Linear address of `offset` in `segment`; outside 64-bit mode modulo 4 GiB. In 64-bit mode only FS and GS have a base. */
export function linearAddress(core: Core, segment: number, offset: number): number {
  if (!core.is64Bit) return (core.get32(S.segmentBase(segment)) + offset) >>> 0;
  return segment === S.FS || segment === S.GS ? core.getCanonical(S.segmentBase(segment)) + offset : offset;
}

/** A register's low `size` bytes, unsigned; for 8 see {@link readRegister64}. */
export function readRegister(core: Core, offset: number, size: number): number {
  const at = core.base + offset;
  if (size === 1) return core.u8[at] as number;
  if (size === 2) return core.u16[at >>> 1] as number;
  return core.u32[at >>> 2] as number;
}
export function readRegister64(core: Core, offset: number): bigint {
  return core.get64(offset);
}
/** Writes 1, 2 or 4 bytes; 4 clear the upper half. */
export function writeRegister(core: Core, offset: number, size: number, value: number): void {
  const at = core.base + offset;
  if (size === 1) core.u8[at] = value;
  else if (size === 2) core.u16[at >>> 1] = value;
  else {
    core.u32[at >>> 2] = value;
    core.u32[(at >>> 2) + 1] = 0;
  }
}
/** Writes `size` bytes of a value of any size, including 8. */
export function writeRegisterBig(core: Core, offset: number, size: number, value: bigint): void {
  if (size === 8) core.set64(offset, value);
  else writeRegister(core, offset, size, Number(BigInt.asUintN(32, value)));
}
export function readRegisterBig(core: Core, offset: number, size: number): bigint {
  return size === 8 ? core.get64(offset) : BigInt(readRegister(core, offset, size));
}

export function loadSized(core: Core, linear: number, size: number): number {
  if (size === 1) return core.mmu.load8(linear);
  if (size === 2) return core.mmu.load16(linear);
  return core.mmu.load32(linear);
}
export function storeSized(core: Core, linear: number, size: number, value: number): void {
  if (size === 1) core.mmu.store8(linear, value);
  else if (size === 2) core.mmu.store16(linear, value);
  else core.mmu.store32(linear, value);
}

/** The ModRM.rm operand, 1, 2 or 4 bytes, unsigned. */
export function readRm(core: Core, record: number, size: number): number {
  if (namesMemory(core, record)) return loadSized(core, effectiveAddress(core, record), size);
  return readRegister(core, rmOffset(core, record), size);
}
export function writeRm(core: Core, record: number, size: number, value: number): void {
  if (namesMemory(core, record)) storeSized(core, effectiveAddress(core, record), size, value);
  else writeRegister(core, rmOffset(core, record), size, value);
}
/** The same at any size, 8 included. */
export function readRmBig(core: Core, record: number, size: number): bigint {
  if (size !== 8) return BigInt(readRm(core, record, size));
  return namesMemory(core, record) ? core.mmu.load64(effectiveAddress(core, record)) : core.get64(rmOffset(core, record));
}
export function writeRmBig(core: Core, record: number, size: number, value: bigint): void {
  if (size !== 8) writeRm(core, record, size, Number(BigInt.asUintN(32, value)));
  else if (namesMemory(core, record)) core.mmu.store64(effectiveAddress(core, record), value);
  else core.set64(rmOffset(core, record), value);
}
/** The ModRM.reg operand, 1, 2 or 4 bytes, unsigned. */
export function readReg(core: Core, record: number, size: number): number {
  return readRegister(core, regOffset(core, record), size);
}
export function writeReg(core: Core, record: number, size: number, value: number): void {
  writeRegister(core, regOffset(core, record), size, value);
}
