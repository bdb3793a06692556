/**
 * The SSE unit in the vCPU's state block: whether it may be used, MXCSR, operands, and the end of an instruction that can raise SIMD
 * floating-point exceptions (SDM 1 §10.2.3, §11.5; SDM 3A §13.1).
 */
import { CR0_EM, CR0_TS, CR4_OSFXSR, CR4_OSXMMEXCPT } from '../../x86/control.ts';
import { IMM, REG, RM } from '../../x86/record.ts';
import * as S from '../../x86/state.ts';
import { DEVICE_NOT_AVAILABLE, FLOATING_POINT, GENERAL_PROTECTION, INVALID_OPCODE, SIMD_FLOATING_POINT } from '../../x86/vectors.ts';
import { type Core, GUEST_FAULT } from '../core.ts';
import { ALL_EXCEPTIONS, FloatEnvironment } from '../float/environment.ts';
import { effectiveAddress, namesMemory } from '../operands.ts';

export const MXCSR_DAZ = 1 << 6;
export const MXCSR_FZ = 1 << 15;
const MXCSR_MASKS_SHIFT = 7;
const MXCSR_RC_SHIFT = 13;
const FSW_ERROR_SUMMARY = 1 << 7;
const FSW_TOP = 7 << 11;
const TWO_32 = 0x1_0000_0000;

/** One for all: operations never nest. SSE has no wrapped results: an unmasked exception leaves the destination alone. */
export const environment: FloatEnvironment = new FloatEnvironment();

/** #UD without operating-system support or with emulation, #NM after a task switch (SDM 2A table 2-21 ff.). */
export function requireSse(core: Core): void {
  const cr0 = core.get32(S.CR0);
  if (cr0 & CR0_EM || !(core.get32(S.CR4) & CR4_OSFXSR)) core.raise(INVALID_OPCODE);
  if (cr0 & CR0_TS) core.raise(DEVICE_NOT_AVAILABLE);
}

/** MMX shares the x87's registers, and waits for its exceptions (SDM 1 §12.5, SDM 3A §12.1). */
export function requireMmx(core: Core): void {
  const cr0 = core.get32(S.CR0);
  if (cr0 & CR0_EM) core.raise(INVALID_OPCODE);
  if (cr0 & CR0_TS) core.raise(DEVICE_NOT_AVAILABLE);
  if (core.get32(S.FSW) & FSW_ERROR_SUMMARY) core.raise(FLOATING_POINT);
}

/** Every MMX instruction but EMMS makes all registers valid and TOP 0 (SDM 1 §9.5.1). */
export function enterMmx(core: Core): void {
  core.set32(S.FTW, 0);
  core.set32(S.FSW, core.get32(S.FSW) & ~FSW_TOP);
}

/** Writing an MMX register sets the exponent part of the x87 register to ones (SDM 1 §9.2.2). `offset` is the register's. */
export function markMmx(core: Core, offset: number): void {
  core.u16[(core.base + offset + 8) >>> 1] = 0xffff;
}

export function prepare(core: Core): FloatEnvironment {
  const control = core.get32(S.MXCSR);
  environment.rounding = (control >> MXCSR_RC_SHIFT) & 3;
  environment.masks = (control >> MXCSR_MASKS_SHIFT) & ALL_EXCEPTIONS;
  environment.flushToZero = (control & MXCSR_FZ) !== 0;
  environment.denormalsAreZero = (control & MXCSR_DAZ) !== 0;
  environment.flags = 0;
  return environment;
}

/** Flags become sticky; an unmasked one is raised before anything is written: #XM, or #UD without OSXMMEXCPT (SDM 1 §11.5.1). */
export function settle(core: Core): void {
  core.set32(S.MXCSR, core.get32(S.MXCSR) | environment.flags);
  if (environment.faulted) core.raise(core.get32(S.CR4) & CR4_OSXMMEXCPT ? SIMD_FLOATING_POINT : INVALID_OPCODE);
}

export const immediate = (core: Core, record: number): number => core.u8[record + IMM] as number;
/** State offsets of the registers that ModRM.reg and ModRM.rm name. */
export const regOffset = (core: Core, record: number): number => core.u16[(record + REG) >>> 1] as number;
export const rmOffset = (core: Core, record: number): number => core.u16[(record + RM) >>> 1] as number;

/** Host offset of the source operand's `bytes`: the register, or memory; 16 aligned bytes where `aligned`. */
export function sourceOffset(core: Core, record: number, bytes: number, aligned: boolean): number {
  if (!namesMemory(core, record)) return core.base + rmOffset(core, record);
  const address = effectiveAddress(core, record);
  if (aligned && address % 16 !== 0) core.raise(GENERAL_PROTECTION, 0);
  const host = core.mmu.readSlow(address | 0, Math.floor(address / TWO_32) | 0, bytes);
  if (host === 0) throw GUEST_FAULT;
  return host;
}
