/**
 * The software engine against the host CPU, instruction by instruction, in 64-bit, 32-bit and 16-bit code. `BULKHEAD_CASES` per encoding
 * (default 20) and `BULKHEAD_SEED` (default: random, printed) choose the run. What differs is shrunk and printed as a line for
 * vectors/kept.txt: put there, it is a test that needs no host CPU. vectors/integers.txt is made by make-vectors.ts.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { type Case, type Form, FORMS, makeCase, Random } from './cases.ts';
import { compileHarness, hostFeatures, runNatively, whatIsFaithful } from './native.ts';
import { comparable, differences, type Outcome } from './outcome.ts';
import { shrink } from './shrink.ts';
import { SoftMachine } from './soft.ts';
import { formatVector, parseVector } from './vector.ts';

const harness = compileHarness();
const { widths, anyStack, missing } = whatIsFaithful(harness);
const casesPerForm = Number(process.env['BULKHEAD_CASES'] ?? 20);
const seed = Number(process.env['BULKHEAD_SEED'] ?? (Date.now() & 0x7fff_ffff));
const BATCH = 20_000;
const MOST_SHOWN = 10;

const machine = new SoftMachine();
const soft = (test: Case) => comparable(test, machine.run(test));

interface Comparison {
  readonly expected: Outcome;
  readonly found: Outcome;
  readonly lines: readonly string[];
}

function compare(cases: readonly Case[]): Comparison[] {
  const native = runNatively(harness.path as string, cases);
  return cases.map((test, i) => {
    const expected = comparable(test, native[i] as Outcome);
    const found = soft(test);
    return { expected, found, lines: differences(expected, found) };
  });
}

/** The smallest case with a difference of this kind, as a test to keep. */
function explain(test: Case): string {
  const [first] = compare([test]) as [Comparison];
  const isSame = ({ expected, found, lines }: Comparison): boolean =>
    lines.length > 0 && expected.signal === first.expected.signal && found.signal === first.found.signal;
  const small = shrink(test, (candidates) => compare(candidates).map(isSame));
  const [{ expected, lines }] = compare([small]) as [Comparison];
  return `${lines.join('; ')}\n  vectors/kept.txt: ${formatVector(small, expected)}`;
}

const isCanonical = (address: bigint): boolean => BigInt.asIntN(48, address) === BigInt.asIntN(64, address);

function* batches(forms: readonly Form[]): Generator<Case[]> {
  const random = new Random(seed);
  let batch: Case[] = [];
  for (let n = 0; n < casesPerForm; n++) {
    for (const form of forms) {
      const made = makeCase(form, random);
      if (anyStack || isCanonical(made.gpr[4] as bigint)) batch.push(made);
      if (batch.length === BATCH) {
        yield batch;
        batch = [];
      }
    }
  }
  yield batch;
}

describe('recorded on silicon', () => {
  const read = (name: string) => readFileSync(new URL(`./vectors/${name}.txt`, import.meta.url), 'utf8').trimEnd().split('\n').map(parseVector);
  const vectors = [...read('integers'), ...read('kept')];

  it('every integer encoding leaves registers, flags, memory and RIP as the CPU did, and raises what it raised', () => {
    const wrong = vectors.map(({ test, expected }) => [formatVector(test, expected), ...differences(expected, soft(test))]);
    expect(wrong.filter((lines) => lines.length > 1).slice(0, MOST_SHOWN)).toEqual([]);
  });

  it('has every encoding', () => {
    const recorded = new Set(vectors.map(({ test }) => `${test.mnemonic} ${test.bits}`));
    expect(FORMS.map(({ row, bits }) => `${row.mnemonic} ${bits}`).filter((form) => !recorded.has(form))).toEqual([]);
  });

  it('would notice one wrong bit', () => {
    const { test, expected } = vectors.find(({ expected: { signal } }) => signal === 0) as (typeof vectors)[number];
    expect(differences({ ...expected, gpr: expected.gpr.with(0, (expected.gpr[0] as bigint) ^ 1n) }, soft(test))).toHaveLength(1);
  });
});

describe('a difference', () => {
  it('shrinks to what it needs', () => {
    const random = new Random(1);
    const form = FORMS.find(({ row }) => row.mnemonic === 'add') as Form;
    const shows = (test: Case): boolean => ((test.gpr[3] as bigint) & 4n) !== 0n && (test.memory[7] as number) > 0;
    let test = makeCase(form, random);
    while (!shows(test)) test = makeCase(form, random);
    const small = shrink(test, (cases) => cases.map(shows));
    expect(small.gpr.filter((value) => value !== 0n)).toHaveLength(1);
    expect([...small.memory].filter((byte) => byte !== 0)).toHaveLength(1);
    expect(small.flags & ~2).toBe(0);
  });
});

describe(`live on silicon, ${casesPerForm} cases per encoding, seed ${seed}`, () => {
  it.skipIf(widths.length === 0)(`every integer encoding agrees in 64-bit, 32-bit and 16-bit code${harness.reason ? ` (skipped: ${harness.reason})` : missing}`, () => {
    const host = hostFeatures();
    const forms = FORMS.filter(({ row, bits }) => widths.includes(bits) && (row.feature === undefined || host.has(row.feature)));
    const wrong: Case[] = [];
    let count = 0;
    for (const batch of batches(forms)) {
      const found = compare(batch);
      wrong.push(...batch.filter((_, i) => (found[i] as Comparison).lines.length > 0));
      count += batch.length;
    }
    expect(wrong.slice(0, MOST_SHOWN).map(explain)).toEqual([]);
    console.log(`silicon: ${count} cases over ${forms.length} encodings agree (seed ${seed})`);
  }, 3_600_000);
});
