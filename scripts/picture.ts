/**
 * Draws docs/pictures/packaging-cell.svg: runs the reference machine in a real terminal, types into it, and renders what is on the
 * screen. Nothing in the picture is written by hand; `node scripts/picture.ts` makes it anew.
 *
 * The terminal is a pseudo-terminal that `script` (Debian's bsdutils) opens; @xterm/headless keeps its screen.
 */
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import headless, { type IBufferCell } from '@xterm/headless';

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const TARGET = join(ROOT, 'docs', 'pictures', 'packaging-cell.svg');
const COLUMNS = 128;
/** High enough for a whole session; empty rows at the end are not drawn. */
const ROWS = 64;

interface Step {
  /** Wait until the screen shows this … */
  readonly shows: RegExp;
  readonly withinSeconds: number;
  /** … and then type this, key by key. */
  readonly type: string;
}

/** All consoles at the start, Linux's alone while it boots, all again at the end. */
const SESSION: readonly Step[] = [
  { shows: /^\$ *$/m, withinSeconds: 10, type: 'npx bulkhead run machines/packaging-cell.yaml\r' },
  { shows: /^vision +│ clock:[\s\S]*^── hmi: Linux|^── hmi: Linux[\s\S]*^vision +│ clock:/m, withinSeconds: 60, type: '\x1d1' },
  { shows: /^\/root # *$/m, withinSeconds: 120, type: 'nproc\r' },
  { shows: /^2 *$/m, withinSeconds: 20, type: 'uname -srm\r' },
  { shows: /^Linux \S+ x86_64 *$/m, withinSeconds: 20, type: '\x1da' },
  { shows: /all consoles; [\s\S]*^control │ control: [\s\S]*^control │ control: /m, withinSeconds: 20, type: '\x1ds' },
  { shows: /^partition +state[\s\S]*^vision +running/m, withinSeconds: 10, type: '' },
];

const QUIT = '\x1dq';
const KEY_PAUSE_MS = 60;
const LOOK_MS = 100;
/** The screen settles: what was typed last has its answer, the status line its figures. */
const SETTLE_MS = 900;

const pause = (time: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, time));

/** Plays the session and hands the screen to `look` while it is there. */
async function record(look: (terminal: headless.Terminal) => void): Promise<void> {
  const terminal = new headless.Terminal({ cols: COLUMNS, rows: ROWS, allowProposedApi: true, scrollback: 0 });
  const folder = mkdtempSync(join(tmpdir(), 'bulkhead-picture-'));
  const shell = `stty cols ${COLUMNS} rows ${ROWS}; PS1='$ ' exec bash --norc --noprofile`;
  const child = spawn('script', ['-qec', shell, join(folder, 'typescript')], {
    cwd: ROOT,
    env: { ...process.env, npm_config_loglevel: 'error', TERM: 'xterm-256color', PATH: `${join(ROOT, 'node_modules', '.bin')}:${process.env['PATH'] ?? ''}` },
  });
  const ended = new Promise<void>((resolve) => child.on('close', () => resolve()));
  child.on('error', (error) => {
    process.stderr.write(`picture: cannot run script: ${error.message}\n`);
    process.exitCode = 1;
  });
  child.stdout.on('data', (bytes: Buffer) => terminal.write(bytes));
  try {
    for (const step of SESSION) {
      await untilShown(terminal, step);
      for (const key of step.type) {
        child.stdin.write(key);
        await pause(KEY_PAUSE_MS);
      }
    }
    await pause(SETTLE_MS);
    await new Promise<void>((resolve) => terminal.write('', resolve));
    look(terminal);
  } finally {
    child.stdin.write(QUIT);
    await Promise.race([pause(5000), ended]);
    child.stdin.end('exit\r');
    await Promise.race([pause(2000), ended]);
    child.kill('SIGHUP');
    rmSync(folder, { recursive: true, force: true });
  }
}

async function untilShown(terminal: headless.Terminal, { shows, withinSeconds }: Step): Promise<void> {
  for (let waited = 0; waited < withinSeconds * 1000; waited += LOOK_MS) {
    if (shows.test(linesOf(terminal).join('\n'))) return;
    await pause(LOOK_MS);
  }
  throw new Error(`the screen did not show ${shows} within ${withinSeconds} s:\n${linesOf(terminal).join('\n')}`);
}

function linesOf(terminal: headless.Terminal): string[] {
  const buffer = terminal.buffer.active;
  return Array.from({ length: terminal.rows }, (_, y) => buffer.getLine(buffer.baseY + y)?.translateToString(true) ?? '');
}

// ── the picture ──

const FONT_PIXELS = 13;
/** DejaVu Sans Mono's advance, 0.602 em; every run says its length, so that other fonts keep the columns too. */
const CELL_WIDTH = 7.83;
const CELL_HEIGHT = 17;
const MARGIN = 16;
const BAR_HEIGHT = 30;

/** The 16 colours of the terminal, in the order of SGR 30–37 and 90–97. */
const COLOURS = [
  '#1c2128', '#f47067', '#57ab5a', '#c69026', '#539bf5', '#b083f0', '#39c5cf', '#adbac7',
  '#768390', '#ff938a', '#8ddb8c', '#daaa3f', '#6cb6ff', '#dcbdfb', '#76e3ea', '#ffffff',
];
const FOREGROUND = '#cdd9e5';
const BACKGROUND = '#1c2128';
const BAR = '#2d333b';

interface Style {
  readonly colour: string;
  readonly background: string;
  readonly bold: boolean;
  readonly dim: boolean;
}

interface Run extends Style {
  readonly column: number;
  text: string;
}

function styleOf(cell: IBufferCell): Style {
  const colour = cell.isFgDefault() ? FOREGROUND : (COLOURS[cell.getFgColor()] ?? FOREGROUND);
  const background = cell.isBgDefault() ? BACKGROUND : (COLOURS[cell.getBgColor()] ?? BACKGROUND);
  const inverse = cell.isInverse() !== 0;
  return {
    colour: inverse ? background : colour,
    background: inverse ? colour : background,
    bold: cell.isBold() !== 0,
    dim: cell.isDim() !== 0,
  };
}

/** Neighbouring cells that look the same, as one piece of text. */
function runsOf(terminal: headless.Terminal, row: number): Run[] {
  const line = terminal.buffer.active.getLine(terminal.buffer.active.baseY + row);
  const runs: Run[] = [];
  for (let column = 0; line !== undefined && column < COLUMNS; column++) {
    const cell = line.getCell(column);
    if (cell === undefined) break;
    const style = styleOf(cell);
    const text = cell.getChars() || ' ';
    const last = runs.at(-1);
    const same = last !== undefined && last.colour === style.colour && last.background === style.background && last.bold === style.bold && last.dim === style.dim;
    if (same) last.text += text;
    else runs.push({ column, text, ...style });
  }
  return runs.filter(({ text, background }) => background !== BACKGROUND || text.trim() !== '');
}

function runElements({ column, text, colour, background, bold, dim }: Run, row: number): string {
  const kept = background === BACKGROUND ? text.trimEnd() : text;
  const blanks = kept.length - kept.trimStart().length;
  const shown = background === BACKGROUND ? kept.slice(blanks) : kept;
  const from = background === BACKGROUND ? column + blanks : column;
  const x = (MARGIN + from * CELL_WIDTH).toFixed(2);
  const width = (shown.length * CELL_WIDTH).toFixed(2);
  const top = BAR_HEIGHT + MARGIN / 2 + row * CELL_HEIGHT;
  const box = background === BACKGROUND ? '' : `<rect x="${x}" y="${top}" width="${width}" height="${CELL_HEIGHT}" fill="${background}"/>`;
  const attributes = `${bold ? ' font-weight="700"' : ''}${dim ? ' opacity="0.65"' : ''}`;
  return `${box}<text x="${x}" y="${top + 13}" textLength="${width}" fill="${colour}"${attributes}>${escaped(shown)}</text>\n`;
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}

function svgOf(terminal: headless.Terminal): string {
  const lines = linesOf(terminal);
  const rows = lines.findLastIndex((line) => line.trim() !== '') + 1;
  const width = Math.ceil(COLUMNS * CELL_WIDTH + 2 * MARGIN);
  const height = BAR_HEIGHT + MARGIN + rows * CELL_HEIGHT;
  let svg = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}" role="img" xml:space="preserve">\n`;
  svg += '<!-- Drawn by scripts/picture.ts from a terminal session; do not edit. -->\n';
  svg += '<title>bulkhead run machines/packaging-cell.yaml at a terminal: Debian and two real-time systems on one board</title>\n';
  svg += `<style>text { font: ${FONT_PIXELS}px "DejaVu Sans Mono", "Liberation Mono", Menlo, Consolas, monospace; }</style>\n`;
  svg += `<rect width="${width}" height="${height}" rx="8" fill="${BACKGROUND}"/>\n`;
  svg += `<path d="M0 8a8 8 0 0 1 8-8H${width - 8}a8 8 0 0 1 8 8V${BAR_HEIGHT}H0z" fill="${BAR}"/>\n`;
  for (const [index, colour] of ['#f47067', '#daaa3f', '#57ab5a'].entries()) {
    svg += `<circle cx="${18 + index * 20}" cy="${BAR_HEIGHT / 2}" r="6" fill="${colour}"/>\n`;
  }
  for (let row = 0; row < rows; row++) for (const run of runsOf(terminal, row)) svg += runElements(run, row);
  return `${svg}</svg>\n`;
}

await record((terminal) => {
  mkdirSync(dirname(TARGET), { recursive: true });
  writeFileSync(TARGET, svgOf(terminal));
  process.stdout.write(`${linesOf(terminal).join('\n').trimEnd()}\n`);
});
