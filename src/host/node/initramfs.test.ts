import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { readCpio } from '../../boot/index.ts';
import { buildInitramfs } from './initramfs.ts';

describe('buildInitramfs', () => {
  const init = readFileSync(join(import.meta.dirname, '../../../guests/linux/init'));
  const entries = readCpio(buildInitramfs(Uint8Array.of(1, 2, 3), init), 'initramfs');

  it('has what a kernel needs to start: /init, its interpreter and a console', () => {
    const find = (path: string): unknown => entries.find((entry) => entry.path === path);
    const interpreter = /^#!\/(\S+) /.exec(init.toString())?.[1] ?? 'none';
    expect(find('init')).toMatchObject({ kind: 'file', permissions: 0o755, data: new Uint8Array(init) });
    expect(find(interpreter)).toMatchObject({ kind: 'file', permissions: 0o755, data: Uint8Array.of(1, 2, 3) });
    expect(find('dev/console')).toMatchObject({ kind: 'character', major: 5, minor: 1 });
  });

  it('creates each folder before what is in it', () => {
    const paths = entries.map((entry) => entry.path);
    for (const path of paths.filter((each) => each.includes('/'))) {
      expect(paths.indexOf(path.slice(0, path.lastIndexOf('/')))).toBeLessThan(paths.indexOf(path));
      expect(paths).toContain(path.slice(0, path.lastIndexOf('/')));
    }
  });
});
