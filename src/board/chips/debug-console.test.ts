import { describe, expect, it } from 'vitest';
import { FakeTerminal } from '../testing.ts';
import { DebugConsole } from './debug-console.ts';

describe('debug console', () => {
  it('says that it is there', () => {
    const port = new DebugConsole({ line: new FakeTerminal() });
    expect([port.read(0, 1), port.read(0, 2), port.read(0, 4)]).toEqual([0xe9, 0xffe9, 0xffff_ffe9]);
  });

  it('passes on the low byte of every write', () => {
    const line = new FakeTerminal();
    const port = new DebugConsole({ line });
    for (const letter of 'SeaBIOS') port.write(0, 1, letter.charCodeAt(0));
    port.write(0, 4, 0x1234_5621);
    expect(line.printed).toBe('SeaBIOS!');
  });
});
