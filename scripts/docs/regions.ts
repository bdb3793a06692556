/**
 * Pages written by hand with generated pieces in them. A piece stands between two comments, which Markdown does not show:
 *
 *     <!-- generated: NAME -->
 *     …
 *     <!-- end of NAME -->
 */

/** The page with every piece put in anew. Throws when a piece has no place, or a place has no piece. */
export function withPieces(page: string, pieces: Readonly<Record<string, string>>, path: string): string {
  const unknown = [...page.matchAll(/<!-- generated: (\S+) -->/g)].map(([, name]) => name!).find((name) => !Object.hasOwn(pieces, name));
  if (unknown !== undefined) throw new Error(`${path}: nothing generates \`${unknown}\``);
  let text = page;
  for (const [name, piece] of Object.entries(pieces)) {
    const opening = `<!-- generated: ${name} -->\n`;
    const start = text.indexOf(opening);
    const end = text.indexOf(`<!-- end of ${name} -->`, start);
    if (start < 0 || end < 0) throw new Error(`${path}: no place for \`${name}\``);
    text = `${text.slice(0, start)}${opening}\n${piece.trim()}\n\n${text.slice(end)}`;
  }
  return text;
}

export function markdownTable(titles: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string => `| ${cells.map((cell) => cell.replaceAll('|', '\\|').replaceAll('\n', ' ')).join(' | ')} |\n`;
  return line(titles) + line(titles.map(() => '---')) + rows.map(line).join('');
}

export function fenced(language: string, text: string): string {
  return `\`\`\`${language}\n${text.trimEnd()}\n\`\`\`\n`;
}

export const code = (text: string): string => `\`${text}\``;
