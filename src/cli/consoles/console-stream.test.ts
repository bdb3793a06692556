import { beforeEach, describe, expect, it } from 'vitest';
import type { TerminalSize } from '../../contracts/index.ts';
import { ConsoleStream, type Viewer } from './console-stream.ts';

let sent: string;
let sizes: string[];
let now: number;
let stream: ConsoleStream;

interface TestViewer extends Viewer {
  shown: string;
  readonly notices: string[];
  size?: TerminalSize | undefined;
}

function viewer(label: string, mayWrite = true): TestViewer {
  return {
    label,
    mayWrite,
    shown: '',
    notices: [],
    penHint: 'ask for it',
    show(bytes) {
      this.shown += Buffer.from(bytes).toString('latin1');
    },
    notice(text) {
      this.notices.push(text);
    },
  };
}

const bytes = (text: string): Uint8Array => Buffer.from(text, 'latin1');

beforeEach(() => {
  sent = '';
  sizes = [];
  now = 0;
  stream = new ConsoleStream(
    'hmi',
    { send: (typed) => { sent += Buffer.from(typed).toString('latin1'); }, resize: ({ columns, rows }) => void sizes.push(`${columns}x${rows}`) },
    () => now,
  );
});

describe('those who look', () => {
  it('all see the same', () => {
    const [a, b] = [viewer('a'), viewer('b')];
    stream.join(a);
    stream.output(bytes('one'));
    stream.join(b);
    stream.output(bytes(' two'));
    stream.leave(a);
    stream.output(bytes(' three'));
    expect([a.shown, b.shown]).toEqual(['one two', 'one two three']);
  });

  it('are shown the last of what came before them, from the beginning of a line', () => {
    for (let i = 0; i < 10_000; i++) stream.output(bytes(`line ${i}\n`));
    const late = viewer('late');
    stream.join(late);
    const lines = late.shown.split('\n');
    expect(late.shown.length).toBeGreaterThan(16_000);
    expect(late.shown.length).toBeLessThanOrEqual(16_384);
    expect([lines[0], lines.at(-2)]).toEqual([`line ${10_000 - lines.length + 1}`, 'line 9999']);
  });

  it('see the end of a piece that is larger than what is kept', () => {
    stream.output(bytes(`${'x'.repeat(40_000)}\n${'y'.repeat(100)}`));
    const late = viewer('late');
    stream.join(late);
    expect(late.shown).toBe('y'.repeat(100));
  });
});

describe('the pen', () => {
  it('goes to the first who types', () => {
    const [a, b] = [viewer('a'), viewer('b')];
    expect([stream.type(a, bytes('ls\r')), stream.type(b, bytes('rm\r')), sent]).toEqual([true, false, 'ls\r']);
    expect(b.notices).toEqual(['── hmi: what you type goes nowhere: a has the pen; ask for it ──']);
  });

  it('changes hands when somebody asks for it, and both are told', () => {
    const [a, b] = [viewer('a'), viewer('b')];
    stream.type(a, bytes('1'));
    stream.takePen(b);
    stream.type(a, bytes('2'));
    stream.type(b, bytes('3'));
    expect([sent, a.notices[0], b.notices]).toEqual(['13', '── hmi: b has taken the pen ──', ['── hmi: you have the pen; a had it ──']]);
  });

  it('is free when its holder leaves or puts it down', () => {
    const [a, b] = [viewer('a'), viewer('b')];
    stream.join(a);
    stream.type(a, bytes('1'));
    stream.leave(a);
    stream.type(b, bytes('2'));
    stream.putDown(a);
    expect(stream.pen).toBe(b);
    stream.putDown(b);
    expect([stream.pen, sent]).toEqual([undefined, '12']);
  });

  it('never goes to somebody who may only look', () => {
    const looker = viewer('looker', false);
    expect([stream.type(looker, bytes('x')), stream.takePen(looker), stream.pen, sent]).toEqual([false, false, undefined, '']);
    expect(looker.notices).toEqual(['── hmi: what you type goes nowhere: this way to it is for looking only ──', '── hmi: this way to it is for looking only ──']);
  });

  it('is spoken of every two seconds at most, however much is typed without it', () => {
    const [a, b] = [viewer('a'), viewer('b')];
    stream.type(a, bytes('1'));
    for (now = 0; now < 5000; now += 10) stream.type(b, bytes('x'));
    expect(b.notices).toHaveLength(3);
  });

  it('decides whose terminal the guest believes in', () => {
    const [a, b] = [viewer('a'), viewer('b')];
    a.size = { columns: 80, rows: 24 };
    b.size = { columns: 132, rows: 43 };
    stream.type(a, bytes('1'));
    stream.resized(b);
    stream.takePen(b);
    a.size = { columns: 1, rows: 1 };
    stream.resized(a);
    stream.resized(b);
    expect(sizes).toEqual(['80x24', '132x43', '132x43']);
  });
});
