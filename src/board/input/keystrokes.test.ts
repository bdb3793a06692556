import { describe, expect, it } from 'vitest';
import { KEYS, keyNumber, set1FromSet2 } from './keys.ts';
import { keystrokes } from './keystrokes.ts';

/** `+a -a`: pressed, released. */
const strokes = (text: string): string =>
  keystrokes(text)
    .map(({ key, pressed }) => `${pressed ? '+' : '-'}${KEYS[key]!.name}`)
    .join(' ');

describe('keystrokes', () => {
  it.each([
    ['a', '+a -a'],
    ['A', '+left-shift +a -a -left-shift'],
    ['?', '+left-shift +slash -slash -left-shift'],
    ['ls\n', '+l -l +s -s +enter -enter'],
    ['<enter><f12>', '+enter -enter +f12 -f12'],
    ['<ctrl+alt+delete>', '+left-ctrl +left-alt +delete -delete -left-alt -left-ctrl'],
    ['<ctrl+c>', '+left-ctrl +c -c -left-ctrl'],
    ['<lt>', '+left-shift +comma -comma -left-shift'],
    ['<plus>', '+left-shift +equal -equal -left-shift'],
    ['a < b', '+a -a +space -space +left-shift +comma -comma -left-shift +space -space +b -b'],
    ['<Q>', '+left-shift +q -q -left-shift'],
  ])('%j', (text, expected) => {
    expect(strokes(text)).toBe(expected);
  });

  it('refuses what is on no US keyboard, and says what is', () => {
    expect(() => keystrokes('<hyper>')).toThrow(expect.objectContaining({ code: 'BH640', hint: expect.stringContaining('escape') }));
    expect(() => keystrokes('é')).toThrow(/no key `é`/);
  });
});

describe('the list of keys', () => {
  it('has a number that fits a byte for each, and no name twice', () => {
    expect(KEYS.length).toBeLessThan(256);
    expect(new Set(KEYS.map(({ name }) => name)).size).toBe(KEYS.length);
    expect(KEYS.every(({ name }, number) => keyNumber(name) === number)).toBe(true);
  });

  it('translates every set 2 code to its set 1 code, and no two keys to one', () => {
    for (const { set1, set2 } of KEYS) expect(set1FromSet2(set2)).toBe(set1);
    const codes = KEYS.filter(({ name }) => name !== 'pause').map(({ set1, extended }) => `${extended} ${set1}`);
    expect(new Set(codes).size).toBe(codes.length);
  });

  it('lets answers of keyboard and mouse pass the translation', () => {
    expect([0xfa, 0xaa, 0xee, 0xfe, 0xab, 0xe0, 0xe1].map(set1FromSet2)).toEqual([0xfa, 0xaa, 0xee, 0xfe, 0xab, 0xe0, 0xe1]);
  });
});
