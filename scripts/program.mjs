/**
 * The program that a machine runs: our sources, bundled. Hundreds of modules are hundreds of files to find, read and link in every one of a
 * machine's threads, a second of processor time before a guest's first instruction. Bundled once for each state of the sources, kept in the
 * cache; where that cannot be, the sources run as they are. Plain JavaScript without dependencies, as setup.mjs is.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { cacheFolder, ROOT, say } from './setup.mjs';

export const SOURCES = join(ROOT, 'src');
export const MAIN = join(SOURCES, 'cli', 'main.ts');
const BUNDLER = join(ROOT, 'scripts', 'bundle.mjs');
/** What a bundle depends on beside the sources: where they lie, and what makes it of them. */
const MAKERS = [join(ROOT, 'package-lock.json'), BUNDLER];

/** The file for `node` to run, which also makes it when it is not there. */
export function program(node) {
  const cache = cacheFolder();
  if (cache === undefined) return MAIN;
  const folder = join(cache, 'program', stateOfSources());
  const bundled = join(folder, 'cli', 'main.mjs');
  if (existsSync(bundled)) return bundled;
  const { status, stderr, error } = spawnSync(node, [BUNDLER, folder], { encoding: 'utf8' });
  if (status === 0) return bundled;
  say(`runs from its sources, which takes longer to start, because they cannot be bundled: ${(error?.message ?? stderr).trim()}`);
  return MAIN;
}

/** The files of our sources, tests left out. */
export function sources() {
  const names = readdirSync(SOURCES, { recursive: true }).filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts'));
  return names.sort().map((name) => join(SOURCES, name));
}

/** Sizes and times, not contents: looked at on every start. */
function stateOfSources() {
  const hash = createHash('sha256').update(ROOT);
  for (const path of [...sources(), ...MAKERS]) {
    const { size, mtimeMs } = statSync(path);
    hash.update(`${path} ${size} ${mtimeMs}\n`);
  }
  return hash.digest('hex').slice(0, 16);
}
