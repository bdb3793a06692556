import { FORMS, makeCase, Random } from '/work/main/test/silicon/cases.ts';
import { compileHarness, hostFeatures, runNatively } from '/work/main/test/silicon/native.ts';
import { comparable, differences } from '/work/main/test/silicon/outcome.ts';
import { runSoftly } from '/work/main/test/silicon/soft.ts';
import { formatVector } from '/work/main/test/silicon/vector.ts';
const { path } = compileHarness();
const host = hostFeatures();
const forms = FORMS.filter(({ row }) => row.feature === undefined || host.has(row.feature));
const end = Date.now() + Number(process.argv[2]) * 1000;
let count = 0, wrong = 0, seed = 1000;
while (Date.now() < end) {
  const random = new Random(++seed);
  const cases = forms.flatMap((f) => Array.from({ length: 25 }, () => makeCase(f, random)));
  const native = runNatively(path!, cases);
  cases.forEach((t, i) => { const e = comparable(t, native[i]!); const d = differences(e, comparable(t, runSoftly(t))); if (d.length) { wrong++; if (wrong < 30) console.log(d.join('; '), formatVector(t, e)); } });
  count += cases.length;
}
console.log('integer', count, 'cases, wrong', wrong, 'seeds 1001 to', seed);
