/** Shows findings to people: what, where, the line with a caret under it, who else is involved, what to do. */
import type { Finding, SourceSpan } from '../contracts/index.ts';
import type { Paint } from './style.ts';

/** `text` is the manifest the findings are about. */
export function renderFindings(findings: readonly Finding[], text: string, paint: Paint): string {
  const lines = text.split('\n');
  return findings.map((finding) => renderFinding(finding, lines, paint)).join('\n');
}

function renderFinding({ code, severity, message, at, related = [], hint }: Finding, lines: readonly string[], paint: Paint): string {
  const colour = severity === 'error' ? 'red' : 'yellow';
  const gutter = String(Math.max(at.line, ...related.map((place) => place.at.line))).length;
  const note = (label: string, words: string): string => `${' '.repeat(gutter)} ${paint('blue', '=')} ${paint('bold', `${label}:`)} ${words}\n`;
  let shown = `${paint('bold', `${at.file}:${at.line}:${at.column}`)}: ${paint([colour, 'bold'], `${severity} ${code}`)}: ${paint('bold', printable(message))}\n`;
  shown += excerpt(at, lines, gutter, (carets) => paint([colour, 'bold'], carets), paint);
  for (const place of related) {
    shown += note('note', `${printable(place.message)} (${place.at.file}:${place.at.line}:${place.at.column})`);
    if (place.at.line !== at.line) shown += excerpt(place.at, lines, gutter, (carets) => paint('blue', carets.replaceAll('^', '-')), paint);
  }
  return hint === undefined ? shown : shown + note('help', printable(hint));
}

const WIDEST = 120;

/** The source line and its caret. A line too long for a terminal is cut around the caret. */
function excerpt(at: SourceSpan, lines: readonly string[], gutter: number, paintCarets: (carets: string) => string, paint: Paint): string {
  const line = printable(lines[at.line - 1] ?? '');
  const start = Math.max(0, at.column - 1 - WIDEST / 2);
  const cut = line.slice(start, start + WIDEST);
  const carets = ' '.repeat(at.column - 1 - start) + paintCarets('^'.repeat(Math.max(1, Math.min(at.length, cut.length - (at.column - 1 - start)))));
  const bar = paint('blue', '|');
  return `${paint('blue', String(at.line).padStart(gutter))} ${bar} ${cut.trimEnd()}\n${' '.repeat(gutter)} ${bar} ${carets}\n`;
}

/** One column for each character, and no terminal commands from the file: tabs and controls become blanks. */
function printable(text: string): string {
  return text.replaceAll(/[\u0000-\u001f\u007f-\u009f]/g, ' ');
}
