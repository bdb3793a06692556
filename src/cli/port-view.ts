/** What was done at the ports of what partitions share, as a table, and what was refused there and why. */
import { KiB, MiB, ms } from '../base/index.ts';
import type { PortReport } from '../hypervisor/index.ts';
import { type MetricColumn, type MetricUnit, PORT_METRICS, type PortMetric } from '../shared/index.ts';
import { type Column, table } from './table.ts';

/** In the order of the table. Those in {@link TROUBLE} are told in detail below it. */
const COLUMNS: readonly MetricColumn[] = ['done', 'in', 'out', 'refused', 'failed', 'lost', 'held back', 'waiting'];
const TROUBLE: readonly MetricColumn[] = ['refused', 'failed', 'lost'];

/** A row for each port, and a line for each that had something refused or lost. No ports: nothing at all. */
export function portTable(ports: readonly PortReport[]): string {
  if (ports.length === 0) return '';
  const columns: Column[] = [{ title: 'shared' }, { title: 'port' }, ...COLUMNS.map((title): Column => ({ title, align: 'right' }))];
  const rows = ports.map((port) => [port.resource, portName(port), ...COLUMNS.map((column) => summary(port, column))]);
  return (
    table(columns, rows) +
    ports
      .flatMap(troubles)
      .map((line) => `${line}\n`)
      .join('')
  );
}

/** `hmi.vda`, or `uplink`. */
function portName({ partition, device }: PortReport): string {
  return partition === undefined ? 'uplink' : `${partition}.${device}`;
}

/** `-` where the kind of resource has nothing of it. */
function summary({ kind, counters }: PortReport, column: MetricColumn): string {
  const metrics = PORT_METRICS[kind].filter((metric) => metric.column === column && counters[metric.name] !== undefined);
  const [first] = metrics;
  if (first === undefined) return '-';
  return inUnit(
    metrics.reduce((sum, { name }) => sum + (counters[name] as number), 0),
    first.unit,
  );
}

function troubles(port: PortReport): string[] {
  const values = PORT_METRICS[port.kind].flatMap((metric: PortMetric) => {
    const value = port.counters[metric.name] ?? 0;
    return value > 0 && metric.column !== undefined && TROUBLE.includes(metric.column)
      ? [`${value.toLocaleString('en-US')} ${metric.what}`]
      : [];
  });
  return values.length === 0 ? [] : [`${port.resource}, ${portName(port)}: ${values.join('; ')}`];
}

function inUnit(value: number, unit: MetricUnit): string {
  switch (unit) {
    case 'ns':
      return `${(value / ms).toFixed(value < 10 * ms ? 1 : 0)} ms`;
    case 'bytes':
      if (value >= MiB) return `${(value / MiB).toFixed(1)} MiB`;
      return value >= KiB ? `${(value / KiB).toFixed(1)} KiB` : `${value} B`;
    default:
      return value.toLocaleString('en-US');
  }
}
