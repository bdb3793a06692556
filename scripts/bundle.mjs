/**
 * Bundles our sources into the folder given: one file for each program and Worker, and what they share. A source's `import.meta.url` stays
 * that of the source, so that it finds what lies beside it (package.json, images of guests); where it names another of our modules, to start
 * or to hand it to somebody, that is the bundled one. What one of them would calculate at every start is calculated here.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import { rolldown } from 'rolldown';
import { MAIN, SOURCES, sources } from './program.mjs';

const MODULE_URL = /new URL\('(\.{1,2}\/[\w./-]+\.ts)', import\.meta\.url\)/g;
const INTERPRETER = join(SOURCES, 'soft', 'interpreter-bytes.ts');
const WEEK_MS = 7 * 24 * 3600 * 1000;

const folder = process.argv[2];
const bundled = (source) => join(folder, relative(SOURCES, source)).replace(/\.ts$/, '.mjs');

/** The program, and every module that another one refers to by its URL. */
function entries() {
  const named = sources().flatMap((source) => [...readFileSync(source, 'utf8').matchAll(MODULE_URL)].map(([, path]) => join(dirname(source), path)));
  return Object.fromEntries([MAIN, ...named].map((source) => [relative(SOURCES, source).replace(/\.ts$/, ''), source]));
}

const placesOfSources = {
  name: 'places of sources',
  transform(code, id) {
    if (!id.startsWith(SOURCES)) return null;
    return code
      .replaceAll(MODULE_URL, (_, path) => `new URL(${JSON.stringify(pathToFileURL(bundled(join(dirname(id), path))).href)})`)
      .replaceAll('import.meta.url', JSON.stringify(pathToFileURL(id).href))
      .replaceAll('import.meta.dirname', JSON.stringify(dirname(id)));
  },
};

/** Calculated now instead of at every start: a constant in the place of the module that calculates it. */
const interpreter = {
  name: 'interpreter',
  async load(id) {
    if (id !== INTERPRETER) return null;
    const { interpreterBytes } = await import(pathToFileURL(INTERPRETER).href);
    const text = Buffer.from(interpreterBytes()).toString('base64');
    return `export const interpreterBytes = () => Uint8Array.from(Buffer.from('${text}', 'base64'));`;
  },
};

try {
  mkdirSync(dirname(folder), { recursive: true });
  // Made beside its place and then moved there: who finds it finds all of it, also when several make it at the same time.
  const making = `${folder}.${process.pid}`;
  const bundle = await rolldown({ input: entries(), platform: 'node', plugins: [placesOfSources, interpreter], logLevel: 'silent' });
  await bundle.write({ dir: making, format: 'esm', entryFileNames: '[name].mjs', chunkFileNames: 'shared/[name]-[hash].mjs' });
  try {
    renameSync(making, folder);
  } catch (error) {
    rmSync(making, { recursive: true });
    if (!existsSync(folder)) throw error; // else somebody was first
  }
  forgetOld();
} catch (error) {
  process.stderr.write(error.message);
  process.exitCode = 1;
}

/**
 * Bundles of other states, and what Node made of them (setup.mjs). A machine of an older state may still run and start Workers, but hardly one of
 * last week, from sources that have changed since.
 */
function forgetOld() {
  const cache = dirname(dirname(folder));
  const compiled = join(cache, 'compiled');
  const byVersion = existsSync(compiled) ? readdirSync(compiled).map((version) => join(compiled, version)) : [];
  for (const place of [dirname(folder), ...byVersion]) {
    for (const name of readdirSync(place)) {
      const path = join(place, name);
      if (path !== folder && Date.now() - statSync(path).mtimeMs > WEEK_MS) rmSync(path, { recursive: true, force: true });
    }
  }
}
