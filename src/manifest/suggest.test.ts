import { describe, expect, it } from 'vitest';
import { suggestion } from './suggest.ts';

describe('a suggestion', () => {
  it.each([
    ['memmory', 'memory'],
    ['mem', undefined],
    ['corse', 'cores'],
    ['Role', 'role'],
    ['x'.repeat(100_000), undefined],
  ])('for %s is %s', (word, meant) => {
    const expected = meant === undefined ? 'known here: `cores`, `memory`, `role`' : `did you mean \`${meant}\`?`;
    expect(suggestion(word, ['cores', 'memory', 'role'])).toBe(expected);
  });
});
