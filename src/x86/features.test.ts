// Which features a processor of each level has (x86-64 psABI §3.1.1), and how single ones are put in and left out.
import { describe, expect, it } from 'vitest';
import { announcedFeatures, CHOOSABLE_FEATURES, CPU_FEATURES, featuresOf } from './features.ts';
import { INSTRUCTIONS } from './instructions.ts';

const V2 = ['cx16', 'lahf_lm', 'popcnt', 'sse3', 'sse4_1', 'sse4_2', 'ssse3'];

describe('levels', () => {
  it('differ in what the psABI says', () => {
    const base = featuresOf('x86-64');
    expect([...featuresOf('x86-64-v2')].filter((name) => !base.has(name)).sort()).toEqual(V2);
  });

  it('are x86-64-v2 where none is named', () => {
    expect(featuresOf()).toEqual(featuresOf('x86-64-v2'));
  });
});

describe('choices', () => {
  it('put single features in and leave them out', () => {
    const chosen = featuresOf('x86-64', { popcnt: true, rdtscp: false });
    expect([chosen.has('popcnt'), chosen.has('rdtscp'), chosen.has('sse3')]).toEqual([true, false, false]);
  });

  it('take away what builds on a feature with it', () => {
    const chosen = featuresOf('x86-64-v2', { ssse3: false, xsave: false });
    for (const name of ['sse4_1', 'sse4_2', 'xsaveopt', 'xsavec']) expect([name, chosen.has(name)]).toEqual([name, false]);
  });

  it('cannot take away the architecture itself, and ignore names that are not known', () => {
    expect(featuresOf('x86-64-v2', { sse2: false, constructor: false, nonsense: true })).toEqual(featuresOf());
    expect(CHOOSABLE_FEATURES).not.toContain('sse2');
  });
});

describe('the table', () => {
  it('has every feature behind those it needs, and no bit twice', () => {
    const names = [...CPU_FEATURES.keys()];
    const places = new Set<string>();
    for (const [name, { needs = [], leaf, subleaf = 0, register, bit }] of CPU_FEATURES) {
      for (const other of needs) expect(names.indexOf(other)).toBeLessThan(names.indexOf(name));
      places.add(`${leaf} ${subleaf} ${register} ${bit}`);
    }
    expect(places.size).toBe(names.length);
  });

  it('knows every feature that an instruction asks for', () => {
    for (const { feature } of INSTRUCTIONS) if (feature !== undefined) expect(CPU_FEATURES.has(feature)).toBe(true);
  });
});

it('what CPUID announces is found bit by bit', () => {
  const announced = announcedFeatures((leaf, _, out) => out.set(leaf === 1 ? [0, 0, 1 << 23, 1 << 26] : [0, 0, 0, 0]));
  expect([...announced].sort()).toEqual(['popcnt', 'sse2']);
});
