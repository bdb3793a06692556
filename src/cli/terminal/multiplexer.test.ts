import headless from '@xterm/headless';
import { beforeEach, describe, expect, it } from 'vitest';
import { ConsoleMultiplexer, type MultiplexerOptions } from './multiplexer.ts';

const NAMES = ['hmi', 'control', 'vision'];

let screen: headless.Terminal;
let written: string;
let sent: string[];
let commands: string[];
let logged: string[];
let mux: ConsoleMultiplexer;
let now: number;

function open(options: Partial<MultiplexerOptions> = {}): void {
  const columns = options.columns ?? 60;
  const rows = options.rows ?? 12;
  screen = new headless.Terminal({ cols: columns, rows, allowProposedApi: true, scrollback: 1000 });
  written = '';
  sent = [];
  commands = [];
  logged = [];
  now = 0;
  mux = new ConsoleMultiplexer(
    { names: NAMES, focus: 0, interactive: true, columns, rows, paint: (_, text) => text, dim: (text) => text, ...options },
    {
      write: (bytes) => {
        written += typeof bytes === 'string' ? bytes : Buffer.from(bytes).toString();
        screen.write(bytes);
      },
      send: (partition, bytes) => sent.push(`${NAMES[partition]}: ${Buffer.from(bytes).toString()}`),
      command: (action, partition) => commands.push(`${action} ${NAMES[partition]}`),
      status: () => ['NAME  STATE', 'hmi   running'],
      completed: (partition, line) => logged.push(`${NAMES[partition]}: ${line}`),
    },
  );
}

const guest = (name: string, text: string): void => mux.output(NAMES.indexOf(name), Buffer.from(text));
const type = (text: string): void => mux.input(Buffer.from(text));
function flush(): void {
  now += 50;
  mux.flush(now);
}

/** Everything on the screen and above it, as a person sees it. */
async function shown(): Promise<string[]> {
  await new Promise<void>((resolve) => screen.write('', resolve));
  const buffer = screen.buffer.active;
  const lines = Array.from({ length: buffer.length }, (_, y) => buffer.getLine(y)?.translateToString(true).trimEnd() ?? '');
  while (lines.at(-1) === '') lines.pop();
  return lines;
}

async function cursor(): Promise<[row: number, column: number]> {
  await new Promise<void>((resolve) => screen.write('', resolve));
  const buffer = screen.buffer.active;
  return [buffer.baseY + buffer.cursorY, buffer.cursorX];
}

describe('all consoles', () => {
  beforeEach(() => open());

  it('shows every line with the name of its partition', async () => {
    guest('hmi', 'Linux version 6.1\r\n');
    guest('control', 'rtos: 4 tasks\n');
    flush();
    expect((await shown()).slice(0, 2)).toEqual(['hmi     │ Linux version 6.1', 'control │ rtos: 4 tasks']);
  });

  it('shows a prompt as it is typed at, with the cursor behind it, above the status line', async () => {
    mux.setStatus('hmi running');
    guest('hmi', 'boot ok\n/ # l');
    flush();
    guest('hmi', 's');
    flush();
    expect(await shown()).toEqual(['hmi     │ boot ok', 'hmi     │ / # ls', 'hmi running']);
    expect(await cursor()).toEqual([1, 'hmi     │ / # ls'.length]);
  });

  it('keeps an unfinished line apart when somebody else speaks', async () => {
    guest('hmi', '/ # ech');
    flush();
    guest('control', 'tick 1\ntick 2\n');
    flush();
    guest('hmi', 'o hi\r\nhi\r\n/ # ');
    flush();
    expect(await shown()).toEqual(['control │ tick 1', 'control │ tick 2', 'hmi     │ / # echo hi', 'hmi     │ hi', 'hmi     │ / #']);
  });

  it('leaves no trace of the status line in what scrolls away', async () => {
    for (let i = 0; i < 40; i++) {
      mux.setStatus(`status ${i}`);
      guest('vision', `frame ${i}\n`);
      flush();
    }
    const lines = await shown();
    expect(lines.filter((line) => line.startsWith('vision'))).toEqual(Array.from({ length: 40 }, (_, i) => `vision  │ frame ${i}`));
    expect(lines.filter((line) => line.startsWith('status'))).toEqual(['status 39']);
  });

  it('never lets the status line or a prompt wrap', async () => {
    mux.setStatus('s'.repeat(200));
    guest('hmi', `${'p'.repeat(150)}END`);
    flush();
    guest('control', 'x\n');
    flush();
    const lines = await shown();
    expect(lines).toHaveLength(3);
    expect(lines[0]).toBe('control │ x');
    expect(lines[1]).toMatch(/^hmi {5}│ p+END$/);
    expect(lines[2]).toBe('s'.repeat(59));
  });

  it('keeps a guest that paints its screen from destroying the others’ lines', async () => {
    guest('control', 'important\n');
    flush();
    guest('hmi', '\x1b[2J\x1b[H\x1b[?1049h\x1b[31mmenu\x1b[5;5Hitem\x1b[6n\n');
    flush();
    expect(await shown()).toEqual(['control │ important', 'hmi     │ menu', 'hmi     │ item', 'hmi     │']);
  });

  it('sends what is typed to the focused partition', () => {
    type('ls\r');
    expect(sent).toEqual(['hmi: ls\r']);
  });

  it('prints notices on lines of their own', async () => {
    guest('hmi', '/ # ');
    mux.notice('control crashed: triple fault');
    flush();
    expect(await shown()).toEqual(['control crashed: triple fault', 'hmi     │ / #']);
  });

  it('logs finished lines without colours', () => {
    guest('hmi', '\x1b[1mbold\x1b[0m\n/ # unfinished');
    expect(logged).toEqual(['hmi: bold']);
    mux.close();
    expect(logged).toEqual(['hmi: bold', 'hmi: / # unfinished']);
  });

  it('gives the terminal back clean: only finished lines, cursor below them', async () => {
    mux.setStatus('status');
    guest('hmi', 'one\n/ # ');
    flush();
    mux.close();
    expect(await shown()).toEqual(['hmi     │ one', 'hmi     │ / #']);
    expect(await cursor()).toEqual([2, 0]);
  });

  it('survives a resize', async () => {
    mux.setStatus('a status line that is rather long for this');
    guest('hmi', 'one\n/ # ');
    flush();
    await shown();
    screen.resize(30, 12); // the terminal first, then we hear of it
    mux.resize(30, 12);
    mux.setStatus('a status line that is rather long for this');
    flush();
    // Where a terminal puts the cursor when it wraps lines anew is its own affair: an old prompt may stay above.
    const lines = await shown();
    expect(lines.slice(-2)).toEqual(['hmi     │ / #', 'a status line that is rather']);
    expect(lines[0]).toBe('hmi     │ one');
  });
});

describe('one console', () => {
  beforeEach(() => open());

  it('passes everything through, both ways, byte for byte', () => {
    guest('control', 'before\n');
    flush();
    type('\x1d2');
    const start = written.length;
    guest('control', '\x1b[2J\x1b[3;4Hraw\x1b[6n');
    flush();
    expect(written.slice(start)).toBe('\x1b[2J\x1b[3;4Hraw\x1b[6n');
    type('\x03\x1b[A');
    expect(sent).toEqual(['control: \x03\x1b[A']);
  });

  it('begins with the last lines and the prompt', async () => {
    guest('vision', 'frame 1\nvision> ');
    flush();
    type('\x1d3');
    expect((await shown()).slice(-2)).toEqual(['frame 1', 'vision>']);
  });

  it('hides the others, who are still logged and are back with `a`', async () => {
    type('\x1d2');
    guest('hmi', 'meanwhile\n');
    flush();
    expect((await shown()).join('\n')).not.toContain('meanwhile');
    expect(logged).toEqual(['hmi: meanwhile']);
    type('\x1da');
    guest('hmi', 'again\n');
    flush();
    expect((await shown()).at(-2)).toBe('hmi     │ again');
    expect([mux.view, mux.focus]).toEqual(['all', 1]);
  });

  it('does not move the cursor of a guest that painted nothing', async () => {
    type('\x1d1');
    guest('hmi', 'saved here \x1b7');
    guest('hmi', 'one\r\ntwo\r\n');
    type('\x1da');
    flush();
    expect((await shown()).filter((line) => line !== '')).toEqual([
      '── hmi, ^] menu, ^] a all consoles ──',
      'saved here one',
      'two',
      '── all consoles; typing goes to hmi ──',
      'hmi     │',
    ]);
  });

  it('shows notices as a block, and the prompt again after it', async () => {
    type('\x1d1');
    guest('hmi', '/ # ');
    mux.notice('control crashed\n  RIP 0');
    expect((await shown()).slice(1)).toEqual(['/ #', 'control crashed', '  RIP 0', '/ #']);
  });

  it('leaves a full-screen program’s terminal behind it', async () => {
    type('\x1d1');
    guest('hmi', '\x1b[?1049h\x1b[?25l\x1b[2;5r');
    type('\x1da');
    flush();
    expect((await shown()).length).toBeGreaterThan(0);
    expect(screen.buffer.active.type).toBe('normal');
  });
});

describe('the menu', () => {
  beforeEach(() => open());

  it('stands where the status line was, and goes with the next key', async () => {
    mux.setStatus('status');
    flush();
    type('\x1d');
    expect((await shown()).at(-1)).toMatch(/^1\* hmi {2}2 control {2}3 vision {2}a all/);
    type('x');
    expect((await shown()).at(-1)).toBe('status');
    expect(sent).toEqual([]);
  });

  it.each([
    ['r', 'restart hmi'],
    ['k', 'kill hmi'],
    ['p', 'stop hmi'],
    ['v', 'screen hmi'],
    ['q', 'quit hmi'],
  ])('%s asks for: %s', (key, command) => {
    type(`\x1d${key}`);
    expect(commands).toEqual([command]);
  });

  it('acts on the partition that was focused last', () => {
    type('\x1d2\x1d0\x1dr');
    expect(commands).toEqual(['restart control']);
  });

  it('sends itself when pressed twice, and what is typed around it', () => {
    type('ab\x1d\x1dcd');
    expect(sent).toEqual(['hmi: ab', 'hmi: \x1d', 'hmi: cd']);
  });

  it('shows the status of all, and help', async () => {
    type('\x1ds');
    expect(await shown()).toEqual(['NAME  STATE', 'hmi   running', 'hmi     │']);
    type('\x1d?');
    expect((await shown()).join('\n')).toContain('^] q        stop all partitions and leave');
  });
});

describe('without a person before it', () => {
  beforeEach(() => open({ interactive: false }));
  const wait = (): void => {
    for (let i = 0; i < 10; i++) flush();
  };

  it('prints prefixed lines and nothing else', () => {
    mux.setStatus('status');
    guest('hmi', 'a\r\nb\r\n');
    guest('control', 'c\n');
    flush();
    expect(written).toBe('hmi     │ a\nhmi     │ b\ncontrol │ c\n');
  });

  it('shows a prompt after a moment and goes on in place', () => {
    guest('hmi', '/ # ');
    flush();
    expect(written).toBe('');
    wait();
    expect(written).toBe('hmi     │ / # ');
    guest('hmi', 'ls\r\n');
    expect(written).toBe('hmi     │ / # ls\n');
  });

  it('prints a prompt again in full when somebody wrote in between', () => {
    guest('hmi', '/ # ');
    wait();
    guest('control', 'tick\n');
    wait();
    guest('hmi', 'ls\n');
    expect(written).toBe('hmi     │ / # \ncontrol │ tick\nhmi     │ / # ls\n');
  });

  it('sends input as it is, ^] included, to the focused partition', () => {
    type('ls\n\x1dq');
    expect([sent, commands]).toEqual([['hmi: ls\n\x1dq'], []]);
  });

  it('ends an unfinished line at the end', () => {
    guest('hmi', '/ # ');
    mux.close();
    expect(written).toBe('hmi     │ / #\n');
  });
});
