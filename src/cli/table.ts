/** Tables for a terminal: columns as wide as their widest cell, parted by two blanks. */

export interface Column {
  readonly title: string;
  /** Numbers stand right. Default: left. */
  readonly align?: 'left' | 'right';
}

/** Lines without trailing blanks, each ended by a newline. No rows: the titles alone. */
export function table(columns: readonly Column[], rows: readonly (readonly string[])[]): string {
  const widths = columns.map((column, index) => Math.max(width(column.title), ...rows.map((row) => width(row[index] ?? ''))));
  const line = (cells: readonly string[]): string =>
    columns
      .map((column, index) => {
        const cell = cells[index] ?? '';
        const room = ' '.repeat(widths[index]! - width(cell));
        return column.align === 'right' ? room + cell : cell + room;
      })
      .join('  ')
      .trimEnd();
  return [columns.map((column) => column.title), ...rows].map((cells) => `${line(cells)}\n`).join('');
}

/** What a cell takes on the screen: a letter outside the BMP is one, not two. */
function width(text: string): number {
  return [...text].length;
}
