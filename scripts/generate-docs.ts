/** Writes what is generated from the sources under docs/, and the generated pieces of pages. test/docs.test.ts holds the files to it. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DEVICE_CATALOGUE } from '../src/cli/device-catalogue.ts';
import { manifestJsonSchema } from '../src/manifest/index.ts';
import { cliPieces } from './docs/cli-pieces.ts';
import { cpuPage } from './docs/cpu-page.ts';
import { errorsPage } from './docs/errors-page.ts';
import { manifestPieces, mistake } from './docs/manifest-pieces.ts';
import { notModelledPage } from './docs/not-modelled.ts';
import { GENERATED } from './docs/notice.ts';
import { withPieces } from './docs/regions.ts';
import { roomPieces } from './docs/room-pieces.ts';
import { sharedPieces } from './docs/shared-pieces.ts';

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));

/** Every generated file, by its path from the root. */
export function generatedDocs(): ReadonlyMap<string, string> {
  const page = (path: string, pieces: Readonly<Record<string, string>>): [string, string] => [
    path,
    withPieces(readFileSync(join(ROOT, path), 'utf8'), pieces, path),
  ];
  return new Map([
    ['docs/cpu.md', cpuPage()],
    ['docs/errors.md', errorsPage()],
    ['docs/not-modelled.md', notModelledPage(ROOT)],
    ['docs/bulkhead.schema.json', `${JSON.stringify({ $comment: GENERATED, ...manifestJsonSchema(DEVICE_CATALOGUE) }, null, 2)}\n`],
    page('README.md', { 'two-owners': mistake(ROOT, 'two-owners') }),
    page('docs/architecture.md', roomPieces(ROOT)),
    page('docs/manifest.md', manifestPieces(ROOT)),
    page('docs/cli.md', cliPieces()),
    page('docs/shared.md', sharedPieces()),
  ]);
}

/** The generated files that differ from what lies on disk. */
export function staleDocs(): string[] {
  return [...generatedDocs()].filter(([path, text]) => read(join(ROOT, path)) !== text).map(([path]) => path);
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const [path, text] of generatedDocs()) {
    const target = join(ROOT, path);
    mkdirSync(dirname(target), { recursive: true });
    writeFileSync(target, text);
  }
}
