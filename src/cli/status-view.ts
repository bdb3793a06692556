/** What `bulkhead run` shows of a machine: who owns what, and how each partition fares, as tables and as one line. */
import { basename } from 'node:path';
import { MiB, s } from '../base/index.ts';
import type { DeviceSpec, Machine, Nanos, PartitionLifeState, PartitionStatus } from '../contracts/index.ts';
import { formatSize } from '../manifest/index.ts';
import type { Paint } from './style.ts';
import { type Column, table } from './table.ts';

/** A status with the speed it was reached at. */
export interface LiveStatus extends PartitionStatus {
  /** Retired per second of host time, in millions, over the last while. */
  readonly mips: number;
  readonly worstLatency?: Nanos;
}

const STATE_MARKS: Readonly<Record<PartitionLifeState, { readonly mark: string; readonly colour: Parameters<Paint>[0] }>> = {
  stopped: { mark: '■', colour: 'dim' },
  starting: { mark: '…', colour: 'yellow' },
  running: { mark: '▶', colour: 'green' },
  halted: { mark: '■', colour: 'dim' },
  crashed: { mark: '✗', colour: 'red' },
};

/** Speeds from two looks at the same counters. */
export class SpeedGauge {
  readonly #last = new Map<string, { readonly retired: number; readonly at: Nanos }>();

  /** Millions of instructions per second since the last call for this partition; 0 at the first, and after a restart. */
  mips({ name, retired }: Pick<PartitionStatus, 'name' | 'retired'>, now: Nanos): number {
    const last = this.#last.get(name);
    this.#last.set(name, { retired, at: now });
    if (last === undefined || retired < last.retired || now <= last.at) return 0;
    return ((retired - last.retired) / ((now - last.at) / s)) * 1e-6;
  }
}

/** Who owns what: a row for each partition. */
export function ownershipTable({ partitions }: Machine): string {
  const columns: Column[] = ['partition', 'role', 'cores', 'memory', 'devices', 'irqs', 'kernel'].map((title) => ({ title }));
  const rows = partitions.map((partition) => [
    partition.name,
    partition.role,
    partition.cores.join(','),
    `${formatSize(partition.memory.size)} @${(partition.memory.base / MiB).toFixed(0)}M`,
    partition.devices.map(nameAndPlace).join(' '),
    partition.devices.flatMap(({ irqs }) => irqs).join(',') || '-',
    basename(partition.boot.kernel),
  ]);
  const exclusive = partitions.some(({ devices }) => devices.some(({ board }) => board !== undefined));
  return table(columns, rows) + (exclusive ? '* a device of the board, owned exclusively\n' : '');
}

/** Where a device of the board lies is the board's affair; a private one lies where its guest expects it. */
function nameAndPlace({ name, board, ranges }: DeviceSpec): string {
  if (board === undefined) return name;
  return `${name}*${ranges[0] === undefined ? '' : `@${ranges[0].base.toString(16)}`}`;
}

/** How each partition fares: a row for each. */
export function statusTable(statuses: readonly LiveStatus[]): string {
  const left = (title: string): Column => ({ title });
  const right = (title: string): Column => ({ title, align: 'right' });
  const columns = [
    left('partition'),
    left('state'),
    right('instructions'),
    right('MIPS'),
    right('guest time'),
    right('restarts'),
    right('periods'),
    right('missed'),
    right('worst latency'),
  ];
  const rows = statuses.map((status) => [
    status.name,
    status.state,
    status.retired.toLocaleString('en-US'),
    status.mips.toFixed(1),
    secondsOf(status.guestTime),
    String(status.restarts),
    status.periods === undefined ? '-' : String(status.periods),
    status.deadlineMisses === undefined ? '-' : String(status.deadlineMisses),
    status.worstLatency === undefined ? '-' : `${(status.worstLatency / 1000).toFixed(1)} us`,
  ]);
  return table(columns, rows) + statuses.flatMap(remarks).map((remark) => `${remark}\n`).join('');
}

/** What went wrong without ending the partition. */
function remarks({ name, dmaViolations = 0, stoppedDevices = 0 }: PartitionStatus): string[] {
  return [
    ...(dmaViolations > 0 ? [`${name}: ${dmaViolations.toLocaleString('en-US')} DMA ${dmaViolations === 1 ? 'access' : 'accesses'} refused`] : []),
    ...(stoppedDevices > 0 ? [`${name}: ${stoppedDevices} ${stoppedDevices === 1 ? 'device' : 'devices'} stopped: see its log`] : []),
  ];
}

/** All partitions in one line: `hmi ▶ 85 MIPS 12.4s │ control ▶ 31 MIPS 12.4s 0/12400 missed`. */
export function statusLine(statuses: readonly LiveStatus[], paint: Paint): string {
  const parts = statuses.map((status) => {
    const { mark, colour } = STATE_MARKS[status.state];
    const figures =
      status.state === 'running'
        ? `${status.mips < 10 ? status.mips.toFixed(1) : status.mips.toFixed(0)} MIPS ${secondsOf(status.guestTime)}${deadlines(status, paint)}`
        : status.state;
    const restarts = status.restarts > 0 ? ` ↻${status.restarts}` : '';
    return `${paint('bold', status.name)} ${paint(colour, mark)} ${figures}${restarts}`;
  });
  return [...parts, paint('dim', '^] menu')].join(paint('dim', ' │ '));
}

function deadlines({ deadlineMisses, periods }: PartitionStatus, paint: Paint): string {
  if (deadlineMisses === undefined || periods === undefined) return '';
  const text = `${deadlineMisses}/${periods} missed`;
  return ` ${deadlineMisses > 0 ? paint('red', text) : text}`;
}

function secondsOf(time: Nanos): string {
  return `${(time / s).toFixed(1)}s`;
}
