/** docs/not-modelled.md: what each file of the sources says at its head that it does not model, room by room. */
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { ROOMS, type Room, roomOf } from '../rooms.ts';
import { GENERATED } from './notice.ts';
import { markdownTable } from './regions.ts';

export interface Omission {
  /** From the root: `src/board/chips/i8254.ts`. */
  readonly path: string;
  /** The first sentence of the file's head. */
  readonly models: string;
  readonly notModelled: string;
}

const MARK = 'Not modelled:';

/** Every file under src/ whose head says what it leaves out, in order of path. */
export function omissions(root: string): Omission[] {
  return readdirSync(join(root, 'src'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts') && !entry.name.endsWith('.test.ts'))
    .map((entry) => join(entry.parentPath, entry.name))
    .flatMap((path) => omissionOf(relative(root, path).replaceAll('\\', '/'), readFileSync(path, 'utf8')) ?? [])
    .sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** What the head of one file says; undefined when it leaves nothing out. */
export function omissionOf(path: string, text: string): Omission | undefined {
  const head = /^\/\*\*([\s\S]*?)\*\//.exec(text)?.[1];
  if (head === undefined) return undefined;
  const lines = head.split('\n').map((line) => line.replace(/^\s*\*? ?/, '').trimEnd());
  const from = lines.findIndex((line) => line.startsWith(MARK));
  if (from < 0) return undefined;
  const blank = lines.findIndex((line, index) => index > from && line === '');
  const said = lines.slice(from, blank < 0 ? undefined : blank).join(' ').slice(MARK.length);
  return { path, models: firstSentence(lines), notModelled: inMarkdown(said) };
}

function firstSentence(lines: readonly string[]): string {
  const start = lines.findIndex((line) => line !== '');
  const end = lines.findIndex((line, index) => index > start && line === '');
  const paragraph = lines.slice(start, end < 0 ? undefined : end).join(' ');
  // A stop ends a sentence where a capital follows: "SDM 3A §4.5. A page …", not "e.g. this" or "1.5".
  return inMarkdown(paragraph.split(/(?<=[.:])\s+(?=[A-Z])/)[0] ?? paragraph).replace(/[.:]$/, '');
}

function inMarkdown(text: string): string {
  return text.trim().replaceAll(/\{@link ([^}]+)\}/g, '`$1`');
}

export function notModelledPage(root: string): string {
  const all = omissions(root);
  let page = `# What is not modelled\n\n<!-- ${GENERATED} -->\n\n`;
  page += 'Every file that models something says at its head what it leaves out. This is all of it, room by room.\n';
  page += 'What a guest asks for and does not get raises #UD or reads as absent; it is never computed wrongly on purpose.\n';
  for (const room of ROOMS) {
    const own = all.filter(({ path }) => roomOf(path) === room);
    if (own.length > 0) page += chapter(room, own);
  }
  return page;
}

function chapter(room: Room, own: readonly Omission[]): string {
  const folder = `src/${room.name}/`;
  const rows = own.map(({ path, models, notModelled }) => [`[${path.slice(folder.length)}](../${path})`, models, notModelled]);
  return `\n## ${folder.slice(0, -1)}\n\n${markdownTable(['file', 'what it is', 'not modelled'], rows)}`;
}
