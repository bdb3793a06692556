/**
 * The terminal this process was started in: bytes in, bytes out, its size, and raw mode that is undone however the process ends, be it by
 * a return, an exception, `process.exit` or a signal.
 */
import type { ReadStream, WriteStream } from 'node:tty';

export interface TerminalEvents {
  input(bytes: Uint8Array): void;
  /** The input has ended: a pipe was closed. */
  inputEnded(): void;
  resized(columns: number, rows: number): void;
}

/** A cursor that shows, no colours: the least a shell needs. What a guest painted is undone by whoever showed it. */
const RESTORE = '\x1b[?25h\x1b[0m';

export class Terminal implements Disposable {
  /** Somebody sits before it: raw mode, status line, menu. */
  readonly interactive: boolean;
  readonly #input: ReadStream | NodeJS.ReadableStream;
  readonly #output: WriteStream | NodeJS.WritableStream;
  readonly #undo: (() => void)[] = [];
  #restored = false;

  constructor(events: TerminalEvents, input: NodeJS.ReadStream = process.stdin, output: NodeJS.WriteStream = process.stdout) {
    this.#input = input;
    this.#output = output;
    this.interactive = input.isTTY === true && output.isTTY === true;
    if (this.interactive) {
      input.setRawMode(true);
      const restore = (): void => this.#restore();
      process.on('exit', restore);
      this.#undo.push(() => void process.off('exit', restore));
      const resized = (): void => events.resized(output.columns, output.rows);
      output.on('resize', resized);
      this.#undo.push(() => void output.off('resize', resized));
    }
    const data = (bytes: Buffer): void => events.input(bytes);
    const ended = (): void => events.inputEnded();
    const failed = (): void => events.inputEnded();
    input.on('data', data).on('end', ended).on('error', failed);
    this.#undo.push(() => void input.off('data', data).off('end', ended).off('error', failed));
  }

  get columns(): number {
    return ('columns' in this.#output && this.#output.columns) || 80;
  }

  get rows(): number {
    return ('rows' in this.#output && this.#output.rows) || 24;
  }

  write(text: string | Uint8Array): void {
    this.#output.write(text);
  }

  /** Back-pressure towards whoever types: no `input` until `resumeInput`. */
  pauseInput(): void {
    this.#input.pause();
  }

  resumeInput(): void {
    this.#input.resume();
  }

  /** Gives the terminal back as it was. */
  [Symbol.dispose](): void {
    for (const undo of this.#undo.splice(0)) undo();
    this.#restore();
    // A stdin that is still flowing keeps the process alive.
    this.#input.pause();
    if ('unref' in this.#input) this.#input.unref();
  }

  #restore(): void {
    if (!this.interactive || this.#restored) return;
    this.#restored = true;
    this.#output.write(RESTORE);
    (this.#input as ReadStream).setRawMode(false);
  }
}
