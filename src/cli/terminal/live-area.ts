/**
 * The bottom of an interactive terminal: lines that are still being written, and the status line under them. Finished lines scroll away
 * above it. It is taken away before anything else is printed and drawn again after, so the scrollback holds nothing but finished lines.
 */

/** One row, at most as wide as the terminal less one column, so that it never wraps. */
export interface LiveRow {
  readonly styled: string;
  readonly width: number;
}

export interface LiveCursor {
  /** Index into the rows. */
  readonly row: number;
  readonly column: number;
}

export class LiveArea {
  #rows = 0;
  #cursorRow = 0;
  #shown = '';

  /** Bytes that print `finished` (whole lines, each ended by CR LF) and leave `rows` under them, the cursor where it belongs. */
  draw(finished: string, rows: readonly LiveRow[], cursor: LiveCursor | undefined): string {
    const drawing = this.#render(rows, cursor);
    if (finished === '' && drawing === this.#shown) return '';
    const taken = this.take();
    this.#rows = rows.length;
    this.#cursorRow = cursor?.row ?? Math.max(0, rows.length - 1);
    this.#shown = drawing;
    return taken + finished + drawing;
  }

  /** Bytes that take it away; the cursor stands where it began. */
  take(): string {
    if (this.#rows === 0) return '';
    const up = this.#cursorRow > 0 ? `\x1b[${this.#cursorRow}A` : '';
    this.#rows = 0;
    this.#cursorRow = 0;
    this.#shown = '';
    return `\r${up}\x1b[J`;
  }

  #render(rows: readonly LiveRow[], cursor: LiveCursor | undefined): string {
    const text = rows.map((row) => row.styled).join('\r\n');
    if (cursor === undefined || rows.length === 0) return text;
    const up = rows.length - 1 - cursor.row;
    return `${text}${up > 0 ? `\x1b[${up}A` : ''}\r${cursor.column > 0 ? `\x1b[${cursor.column}C` : ''}`;
  }
}
