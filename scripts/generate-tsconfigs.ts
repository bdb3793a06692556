/**
 * Writes the tsconfig.json of every room, and tsconfig.rooms.json over them, from the table of rooms. The references are what makes
 * the compiler refuse an import in the wrong direction (TS6307), and `types: []` what keeps Node and the DOM out of pure rooms.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type Room, ROOMS, roomNamed } from './rooms.ts';

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const NOTE = '// Generated from scripts/rooms.ts by `npm run generate`.\n';

function roomConfig(room: Room): unknown {
  const up = '../'.repeat(room.name.split('/').length + 1);
  const references = [...new Set(room.imports.map((name) => roomNamed(name)?.name))];
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
    // types/ comes with every room: a room that has no file yet would be an error otherwise.
    include: [`${up}types`, '.'],
    exclude: ['**/*.test.ts'],
    references: references.map((name) => ({ path: `${up}src/${name}` })),
  };
}

/** Every generated file, by its path from the root. */
export function tsconfigFiles(): ReadonlyMap<string, string> {
  const files = new Map<string, string>();
  const add = (path: string, value: unknown): void => void files.set(path, `${NOTE}${JSON.stringify(value, null, 2)}\n`);
  add('tsconfig.rooms.json', { files: [], references: ROOMS.map((room) => ({ path: `src/${room.name}` })) });
  for (const room of ROOMS) add(`src/${room.name}/tsconfig.json`, roomConfig(room));
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
    const target = join(ROOT, path);
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, text);
  }
}
