/**
 * The fields of the state block that follow from others: how code is decoded, how addresses and the stack pointer are
 * masked, which TLBs apply, which instructions exist. {@link updateMode} is called after every change of CR0, CR4, EFER, RFLAGS.VM,
 * RFLAGS.AC (with SMAP), CPL or a segment register.
 */
import {
  ATTRIBUTE_CODE,
  ATTRIBUTE_DEFAULT_BIG,
  ATTRIBUTE_DOWN_CONFORMING,
  ATTRIBUTE_LONG,
  ATTRIBUTE_NOT_SYSTEM,
  ATTRIBUTE_PRESENT,
  ATTRIBUTE_READ_WRITE,
  ATTRIBUTE_UNUSABLE,
  CR0_EM,
  CR0_PE,
  CR0_TS,
  CR4_OSFXSR,
  EFER_LMA,
} from '../x86/control.ts';
import { VM } from '../x86/flags.ts';
import * as S from '../x86/state.ts';
import type { Core } from './core.ts';

export function updateMode(core: Core): void {
  const isProtectedMode = (core.getSigned32(S.CR0) & CR0_PE) !== 0;
  const isVirtual8086 = isProtectedMode && (core.getSigned32(S.SYSTEM_FLAGS) & VM) !== 0;
  if (!isProtectedMode) core.set32(S.CPL, 0);
  else if (isVirtual8086) core.set32(S.CPL, 3);

  const codeAttributes = core.getSigned32(S.segmentAttributes(S.CS));
  const isLong = (core.getSigned32(S.EFER) & EFER_LMA) !== 0;
  const is64Bit = isLong && isProtectedMode && (codeAttributes & ATTRIBUTE_LONG) !== 0;
  let mode = is64Bit ? S.MODE_CODE_64 : codeAttributes & ATTRIBUTE_DEFAULT_BIG ? S.MODE_CODE_32 : S.MODE_CODE_16;
  if (isProtectedMode && !isVirtual8086) mode |= S.MODE_PROTECTED;
  if (!is64Bit) {
    if (!isFlatCode(core) || !isFlatData(core, S.SS) || !isFlatData(core, S.DS) || !isFlatData(core, S.ES)) mode |= S.MODE_SEGMENTED;
    if (!isUnlimitedData(core, S.FS)) mode |= S.MODE_FS_CHECKED;
    if (!isUnlimitedData(core, S.GS)) mode |= S.MODE_GS_CHECKED;
  }
  const isBigStack = (core.getSigned32(S.segmentAttributes(S.SS)) & ATTRIBUTE_DEFAULT_BIG) !== 0;
  // A 16-bit stack under 32-bit code is as unusual as a segment with a limit: translated code need not know of it.
  if ((mode & S.MODE_CODE_SIZE) === S.MODE_CODE_32 && !isBigStack) mode |= S.MODE_SEGMENTED;
  if ((core.getSigned32(S.CR0) & (CR0_EM | CR0_TS)) !== 0) mode |= S.MODE_FPU_OFF;
  if ((core.getSigned32(S.CR4) & CR4_OSFXSR) !== 0) mode |= S.MODE_SSE_ENABLED;
  setMode(core, mode);
  // Outside 64-bit mode the upper halves are undefined (SDM 1 §3.4.1.1). They are 0, so that translated code need not keep them.
  if (!is64Bit) for (let n = S.RAX; n <= S.RDI; n++) core.i32[(core.base + S.gpr(n) + 4) >>> 2] = 0;

  // 64-bit fields are written by halves: this runs at every change of privilege.
  setHalves(core, S.LINEAR_MASK, -1, is64Bit ? -1 : 0);
  setHalves(core, S.STACK_MASK, is64Bit || isBigStack ? -1 : 0xffff, is64Bit ? -1 : 0);
  setHalves(core, S.CODE_BASE, is64Bit ? 0 : core.getSigned32(S.segmentBase(S.CS)), 0);
  setHalves(core, S.STACK_BASE, is64Bit ? 0 : core.getSigned32(S.segmentBase(S.SS)), 0);
  core.mmu.setPrivilege();
}

function setMode(core: Core, mode: number): void {
  core.set32(S.MODE, mode);
  setHalves(core, S.DECODE_KEY, 0, mode << 8);
}

/** The same when in protected mode nothing changed but a data segment. */
export function updateDataMode(core: Core, segment: number): void {
  if (segment !== S.FS && segment !== S.GS) {
    updateMode(core);
    return;
  }
  if (core.is64Bit) return;
  const isChecked = segment === S.FS ? S.MODE_FS_CHECKED : S.MODE_GS_CHECKED;
  const others = core.getSigned32(S.MODE) & ~isChecked;
  setMode(core, isUnlimitedData(core, segment) ? others : others | isChecked);
}

function setHalves(core: Core, offset: number, low: number, high: number): void {
  const word = (core.base + offset) >>> 2;
  core.i32[word] = low;
  core.i32[word + 1] = high;
}

/** A readable and writable expand-up segment of 4 GiB, wherever it begins. */
function isUnlimitedData(core: Core, segment: number): boolean {
  const wanted = ATTRIBUTE_PRESENT | ATTRIBUTE_NOT_SYSTEM | ATTRIBUTE_READ_WRITE;
  const others = ATTRIBUTE_CODE | ATTRIBUTE_DOWN_CONFORMING | ATTRIBUTE_UNUSABLE;
  return (
    (core.getSigned32(S.segmentAttributes(segment)) & (wanted | others)) === wanted && core.get32(S.segmentLimit(segment)) === 0xffff_ffff
  );
}

function isFlatData(core: Core, segment: number): boolean {
  return isUnlimitedData(core, segment) && core.get32(S.segmentBase(segment)) === 0;
}

/** The mode need not know of this data segment: accesses through it need no checks. */
export function isPlainData(core: Core, segment: number): boolean {
  return segment >= S.FS ? isUnlimitedData(core, segment) : isFlatData(core, segment);
}

/** A readable code segment of 4 GiB at 0. Stores through CS are refused when they are decoded. */
function isFlatCode(core: Core): boolean {
  const wanted = ATTRIBUTE_PRESENT | ATTRIBUTE_NOT_SYSTEM | ATTRIBUTE_READ_WRITE;
  return (
    (core.getSigned32(S.segmentAttributes(S.CS)) & (wanted | ATTRIBUTE_UNUSABLE)) === wanted &&
    core.get32(S.segmentLimit(S.CS)) === 0xffff_ffff &&
    core.get32(S.segmentBase(S.CS)) === 0
  );
}
