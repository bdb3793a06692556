import { describe, expect, it } from 'vitest';
import { BulkheadError } from '../base/index.ts';
import { type CpioEntry, readCpio, writeCpio } from './cpio.ts';

const Z = '00000000';
const ENTRIES: readonly CpioEntry[] = [
  { kind: 'directory', path: 'dev', permissions: 0o755 },
  { kind: 'character', path: 'dev/console', permissions: 0o600, major: 5, minor: 1 },
  { kind: 'file', path: 'init', permissions: 0o755, data: Uint8Array.of(1, 2, 3) },
  { kind: 'symlink', path: 'sh', permissions: 0o777, target: 'init' },
  { kind: 'block', path: 'disk', permissions: 0o660, major: 8, minor: 0 },
];

describe('cpio', () => {
  it('reads back what it writes, device nodes included', () => {
    expect(readCpio(writeCpio(ENTRIES), 'x.cpio')).toEqual(ENTRIES);
  });

  it('writes the newc format: hexadecimal fields, everything at multiples of four', () => {
    const archive = writeCpio([{ kind: 'file', path: 'abc', permissions: 0o644, data: Uint8Array.of(0x41) }]);
    const text = Buffer.from(archive).toString('latin1');
    expect(text.slice(0, 110)).toBe(
      // inode, mode, uid, gid, links, mtime, size, four device numbers, name size, check
      ['070701', '00000001', '000081A4', Z, Z, '00000001', Z, '00000001', Z, Z, Z, Z, '00000004', Z].join(''),
    );
    expect(text.slice(110, 120)).toBe('abc\0\0\0A\0\0\0');
    expect(text.slice(120)).toMatch(/^070701.{88}0000000B00000000TRAILER!!!\0/s);
    expect(archive.length % 4).toBe(0);
  });

  it('reads archives one after another, padded with zeros', () => {
    const one = writeCpio(ENTRIES);
    expect(readCpio(Uint8Array.of(...one, ...new Uint8Array(512), ...one), 'x.cpio')).toEqual([...ENTRIES, ...ENTRIES]);
  });

  it('answers a changed archive with entries or BH330', () => {
    const archive = writeCpio(ENTRIES);
    let refused = 0;
    for (let i = 0; i < archive.length; i++) {
      const damaged = archive.slice(0, i % 2 === 0 ? i : archive.length);
      if (i < damaged.length) damaged[i]! ^= 0x1f;
      try {
        readCpio(damaged, 'x.cpio');
      } catch (error) {
        expect(error).toBeInstanceOf(BulkheadError);
        expect(error).toMatchObject({ code: 'BH330', message: expect.stringContaining('x.cpio') });
        refused++;
      }
    }
    expect(refused).toBeGreaterThan(50);
  });
});
