import { linkSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { inspectBlockFile, openBlockFile } from './block-file.ts';

let folder: string;
let path: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'bulkhead-block-'));
  path = join(folder, 'disk.img');
  writeFileSync(path, Buffer.alloc(8 * 512, 1));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const filled = (value: number, sectors = 1): Uint8Array => new Uint8Array(512 * sectors).fill(value);

describe('a file as a disk', () => {
  it('is as many sectors as the file has, and keeps what is written', () => {
    using disk = openBlockFile(path, { readOnly: false });
    expect([disk.sectors, disk.readOnly, disk.write(3, filled(7, 2)), disk.flush()]).toEqual([8, false, true, true]);
    const target = new Uint8Array(3 * 512);
    expect(disk.read(2, target)).toBe(true);
    expect([target[0], target[512], target[1535]]).toEqual([1, 7, 7]);
    expect([readFileSync(path)[3 * 512 - 1], readFileSync(path)[3 * 512], statSync(path).size]).toEqual([1, 7, 8 * 512]);
  });

  it('reads into the shared memory of a guest', () => {
    using disk = openBlockFile(path, { readOnly: true });
    const memory = new Uint8Array(new SharedArrayBuffer(4096));
    expect([disk.read(0, memory.subarray(1024, 1536)), memory[1023], memory[1024], memory[1536]]).toEqual([true, 0, 1, 0]);
  });

  it('is not written when it is opened to be read', () => {
    using disk = openBlockFile(path, { readOnly: true });
    expect([disk.write(0, filled(9)), disk.flush(), readFileSync(path)[0]]).toEqual([false, true, 1]);
  });

  it('says false, and once why, when the file has become shorter', () => {
    const told: string[] = [];
    using disk = openBlockFile(path, { readOnly: false, refused: (what) => told.push(what) });
    truncateSync(path, 1024);
    expect([disk.read(1, filled(0)), disk.read(2, filled(0)), disk.read(7, filled(0))]).toEqual([true, false, false]);
    expect(told).toEqual([`${path}: cannot read: the file has become shorter`]);
  });

  it('discards only where the host can punch holes', () => {
    using plain = openBlockFile(path, { readOnly: false });
    expect(plain.discard).toBeUndefined();
    const punched: number[][] = [];
    using holey = openBlockFile(path, { readOnly: false, punchHole: (_, offset, size) => punched.push([offset, size]) > 0 });
    punched.length = 0; // one question was about a place behind the end
    expect([holey.discard?.(2, 3), punched]).toEqual([true, [[1024, 1536]]]);
    using full = openBlockFile(path, { readOnly: false, punchHole: () => false });
    expect(full.discard).toBeUndefined();
  });

  const cutTo = (bytes: number): string => {
    truncateSync(path, bytes);
    return path;
  };
  it.each([
    ['there is none', () => join(folder, 'none.img')],
    ['it is a folder', () => folder],
    ['it is empty', () => cutTo(0)],
    ['it is no whole sectors', () => cutTo(1000)],
  ])('is refused where %s', (_, arrange) => {
    expect(() => openBlockFile(arrange(), { readOnly: true })).toThrow(expect.objectContaining({ code: 'BH506' }));
  });
});

describe('looking at a file', () => {
  it('tells size, identity and whether it can be written', () => {
    expect(inspectBlockFile(path)).toMatchObject({ status: 'found', path, size: 4096, writable: true });
    expect(inspectBlockFile(join(folder, 'none'))).toEqual({ status: 'missing', reason: 'there is no such file' });
    expect(inspectBlockFile(folder)).toEqual({ status: 'missing', reason: 'it is no regular file' });
  });

  it('finds one file behind two names', () => {
    symlinkSync(path, join(folder, 'soft'));
    linkSync(path, join(folder, 'hard'));
    writeFileSync(join(folder, 'other'), Buffer.alloc(512));
    const identity = (name: string): string | undefined => {
      const found = inspectBlockFile(join(folder, name));
      return found.status === 'found' ? found.identity : undefined;
    };
    expect([identity('soft'), identity('hard')]).toEqual([identity('disk.img'), identity('disk.img')]);
    expect(identity('other')).not.toBe(identity('disk.img'));
  });
});
