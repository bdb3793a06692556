// What is generated is current, and the table of errors is whole: no code without a row, no row without a use.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { staleDocs } from '../scripts/generate-docs.ts';
import { ERRORS } from '../src/base/index.ts';

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));

/** Codes in string literals of the sources, tests and the table itself left out. Comments speak of codes without using them. */
function codesUsed(): Set<string> {
  const used = new Set<string>();
  for (const entry of readdirSync(join(ROOT, 'src'), { recursive: true, withFileTypes: true })) {
    if (!entry.isFile() || !entry.name.endsWith('.ts') || entry.name.endsWith('.test.ts') || entry.name === 'error-table.ts') continue;
    const text = readFileSync(join(entry.parentPath, entry.name), 'utf8');
    for (const [, code] of text.matchAll(/['"`](BH\d{3})['"`]/g)) used.add(code!);
  }
  return used;
}

describe('generated documents', () => {
  it('are current', () => {
    expect(staleDocs(), 'run `npm run generate`').toEqual([]);
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
