/** Text with colour sequences in it, measured by what is seen. */

export interface StyledText {
  readonly text: string;
  /** Columns it takes. */
  readonly width: number;
}

const COLOUR = /\x1b\[[0-9;]*m/y;

/** Cut to at most `columns`; colours that were on at the cut are reset. */
export function fitStyled(text: string, columns: number): StyledText {
  let width = 0;
  let coloured = false;
  let index = 0;
  while (index < text.length) {
    COLOUR.lastIndex = index;
    const colour = COLOUR.exec(text);
    if (colour !== null) {
      coloured = true;
      index = COLOUR.lastIndex;
      continue;
    }
    if (width >= columns) return { text: text.slice(0, index) + (coloured ? '\x1b[0m' : ''), width };
    const point = text.codePointAt(index) as number;
    index += point > 0xffff ? 2 : 1;
    width++;
  }
  return { text, width };
}
