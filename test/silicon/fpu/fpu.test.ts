/**
 * x87, MMX and SSE of the software engine against an AMD Zen, through decoder and interpreter: results, status flags, tags, TOP,
 * faults. From recorded vectors everywhere; on an AMD host with gcc also live with other cases (`BULKHEAD_CASES` per form,
 * default 6; `BULKHEAD_SEED`).
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { compileHarness, whatIsFaithful } from '../native.ts';
import { EngineUnderTest } from './engine.ts';
import { difference, type Image, parseVector } from './image.ts';
import { randomFrom } from './random.ts';
import { Silicon } from './silicon.ts';
import { EXACT_SSE_FORMS, EXACT_SSE_FORMS_32, sseCase } from './sse.ts';
import { EXACT_X87_FORMS, maskX87, tolerate, TRANSCENDENTAL_FORMS, transcendentalCase, x87Case } from './x87.ts';

const engine = new EngineUnderTest();
const MOST_SHOWN = 10;
const CONTROLS = ['default', 'masked', 'any'] as const;
/** Live cases are run so many per form at a time: states are large. */
const BATCH_PER_FORM = 20;
const hex = (code: readonly number[]): string => code.map((byte) => byte.toString(16).padStart(2, '0')).join(' ');

/** Differences as lines: the instruction, then offset:bytes of what the engine has in another way. */
function compare(
  cases: readonly { readonly input: Image; readonly expected: Image }[],
  mask: (result: Image, expected: Image) => Image,
): string[] {
  const wrong: string[] = [];
  for (const { input, expected } of cases) {
    const result = mask(engine.run(input).normalize(), expected);
    const found = difference(expected.bytes, result.bytes);
    if (found !== '') wrong.push(`${hex(input.code)}: ${found}, silicon has ${difference(result.bytes, expected.bytes)}`);
  }
  return wrong.slice(0, MOST_SHOWN);
}

const vectors = (name: string): { readonly input: Image; readonly expected: Image }[] =>
  readFileSync(new URL(`./vectors/${name}.txt`, import.meta.url), 'utf8')
    .trimEnd()
    .split('\n')
    .map(parseVector);

const formOf = new Map(EXACT_X87_FORMS.map((form) => [hex(form.code), form]));
const maskByCode = (result: Image): Image => {
  const form = formOf.get(hex(result.code));
  return form === undefined ? result : maskX87(form, result);
};

const transcendentalOf = new Map(TRANSCENDENTAL_FORMS.map((form) => [hex(form.code), form]));
const tolerateByCode = (result: Image, expected: Image): Image => {
  const form = transcendentalOf.get(hex(result.code));
  return form === undefined ? result : tolerate(form, result, expected);
};

describe('recorded on silicon', () => {
  it('every x87 instruction leaves registers, tags, status word, flags and memory as the CPU did', () => {
    expect(compare(vectors('x87'), maskByCode)).toEqual([]);
  });

  it('every MMX and SSE instruction leaves registers, MXCSR, flags and memory as the CPU did', () => {
    expect(compare(vectors('sse'), (result) => result)).toEqual([]);
  });

  it('transcendental functions are within one unit in the last place of what the CPU gave, exceptions and C2 the same', () => {
    expect(compare(vectors('transcendental'), tolerateByCode)).toEqual([]);
  });

  it('would notice one wrong bit', () => {
    const [first] = vectors('sse');
    const input = first?.input as Image;
    const expected = engine.run(input).normalize();
    expected.bytes[0x150] = (expected.bytes[0x150] as number) ^ 1;
    expect(compare([{ input, expected }], (result) => result)).toHaveLength(1);
  });
});

/** The reason why this host cannot be asked, or undefined. */
function obstacle(): string | undefined {
  if (process.platform !== 'linux' || process.arch !== 'x64') return 'not Linux on x86-64';
  if (!readFileSync('/proc/cpuinfo', 'utf8').includes('AuthenticAMD')) return 'not an AMD CPU: bits that the SDM leaves open differ';
  return spawnSync('gcc', ['--version']).error === undefined ? undefined : 'no gcc';
}

describe('live on silicon', () => {
  const reason = obstacle();
  const { widths, missing } = whatIsFaithful(reason === undefined ? compileHarness() : {});
  const count = Number(process.env['BULKHEAD_CASES'] ?? 6);
  const seed = Number(process.env['BULKHEAD_SEED'] ?? Date.now() & 0x7fff_ffff);

  it.skipIf(widths.length === 0)(
    `agrees on ${count} new cases per form, seed ${seed}${reason === undefined ? missing : ` (${reason})`}`,
    () => {
      const random = randomFrom(seed);
      using silicon = new Silicon();
      let compared = 0;
      for (let left = count; left > 0; left -= BATCH_PER_FORM) compared += agree(silicon, random, Math.min(left, BATCH_PER_FORM));
      console.log(`silicon: ${compared} x87, MMX and SSE cases agree (seed ${seed})`);
    },
    3_600_000,
  );

  function agree(silicon: Silicon, random: () => number, count: number): number {
    const repeat = (make: (i: number) => Image, times = count): Image[] => Array.from({ length: times }, (_, i) => make(i));
    const inputs = ([64, 32] as const).filter((bits) => widths.includes(bits)).flatMap((bits) => {
      const sseForms = bits === 64 ? EXACT_SSE_FORMS : EXACT_SSE_FORMS_32;
      return [
        ...EXACT_X87_FORMS.flatMap((form) => repeat((i) => maskX87(form, x87Case(form, random, i % 2 === 0, bits)))),
        ...sseForms.flatMap((form) => repeat((i) => sseCase(form, random, CONTROLS[i % 3] as (typeof CONTROLS)[number], bits))),
        ...TRANSCENDENTAL_FORMS.flatMap((form) => repeat(() => transcendentalCase(form, random, bits), count * 4)),
      ];
    });
    const outputs = silicon.run(inputs);
    const cases = inputs.map((input, i) => ({ input, expected: maskByCode((outputs[i] as Image).normalize()) }));
    expect(compare(cases, (result, expected) => maskByCode(tolerateByCode(result, expected)))).toEqual([]);
    return cases.length;
  }
});
