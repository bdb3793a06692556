/**
 * Output for pipes, files and terminals nobody types at: prefixed lines, nothing redrawn. A line that stays unfinished for a moment (a
 * prompt) is shown as far as it is; when it goes on and nobody wrote in between, it goes on in place, else it is printed again in full.
 */
import type { ConsoleText } from './console-line.ts';

/** A line that is silent for this long is a prompt. */
export const PROMPT_DELAY_MS = 200;

export class PlainOutput {
  readonly #prefixes: readonly string[];
  readonly #write: (text: string) => void;
  /** Whose unfinished line stands at the end of the output, and how much of it. */
  #open: { readonly source: number; readonly shown: string } | undefined;
  /** Since when each source's unfinished line is as it is. */
  readonly #waiting = new Map<number, { readonly text: string; readonly since: number }>();

  /** What of each source's unfinished line was shown last. */
  readonly #shownBefore = new Map<number, string>();

  /** One prefix for each source of lines. */
  constructor(prefixes: readonly string[], write: (text: string) => void) {
    this.#prefixes = prefixes;
    this.#write = write;
  }

  line(source: number, line: ConsoleText): void {
    this.#waiting.delete(source);
    this.#shownBefore.delete(source);
    if (this.#open?.source === source && line.styled.startsWith(this.#open.shown)) {
      this.#write(`${line.styled.slice(this.#open.shown.length)}\n`);
      this.#open = undefined;
      return;
    }
    this.#close();
    this.#write(`${this.#prefixes[source] ?? ''}${line.styled}\n`);
  }

  /** A line that belongs to no source. */
  notice(text: string): void {
    this.#close();
    this.#write(`${text}\n`);
  }

  /** To be called again and again with each source's unfinished line (empty: it has none) and the time in milliseconds. */
  partial(source: number, styled: string, now: number): void {
    const waiting = this.#waiting.get(source);
    if (waiting?.text !== styled) {
      this.#waiting.set(source, { text: styled, since: now });
      return;
    }
    const open = this.#open;
    if (styled === '' || now - waiting.since < PROMPT_DELAY_MS || (open?.source === source && open.shown === styled)) return;
    // Shown before and somebody wrote in between: it will come again when it is finished, not at every tick.
    if (open?.source !== source && this.#shownBefore.get(source) === styled) return;
    if (open?.source === source && styled.startsWith(open.shown)) {
      this.#write(styled.slice(open.shown.length));
    } else {
      this.#close();
      this.#write(`${this.#prefixes[source] ?? ''}${styled}`);
    }
    this.#open = { source, shown: styled };
    this.#shownBefore.set(source, styled);
  }

  /** Ends an unfinished line, so that what follows starts on one of its own. */
  close(): void {
    this.#close();
  }

  #close(): void {
    if (this.#open !== undefined) this.#write('\n');
    this.#open = undefined;
  }
}
