import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { holePuncher } from './index.ts';

const punch = holePuncher();
if (punch === undefined) console.warn('skipped: holes in files: the C library cannot be called (koffi is not installed)');

describe.skipIf(punch === undefined)('a hole in a file', () => {
  const MIB = 1 << 20;
  let folder: string;
  let path: string;
  let file: number;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'bulkhead-hole-'));
    path = join(folder, 'file');
    writeFileSync(path, Buffer.alloc(4 * MIB, 7));
    file = openSync(path, 'r+');
  });
  afterEach(() => {
    closeSync(file);
    rmSync(folder, { recursive: true, force: true });
  });

  it('reads as zeros, leaves what is around it and the size, and takes no space', (context) => {
    const before = statSync(path).blocks;
    if (!punch!(file, MIB, 2 * MIB)) context.skip(`the file system of ${folder} has no holes`);
    const bytes = readFileSync(path);
    expect([bytes.length, bytes[MIB - 1], bytes[MIB], bytes[3 * MIB - 1], bytes[3 * MIB]]).toEqual([4 * MIB, 7, 0, 0, 7]);
    expect(statSync(path).blocks).toBeLessThan(before);
  });

  it('cannot be made in a file that is not open', () => {
    expect(punch!(-1, 0, 512)).toBe(false);
  });
});
