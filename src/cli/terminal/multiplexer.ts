/**
 * The consoles of all partitions in one terminal. A state machine without a terminal: bytes of guests and keys in, bytes for the terminal
 * and requests out.
 *
 * Two views. *All*: every finished line with the name of its partition before it, unfinished lines and the status line at the bottom.
 * *One*: the focused partition has the terminal to itself, byte for byte, so that full-screen programs work. In both, what is typed goes
 * to the focused partition, and `^]` opens the menu.
 *
 * Where nobody sits before a terminal (`interactive: false`) there is only the first view, without anything redrawn.
 */
import { ConsoleLine, type ConsoleText } from './console-line.ts';
import { LiveArea, type LiveRow } from './live-area.ts';
import { MENU_KEY, type MenuAction, menuChoice, menuHelp, menuLine } from './menu.ts';
import { PlainOutput } from './plain-output.ts';
import { ScreenTracker } from './screen-tracker.ts';
import { fitStyled, type StyledText } from './styled-text.ts';

export interface MultiplexerOptions {
  readonly names: readonly string[];
  /** Index of the partition that gets what is typed. */
  readonly focus: number;
  readonly interactive: boolean;
  readonly columns: number;
  readonly rows: number;
  /** Colours a partition's prefix; identity where colour is not wanted. */
  readonly paint: (partition: number, text: string) => string;
  /** Makes text stand back: notices, the status line. */
  readonly dim: (text: string) => string;
}

export interface MultiplexerRequests {
  /** To the terminal. */
  write(bytes: string | Uint8Array): void;
  /** To a partition's console. */
  send(partition: number, bytes: Uint8Array): void;
  /** What the menu asks for beyond views. */
  command(action: 'screen' | 'pen' | 'restart' | 'kill' | 'stop' | 'quit', partition: number): void;
  /** Lines of the status table. */
  status(): readonly string[];
  /** A line of a console is complete: for its log. */
  completed(partition: number, line: string): void;
}

/** Finished lines shown again when a partition gets the terminal to itself. */
const BACKLOG_LINES = 12;
/** Unfinished lines shown at once: a terminal has other things to show. */
const UNFINISHED_SHOWN = 4;

export class ConsoleMultiplexer {
  readonly #options: MultiplexerOptions;
  readonly #requests: MultiplexerRequests;
  readonly #lines: readonly ConsoleLine[];
  readonly #backlogs: readonly string[][];
  readonly #prefixes: readonly string[];
  readonly #prefixWidth: number;
  readonly #plain: PlainOutput;
  readonly #live = new LiveArea();
  readonly #screen = new ScreenTracker();
  #view: 'all' | 'one' = 'all';
  #focus: number;
  #menu = false;
  #finished = '';
  #status: StyledText = { text: '', width: 0 };
  #columns: number;
  #rows: number;
  #closed = false;

  constructor(options: MultiplexerOptions, requests: MultiplexerRequests) {
    this.#options = options;
    this.#requests = requests;
    this.#focus = options.focus;
    this.#columns = options.columns;
    this.#rows = options.rows;
    this.#lines = options.names.map(() => new ConsoleLine());
    this.#backlogs = options.names.map(() => []);
    const width = Math.max(0, ...options.names.map((name) => name.length));
    this.#prefixes = options.names.map((name, index) => `${options.paint(index, `${name.padEnd(width)} │`)} `);
    this.#prefixWidth = width + 3;
    this.#plain = new PlainOutput(this.#prefixes, (text) => requests.write(text));
  }

  /** Index of the partition that gets what is typed. */
  get focus(): number {
    return this.#focus;
  }

  get view(): 'all' | 'one' {
    return this.#view;
  }

  /** Output of a partition. Shown by the next `flush`, or at once where the partition has the terminal to itself. */
  output(partition: number, bytes: Uint8Array): void {
    const line = this.#lines[partition];
    if (line === undefined || bytes.length === 0) return;
    if (this.#view === 'one' && partition === this.#focus && !this.#menu) {
      this.#screen.watch(bytes);
      this.#requests.write(bytes);
    }
    line.feed(bytes, (text) => this.#completed(partition, text));
  }

  /** A partition's life is over: its unfinished line is as finished as it will ever be. */
  ended(partition: number): void {
    this.#lines[partition]?.finish((text) => this.#completed(partition, text));
  }

  /** Our own words, on lines of their own. */
  notice(text: string): void {
    const lines = text.replace(/\n$/, '').split('\n');
    const block = lines.map((line) => `${line}\r\n`).join('');
    if (!this.#options.interactive) for (const line of lines) this.#plain.notice(line);
    else if (this.#view === 'all') this.#finished += block;
    else this.#requests.write(`${this.#lines[this.#focus]?.empty === false ? '\r\n' : ''}${block}${this.#lines[this.#focus]?.text.styled ?? ''}`);
  }

  /** The status line; shown by the next `flush`. */
  setStatus(text: string): void {
    this.#status = fitStyled(text, this.#columns - 1);
  }

  /** Shows what has come since the last one. `now` in milliseconds: unfinished lines are shown after a moment. */
  flush(now: number): void {
    if (this.#closed) return;
    if (!this.#options.interactive) {
      for (const [index, line] of this.#lines.entries()) this.#plain.partial(index, line.text.styled, now);
    } else if (this.#view === 'all') {
      this.#drawLive();
    }
  }

  /** What was typed. */
  input(bytes: Uint8Array): void {
    if (!this.#options.interactive) {
      this.#requests.send(this.#focus, bytes);
      return;
    }
    let start = 0;
    for (let i = 0; i < bytes.length; i++) {
      if (this.#menu) {
        this.#closeMenu();
        this.#choose(String.fromCharCode(bytes[i] as number));
        start = i + 1;
      } else if (bytes[i] === MENU_KEY) {
        if (i > start) this.#requests.send(this.#focus, bytes.subarray(start, i));
        this.#openMenu();
        start = i + 1;
      }
    }
    if (start < bytes.length) this.#requests.send(this.#focus, bytes.subarray(start));
  }

  resize(columns: number, rows: number): void {
    if (this.#options.interactive && this.#view === 'all') this.#requests.write(this.#live.take());
    this.#columns = columns;
    this.#rows = rows;
  }

  /** Gives a partition the terminal to itself. */
  showOne(partition: number): void {
    if (!this.#options.interactive) return;
    if (this.#view === 'one') this.#requests.write(`${this.#screen.tame()}\r\n`);
    else this.#requests.write(this.#live.draw(this.#finished, [], undefined));
    this.#finished = '';
    this.#view = 'one';
    this.#focus = partition;
    const backlog = (this.#backlogs[partition] ?? []).map((line) => `${line}\r\n`).join('');
    const line = this.#lines[partition];
    this.#requests.write(`${this.#rule(`${this.#options.names[partition]}, ^] menu, ^] a all consoles`)}${backlog}${line?.text.styled ?? ''}`);
  }

  /** Back to everybody's lines. */
  showAll(): void {
    if (!this.#options.interactive || this.#view === 'all') return;
    this.#view = 'all';
    this.#requests.write(`${this.#screen.tame()}\r\n${this.#rule(`all consoles; typing goes to ${this.#options.names[this.#focus]}`)}`);
    this.#drawLive();
  }

  /** Takes the live area away and finishes what is unfinished: the terminal is somebody else's now. */
  close(): void {
    if (this.#closed) return;
    for (const index of this.#lines.keys()) this.ended(index);
    if (!this.#options.interactive) this.#plain.close();
    else if (this.#view === 'one') this.#requests.write(`${this.#screen.tame()}\r\n`);
    else this.#requests.write(this.#live.draw(this.#finished, [], undefined));
    this.#finished = '';
    this.#closed = true;
  }

  #completed(partition: number, line: ConsoleText): void {
    this.#requests.completed(partition, line.plain);
    const backlog = this.#backlogs[partition] as string[];
    backlog.push(line.styled);
    if (backlog.length > BACKLOG_LINES) backlog.shift();
    if (!this.#options.interactive) this.#plain.line(partition, line);
    else if (this.#view === 'all') this.#finished += `${this.#prefixes[partition] ?? ''}${line.styled}\r\n`;
  }

  #openMenu(): void {
    this.#menu = true;
    if (this.#view === 'one') this.#requests.write(`\r\n${this.#menuRow().styled}`);
    else this.#drawLive();
  }

  #closeMenu(): void {
    this.#menu = false;
    if (this.#view === 'one') this.#requests.write(`\r\x1b[K${this.#lines[this.#focus]?.text.styled ?? ''}`);
    else this.#drawLive();
  }

  #choose(key: string): void {
    const choice = menuChoice(key, this.#options.names.length);
    if (choice === undefined) return;
    if (typeof choice === 'number') this.showOne(choice);
    else this.#obey(choice);
  }

  #obey(action: MenuAction): void {
    switch (action) {
      case 'all':
        this.showAll();
        break;
      case 'status':
        this.notice(this.#requests.status().join('\n'));
        break;
      case 'help':
        this.notice(menuHelp(this.#options.names).join('\n'));
        break;
      case 'send':
        this.#requests.send(this.#focus, Uint8Array.of(MENU_KEY));
        break;
      default:
        this.#requests.command(action, this.#focus);
    }
    if (this.#view === 'all') this.#drawLive();
  }

  #drawLive(): void {
    const rows: LiveRow[] = [];
    const unfinished = [...this.#lines.keys()].filter((index) => index !== this.#focus && !this.#lines[index]?.empty);
    for (const index of unfinished.slice(0, Math.min(UNFINISHED_SHOWN, this.#rows - 3))) rows.push(this.#unfinishedRow(index).row);
    const { row, cursor } = this.#unfinishedRow(this.#focus);
    const focusRow = rows.push(row) - 1;
    if (this.#menu) rows.push(this.#menuRow());
    else if (this.#status.width > 0) rows.push({ styled: this.#options.dim(this.#status.text), width: this.#status.width });
    const bytes = this.#live.draw(this.#finished, rows, { row: focusRow, column: cursor });
    this.#finished = '';
    if (bytes !== '') this.#requests.write(bytes);
  }

  /** A partition's unfinished line, its end (where things happen) when it is too wide. */
  #unfinishedRow(partition: number): { readonly row: LiveRow; readonly cursor: number } {
    const line = this.#lines[partition] as ConsoleLine;
    const room = Math.max(1, this.#columns - 1 - this.#prefixWidth);
    const from = Math.max(0, line.column - room + 1);
    const text = line.slice(from, from + room);
    return {
      row: { styled: `${this.#prefixes[partition] ?? ''}${text.styled}`, width: this.#prefixWidth + text.plain.length },
      cursor: this.#prefixWidth + line.column - from,
    };
  }

  #menuRow(): LiveRow {
    const fitted = fitStyled(menuLine(this.#options.names, this.#focus), this.#columns - 1);
    return { styled: `\x1b[7m${fitted.text}\x1b[0m`, width: fitted.width };
  }

  #rule(title: string): string {
    return `${this.#options.dim(fitStyled(`── ${title} ──`, this.#columns - 1).text)}\r\n`;
  }
}
