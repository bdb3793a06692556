import { constants, deflateRawSync, gzipSync, zstdCompressSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { BulkheadError, KiB } from '../../base/index.ts';
import { crc32, crc64 } from './crc.ts';
import { PACKED_SAMPLES, sampleCode } from './fixtures.ts';
import { compressionOf, decompress } from './index.ts';
import { undoX86Branches } from './x86-branches.ts';

const LIMIT = 1024 * KiB;
const sample = sampleCode();

function encodedSample(name: keyof typeof PACKED_SAMPLES): Uint8Array {
  return Uint8Array.from(Buffer.from(PACKED_SAMPLES[name].join(''), 'base64'));
}

function append(...parts: readonly Uint8Array[]): Uint8Array {
  return Uint8Array.from(parts.flatMap((part) => [...part]));
}

function codeOf(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    if (error instanceof BulkheadError) return error.code;
    throw error;
  }
  return 'no error';
}

/** 300 KB that need several blocks: code, noise, zeros. */
function mixedData(): Uint8Array {
  const data = new Uint8Array(300_000);
  let seed = 1;
  for (let i = 0; i < 50_000; i++) {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    data[100_000 + i] = seed >>> 24;
  }
  for (let at = 0; at < 100_000; at += sample.length) data.set(sample.subarray(0, Math.min(sample.length, 100_000 - at)), at);
  data.set(data.subarray(0, 100_000), 200_000);
  return data;
}

describe('decompress', () => {
  it.each(['xzX86Crc32', 'xzBlocksCrc64', 'xzTwoStreams', 'lzma', 'lz4Legacy'] as const)(
    'restores what the reference tool packed: %s',
    (name) => {
      expect(decompress(encodedSample(name), 'file', LIMIT).data).toEqual(sample);
    },
  );

  it.each([0, 1, 6, 9])('restores gzip of level %i', (level) => {
    const data = mixedData();
    expect(Buffer.compare(decompress(gzipSync(data, { level }), 'file', LIMIT).data, data)).toBe(0);
  });

  it('restores gzip with fixed codes', () => {
    expect(decompress(gzipSync(sample, { strategy: constants.Z_FIXED }), 'file', LIMIT).data).toEqual(sample);
  });

  it('skips the optional fields of a gzip header', () => {
    const trailer = gzipSync(sample).subarray(-8);
    const header = Uint8Array.of(
      0x1f,
      0x8b,
      8,
      0x1e,
      0,
      0,
      0,
      0,
      0,
      3,
      /* extra */ 2,
      0,
      9,
      9,
      /* name */ 0x61,
      0,
      /* comment */ 0x62,
      0,
      /* CRC */ 0,
      0,
    );
    expect(decompress(append(header, deflateRawSync(sample), trailer), 'file', LIMIT).data).toEqual(sample);
  });

  it.each([1, 3, 19])('restores zstd of level %i', (level) => {
    const data = mixedData();
    const packed = zstdCompressSync(data, { params: { [constants.ZSTD_c_compressionLevel]: level, [constants.ZSTD_c_checksumFlag]: 1 } });
    expect(Buffer.compare(decompress(packed, 'file', LIMIT).data, data)).toBe(0);
  });

  it.each([0, 1, 5, 300, 70_000])('restores %i bytes of text with zstd, whatever block types that takes', (size) => {
    const text = Uint8Array.from({ length: size }, (_, i) => 97 + ((i * i) % 7));
    expect(decompress(zstdCompressSync(text), 'file', LIMIT).data).toEqual(text);
  });

  it('restores several zstd frames in a row', () => {
    expect(decompress(append(zstdCompressSync(sample), zstdCompressSync(sample)), 'file', LIMIT).data).toEqual(append(sample, sample));
  });

  it.each(['xzX86Crc32', 'lz4Legacy', 'lzma'] as const)('ignores the size that Linux appends to its payload: %s', (name) => {
    expect(decompress(append(encodedSample(name), Uint8Array.of(0xb8, 0x0b, 0, 0)), 'file', LIMIT).data).toEqual(sample);
  });

  it('names the formats it knows, and those it only recognises', () => {
    expect((['xzX86Crc32', 'lzma', 'lz4Legacy'] as const).map((name) => compressionOf(encodedSample(name)))).toEqual(['XZ', 'LZMA', 'LZ4']);
    expect(compressionOf(Buffer.from('BZh91AY'))).toBe('bzip2');
    expect(compressionOf(sample)).toBeUndefined();
    expect(codeOf(() => decompress(Buffer.from('BZh91AY'), 'file', LIMIT))).toBe('BH311');
    expect(codeOf(() => decompress(sample, 'file', LIMIT))).toBe('BH311');
  });

  it('stops at the limit instead of filling memory', () => {
    const zeros = new Uint8Array(4 * LIMIT);
    expect(codeOf(() => decompress(gzipSync(zeros), 'file', LIMIT))).toBe('BH312');
    expect(codeOf(() => decompress(zstdCompressSync(zeros), 'file', LIMIT))).toBe('BH312');
    expect(codeOf(() => decompress(encodedSample('xzX86Crc32'), 'file', 1000))).toBe('BH312');
    expect(codeOf(() => decompress(encodedSample('lzma'), 'file', 1000))).toBe('BH312');
    expect(codeOf(() => decompress(encodedSample('lz4Legacy'), 'file', 1000))).toBe('BH312');
  });

  it('names the file and the format when data is damaged', () => {
    const damaged = encodedSample('xzX86Crc32');
    damaged[200]! ^= 1;
    expect(() => decompress(damaged, 'vmlinuz', LIMIT)).toThrow(/^vmlinuz: the XZ data is damaged: /);
  });

  const good = (): Record<string, Uint8Array> => ({
    xz: encodedSample('xzX86Crc32'),
    xzBlocks: encodedSample('xzBlocksCrc64'),
    lzma: encodedSample('lzma'),
    lz4: encodedSample('lz4Legacy'),
    gzip: gzipSync(sample),
    zstd: zstdCompressSync(sample),
    zstdMixed: zstdCompressSync(mixedData()),
  });

  it.each(Object.keys(good()))('answers damaged %s with an error of its own or with bytes, never with anything else', (name) => {
    const original = good()[name]!;
    let seed = 7;
    const random = (limit: number): number => {
      seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
      return Math.floor((seed / 2 ** 32) * limit);
    };
    let refused = 0;
    for (let round = 0; round < 150; round++) {
      const damaged = original.slice(0, round % 3 === 0 ? 1 + random(original.length) : original.length);
      for (let changes = 1 + random(3); changes > 0; changes--) damaged[random(damaged.length)] = random(256);
      const code = codeOf(() => expect(decompress(damaged, 'file', LIMIT).data.length).toBeLessThanOrEqual(LIMIT));
      expect(['no error', 'BH310', 'BH311', 'BH312']).toContain(code);
      if (code !== 'no error') refused++;
    }
    expect(refused).toBeGreaterThan(0);
  });
});

describe('checks', () => {
  it('computes CRC-32 and CRC-64 as their specifications say of "123456789"', () => {
    const digits = Buffer.from('123456789');
    expect(crc32(digits)).toBe(0xcbf43926);
    expect(crc64(digits)).toEqual({ high: 0x995dc9bb, low: 0xdf1939fa });
  });
});

describe('the x86 branch filter', () => {
  it('makes absolute call targets relative again', () => {
    const code = Uint8Array.of(0x90, 0xe8, 0x06, 0x01, 0x00, 0x00, 0xe9, 0x0b, 0x00, 0x00, 0x00);
    undoX86Branches(code, 0, code.length, 0);
    expect([...code]).toEqual([0x90, 0xe8, 0x00, 0x01, 0x00, 0x00, 0xe9, 0x00, 0x00, 0x00, 0x00]);
  });

  it('leaves alone what cannot be a displacement, and an operand that is cut off', () => {
    const code = Uint8Array.of(0xe8, 1, 2, 3, 4, 0xe8, 1, 0, 0);
    undoX86Branches(code, 0, code.length, 0);
    expect([...code]).toEqual([0xe8, 1, 2, 3, 4, 0xe8, 1, 0, 0]);
  });
});
