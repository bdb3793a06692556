/**
 * The XZ container: streams of blocks, each LZMA2 behind an optional x86 branch filter, with integrity checks.
 * Spec: "The .xz file format" 1.1.0, cited as §.
 * Not modelled: SHA-256 (the check is skipped), the delta filter and the branch filters of other processors (BH311).
 */
import { matchesAt, u32 } from '../bytes.ts';
import { crc32, crc64 } from './crc.ts';
import { decodeLzma2 } from './lzma.ts';
import type { DecompressedOutput } from './output.ts';
import { undoX86Branches } from './x86-branches.ts';

export const XZ_MAGIC: readonly number[] = [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00];
const FOOTER_MAGIC: readonly number[] = [0x59, 0x5a];
const STREAM_HEADER_SIZE = 12;

// §5.4: filter identifiers
const FILTER_X86 = 0x04,
  FILTER_LZMA2 = 0x21;
// §2.1.1.2: check types, and their sizes in bytes
const CHECK_CRC32 = 0x01,
  CHECK_CRC64 = 0x04;
const CHECK_SIZES = [0, 4, 4, 4, 8, 8, 8, 16, 16, 16, 32, 32, 32, 64, 64, 64] as const;
// §3.1.2: block flags
const BLOCK_FILTER_COUNT = 0x03,
  BLOCK_RESERVED = 0x3c,
  BLOCK_HAS_COMPRESSED_SIZE = 0x40,
  BLOCK_HAS_UNCOMPRESSED_SIZE = 0x80;

interface BlockSizes {
  readonly unpadded: number;
  readonly uncompressed: number;
}

interface BlockHeader {
  /** Offset of the block's data. */
  readonly end: number;
  readonly compressedSize: number | undefined;
  readonly uncompressedSize: number | undefined;
  /** Start offset of the x86 filter; undefined when the block has none. */
  readonly x86Start: number | undefined;
}

export function decodeXz(input: Uint8Array, output: DecompressedOutput): void {
  let position = 0;
  do {
    position = new XzStream(input, output).decode(position);
    while (position % 4 === 0 && position + 4 < input.length && u32(input, position) === 0) position += 4; // stream padding (§2.2)
  } while (matchesAt(input, position, XZ_MAGIC));
}

class XzStream {
  readonly #input: Uint8Array;
  readonly #output: DecompressedOutput;
  #position = 0;

  constructor(input: Uint8Array, output: DecompressedOutput) {
    this.#input = input;
    this.#output = output;
  }

  /** Returns the offset behind the stream footer. */
  decode(start: number): number {
    const input = this.#input,
      output = this.#output;
    if (start + STREAM_HEADER_SIZE > input.length) output.fail('it ends inside the stream header');
    const check = input[start + 7]!;
    if (input[start + 6] !== 0 || check > 15) output.unsupported('unknown stream flags');
    if (crc32(input, start + 6, start + 8) !== u32(input, start + 8)) output.fail('the CRC-32 of the stream header does not match');
    const flags = input.subarray(start + 6, start + 8);

    const blocks: BlockSizes[] = [];
    this.#position = start + STREAM_HEADER_SIZE;
    while (this.#byte(this.#position) !== 0) blocks.push(this.#block(check));
    const indexStart = this.#position;
    this.#index(blocks);

    // §2.1.2: CRC32, backward size, stream flags, magic
    const footer = this.#position;
    if (footer + STREAM_HEADER_SIZE > input.length || !matchesAt(input, footer + 10, FOOTER_MAGIC))
      output.fail('the stream footer is missing');
    if (crc32(input, footer + 4, footer + 10) !== u32(input, footer)) output.fail('the CRC-32 of the stream footer does not match');
    if ((u32(input, footer + 4) + 1) * 4 !== footer - indexStart) output.fail('the footer disagrees with the size of the index');
    if (!matchesAt(input, footer + 8, flags)) output.fail('header and footer disagree');
    return footer + STREAM_HEADER_SIZE;
  }

  #byte(offset: number): number {
    if (offset >= this.#input.length) this.#output.fail('it ends in the middle');
    return this.#input[offset]!;
  }

  /** §3. */
  #block(check: number): BlockSizes {
    const input = this.#input,
      output = this.#output;
    const start = this.#position;
    const header = this.#blockHeader(start);
    const outputStart = output.length;
    const end = decodeLzma2(input, header.end, output);
    const uncompressed = output.length - outputStart;
    if (header.compressedSize !== undefined && header.compressedSize !== end - header.end)
      output.fail('a block has another size than it says');
    if (header.uncompressedSize !== undefined && header.uncompressedSize !== uncompressed)
      output.fail('a block expands to another size than it says');
    if (header.x86Start !== undefined) undoX86Branches(output.bytes, outputStart, output.length, header.x86Start);

    let checkStart = end;
    for (; (checkStart - start) % 4 !== 0; checkStart++)
      if (this.#byte(checkStart) !== 0) output.fail('the padding of a block is not zero');
    const checkSize = CHECK_SIZES[check] ?? 0;
    if (checkStart + checkSize > input.length) output.fail('it ends before the check of a block');
    if (!this.#checkMatches(check, checkStart, outputStart)) output.fail(`the CRC of the block at ${start} does not match`);
    this.#position = checkStart + checkSize;
    return { unpadded: end - start + checkSize, uncompressed };
  }

  #checkMatches(check: number, at: number, outputStart: number): boolean {
    const input = this.#input,
      { bytes, length } = this.#output;
    if (check === CHECK_CRC32) return crc32(bytes, outputStart, length) === u32(input, at);
    if (check !== CHECK_CRC64) return true;
    const { low, high } = crc64(bytes, outputStart, length);
    return low === u32(input, at) && high === u32(input, at + 4);
  }

  /** §3.1. */
  #blockHeader(start: number): BlockHeader {
    const input = this.#input,
      output = this.#output;
    const end = start + (this.#byte(start) + 1) * 4;
    if (end > input.length) output.fail('it ends inside a block header');
    if (crc32(input, start, end - 4) !== u32(input, end - 4)) output.fail('the CRC-32 of a block header does not match');
    const flags = this.#byte(start + 1);
    if (flags & BLOCK_RESERVED) output.unsupported('unknown block flags');
    this.#position = start + 2;
    const compressedSize = flags & BLOCK_HAS_COMPRESSED_SIZE ? this.#variable() : undefined;
    const uncompressedSize = flags & BLOCK_HAS_UNCOMPRESSED_SIZE ? this.#variable() : undefined;

    let x86Start: number | undefined;
    for (let remaining = flags & BLOCK_FILTER_COUNT; remaining >= 0; remaining--) {
      const filter = this.#variable(),
        propertiesSize = this.#variable();
      const properties = this.#position;
      if (propertiesSize > end - 4 - properties) output.fail('filter properties are longer than their block header');
      this.#position += propertiesSize;
      const last = remaining === 0;
      if (filter === FILTER_X86 && !last && x86Start === undefined) x86Start = propertiesSize === 4 ? u32(input, properties) : 0;
      else if (filter !== FILTER_LZMA2 || !last) output.unsupported(`filter ${filter} at this place`);
    }
    return { end, compressedSize, uncompressedSize, x86Start };
  }

  /** §1.2: seven bits per byte, lowest first, at most nine bytes. */
  #variable(): number {
    let value = 0;
    for (let i = 0; i < 9; i++) {
      const byte = this.#byte(this.#position++);
      value += (byte & 0x7f) * 2 ** (7 * i);
      if (byte < 0x80) return value;
    }
    return this.#output.fail('a number is longer than nine bytes');
  }

  /** §4. */
  #index(blocks: readonly BlockSizes[]): void {
    const start = this.#position;
    this.#position++;
    const matches =
      this.#variable() === blocks.length &&
      blocks.every((block) => this.#variable() === block.unpadded && this.#variable() === block.uncompressed);
    if (!matches) this.#output.fail('the index does not list the blocks that are there');
    while ((this.#position - start) % 4 !== 0)
      if (this.#byte(this.#position++) !== 0) this.#output.fail('the padding of the index is not zero');
    this.#byte(this.#position + 3);
    if (crc32(this.#input, start, this.#position) !== u32(this.#input, this.#position))
      this.#output.fail('the CRC-32 of the index does not match');
    this.#position += 4;
  }
}
