/** Makes vectors/integers.txt on the host CPU: `node test/silicon/make-vectors.ts`. An AMD Zen made the one in the repository. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { type Case, FORMS, makeCase, Random } from './cases.ts';
import { compileHarness, runNatively } from './native.ts';
import { comparable } from './outcome.ts';
import { formatVector } from './vector.ts';

const SEED = 0x5eed;
/** Of so many, the first that raise nothing are kept, so that most encodings show what they compute. */
const TRIED_PER_FORM = 8;
const KEPT_PER_FORM = 1;
/** Memory outside is rarely touched: zeros, to keep the file small. */
const [FIRST, LAST] = [32, 88] as const;

const { path, reason } = compileHarness();
if (path === undefined) throw new Error(reason);
const random = new Random(SEED);
const trimmed = (test: Case): Case => ({ ...test, memory: test.memory.map((byte, i) => (i >= FIRST && i < LAST ? byte : 0)) });
const tried = FORMS.flatMap((form) => Array.from({ length: TRIED_PER_FORM }, () => trimmed(makeCase(form, random))));
const outcomes = runNatively(path, tried);
const kept = FORMS.flatMap((_, form) => {
  const numbers = Array.from({ length: TRIED_PER_FORM }, (_unused, i) => form * TRIED_PER_FORM + i);
  const silent = (i: number): boolean => outcomes[i]?.signal === 0;
  return [...numbers.filter(silent), ...numbers.filter((i) => !silent(i))].slice(0, KEPT_PER_FORM);
});
const folder = new URL('./vectors/', import.meta.url).pathname;
mkdirSync(folder, { recursive: true });
const lines = kept.map((i) => {
  const test = tried[i] as Case;
  return formatVector(test, comparable(test, outcomes[i] as (typeof outcomes)[number]));
});
writeFileSync(`${folder}integers.txt`, `${lines.join('\n')}\n`);
