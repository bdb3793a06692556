/** The generated piece of docs/architecture.md: the table of rooms, from scripts/rooms.ts. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { ROOMS } from '../rooms.ts';
import { code, markdownTable } from './regions.ts';

export function roomPieces(root: string): Readonly<Record<string, string>> {
  const rows = ROOMS.map(({ name, imports, packages = [], environment }) => [
    code(`src/${name}`),
    imports.length === 0 ? 'nothing' : imports.join(', '),
    packages.map(code).join(', '),
    environment === 'pure' ? 'pure' : 'Node',
    isEmpty(join(root, 'src', name)) ? 'empty so far' : '',
  ]);
  return { rooms: markdownTable(['room', 'may import', 'packages', 'environment', ''], rows) };
}

function isEmpty(folder: string): boolean {
  if (!existsSync(folder)) return true;
  return !readdirSync(folder, { recursive: true, encoding: 'utf8' }).some((path) => path.endsWith('.ts'));
}
