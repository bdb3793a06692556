// docs/architecture.md, "the way through the house": which room may import which, held against every import in src/.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, posix, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { staleTsconfigs } from '../scripts/generate-tsconfigs.ts';
import { ROOMS, roomNamed, roomOf } from '../scripts/rooms.ts';

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const IMPORT = /^\s*(?:import|export)\b[^'"`;]*?\bfrom\s*['"]([^'"]+)['"]|^\s*import\s*['"]([^'"]+)['"]|\bimport\(\s*['"]([^'"]+)['"]\s*\)/gm;

interface Import {
  readonly from: string;
  readonly specifier: string;
}

function sources(): string[] {
  return readdirSync(join(ROOT, 'src'), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts') && !entry.name.endsWith('.d.ts'))
    .map((entry) => relative(ROOT, join(entry.parentPath, entry.name)).replaceAll('\\', '/'))
    .sort();
}

function importsOf(path: string, text: string): Import[] {
  return [...text.matchAll(IMPORT)].map((match) => ({ from: path, specifier: match[1] ?? match[2] ?? match[3] ?? '' }));
}

/** Why an import is not allowed, or undefined. Tests may use Node, vitest and what any room they are allowed to import offers. */
function objection({ from, specifier }: Import): string | undefined {
  const room = roomOf(from);
  const test = from.endsWith('.test.ts');
  if (room === undefined) return `${from} lies in no room`;
  if (specifier.startsWith('node:')) return room.environment === 'node' || test ? undefined : `${from}: a pure room imports ${specifier}`;
  if (!specifier.startsWith('.')) {
    const name = specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/');
    if (test || (room.packages ?? []).includes(name)) return undefined;
    return `${from}: room ${room.name} may not import the package ${name}`;
  }
  const target = posix.join(posix.dirname(from), specifier);
  const there = roomOf(target);
  if (there === room) return undefined;
  if (!specifier.endsWith('.ts')) return `${from}: ${specifier} has no .ts extension`;
  if (there === undefined) return test ? undefined : `${from}: ${specifier} leaves src/`;
  const allowed = room.imports.filter((name) => roomNamed(name) === there);
  if (allowed.includes(there.name)) return test || there.byFile || target === `src/${there.name}/index.ts` ? undefined : `${from}: enter ${there.name} through its index.ts`;
  if (allowed.some((name) => target === `src/${name}.ts` || target.startsWith(`src/${name}/`))) return undefined;
  return `${from}: room ${room.name} may not import ${target}`;
}

describe('the rooms', () => {
  it('import only what the table allows, through index.ts', () => {
    const imports = sources().flatMap((path) => importsOf(path, readFileSync(join(ROOT, path), 'utf8')));
    expect(imports.length).toBeGreaterThan(20);
    expect(imports.map(objection).filter((message) => message !== undefined)).toEqual([]);
  });

  it('stand in an order in which imports point one way', () => {
    for (const [place, room] of ROOMS.entries()) {
      for (const name of room.imports) {
        const target = roomNamed(name);
        expect(target, `${room.name} imports ${name}`).toBeDefined();
        expect(ROOMS.indexOf(target!), `${room.name} → ${name}`).toBeLessThan(place);
      }
    }
  });

  it('have the compiler on their side: each tsconfig.json follows the table', () => {
    expect(staleTsconfigs(), 'run `npm run generate`').toEqual([]);
  });
});

describe('the check itself', () => {
  const object = (from: string, line: string): string | undefined => importsOf(from, line).map(objection)[0];

  it.each([
    ['a room above', 'src/board/bus.ts', "import { start } from '../hypervisor/index.ts';"],
    ['the inside of another room', 'src/board/bus.ts', "import type { Bus } from '../contracts/bus.ts';"],
    ['a part of a room that is not meant', 'src/soft/vm.ts', "import { Bus } from '../board/bus.ts';"],
    ['Node from a pure room', 'src/board/bus.ts', "import { readFileSync } from 'node:fs';"],
    ['a package nobody gave it', 'src/board/bus.ts', "import { parse } from 'yaml';"],
    ['another room at run time', 'src/board/bus.ts', "const cli = await import('../cli/main.ts');"],
    ['something over several lines', 'src/base/bits.ts', "import {\n  Bus,\n} from '../board/index.ts';"],
    ['something re-exported', 'src/base/bits.ts', "export * from '../board/index.ts';"],
  ])('refuses %s', (_, from, line) => {
    expect(object(from, line)).toBeDefined();
  });

  it.each([
    ['its own files', 'src/board/bus.ts', "import { Ram } from './memory.ts';"],
    ['a room below', 'src/board/bus.ts', "import type { IoRange } from '../contracts/index.ts';"],
    ['the part that is meant', 'src/soft/vm.ts', "import { Ram } from '../board/memory.ts';"],
    ['a package in a test', 'src/board/bus.test.ts', "import { it } from 'vitest';"],
  ])('accepts %s', (_, from, line) => {
    expect(object(from, line)).toBeUndefined();
  });
});
