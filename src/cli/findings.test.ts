import { describe, expect, it } from 'vitest';
import type { Finding } from '../contracts/index.ts';
import { renderFindings } from './findings.ts';

const TEXT = 'version: 1\npartitions:\n  a: { cores: [0] }\n  b: { cores: [0] }\n';
const FINDING: Finding = {
  code: 'BH200',
  severity: 'error',
  message: 'core 0 is owned by both a and b',
  at: { file: 'm.yaml', line: 4, column: 16, length: 1 },
  related: [{ message: 'a owns it here', at: { file: 'm.yaml', line: 3, column: 16, length: 1 } }],
  hint: 'core 1 has no owner',
};
const plain = (_: unknown, text: string): string => text;

describe('a finding', () => {
  it('is shown with its place, the line and a caret, who else is involved, and what to do', () => {
    expect(renderFindings([FINDING], TEXT, plain)).toBe(
      [
        'm.yaml:4:16: error BH200: core 0 is owned by both a and b',
        '4 |   b: { cores: [0] }',
        '  |                ^',
        '  = note: a owns it here (m.yaml:3:16)',
        '3 |   a: { cores: [0] }',
        '  |                -',
        '  = help: core 1 has no owner',
        '',
      ].join('\n'),
    );
  });

  it('cannot make the terminal do things', () => {
    const nasty = { ...FINDING, message: 'key \u001b[2J', at: { file: 'm.yaml', line: 1, column: 1, length: 99 } };
    expect(renderFindings([nasty], 'a\u001b[31mb\tc: 1\n', plain)).not.toMatch(/[\u0000-\u0009\u000b-\u001f]/);
  });

  it('keeps a caret under its place in a line too long for a terminal', () => {
    const text = `${'x'.repeat(500)}HERE${'y'.repeat(500)}`;
    const shown = renderFindings([{ ...FINDING, related: [], at: { file: 'm.yaml', line: 1, column: 501, length: 4 } }], text, plain).split('\n');
    const caret = shown[2]!.indexOf('^^^^');
    expect(shown[1]!.slice(caret, caret + 4)).toBe('HERE');
    expect(shown[1]!.length).toBeLessThan(130);
  });
});
