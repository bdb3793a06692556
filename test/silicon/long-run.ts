/**
 * The software engine against the host CPU for as long as it is let: `node test/silicon/long-run.ts [minutes] [seed]`. Prints cases by group,
 * and what differs, as a case to keep. Agreement is added to results.json, from which docs/cpu.md has its numbers; one difference and
 * nothing is.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { type Bits, type FlatBits, FORMS, makeCase, Random } from './cases.ts';
import { EngineUnderTest } from './fpu/engine.ts';
import { difference, type Image } from './fpu/image.ts';
import { randomFrom } from './fpu/random.ts';
import { Silicon } from './fpu/silicon.ts';
import { EXACT_SSE_FORMS, EXACT_SSE_FORMS_32, sseCase } from './fpu/sse.ts';
import { EXACT_X87_FORMS, maskX87, tolerate, TRANSCENDENTAL_FORMS, transcendentalCase, x87Case } from './fpu/x87.ts';
import { compileHarness, hostFeatures, runNatively } from './native.ts';
import { comparable, differences } from './outcome.ts';
import { RESULTS_FILE, readResults, type SiliconResults } from './results.ts';
import { SoftMachine } from './soft.ts';
import { formatVector } from './vector.ts';

const CONTROLS = ['default', 'masked', 'any'] as const;
const MINUTE = 60_000;
/** Per form and round. */
const INTEGER_CASES = 12;
const FPU_CASES = 6;

const minutes = Number(process.argv[2] ?? 10);
const seed = Number(process.argv[3] ?? Date.now() & 0x7fff_ffff);
const { path: harness, reason } = compileHarness();
if (harness === undefined) throw new Error(reason);
const integers = new Random(seed);
const random = randomFrom(seed);
using silicon = new Silicon();
const engine = new EngineUnderTest();
const machine = new SoftMachine();

const counts = new Map<string, Map<Bits, number>>();
const groups = new Map<string, number>();
const wrong: string[] = [];

function count(group: string, mnemonic: string, bits: Bits): void {
  const both = counts.get(mnemonic) ?? new Map<Bits, number>();
  both.set(bits, (both.get(bits) ?? 0) + 1);
  counts.set(mnemonic, both);
  groups.set(`${group}, ${bits}-bit`, (groups.get(`${group}, ${bits}-bit`) ?? 0) + 1);
}

const features = hostFeatures();
const forms = FORMS.filter(({ row }) => row.feature === undefined || features.has(row.feature));

function integerRound(): void {
  const cases = forms.flatMap((form) => Array.from({ length: INTEGER_CASES }, () => makeCase(form, integers)));
  const native = runNatively(harness as string, cases);
  for (const [i, test] of cases.entries()) {
    const expected = comparable(test, native[i] as (typeof native)[number]);
    const lines = differences(expected, comparable(test, machine.run(test)));
    if (lines.length > 0) wrong.push(`${lines.join('; ')}\n  ${formatVector(test, expected)}`);
    count('integer', test.mnemonic, test.bits);
  }
}

interface FpuCase {
  readonly group: string;
  readonly mnemonic: string;
  readonly input: Image;
  readonly mask: (result: Image, expected: Image) => Image;
}

function fpuCases(bits: FlatBits): FpuCase[] {
  const repeat = <T>(make: (i: number) => T): T[] => Array.from({ length: FPU_CASES }, (_, i) => make(i));
  const x87 = EXACT_X87_FORMS.flatMap((form) =>
    repeat((i): FpuCase => {
      const mask = (result: Image): Image => maskX87(form, result);
      return { group: 'x87', mnemonic: form.mnemonic, input: mask(x87Case(form, random, i % 2 === 0, bits)), mask };
    }),
  );
  const transcendental = TRANSCENDENTAL_FORMS.flatMap((form) =>
    repeat((): FpuCase => ({
      group: 'x87 transcendental', mnemonic: form.mnemonic, input: transcendentalCase(form, random, bits),
      mask: (result, expected) => tolerate(form, result, expected),
    })),
  );
  const sse = (bits === 64 ? EXACT_SSE_FORMS : EXACT_SSE_FORMS_32).flatMap((form) =>
    repeat((i): FpuCase => {
      const isMmx = form.row.attributes.has('mmx');
      const input = sseCase(form, random, CONTROLS[i % 3] as (typeof CONTROLS)[number], bits);
      return { group: isMmx ? 'MMX' : 'SSE to SSE4.2', mnemonic: form.mnemonic, input, mask: (result) => result };
    }),
  );
  return [...x87, ...transcendental, ...sse];
}

function fpuRound(): void {
  const cases = [...fpuCases(64), ...fpuCases(32)];
  const native = silicon.run(cases.map(({ input }) => input));
  for (const [i, { group, mnemonic, input, mask }] of cases.entries()) {
    const silent = (native[i] as Image).normalize();
    const expected = mask(silent, silent);
    const result = mask(engine.run(input).normalize(), expected);
    const found = difference(expected.bytes, result.bytes);
    if (found !== '') {
      const code = input.code.map((byte) => byte.toString(16).padStart(2, '0')).join(' ');
      wrong.push(`${mnemonic} ${code} (${input.bits}-bit): ${found}, silicon has ${difference(result.bytes, expected.bytes)}; input ${difference(new Uint8Array(input.bytes.length), input.bytes)}`);
    }
    count(group, mnemonic, input.bits);
  }
}

function record(): void {
  const cpu = /^model name\s*:\s*(.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1] ?? 'unknown';
  const before: SiliconResults = existsSync(RESULTS_FILE) ? readResults() : { cpu, seeds: [], cases: {} };
  for (const [mnemonic, both] of Object.entries(before.cases)) {
    const now = counts.get(mnemonic) ?? new Map<Bits, number>();
    for (const bits of [64, 32, 16] as const) {
      const sum = (now.get(bits) ?? 0) + (both[bits] ?? 0);
      if (sum > 0) now.set(bits, sum);
    }
    counts.set(mnemonic, now);
  }
  const cases = Object.fromEntries([...counts].sort(([a], [b]) => (a < b ? -1 : 1)).map(([mnemonic, both]) => [mnemonic, Object.fromEntries(both)]));
  writeFileSync(RESULTS_FILE, `${JSON.stringify({ cpu, seeds: [...before.seeds, seed], cases } satisfies SiliconResults)}\n`);
}

console.log(`seed ${seed}, ${minutes} minutes`);
const end = Date.now() + minutes * MINUTE;
let reported = Date.now();
const total = (): number => [...groups.values()].reduce((sum, n) => sum + n, 0);
while (Date.now() < end && wrong.length < 20) {
  integerRound();
  fpuRound();
  if (Date.now() - reported > MINUTE) {
    reported = Date.now();
    console.log(`${total()} cases, ${wrong.length} differences`);
  }
}
for (const [group, n] of groups) console.log(`${group}: ${n}`);
console.log(`${total()} cases (seed ${seed}), ${wrong.length} differences`);
for (const line of wrong) console.log(line);
if (wrong.length === 0) record();
else process.exitCode = 1;
