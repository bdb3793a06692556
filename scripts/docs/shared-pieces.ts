/** The generated piece of docs/shared.md: what is counted for each port. */
import { PORT_METRICS } from '../../src/shared/index.ts';
import { code, markdownTable } from './regions.ts';

export function sharedPieces(): Readonly<Record<string, string>> {
  const rows = Object.entries(PORT_METRICS).flatMap(([kind, metrics]) =>
    metrics.map(({ name, unit, column, what }, index) => [index === 0 ? code(kind) : '', code(name), unit, column ?? '', what]),
  );
  return { 'port-metrics': markdownTable(['kind', 'counter', 'unit', 'column', 'what'], rows) };
}
