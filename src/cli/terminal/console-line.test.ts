import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ConsoleLine, type ConsoleText } from './console-line.ts';

function feed(...pieces: (string | Uint8Array)[]): { lines: ConsoleText[]; line: ConsoleLine } {
  const lines: ConsoleText[] = [];
  const line = new ConsoleLine();
  for (const piece of pieces) line.feed(typeof piece === 'string' ? Buffer.from(piece) : piece, (text) => lines.push(text));
  return { lines, line };
}
const plain = (...pieces: string[]): string[] => feed(...pieces).lines.map((line) => line.plain);

describe('a console line', () => {
  it.each([
    ['ends at a newline, with or without carriage return', 'one\r\ntwo\n', ['one', 'two']],
    ['keeps empty lines', '\n\r\n', ['', '']],
    ['is rewritten after a carriage return, as progress bars do', '10%\r20%\r100%\n', ['100%']],
    ['obeys backspace, as shells that rub out do', 'lsx\b \b -l\n', ['ls -l']],
    ['advances tabs to every eighth column', 'a\tb\n', ['a       b']],
    ['erases to its end', 'password\r\x1b[Kok\n', ['ok']],
    ['moves its cursor', 'abcdef\x1b[3DX\x1b[1GY\x1b[2CZ\n', ['YbcZef']],
    ['deletes and inserts characters', 'abcd\x1b[2D\x1b[P\x1b[1G\x1b[@>\n', ['>abd']],
    ['swallows questions to the terminal', '\x1b[6n\x1b[c# \x1b]0;title\x07ls\n', ['# ls']],
    ['ends where a sequence leaves it', 'menu\x1b[2;5Hitem\n', ['menu', 'item']],
    ['has no picture for other controls', 'a\x00\x07\x0eb\n', ['ab']],
  ])('%s', (_, stream, expected) => {
    expect(plain(stream)).toEqual(expected);
  });

  it('keeps colours, and closes them at its end', () => {
    const { lines } = feed('\x1b[1;31merror\x1b[0m: disk\n');
    expect(lines[0]).toEqual({ plain: 'error: disk', styled: '\x1b[1;31merror\x1b[0m: disk' });
    expect(feed('\x1b[32mgreen\n').lines[0]?.styled).toBe('\x1b[32mgreen\x1b[0m');
  });

  it('shows the line so far, and where the cursor stands', () => {
    const { line } = feed('login: ');
    expect([line.text.plain, line.column, line.empty]).toEqual(['login: ', 7, false]);
  });

  it('does not care where the stream is cut, not even inside a character or a sequence', () => {
    const stream = Buffer.from('α \x1b[31mβγ\x1b[0m\r\nδ\x1b]0;t\x1b\\ε\n');
    const whole = feed(stream).lines;
    expect(feed(...Array.from(stream, (byte) => Uint8Array.of(byte))).lines).toEqual(whole);
    expect(whole.map((line) => line.plain)).toEqual(['α βγ', 'δε']);
  });

  it('stays bounded and free of commands whatever a guest sends', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 20 }), (pieces) => {
        const { lines, line } = feed(...pieces);
        for (const text of [...lines, line.text]) {
          expect(text.plain).not.toMatch(/[\x00-\x1f\x7f]/);
          expect(text.styled.replaceAll(/\x1b\[[0-9;:]*m/g, '')).not.toContain('\x1b');
        }
      }),
    );
    const endless = feed('x'.repeat(10_000)).lines;
    expect(Math.max(...endless.map((line) => line.plain.length))).toBeLessThanOrEqual(2000);
    const { line } = feed('\x1b[999999999C\x1b[999999999@', '\x1b[31m'.repeat(1000), 'x');
    expect(line.text.styled.length).toBeLessThan(2500);
  });
});
