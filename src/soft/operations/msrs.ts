/**
 * Model-specific registers (SDM 4): RDMSR, WRMSR, and the time-stamp counter. What lies outside the core (local APIC, TSC
 * deadline) is asked of the wiring; what nobody knows raises #GP(0). Machine-check registers are in machine-check.ts.
 *
 * Not modelled: performance monitoring, effects of MTRRs and PAT.
 */
import { CR0_PG, CR4_TSD, EFER_LMA, EFER_LME, EFER_NXE, EFER_SCE } from '../../x86/control.ts';
import * as S from '../../x86/state.ts';
import { GENERAL_PROTECTION } from '../../x86/vectors.ts';
import type { Core } from '../core.ts';
import { MACHINE_CHECK_BANKS, readBank, writeBank, writeStatus } from '../machine-check.ts';
import { updateMode } from '../mode.ts';
import { writeRegister } from '../operands.ts';
import { requireSupervisor, type SystemOperations } from './operation.ts';

interface Msr {
  readonly read: (core: Core) => bigint;
  /** False: the value is not allowed (#GP). Absent: read-only. */
  readonly write?: (core: Core, value: bigint) => boolean;
  /** Exists with this feature only (SDM 4 table 2-2). */
  readonly feature?: string;
}

const EFER_WRITABLE = BigInt(EFER_SCE | EFER_LME | EFER_LMA | EFER_NXE);
/** 8 variable ranges, fixed ranges, write-combining (SDM 3A §11.11.1). */
const MTRR_CAP = 0x508n;
/**
 * IA32_ARCH_CAPABILITIES: nothing here speculates, so RDCL, L1TF, SSB, MDS, page-size-change, TAA, stale-data, BHI, GDS and RFDS flaws
 * are absent (SDM 4 table 2-2).
 */
const ARCH_CAPABILITIES = 0x0c10_e179n;
/** MSR_PLATFORM_INFO: maximum non-turbo ratio 10 × 100 MHz. */
const PLATFORM_INFO = 0x0a00n;

/** MSR_FSB_FREQ of an Atom: 100 MHz (SDM 4 table 2-4). */
const FSB_FREQUENCY = 0b101n;

const isCanonical = (value: bigint): boolean => BigInt.asUintN(64, BigInt.asIntN(48, value)) === value;

const stored = (offset: number, isAllowed: (value: bigint) => boolean = () => true): Msr => ({
  read: (core) => core.get64(offset),
  write: (core, value) => {
    if (!isAllowed(value)) return false;
    core.set64(offset, value);
    return true;
  },
});
const canonical = (offset: number): Msr => stored(offset, isCanonical);
const constant = (value: bigint): Msr => ({ read: () => value });
const withFeature = (feature: string, msr: Msr): Msr => ({ ...msr, feature });

/** Every byte names a memory type that exists (SDM 3A table 11-10). */
const isPat = (value: bigint): boolean => {
  for (let i = 0n; i < 64n; i += 8n) {
    const type = Number((value >> i) & 0xffn);
    if (type > 7 || type === 2 || type === 3) return false;
  }
  return true;
};

/** The counter as the guest sees it. */
export function timestamp(core: Core): bigint {
  return BigInt.asUintN(64, BigInt(core.wiring.timestamp()) + core.get64(S.TSC_OFFSET));
}

/** SDM 3B §17.17.3: writes of the counter show in the adjustment, and the other way round. */
function moveTimestamp(core: Core, delta: bigint): true {
  core.set64(S.TSC_OFFSET, core.get64(S.TSC_OFFSET) + delta);
  core.set64(S.MSR_TSC_ADJUST, core.get64(S.MSR_TSC_ADJUST) + delta);
  return true;
}

const IA32_TSC_DEADLINE = 0x6e0;

const MSRS: ReadonlyMap<number, Msr> = new Map<number, Msr>([
  // The machine-check registers of the Pentium (P5_MC_ADDR, P5_MC_TYPE): nothing ever happened.
  [0x0, constant(0n)],
  [0x1, constant(0n)],
  [0x10, { read: timestamp, write: (core, value) => moveTimestamp(core, value - timestamp(core)) }],
  [0x17, constant(0n)],
  // MSR_EBL_CR_POWERON, which systems read on every processor of this family (SDM 4 table 2-4): nothing was strapped.
  [0x2a, constant(0n)],
  [0x3a, constant(1n)],
  [
    0x3b,
    {
      read: (core) => core.get64(S.MSR_TSC_ADJUST),
      write: (core, value) => moveTimestamp(core, value - core.get64(S.MSR_TSC_ADJUST)),
      feature: 'tsc_adjust',
    },
  ],
  [0x8b, stored(S.MSR_BIOS_SIGN_ID)],
  [0xcd, constant(FSB_FREQUENCY)],
  [0xce, constant(PLATFORM_INFO)],
  [0xfe, constant(MTRR_CAP)],
  [0x10a, withFeature('arch_capabilities', constant(ARCH_CAPABILITIES))],
  [0x174, stored(S.MSR_SYSENTER_CS, (value) => value <= 0xffff_ffffn)],
  [0x175, canonical(S.MSR_SYSENTER_ESP)],
  [0x176, canonical(S.MSR_SYSENTER_EIP)],
  [0x179, withFeature('mca', constant(BigInt(MACHINE_CHECK_BANKS)))],
  [0x17a, { read: (core) => core.get64(S.MSR_MCG_STATUS), write: writeStatus, feature: 'mca' }],
  [0x1a0, stored(S.MSR_MISC_ENABLE)],
  // IA32_DEBUGCTL: last branches are not recorded, single steps stop at every instruction; so there is nothing to turn on.
  [0x1d9, { read: () => 0n, write: (_, value) => value === 0n }],
  [0x277, stored(S.MSR_PAT, isPat)],
  [0x2ff, stored(S.MSR_MTRR_DEF_TYPE, (value) => (value & ~0xcffn) === 0n)],
  ...Array.from({ length: 16 }, (_, i): [number, Msr] => [0x200 + i, stored(S.MSR_MTRR_VARIABLE + i * 8)]),
  ...[0x250, 0x258, 0x259, 0x268, 0x269, 0x26a, 0x26b, 0x26c, 0x26d, 0x26e, 0x26f].map((index, i): [number, Msr] => [
    index,
    stored(S.MSR_MTRR_FIXED + i * 8),
  ]),
  [0xc000_0080, { read: (core) => BigInt(core.get32(S.EFER)), write: writeEfer }],
  [0xc000_0081, stored(S.MSR_STAR)],
  [0xc000_0082, canonical(S.MSR_LSTAR)],
  [0xc000_0083, canonical(S.MSR_CSTAR)],
  [0xc000_0084, stored(S.MSR_SFMASK, (value) => value <= 0xffff_ffffn)],
  [0xc000_0100, canonical(S.segmentBase(S.FS))],
  [0xc000_0101, canonical(S.segmentBase(S.GS))],
  [0xc000_0102, canonical(S.MSR_KERNEL_GS_BASE)],
  [0xc000_0103, withFeature('rdtscp', stored(S.MSR_TSC_AUX, (value) => value <= 0xffff_ffffn))],
]);

/** LME cannot change while paging is on; LMA follows CR0.PG and is not written (SDM 3A §10.8.5). */
function writeEfer(core: Core, value: bigint): boolean {
  if ((value & ~EFER_WRITABLE) !== 0n) return false;
  const old = core.get32(S.EFER);
  const next = (Number(value) & ~EFER_LMA) | (old & EFER_LMA);
  if (((old ^ next) & EFER_LME) !== 0 && (core.getSigned32(S.CR0) & CR0_PG) !== 0) return false;
  core.set32(S.EFER, next);
  if (((old ^ next) & EFER_NXE) !== 0) core.mmu.flush();
  updateMode(core);
  return true;
}

function registerOf(core: Core, index: number): Msr | undefined {
  const msr = MSRS.get(index);
  return msr?.feature === undefined || core.features.has(msr.feature) ? msr : undefined;
}

/** undefined: no such register. */
export function readMsr(core: Core, index: number): bigint | undefined {
  const msr = registerOf(core, index);
  if (msr) return BigInt.asUintN(64, msr.read(core));
  const value = readBank(core, index) ?? core.wiring.readMsr(index);
  // The deadline is kept by the local APIC, which knows the counter without this core's offset; 0 is "disarmed".
  return index === IA32_TSC_DEADLINE && value !== undefined && value !== 0n ? BigInt.asUintN(64, value + core.get64(S.TSC_OFFSET)) : value;
}

/** False: no such register, or not with this value. */
export function writeMsr(core: Core, index: number, value: bigint): boolean {
  const msr = registerOf(core, index);
  if (!msr) {
    if (writeBank(core, index, value)) return true;
    const offset = index === IA32_TSC_DEADLINE && value !== 0n ? core.get64(S.TSC_OFFSET) : 0n;
    return core.wiring.writeMsr(index, BigInt.asUintN(64, value - offset));
  }
  return msr.write?.(core, value) ?? false;
}

const EAX = S.gpr(S.RAX);
const ECX = S.gpr(S.RCX);
const EDX = S.gpr(S.RDX);

function writeEdxEax(core: Core, value: bigint): void {
  writeRegister(core, EAX, 4, Number(value & 0xffff_ffffn));
  writeRegister(core, EDX, 4, Number((value >> 32n) & 0xffff_ffffn));
}

/** RDTSC is read in loops: the sum by halves, without a BigInt. */
function readTimestamp(core: Core): void {
  if ((core.getSigned32(S.CR4) & CR4_TSD) !== 0 && core.cpl !== 0) core.raise(GENERAL_PROTECTION, 0);
  const ticks = core.wiring.timestamp();
  const offset = (core.base + S.TSC_OFFSET) >>> 2;
  const low = (ticks >>> 0) + (core.u32[offset] as number);
  const high = Math.floor(ticks / 0x1_0000_0000) + (core.u32[offset + 1] as number) + (low > 0xffff_ffff ? 1 : 0);
  writeRegister(core, EAX, 4, low);
  writeRegister(core, EDX, 4, high);
}

export const MSR_OPERATIONS: SystemOperations = {
  rdmsr: (core) => {
    requireSupervisor(core);
    const value = readMsr(core, core.get32(ECX));
    if (value === undefined) core.raise(GENERAL_PROTECTION, 0);
    writeEdxEax(core, value as bigint);
  },
  wrmsr: (core) => {
    requireSupervisor(core);
    const value = (BigInt(core.get32(EDX)) << 32n) | BigInt(core.get32(EAX));
    if (!writeMsr(core, core.get32(ECX), value)) core.raise(GENERAL_PROTECTION, 0);
    core.leave = true;
  },
  rdtsc: readTimestamp,
  rdtscp: (core) => {
    readTimestamp(core);
    writeRegister(core, ECX, 4, core.get32(S.MSR_TSC_AUX));
  },
  /** There are no counters. */
  rdpmc: (core) => core.raise(GENERAL_PROTECTION, 0),
};
