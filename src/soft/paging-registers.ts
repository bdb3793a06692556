/** The four PDPTEs of PAE paging, which MOV to CR3 and friends load into registers (SDM 3A §4.4.1). */
import { EFER_LMA, CR0_PG, CR4_PAE } from '../x86/control.ts';
import * as S from '../x86/state.ts';
import { GENERAL_PROTECTION } from '../x86/vectors.ts';
import type { Core } from './core.ts';

const PRESENT = 1;
/** Bits 8:5 and 2:1 of a present PDPTE (SDM 3A table 4-8). */
const RESERVED_LOW = 0x1e6;
/** Bits 63:40. */
const RESERVED_HIGH = 0xffff_ff00;

/** Raises #GP(0), and changes nothing, when a present entry has a reserved bit set. */
export function loadPageDirectoryPointers(core: Core, cr3: number): void {
  const table = (cr3 & ~31) >>> 0;
  for (let i = 0; i < 4; i++) {
    const low = core.mmu.loadPhysical32(table + i * 8);
    const high = core.mmu.loadPhysical32(table + i * 8 + 4);
    if ((low & PRESENT) !== 0 && ((low & RESERVED_LOW) !== 0 || (high & RESERVED_HIGH) !== 0)) core.raise(GENERAL_PROTECTION, 0);
  }
  for (let i = 0; i < 8; i++) core.set32(S.PDPTE + i * 4, core.mmu.loadPhysical32(table + i * 4));
}

/** PAE paging as these control-register values give it. */
export function isPaePaging(cr0: number, cr4: number, efer: number): boolean {
  return (cr0 & CR0_PG) !== 0 && (cr4 & CR4_PAE) !== 0 && (efer & EFER_LMA) === 0;
}
