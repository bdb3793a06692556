/** What is left of a partition that crashed: the cause in words and every core's registers, as a table for people and as JSON. */
import type { Nanos, PartitionName, SegmentName, VcpuState } from '../contracts/index.ts';

/** How a crash came about; `cause` in the report says it in words. */
export type CrashKind =
  /** The guest ran into a triple fault (SDM 3A §6.15, interrupt 8). */
  | 'triple-fault'
  /** A device did what the partition's policy does not forgive. */
  | 'device'
  /** The engine met something it cannot do, and will not compute wrongly. */
  | 'engine'
  /** A host error was thrown in the partition's thread: ours or the host's, never the guest's. */
  | 'host-error'
  /** It never ran: an image is missing or is not what it claims to be. */
  | 'cannot-start'
  /** The thread is gone: it was killed, ran out of memory or did not answer. */
  | 'thread';

export interface VcpuReport {
  readonly id: number;
  /** Instructions retired since the partition started. */
  readonly retired: number;
  /** Asleep (HLT) or waiting for SIPI when the partition stopped. */
  readonly parked: boolean;
  readonly state: VcpuState;
}

export interface CrashReport {
  readonly partition: PartitionName;
  readonly kind: CrashKind;
  readonly cause: string;
  /** The core that crashed, where it was one. */
  readonly vcpu?: number;
  readonly guestTime: Nanos;
  readonly retired: number;
  /** Empty when there was nothing to read any more. */
  readonly vcpus: readonly VcpuReport[];
  /** Stack of the host error, for a bug report. */
  readonly stack?: string;
}

const GPR_NAMES = ['RAX', 'RCX', 'RDX', 'RBX', 'RSP', 'RBP', 'RSI', 'RDI', 'R8', 'R9', 'R10', 'R11', 'R12', 'R13', 'R14', 'R15'];
/** The order registers are read in a report, not their encoding. */
const GPR_ROWS = [
  [0, 3, 1, 2],
  [6, 7, 5, 4],
  [8, 9, 10, 11],
  [12, 13, 14, 15],
];
const SEGMENTS: readonly SegmentName[] = ['cs', 'ss', 'ds', 'es', 'fs', 'gs', 'ldtr', 'tr'];
/** RFLAGS, high to low (SDM 1 figure 3-8). IOPL is shown as a number. */
const FLAGS: readonly (readonly [bit: number, name: string])[] = [
  [21, 'ID'],
  [17, 'VM'],
  [16, 'RF'],
  [14, 'NT'],
  [11, 'OF'],
  [10, 'DF'],
  [9, 'IF'],
  [8, 'TF'],
  [7, 'SF'],
  [6, 'ZF'],
  [4, 'AF'],
  [2, 'PF'],
  [0, 'CF'],
];
/** IA32_EFER.LMA (SDM 3A §2.2.1). */
const EFER_LMA = 1n << 10n;
const CR0_PE = 1n;
const CR0_PG = 1n << 31n;
/** Segment attribute bits as VMX packs them (SDM 3C §25.4.1). */
const SEGMENT_LONG = 1 << 13;
const SEGMENT_BIG = 1 << 14;
const SEGMENT_UNUSABLE = 1 << 16;

/** The report as lines of text, at most about 100 columns wide. */
export function renderCrashReport(report: CrashReport): string {
  const where = report.vcpu === undefined ? '' : ` on vCPU ${report.vcpu}`;
  const lines = [
    `partition ${report.partition} crashed${where}: ${report.cause}`,
    `after ${report.retired.toLocaleString('en-US')} instructions, ${seconds(report.guestTime)} s of guest time`,
  ];
  for (const vcpu of report.vcpus) {
    const note = vcpu.id === report.vcpu ? ' (crashed)' : vcpu.parked ? ' (asleep)' : '';
    lines.push('', `vCPU ${vcpu.id}${note}: ${modeInWords(vcpu.state)}, ${vcpu.retired.toLocaleString('en-US')} instructions`);
    lines.push(...registerLines(vcpu.state).map((line) => `  ${line}`));
  }
  return `${lines.join('\n')}\n`;
}

/** The report as a JSON document: 64-bit values are hexadecimal strings, because JSON numbers cannot hold them. */
export function crashReportToJson(report: CrashReport): string {
  return JSON.stringify(report, (_, value: unknown) => (typeof value === 'bigint' ? `0x${value.toString(16)}` : value));
}

function registerLines(state: VcpuState): string[] {
  const digits = isLong(state) ? 16 : 8;
  const gprs = GPR_ROWS.filter((row) => digits === 16 || (row[0] as number) < 8).map((row) =>
    row.map((index) => `${(GPR_NAMES[index] as string).padEnd(3)} ${hex(state.gpr[index] ?? 0n, digits)}`).join('  '),
  );
  const segments = SEGMENTS.map((name) => {
    const segment = state.segments[name];
    const unusable = segment.attributes & SEGMENT_UNUSABLE ? '  unusable' : '';
    return (
      `${name.toUpperCase().padEnd(4)} ${hex(BigInt(segment.selector), 4)}  base ${hex(segment.base, digits)}  ` +
      `limit ${hex(BigInt(segment.limit), 8)}  attributes ${hex(BigInt(segment.attributes), 5)}${unusable}`
    );
  });
  return [
    `RIP ${hex(state.rip, digits)}  RFLAGS ${hex(state.rflags, 8)} ${flagsInWords(state.rflags)}`,
    ...gprs,
    `CR0 ${hex(state.cr0, 8)}  CR2 ${hex(state.cr2, digits)}  CR3 ${hex(state.cr3, digits)}  CR4 ${hex(state.cr4, 8)}  EFER ${hex(state.efer, 4)}`,
    ...segments,
    `GDTR ${hex(state.gdtr.base, digits)}+${hex(BigInt(state.gdtr.limit), 4)}  IDTR ${hex(state.idtr.base, digits)}+${hex(BigInt(state.idtr.limit), 4)}`,
  ];
}

function isLong(state: VcpuState): boolean {
  return (state.efer & EFER_LMA) !== 0n;
}

function modeInWords(state: VcpuState): string {
  const code = state.segments.cs.attributes;
  const paging = state.cr0 & CR0_PG ? '' : ', no paging';
  if (isLong(state)) return code & SEGMENT_LONG ? '64-bit mode' : 'compatibility mode';
  if ((state.cr0 & CR0_PE) === 0n) return 'real mode';
  return `${code & SEGMENT_BIG ? '32' : '16'}-bit protected mode${paging}`;
}

function flagsInWords(flags: bigint): string {
  const set = FLAGS.filter(([bit]) => (flags >> BigInt(bit)) & 1n).map(([, name]) => name);
  const privilege = (flags >> 12n) & 3n;
  if (privilege !== 0n) set.unshift(`IOPL=${privilege}`);
  return `[${set.join(' ')}]`;
}

function hex(value: bigint, digits: number): string {
  return BigInt.asUintN(64, value).toString(16).padStart(digits, '0');
}

function seconds(time: Nanos): string {
  return (time / 1e9).toFixed(6);
}
