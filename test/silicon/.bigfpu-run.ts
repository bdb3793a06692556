import { EngineUnderTest } from '/work/main/test/silicon/fpu/engine.ts';
import { difference, type Image } from '/work/main/test/silicon/fpu/image.ts';
import { randomFrom } from '/work/main/test/silicon/fpu/random.ts';
import { Silicon } from '/work/main/test/silicon/fpu/silicon.ts';
import { EXACT_SSE_FORMS, sseCase } from '/work/main/test/silicon/fpu/sse.ts';
import { EXACT_X87_FORMS, maskX87, TRANSCENDENTAL_FORMS, tolerate, transcendentalCase, x87Case } from '/work/main/test/silicon/fpu/x87.ts';
const engine = new EngineUnderTest();
using silicon = new Silicon();
const end = Date.now() + Number(process.argv[2]) * 1000;
let count = 0, wrong = 0, seed = 5000;
const C = ['default', 'masked', 'any'] as const;
while (Date.now() < end) {
  const random = randomFrom(++seed);
  const items: { image: Image; fix: (r: Image, e: Image) => Image; name: string }[] = [
    ...EXACT_SSE_FORMS.flatMap((f) => Array.from({ length: 18 }, (_, i) => ({ image: sseCase(f, random, C[i % 3]!), fix: (r: Image) => r, name: f.mnemonic }))),
    ...EXACT_X87_FORMS.flatMap((f) => Array.from({ length: 10 }, (_, i) => ({ image: maskX87(f, x87Case(f, random, i % 2 === 0)), fix: (r: Image) => maskX87(f, r), name: f.mnemonic }))),
    ...TRANSCENDENTAL_FORMS.flatMap((f) => Array.from({ length: 10 }, () => ({ image: transcendentalCase(f, random), fix: (r: Image, e: Image) => tolerate(f, r, e), name: f.mnemonic }))),
  ];
  const out = silicon.run(items.map((x) => x.image));
  items.forEach((x, i) => {
    const e0 = out[i]!.normalize(); const e = x.fix(e0, e0);
    const r = x.fix(engine.run(x.image).normalize(), e);
    const d = difference(e.bytes, r.bytes);
    if (d) { wrong++; if (wrong < 30) console.log(x.name, Buffer.from(x.image.code).toString('hex'), 'got', d, 'silicon', difference(r.bytes, e.bytes)); }
  });
  count += items.length;
}
console.log('fpu', count, 'cases, wrong', wrong, 'seeds 5001 to', seed);
