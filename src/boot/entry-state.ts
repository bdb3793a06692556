/**
 * The processor states in which images are entered, each complete: nothing is left to what an engine happens to start with.
 * Attributes are packed as VMX packs them (SDM 3C §25.4.1); the descriptors behind them lie in {@link bootGdt}.
 */
import type { Gpa, SegmentName, SegmentState, VcpuState } from '../contracts/index.ts';
import { putU32 } from './bytes.ts';

/** Selectors of Linux' boot protocol (__BOOT_CS, __BOOT_DS: boot.rst "32-bit Boot Protocol"); all images get them. */
const TASK_SELECTOR = 0x08,
  CODE_SELECTOR = 0x10,
  DATA_SELECTOR = 0x18;
const GDT_SIZE = 0x20;

// SDM 3A §2.5, 2.2.1: control register and EFER bits
const CR0_PE = 1n << 0n,
  CR0_ET = 1n << 4n,
  CR0_NW = 1n << 29n,
  CR0_CD = 1n << 30n,
  CR0_PG = 1n << 31n;
const CR4_PAE = 1n << 5n;
const EFER_LME = 1n << 8n,
  EFER_LMA = 1n << 10n;
/** Bit 1 of RFLAGS is always set (SDM 1 §3.4.3); interrupts are off. */
const RFLAGS_RESET = 2n;

// Segment attributes: type, S, P, L, D/B, G
const CODE16 = 0x9b,
  DATA16 = 0x93;
const CODE32 = 0xc09b,
  DATA32 = 0xc093;
const CODE64 = 0xa09b;
const TSS32_BUSY = 0x8b,
  TSS64_BUSY = 0x8b,
  LDT = 0x82;
const UNUSABLE = 1 << 16;
const TSS_LIMIT = 0x67;
const FLAT_LIMIT = 0xffffffff,
  REAL_LIMIT = 0xffff;

const RESET_OFFSET = 0xfff0;
/** EDX after power-on: family 6 (SDM 3A §10.1.2). */
const SIGNATURE = 0x06f0n;

/** Paging entries (SDM 3A §4.5): present, writable; and "this entry maps a page" in a page directory. */
const PRESENT_WRITABLE = 3,
  LARGE_PAGE = 1 << 7;
const PAGE = 4096,
  LARGE_PAGE_SIZE = 2 * 1024 * 1024;
const DIRECTORIES = 4;
/** PML4, page directory pointers, four directories: the first 4 GiB. */
export const IDENTITY_TABLES_SIZE = (2 + DIRECTORIES) * PAGE;

export interface EntryRegisters {
  readonly rax?: number;
  readonly rbx?: number;
  readonly rsi?: number;
}

/** The descriptor table that goes with {@link protectedFlat32} and {@link longMode64}: null, task, code, data. */
export function bootGdt(mode: 'protected' | 'long'): Uint8Array {
  const gdt = new Uint8Array(GDT_SIZE);
  putDescriptor(gdt, TASK_SELECTOR, TSS_LIMIT, TSS32_BUSY);
  putDescriptor(gdt, CODE_SELECTOR, FLAT_LIMIT, mode === 'long' ? CODE64 : CODE32);
  putDescriptor(gdt, DATA_SELECTOR, FLAT_LIMIT, DATA32);
  return gdt;
}

/** Page tables that map the first 4 GiB to themselves in 2 MiB pages; they lie at `gpa`, whose first page is the PML4. */
export function identityTables(gpa: Gpa): Uint8Array {
  const tables = new Uint8Array(IDENTITY_TABLES_SIZE);
  putU32(tables, 0, (gpa + PAGE) | PRESENT_WRITABLE);
  for (let i = 0; i < DIRECTORIES; i++) putU32(tables, PAGE + i * 8, (gpa + (2 + i) * PAGE) | PRESENT_WRITABLE);
  for (let i = 0; i < DIRECTORIES * 512; i++) putU32(tables, 2 * PAGE + i * 8, (i * LARGE_PAGE_SIZE) | LARGE_PAGE | PRESENT_WRITABLE);
  return tables;
}

/**
 * 16-bit real mode. Below 64 KiB CS is 0, as for a boot sector; above, CS covers the 64 KiB block that `entry` lies in. `entry`
 * must be below 1 MiB. All other registers, SS and SP included, are 0.
 */
export function realMode(entry: Gpa): VcpuState {
  const base = entry & 0xf0000;
  const code: SegmentState = { selector: base >>> 4, base: BigInt(base), limit: REAL_LIMIT, attributes: CODE16 };
  const data: SegmentState = { selector: 0, base: 0n, limit: REAL_LIMIT, attributes: DATA16 };
  return {
    ...common({}, entry - base),
    segments: {
      ...spread(code, data),
      ldtr: { selector: 0, base: 0n, limit: REAL_LIMIT, attributes: LDT },
      tr: { selector: 0, base: 0n, limit: REAL_LIMIT, attributes: TSS32_BUSY },
    },
    gdtr: { base: 0n, limit: REAL_LIMIT },
    idtr: { base: 0n, limit: 0x3ff }, // the interrupt vectors of real mode (SDM 3A §20.1.4)
    cr0: CR0_ET,
    cr3: 0n,
    cr4: 0n,
    efer: 0n,
  };
}

/** After power-on: 16-bit real mode 16 bytes below 4 GiB, with a CS base that no selector gives (SDM 3A table 10-1). */
export function powerOn(): VcpuState {
  const { segments, ...state } = realMode(RESET_OFFSET);
  const gpr = state.gpr.with(2, SIGNATURE);
  const cs = { ...segments.cs, selector: 0xf000, base: 0xffff_0000n };
  return { ...state, gpr, segments: { ...segments, cs }, idtr: { base: 0n, limit: REAL_LIMIT }, cr0: CR0_ET | CR0_NW | CR0_CD };
}

/** 32-bit protected mode, flat segments over 4 GiB, no paging, interrupts off, no stack. `gdt` is where {@link bootGdt} lies. */
export function protectedFlat32(entry: Gpa, gdt: Gpa, registers: EntryRegisters): VcpuState {
  const code: SegmentState = { selector: CODE_SELECTOR, base: 0n, limit: FLAT_LIMIT, attributes: CODE32 };
  return { ...common(registers, entry), ...flatTables(code, gdt, TSS32_BUSY), cr0: CR0_PE | CR0_ET, cr3: 0n, cr4: 0n, efer: 0n };
}

/** 64-bit mode on {@link identityTables} at `tables`, interrupts off, no stack. `gdt` is where {@link bootGdt} lies. */
export function longMode64(entry: Gpa, gdt: Gpa, tables: Gpa, registers: EntryRegisters): VcpuState {
  const code: SegmentState = { selector: CODE_SELECTOR, base: 0n, limit: FLAT_LIMIT, attributes: CODE64 };
  return {
    ...common(registers, entry),
    ...flatTables(code, gdt, TSS64_BUSY),
    cr0: CR0_PE | CR0_ET | CR0_PG,
    cr3: BigInt(tables),
    cr4: CR4_PAE,
    efer: EFER_LME | EFER_LMA,
  };
}

function common(registers: EntryRegisters, rip: number): Pick<VcpuState, 'gpr' | 'rip' | 'rflags' | 'cr2'> {
  const gpr = new Array<bigint>(16).fill(0n);
  gpr[0] = BigInt(registers.rax ?? 0);
  gpr[3] = BigInt(registers.rbx ?? 0);
  gpr[6] = BigInt(registers.rsi ?? 0);
  return { gpr, rip: BigInt(rip), rflags: RFLAGS_RESET, cr2: 0n };
}

function flatTables(code: SegmentState, gdt: Gpa, taskAttributes: number): Pick<VcpuState, 'segments' | 'gdtr' | 'idtr'> {
  const data: SegmentState = { selector: DATA_SELECTOR, base: 0n, limit: FLAT_LIMIT, attributes: DATA32 };
  return {
    segments: {
      ...spread(code, data),
      ldtr: { selector: 0, base: 0n, limit: 0, attributes: LDT | UNUSABLE },
      tr: { selector: TASK_SELECTOR, base: 0n, limit: TSS_LIMIT, attributes: taskAttributes },
    },
    gdtr: { base: BigInt(gdt), limit: GDT_SIZE - 1 },
    idtr: { base: 0n, limit: 0 }, // no handlers yet: an exception is a triple fault
  };
}

function spread(code: SegmentState, data: SegmentState): Omit<Record<SegmentName, SegmentState>, 'ldtr' | 'tr'> {
  return { cs: code, ds: data, es: data, ss: data, fs: data, gs: data };
}

/** SDM 3A §3.4.5; base 0. */
function putDescriptor(gdt: Uint8Array, selector: number, limit: number, attributes: number): void {
  const scaled = attributes & 0x8000 ? limit >>> 12 : limit;
  putU32(gdt, selector, scaled & 0xffff);
  putU32(gdt, selector + 4, ((attributes & 0xf0ff) << 8) | (scaled & 0xf0000));
}
