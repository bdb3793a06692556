/**
 * Makes the files in vectors/ on the host CPU: `node test/silicon/fpu/make-vectors.ts`. One case per line, see
 * image.ts. They were taken on an AMD Zen; on an Intel CPU a few bits that the SDM leaves undefined would differ.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { formatVector, type Image } from './image.ts';
import { randomFrom } from './random.ts';
import { Silicon } from './silicon.ts';
import { EXACT_SSE_FORMS, sseCase } from './sse.ts';
import { EXACT_X87_FORMS, maskX87, TRANSCENDENTAL_FORMS, transcendentalCase, x87Case, type X87Form } from './x87.ts';

const SEED = 0x5eed;
const folder = new URL('./vectors/', import.meta.url).pathname;
mkdirSync(folder, { recursive: true });
using silicon = new Silicon();
const random = randomFrom(SEED);

function write(name: string, cases: readonly Image[], mask: (image: Image, i: number) => Image): void {
  const results = silicon.run(cases);
  const lines = cases.map((input, i) => formatVector(mask(input, i), mask((results[i] as Image).normalize(), i)));
  writeFileSync(`${folder}${name}.txt`, `${lines.join('\n')}\n`);
}

/** Of the eight register forms of a mnemonic two are enough. */
const forms = EXACT_X87_FORMS.filter(({ code: [, modrm = 0] }) => modrm < 0xc0 || (modrm & 7) < 2 || modrm >= 0xe0);
const x87: [X87Form, Image][] = forms.flatMap((form) =>
  Array.from({ length: (form.code[1] as number) < 0xc0 ? 8 : 5 }, (_, i): [X87Form, Image] => [form, x87Case(form, random, i < 3)]),
);
write(
  'x87',
  x87.map(([, image]) => image),
  (image, i) => maskX87((x87[i] as [X87Form, Image])[0], image),
);

write(
  'transcendental',
  TRANSCENDENTAL_FORMS.flatMap((form) => Array.from({ length: 40 }, () => transcendentalCase(form, random))),
  (image) => image,
);

const controls = ['default', 'masked', 'any'] as const;
write(
  'sse',
  EXACT_SSE_FORMS.flatMap((form) => controls.map((control) => sseCase(form, random, control))),
  (image) => image,
);
