/** Processor state at power-up and after INIT (SDM 3A table 10-1). */
import {
  ATTRIBUTE_ACCESSED, ATTRIBUTE_CODE, ATTRIBUTE_NOT_SYSTEM, ATTRIBUTE_PRESENT, ATTRIBUTE_READ_WRITE, CR0_CD, CR0_ET, CR0_NW,
} from '../x86/control.ts';
import * as S from '../x86/state.ts';
import type { Core } from './core.ts';
import { updateMode } from './mode.ts';

const DATA = ATTRIBUTE_PRESENT | ATTRIBUTE_NOT_SYSTEM | ATTRIBUTE_READ_WRITE | ATTRIBUTE_ACCESSED;
const CODE = DATA | ATTRIBUTE_CODE;
const LDT_TYPE = 2;
const BUSY_TSS_TYPE = 11;
/** EDX: family 6, as CPUID leaf 1 EAX would read. */
const SIGNATURE = 0x0000_06f0n;
/** Fast strings, MONITOR; branch trace storage and PEBS are not available (SDM 4 table 2-2). */
const MISC_ENABLE = 0x4_1801n;
/** PA0–PA7: WB WT UC− UC, twice (SDM 3A §12.12.4). */
const PAT_AT_RESET = 0x0007_0406_0007_0406n;

/** `init`: keeps what INIT keeps: CR0.CD and NW, x87 and SSE state, MSRs, TSC. */
export function powerOn(core: Core, init: boolean): void {
  const kept = init ? core.get32(S.CR0) & (CR0_CD | CR0_NW) : CR0_CD | CR0_NW;
  const firstKept = S.MSR_STAR;
  core.mmu.forgetLine();
  core.u8.fill(0, core.base, core.base + (init ? firstKept : S.STATE_SIZE));
  core.set32(S.PAUSE_YIELDS, core.isAlone ? 0 : 1);
  core.set64(S.gpr(S.RDX), SIGNATURE);
  core.set64(S.RIP, 0xfff0n);
  core.setFlags(2);
  core.set32(S.CR0, (kept | CR0_ET) >>> 0);
  for (let segment = S.ES; segment <= S.TR; segment++) {
    core.set32(S.segmentLimit(segment), 0xffff);
    core.set32(S.segmentSelector(segment), 0);
    core.set64(S.segmentBase(segment), 0n);
    core.set32(S.segmentAttributes(segment), DATA);
  }
  core.set32(S.segmentSelector(S.CS), 0xf000);
  core.set64(S.segmentBase(S.CS), 0xffff_0000n);
  core.set32(S.segmentAttributes(S.CS), CODE);
  core.set32(S.segmentAttributes(S.LDTR), ATTRIBUTE_PRESENT | LDT_TYPE);
  core.set32(S.segmentAttributes(S.TR), ATTRIBUTE_PRESENT | BUSY_TSS_TYPE);
  core.set32(S.GDTR_LIMIT, 0xffff);
  core.set32(S.IDTR_LIMIT, 0xffff);
  core.set64(S.DR + 6 * 8, 0xffff_0ff0n);
  core.set64(S.DR + 7 * 8, 0x400n);
  core.set32(S.FAULT_VECTOR, 0xffff_ffff);
  core.set32(S.NMI_BLOCKED, 0);
  if (!init) {
    core.set64(S.MSR_PAT, PAT_AT_RESET);
    core.set64(S.MSR_MISC_ENABLE, MISC_ENABLE);
    core.set64(S.XCR0, 1n);
    core.set32(S.FCW, 0x040);
    core.set32(S.FTW, 0x5555);
    core.set32(S.MXCSR, 0x1f80);
  }
  core.breakpoints.pending = 0;
  core.breakpoints.update();
  core.mmu.flush();
  updateMode(core);
}

/** SIPI: CS = vector·256, IP = 0 (SDM 3A §9.4.3). */
export function startUp(core: Core, vector: number): void {
  core.set32(S.segmentSelector(S.CS), vector << 8);
  core.set64(S.segmentBase(S.CS), BigInt(vector) << 12n);
  core.set64(S.RIP, 0n);
  core.set32(S.ACTIVITY, S.ACTIVITY_RUNNING);
  updateMode(core);
}
