/** Compressed images: detection by magic number and one function that undoes whatever it is. */
import { BulkheadError } from '../../base/index.ts';
import { matchesAt, u32 } from '../bytes.ts';
import { decodeGzip, GZIP_MAGIC } from './inflate.ts';
import { decodeLz4, LZ4_LEGACY_MAGIC } from './lz4.ts';
import { decodeLzmaAlone, looksLikeLzmaAlone } from './lzma.ts';
import { DecompressedOutput } from './output.ts';
import { decodeXz, XZ_MAGIC } from './xz.ts';
import { decodeZstd, ZSTD_MAGIC } from './zstd.ts';

interface Format {
  readonly name: string;
  matches(input: Uint8Array): boolean;
  /** Absent: known by its magic number, but not decoded here. */
  readonly decode?: (input: Uint8Array, output: DecompressedOutput) => void;
}

const startsWith =
  (magic: readonly number[]) =>
  (input: Uint8Array): boolean =>
    matchesAt(input, 0, magic);

/** Everything Linux can be packed with (its `scripts/Makefile.lib`). */
const FORMATS: readonly Format[] = [
  { name: 'gzip', matches: startsWith(GZIP_MAGIC), decode: decodeGzip },
  { name: 'XZ', matches: startsWith(XZ_MAGIC), decode: decodeXz },
  { name: 'LZ4', matches: startsWith(LZ4_LEGACY_MAGIC), decode: decodeLz4 },
  { name: 'zstd', matches: startsWith(ZSTD_MAGIC), decode: decodeZstd },
  { name: 'LZMA', matches: looksLikeLzmaAlone, decode: decodeLzmaAlone },
  { name: 'bzip2', matches: startsWith([0x42, 0x5a, 0x68]) },
  { name: 'LZO', matches: startsWith([0x89, 0x4c, 0x5a, 0x4f, 0x00, 0x0d, 0x0a, 0x1a, 0x0a]) },
  { name: 'LZ4 (modern frame)', matches: startsWith([0x04, 0x22, 0x4d, 0x18]) },
];

export interface Decompressed {
  readonly format: string;
  readonly data: Uint8Array<ArrayBuffer>;
}

/** Name of the compression `input` starts with; undefined when it is none that is known. */
export function compressionOf(input: Uint8Array): string | undefined {
  return FORMATS.find((format) => format.matches(input))?.name;
}

/**
 * Undoes one layer of compression. `source` names the data in errors; the result is at most `limit` bytes.
 * Throws BH310 (damaged), BH311 (a format that is not decoded here, or none), BH312 (larger than `limit`).
 */
export function decompress(input: Uint8Array, source: string, limit: number): Decompressed {
  const format = FORMATS.find((candidate) => candidate.matches(input));
  if (format?.decode === undefined) {
    throw new BulkheadError(
      'BH311',
      `${source}: ${format === undefined ? 'not compressed in a known format' : `${format.name} compression is not supported`}`,
      {
        hint: 'Decompress the file yourself and give the result, or set `decompress: false` to let the kernel do it.',
      },
    );
  }
  // gzip ends in the size, and Linux appends it to all other formats. Elsewhere the last four bytes are as good a guess as any.
  const announced = u32(input, input.length - 4);
  const output = new DecompressedOutput(
    source,
    format.name,
    limit,
    announced < input.length * EXPANSION_GUESS ? announced : input.length * 4,
  );
  format.decode(input, output);
  return { format: format.name, data: output.finish() };
}

/** Announced sizes beyond this many times the compressed size are not believed (nor needed: the output grows). */
const EXPANSION_GUESS = 32;
