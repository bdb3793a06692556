/** What all benches share: how a result is shown, where it is kept, and on what it was measured. */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus, totalmem } from 'node:os';
import { fileURLToPath } from 'node:url';
import { GiB } from '../src/base/index.ts';

const RESULTS = fileURLToPath(new URL('../docs/performance.md', import.meta.url));
const INTRODUCTION = `# Performance

Every section below was written by the bench that it names; nothing here is edited by hand.
`;

export interface Column {
  readonly title: string;
  readonly align?: 'left' | 'right';
}

/** A Markdown table, its columns aligned so that it can be read as it is. */
export function markdownTable(columns: readonly Column[], rows: readonly (readonly string[])[]): string {
  const widths = columns.map(({ title }, i) => Math.max(3, title.length, ...rows.map((row) => row[i]?.length ?? 0)));
  const right = columns.map(({ align }) => align === 'right');
  const line = (cells: readonly string[]): string =>
    `| ${widths.map((width, i) => (right[i] ? (cells[i] ?? '').padStart(width) : (cells[i] ?? '').padEnd(width))).join(' | ')} |`;
  const rule = `|${widths.map((width, i) => `${'-'.repeat(width + 1)}${right[i] ? ':' : '-'}`).join('|')}|`;
  return `${[line(columns.map(({ title }) => title)), rule, ...rows.map(line)].join('\n')}\n`;
}

/** Date, host and versions, for people who compare. `more`: what else was involved. */
export function conditions(more: readonly string[] = []): string {
  const host = `${availableParallelism()} × ${cpus()[0]?.model.trim() ?? 'unknown processor'}, ${(totalmem() / GiB).toFixed(0)} GiB RAM`;
  const commit = outputOf('git', 'rev-parse', '--short', 'HEAD') ?? 'unknown';
  const changed = outputOf('git', 'status', '--porcelain') ? ' with changes' : '';
  const date = new Date().toISOString().slice(0, 16).replace('T', ' ');
  return [`Measured ${date} UTC at commit ${commit}${changed}, on ${host}`, `${process.platform} ${process.arch}, Node ${process.version}`, ...more].join('; ');
}

/** Replaces the section `name` of docs/performance.md, which stands between its two markers; adds it where there is none. Returns the path. */
export function keep(name: string, text: string): string {
  const [begin, end] = [`<!-- ${name}: begin -->`, `<!-- ${name}: end -->`];
  const before = existsSync(RESULTS) ? readFileSync(RESULTS, 'utf8') : INTRODUCTION;
  const section = `${begin}\n\n${text.trim()}\n\n${end}`;
  const [from, to] = [before.indexOf(begin), before.indexOf(end)];
  const after = from >= 0 && to > from ? before.slice(0, from) + section + before.slice(to + end.length) : `${before.trimEnd()}\n\n${section}\n`;
  writeFileSync(RESULTS, after);
  return RESULTS;
}

/** What a program prints; undefined where it is not installed or fails. */
export function outputOf(program: string, ...args: string[]): string | undefined {
  const { status, stdout } = spawnSync(program, args, { encoding: 'utf8', cwd: import.meta.dirname });
  return status === 0 ? stdout.trim() : undefined;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? (sorted[middle] as number) : ((sorted[middle - 1] as number) + (sorted[middle] as number)) / 2;
}

/** `5.4`, and with several rounds `5.4 (5.2–6.0)`: the median, the least and the greatest. */
export function spread(values: readonly number[], digits: number): string {
  const text = median(values).toFixed(digits);
  return values.length === 1 ? text : `${text} (${Math.min(...values).toFixed(digits)}–${Math.max(...values).toFixed(digits)})`;
}
