import { describe, expect, it } from 'vitest';
import { table } from './table.ts';

describe('a table', () => {
  it('has columns as wide as their widest cell, numbers to the right, and no trailing blanks', () => {
    const text = table([{ title: 'core', align: 'right' }, { title: 'owner' }, { title: 'note' }], [['0', 'hmi', ''], ['10', 'control', 'x']]);
    expect(text).toBe('core  owner    note\n   0  hmi\n  10  control  x\n');
  });

  it('counts letters as people see them', () => {
    expect(table([{ title: 'a' }, { title: 'b' }], [['𝄞', '1'], ['µs', '2']])).toBe('a   b\n𝄞   1\nµs  2\n');
  });

  it('shows its titles when it has no rows', () => {
    expect(table([{ title: 'core' }, { title: 'owner' }], [])).toBe('core  owner\n');
  });
});
