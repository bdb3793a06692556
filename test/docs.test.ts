// What is generated is current, links lead somewhere, examples compile, and the table of errors is whole: no code without a row, no row without a use.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { example } from '../scripts/docs/manifest-pieces.ts';
import { omissionOf, omissions } from '../scripts/docs/not-modelled.ts';
import { withPieces } from '../scripts/docs/regions.ts';
import { staleDocs } from '../scripts/generate-docs.ts';
import { ERRORS } from '../src/base/index.ts';

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));

/** Paths from the root of all files below `folder` that end so. */
function filesIn(folder: string, ending: string): string[] {
  return readdirSync(join(ROOT, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(ending))
    .map((entry) => relative(ROOT, join(entry.parentPath, entry.name)))
    .sort();
}

const read = (path: string): string => readFileSync(join(ROOT, path), 'utf8');
const sources = (): string[] => filesIn('src', '.ts').filter((path) => !path.endsWith('.test.ts'));

/** Codes in string literals of the sources, tests and the table itself left out. Comments speak of codes without using them. */
function codesUsed(): Set<string> {
  const used = new Set<string>();
  for (const path of sources()) {
    if (path.endsWith('error-table.ts')) continue;
    for (const [, code] of read(path).matchAll(/['"`](BH\d{3})['"`]/g)) used.add(code!);
  }
  return used;
}

describe('generated documents', () => {
  it('are current', () => {
    expect(staleDocs(), 'run `npm run generate`').toEqual([]);
  });

  it('refuse a page whose places and pieces do not match', () => {
    const page = 'before\n<!-- generated: a -->\nold\n<!-- end of a -->\nafter\n';
    expect(withPieces(page, { a: 'new' }, 'page')).toBe('before\n<!-- generated: a -->\n\nnew\n\n<!-- end of a -->\nafter\n');
    expect(() => withPieces(page, {}, 'page')).toThrow('page: nothing generates `a`');
    expect(() => withPieces(page, { a: 'new', b: 'more' }, 'page')).toThrow('page: no place for `b`');
  });
});

describe('the list of what is not modelled', () => {
  it('takes the first sentence of a head, and all that it leaves out', () => {
    const text = '/**\n * 16550A: a serial port.\n * It has more to say.\n *\n * Not modelled: parity, {@link Breaks},\n * DMA.\n */\nimport x;\n// Not modelled: this\n';
    expect(omissionOf('a.ts', text)).toEqual({ path: 'a.ts', models: '16550A: a serial port', notModelled: 'parity, `Breaks`, DMA.' });
    expect(omissionOf('b.ts', '/** Everything. */\n')).toBeUndefined();
  });

  it('misses no file that leaves something out', () => {
    const listed = new Set(omissions(ROOT).map(({ path }) => path));
    expect(listed.size).toBeGreaterThan(30);
    expect(sources().filter((path) => /Not modelled:/.test(read(path)) && !listed.has(path))).toEqual([]);
  });
});

describe('pages', () => {
  const pages = [...['README.md', 'SPECIFICATION.md', 'CHANGELOG.md'], ...filesIn('docs', '.md')];

  /** As GitHub makes them of headings. */
  const anchors = (page: string): string[] =>
    [...read(page).matchAll(/^#+ (.+)$/gm)].map(([, title]) =>
      title!
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
        .replaceAll(' ', '-'),
    );

  it.each(pages)('%s links to what is there', (page) => {
    const dead = [...read(page).matchAll(/\]\((?!https?:)([^)\s]+)\)/g)].flatMap(([, link]) => {
      const [path, anchor] = link!.split('#');
      const target = path === '' ? page : join(dirname(page), path!);
      if (!existsSync(join(ROOT, target))) return [link];
      return anchor === undefined || anchors(target).includes(anchor) ? [] : [link];
    });
    expect(dead).toEqual([]);
  });

  it('name checks that exist, one at least for every promise', () => {
    const promises = read('SPECIFICATION.md').split('\n').filter((line) => /^\| (?!promise|-)/.test(line));
    expect(promises.length).toBeGreaterThan(20);
    for (const promise of promises) {
      const checks = [...promise.split('|').at(-2)!.matchAll(/`([^`]+)`/g)].map(([, check]) => check!);
      expect(checks.length, promise).toBeGreaterThan(0);
      expect(checks.filter((check) => check.includes('/') && !existsSync(join(ROOT, check))), promise).toEqual([]);
    }
  });

  it('list every decision record', () => {
    const records = filesIn('docs/adr', '.md').filter((path) => /\/\d{4}-/.test(path));
    expect(records.filter((path) => !read('docs/adr/README.md').includes(path.slice('docs/adr/'.length)))).toEqual([]);
    for (const record of records) {
      const headings = [...read(record).matchAll(/^## (.+)$/gm)].map(([, title]) => title);
      expect(headings, record).toEqual(['Context', 'Decision', 'Rejected', 'Consequences']);
    }
  });

  it('show examples that compile, or are refused where they say so', () => {
    for (const path of filesIn('docs/examples', '.yaml')) {
      const { machine, findings, text } = example(ROOT, path.slice('docs/examples/'.length, -'.yaml'.length));
      if (text.startsWith('# Wrong on purpose')) expect(findings.some(({ severity }) => severity === 'error'), path).toBe(true);
      else expect([machine === undefined, findings], path).toEqual([false, []]);
    }
  });
});

describe('the table of errors', () => {
  it('has a row for every code the sources use', () => {
    expect([...codesUsed()].filter((code) => !Object.hasOwn(ERRORS, code))).toEqual([]);
  });

  it('has no row that nothing uses', () => {
    const used = codesUsed();
    expect(used.size).toBeGreaterThan(40);
    expect(Object.keys(ERRORS).filter((code) => !used.has(code))).toEqual([]);
  });

  it('says for each code what to do', () => {
    for (const [code, { title, remedy }] of Object.entries(ERRORS)) {
      expect(title, code).toMatch(/[^.]$/);
      expect(remedy, code).toMatch(/\.$/);
    }
  });
});
