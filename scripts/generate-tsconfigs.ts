/**
 * Writes the tsconfig.json of every room, and tsconfig.rooms.json over them, from the table of rooms. The references are what makes
 * the compiler refuse an import in the wrong direction (TS6307), and `types: []` what keeps Node and the DOM out of pure rooms.
 */
import { globSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Room, ROOMS, roomNamed } from './rooms.ts';

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const NOTE = '// Generated from scripts/rooms.ts by `npm run generate`.\n';

/** The table is the plan of the house; the compiler only hears of rooms that have something in them. */
const FURNISHED: readonly Room[] = ROOMS.filter((room) => globSync(`src/${room.name}/**/*.ts`, { cwd: ROOT }).length > 0);

function roomConfig(room: Room): unknown {
  const up = '../'.repeat(room.name.split('/').length + 1);
  const references = [...new Set(room.imports.map((name) => roomNamed(name)))].filter((target) => FURNISHED.some((furnished) => furnished === target));
  return {
    extends: `${up}tsconfig.json`,
    compilerOptions: {
      composite: true,
      noEmit: false,
      emitDeclarationOnly: true,
      rootDir: up,
      outDir: `${up}.tsbuild`,
      tsBuildInfoFile: `${up}.tsbuild/${room.name.replace('/', '-')}.tsbuildinfo`,
      types: room.environment === 'pure' ? [] : ['node'],
      // The types of packages may speak of Node or the DOM; ours may not.
      ...(room.packages === undefined ? {} : { skipLibCheck: true }),
    },
    include: [`${up}types`, '.'],
    exclude: ['**/*.test.ts'],
    references: references.map((target) => ({ path: `${up}src/${target?.name}` })),
  };
}

/** Every generated file, by its path from the root. */
export function tsconfigFiles(): ReadonlyMap<string, string> {
  const files = new Map<string, string>();
  const add = (path: string, value: unknown): void => void files.set(path, `${NOTE}${JSON.stringify(value, null, 2)}\n`);
  add('tsconfig.rooms.json', { files: [], references: FURNISHED.map((room) => ({ path: `src/${room.name}` })) });
  for (const room of FURNISHED) add(`src/${room.name}/tsconfig.json`, roomConfig(room));
  return files;
}

/** The generated files that differ from what lies on disk. */
export function staleTsconfigs(): string[] {
  return [...tsconfigFiles()].filter(([path, text]) => read(join(ROOT, path)) !== text).map(([path]) => path);
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const [path, text] of tsconfigFiles()) {
    writeFileSync(join(ROOT, path), text);
  }
}
