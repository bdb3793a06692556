/**
 * The virtual-8086 extensions (CR4.VME) and protected-mode virtual interrupts (CR4.PVI): SDM 3B §20.3, §20.4. A program below
 * IOPL 3 keeps its own interrupt flag, VIF, which its CLI, STI, PUSHF, POPF and IRET work on; the system asks for its attention
 * with VIP; and INT n goes to the program's own handler where the TSS says so.
 */
import { ATTRIBUTE_UNUSABLE, CR4_PVI, CR4_VME } from '../x86/control.ts';
import { ARITHMETIC, DF, IF, IOPL, NT, TF, VIF, VIP } from '../x86/flags.ts';
import * as S from '../x86/state.ts';
import { GENERAL_PROTECTION } from '../x86/vectors.ts';
import type { Core } from './core.ts';
import { updateMode } from './mode.ts';
import { setVirtual8086Segment } from './segments.ts';
import { Stack } from './stack.ts';

/** Of the I/O map base in a 32-bit TSS; the 32 bytes below that base are the interrupt redirection bitmap (§20.2.5). */
const TSS_IO_MAP_BASE = 0x66;
const REDIRECTION_BYTES = 32;
const TSS32_TYPE = 8;
/** What a 16-bit image changes: IOPL stays, and IF goes to VIF. */
const IMAGE_FLAGS = ARITHMETIC | TF | DF | NT;

/** Virtual-8086 mode, as a question of privilege: the flags are the program's (IOPL 3), virtual (VME), or the system's (`false`). */
export function virtualFlags(core: Core): 'own' | 'virtual' | false {
  if ((core.getSigned32(S.SYSTEM_FLAGS) & IOPL) === IOPL) return 'own';
  return (core.getSigned32(S.CR4) & CR4_VME) !== 0 ? 'virtual' : false;
}

/** CLI and STI above IOPL: true when they may work on VIF instead (VME in virtual-8086 mode, PVI at level 3). */
export function hasVirtualInterruptFlag(core: Core): boolean {
  const extension = core.isVirtual8086 ? CR4_VME : core.cpl === 3 ? CR4_PVI : 0;
  return (core.getSigned32(S.CR4) & extension) !== 0;
}

/** STI must not be let through while an interrupt is pending for the program: the system delivers it. */
export function setVirtualInterruptFlag(core: Core, isOn: boolean): void {
  const flags = core.getSigned32(S.SYSTEM_FLAGS);
  if (isOn && (flags & VIP) !== 0) core.raise(GENERAL_PROTECTION, 0);
  core.set32(S.SYSTEM_FLAGS, isOn ? flags | VIF : flags & ~VIF);
}

/** FLAGS as the program sees them: IOPL 3, and VIF in the place of IF. */
export function virtualImage(core: Core): number {
  const flags = core.getFlags();
  return ((flags & ~IF) | IOPL | ((flags & VIF) !== 0 ? IF : 0)) & 0xffff;
}

/** A 16-bit image that POPF or IRET takes from the program's stack: refused when the system must see it. */
export function checkVirtualImage(core: Core, image: number): void {
  const opensInterrupts = (image & IF) !== 0 && (core.getSigned32(S.SYSTEM_FLAGS) & VIP) !== 0;
  if (opensInterrupts || (image & TF) !== 0) core.raise(GENERAL_PROTECTION, 0);
}

export function writeVirtualImage(core: Core, image: number): void {
  const kept = core.getFlags() & ~IMAGE_FLAGS & ~VIF;
  core.setFlags(kept | (image & IMAGE_FLAGS) | ((image & IF) !== 0 ? VIF : 0));
}

/** INT n in virtual-8086 mode, to the handler in the program's own vector table at linear address 0. False: not by this way (§20.3.3). */
export function redirectInterrupt(core: Core, vector: number): boolean {
  if ((core.getSigned32(S.CR4) & CR4_VME) === 0 || !isRedirected(core, vector)) return false;
  const isOwn = virtualFlags(core) === 'own';
  const stack = new Stack(core).open();
  const handler = core.mmu.load32(vector * 4);
  if ((handler & 0xffff) > core.get32(S.segmentLimit(S.CS))) core.raise(GENERAL_PROTECTION, 0);
  stack.push(2, isOwn ? core.getFlags() & 0xffff : virtualImage(core));
  stack.push(2, core.get32(S.segmentSelector(S.CS)));
  stack.push(2, core.getCanonical(S.NEXT_RIP) & 0xffff);
  stack.commit();
  core.set32(S.SYSTEM_FLAGS, core.getSigned32(S.SYSTEM_FLAGS) & ~(TF | NT | (isOwn ? IF : VIF)));
  setVirtual8086Segment(core, S.CS, handler >>> 16);
  updateMode(core);
  core.jumpTo(handler & 0xffff);
  return true;
}

/** The vector's bit in the bitmap of the TSS is clear. */
function isRedirected(core: Core, vector: number): boolean {
  const attributes = core.getSigned32(S.segmentAttributes(S.TR));
  const limit = core.get32(S.segmentLimit(S.TR));
  const isTss32 = (attributes & ATTRIBUTE_UNUSABLE) === 0 && (attributes & TSS32_TYPE) !== 0;
  if (!isTss32 || limit < TSS_IO_MAP_BASE + 1) core.raise(GENERAL_PROTECTION, 0);
  const base = core.get32(S.segmentBase(S.TR));
  const at = core.mmu.loadSystem16((base + TSS_IO_MAP_BASE) >>> 0) - REDIRECTION_BYTES + (vector >>> 3);
  if (at < 0 || at > limit) core.raise(GENERAL_PROTECTION, 0);
  return ((core.mmu.loadSystem8((base + at) >>> 0) >>> (vector & 7)) & 1) === 0;
}
