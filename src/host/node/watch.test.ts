import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { watchSources } from './watch.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'bulkhead-watch-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const until = async (holds: () => boolean): Promise<void> => {
  for (let i = 0; i < 500 && !holds(); i++) await new Promise((resolve) => setTimeout(resolve, 10));
};

it('says once that sources in a folder have changed, and is silent about other files and afterwards', async () => {
  const changes: string[] = [];
  const watching = watchSources([folder, folder], (changed) => changes.push(changed));
  writeFileSync(join(folder, 'notes.txt'), 'x');
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(changes).toEqual([]);
  for (let i = 0; i < 5; i++) writeFileSync(join(folder, 'card.ts'), `// ${i}`);
  await until(() => changes.length > 0);
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(changes).toEqual([folder]);
  watching[Symbol.dispose]();
  writeFileSync(join(folder, 'card.ts'), '// later');
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(changes).toEqual([folder]);
});

it('refuses a folder that is not there', () => {
  expect(() => watchSources([folder, join(folder, 'no-such')], () => undefined)).toThrow();
});
