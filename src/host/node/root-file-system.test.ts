import { chmodSync, lstatSync, mkdirSync, mkdtempSync, readFileSync, readlinkSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type CpioEntry, readCpio, writeCpio } from '../../boot/index.ts';
import type { UnpackedPackage } from './packages.ts';
import { folderEntries, rootFileSystem, rootImages } from './root-file-system.ts';

let root: string;
const cache = process.env['BULKHEAD_CACHE'];

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'bulkhead-root-'));
  process.env['BULKHEAD_CACHE'] = join(root, 'cache');
});
afterEach(() => {
  if (cache === undefined) delete process.env['BULKHEAD_CACHE'];
  else process.env['BULKHEAD_CACHE'] = cache;
  rmSync(root, { recursive: true, force: true });
});

/** A package with these files; a text that begins with → is a link. */
function unpacked(name: string, files: Readonly<Record<string, string>>): UnpackedPackage {
  const folder = join(root, name);
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    if (text.startsWith('→')) symlinkSync(text.slice(1), join(folder, path));
    else writeFileSync(join(folder, path), text);
  }
  return { name, version: '1', folder };
}

const paths = (entries: readonly CpioEntry[]): string[] => entries.map(({ path }) => path);
const at = (entries: readonly CpioEntry[], path: string): CpioEntry | undefined => entries.find((entry) => entry.path === path);
const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text));

describe('a root file system from packages', () => {
  it('has the files of all packages, each folder before what is in it', async () => {
    const entries = await rootFileSystem({ packages: [unpacked('one', { 'usr/bin/one': '1' }), unpacked('two', { 'usr/share/two/data': '2' })] });
    expect(paths(entries)).toEqual(expect.arrayContaining(['usr/bin/one', 'usr/share/two/data', 'dev/console', 'proc', 'tmp']));
    const seen = new Set(['.']);
    for (const path of paths(entries)) {
      expect(seen).toContain(dirname(path));
      seen.add(path);
    }
  });

  it('has one place for programs and libraries, wherever packages put them, and links from the other', async () => {
    const packages = [unpacked('libc6', { 'lib/x86_64-linux-gnu/libc.so.6': 'c' }), unpacked('dash', { 'bin/sh': '→dash', 'usr/bin/dash': 'd' })];
    const entries = await rootFileSystem({ packages });
    expect(at(entries, 'usr/lib/x86_64-linux-gnu/libc.so.6')).toMatchObject({ kind: 'file' });
    expect(at(entries, 'usr/bin/sh')).toMatchObject({ kind: 'symlink', target: 'dash' });
    expect(at(entries, 'bin')).toMatchObject({ kind: 'symlink', target: 'usr/bin' });
    expect(at(entries, 'lib')).toMatchObject({ kind: 'symlink', target: 'usr/lib' });
    expect(at(entries, 'sbin')).toBeUndefined();
  });

  it('keeps permissions, with the bits for other users', async () => {
    const one = unpacked('one', { 'usr/bin/su': 's' });
    chmodSync(join(one.folder, 'usr/bin/su'), 0o4755);
    const entries = await rootFileSystem({ packages: [one] });
    expect(at(entries, 'usr/bin/su')).toMatchObject({ permissions: 0o4755 });
    expect(at(entries, 'tmp')).toMatchObject({ permissions: 0o1777 });
  });

  it('leaves out what is for people, and what is not wanted', async () => {
    const files = { 'usr/share/doc/one/README': 'r', 'usr/share/man/man1/one.1': 'm', 'usr/lib/huge/file': 'h', 'usr/bin/one': '1' };
    const entries = await rootFileSystem({ packages: [unpacked('one', files)], without: ['usr/lib/huge'] });
    expect(paths(entries).filter((path) => /share|huge/.test(path))).toEqual(['usr/share']);
  });

  it('lets additions win over packages', async () => {
    const own: CpioEntry = { kind: 'file', path: 'etc/hosts', permissions: 0o600, data: bytes('mine') };
    const entries = await rootFileSystem({ packages: [unpacked('one', { 'etc/hosts': 'theirs' })], additions: [own] });
    expect(at(entries, 'etc/hosts')).toEqual(own);
  });

  it('is the same, byte for byte, from the same packages', async () => {
    const packages = [unpacked('one', { 'b/x': '1', 'a/y': '2' }), unpacked('two', { 'a/z': '→y' })];
    const archives = await Promise.all([1, 2].map(async () => writeCpio(await rootFileSystem({ packages }))));
    expect(archives[0]).toEqual(archives[1]);
  });

  it('goes to a guest as an archive and to the host as a folder: the same files', async () => {
    const options = { packages: [unpacked('one', { 'usr/bin/one': '1', 'bin/uno': '→one' })] };
    const { initramfs, folder } = await rootImages('test', options);
    expect(paths(readCpio(readFileSync(initramfs), 'test'))).toEqual(paths(await rootFileSystem(options)));
    expect(readFileSync(join(folder, 'bin/one'), 'utf8')).toBe('1');
    expect(readlinkSync(join(folder, 'usr/bin/uno'))).toBe('one');
    expect(lstatSync(join(folder, 'bin')).isSymbolicLink()).toBe(true);
    expect(statSync(join(folder, 'usr/bin')).mtimeMs).toBe(0);
    expect(statSync(join(folder, 'tmp')).mode & 0o7777).toBe(0o1777);
  });

  it('is built once, and anew when an addition changes', async () => {
    const one = unpacked('one', { 'usr/bin/one': '1' });
    const addition = (text: string): CpioEntry => ({ kind: 'file', path: 'etc/motd', permissions: 0o644, data: bytes(text) });
    const first = await rootImages('test', { packages: [one], additions: [addition('a')] });
    rmSync(one.folder, { recursive: true });
    expect(await rootImages('test', { packages: [one], additions: [addition('a')] })).toEqual(first);
    mkdirSync(one.folder);
    const second = await rootImages('test', { packages: [one], additions: [addition('b')] });
    expect(second.initramfs).not.toBe(first.initramfs);
    expect(readFileSync(join(second.folder, 'etc/motd'), 'utf8')).toBe('b');
  });
});

describe('folderEntries', () => {
  it('are the wanted files of a folder, below another path', async () => {
    const { folder } = unpacked('source', { 'src/a.c': 'a', 'src/a.h': 'h', 'doc/a.txt': 't' });
    expect(paths(await folderEntries(folder, 'software/a', (path) => path.endsWith('.c')))).toEqual(['software/a/src/a.c']);
  });
});
