/**
 * Deflate (RFC 1951) in a gzip member (RFC 1952).
 *
 * Each code is decoded by one look-up in a table as wide as its longest code word: building it costs microseconds per block,
 * and a malformed set of lengths can only leave empty entries behind, which are refused when they are hit.
 * Not modelled: what follows the first member (Linux and gnumach images have one member).
 */
import { u16, u32 } from '../bytes.ts';
import { crc32 } from './crc.ts';
import type { DecompressedOutput } from './output.ts';

export const GZIP_MAGIC: readonly number[] = [0x1f, 0x8b, 0x08];

// gzip FLG bits (RFC 1952 §2.3.1)
const FLAG_HEADER_CRC = 1 << 1,
  FLAG_EXTRA = 1 << 2,
  FLAG_NAME = 1 << 3,
  FLAG_COMMENT = 1 << 4;
const GZIP_HEADER_SIZE = 10,
  GZIP_TRAILER_SIZE = 8;

// RFC 1951 §3.2.5: base value and number of extra bits of length codes 257…285 and distance codes 0…29.
const LENGTH_BASE = [
  3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258,
] as const;
const LENGTH_EXTRA = [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0] as const;
const DISTANCE_BASE = [
  1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097, 6145, 8193, 12289, 16385,
  24577,
] as const;
const DISTANCE_EXTRA = [0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13] as const;
/** RFC 1951 §3.2.7: the order in which the lengths of the code length code are stored. */
const CODE_LENGTH_ORDER = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15] as const;
const END_OF_BLOCK = 256;

/** Entry = symbol << 4 | code length; 0 where no code word leads. */
interface CodeTable {
  readonly entries: Uint16Array;
  readonly width: number;
}

let fixedCodes: readonly [CodeTable, CodeTable] | undefined;

export function decodeGzip(input: Uint8Array, output: DecompressedOutput): void {
  const flags = input[3] ?? 0;
  let position = GZIP_HEADER_SIZE;
  if (flags & FLAG_EXTRA) position += 2 + u16(input, position);
  for (const flag of [FLAG_NAME, FLAG_COMMENT]) {
    if (!(flags & flag)) continue;
    while (position < input.length && input[position] !== 0) position++;
    position++;
  }
  if (flags & FLAG_HEADER_CRC) position += 2;
  if (position >= input.length) output.fail('it ends inside the gzip header');

  const end = new Inflater(input, position, output).run();
  if (end + GZIP_TRAILER_SIZE > input.length) output.fail('it ends before the gzip trailer');
  if (u32(input, end) !== crc32(output.bytes, 0, output.length)) output.fail('the CRC-32 does not match');
  if (u32(input, end + 4) !== output.length) output.fail('the size in the trailer does not match');
}

class Inflater {
  readonly #input: Uint8Array;
  readonly #output: DecompressedOutput;
  #position: number;
  /** Bits taken from the input and not yet used, lowest first (RFC 1951 §3.1.1). */
  #bits = 0;
  #bitCount = 0;

  constructor(input: Uint8Array, position: number, output: DecompressedOutput) {
    this.#input = input;
    this.#position = position;
    this.#output = output;
  }

  /** Decodes all blocks; returns the offset of the first byte behind them. */
  run(): number {
    for (let last = false; !last; ) {
      last = this.#take(1) === 1;
      const kind = this.#take(2);
      if (kind === 0) this.#stored();
      else if (kind === 1) this.#compressed(...(fixedCodes ??= buildFixedCodes()));
      else if (kind === 2) this.#compressed(...this.#readCodes());
      else this.#output.fail('block type 3 does not exist');
    }
    return this.#position - (this.#bitCount >>> 3);
  }

  #take(count: number): number {
    while (this.#bitCount < count) {
      if (this.#position >= this.#input.length) this.#output.fail('it ends in the middle');
      this.#bits |= this.#input[this.#position++]! << this.#bitCount;
      this.#bitCount += 8;
    }
    const value = this.#bits & ((1 << count) - 1);
    this.#bits >>>= count;
    this.#bitCount -= count;
    return value;
  }

  /** RFC 1951 §3.2.4. */
  #stored(): void {
    this.#position -= this.#bitCount >>> 3; // whole bytes that were read ahead
    this.#bits = 0;
    this.#bitCount = 0;
    const size = u16(this.#input, this.#position);
    if (this.#position + 4 + size > this.#input.length) this.#output.fail('a stored block is longer than the data');
    if ((size ^ u16(this.#input, this.#position + 2)) !== 0xffff) this.#output.fail('the size of a stored block is inconsistent');
    this.#position += 4;
    const end = this.#output.length + size;
    this.#output.grow(end).set(this.#input.subarray(this.#position, this.#position + size), this.#output.length);
    this.#output.length = end;
    this.#position += size;
  }

  /** RFC 1951 §3.2.7: the codes of a block with dynamic Huffman codes. */
  #readCodes(): readonly [CodeTable, CodeTable] {
    const literals = this.#take(5) + 257,
      distances = this.#take(5) + 1,
      codeLengths = this.#take(4) + 4;
    const order = new Uint8Array(CODE_LENGTH_ORDER.length);
    for (let i = 0; i < codeLengths; i++) order[CODE_LENGTH_ORDER[i]!] = this.#take(3);
    const table = buildTable(order);

    const lengths = new Uint8Array(literals + distances);
    for (let i = 0; i < lengths.length; ) {
      const symbol = this.#symbol(table);
      if (symbol < 16) {
        lengths[i++] = symbol;
        continue;
      }
      const repeated = symbol === 16 ? (i === 0 ? this.#output.fail('the code lengths start with a repetition') : lengths[i - 1]!) : 0;
      const count = symbol === 16 ? 3 + this.#take(2) : symbol === 17 ? 3 + this.#take(3) : 11 + this.#take(7);
      if (i + count > lengths.length) this.#output.fail('more code lengths than codes');
      lengths.fill(repeated, i, i + count);
      i += count;
    }
    return [buildTable(lengths.subarray(0, literals)), buildTable(lengths.subarray(literals))];
  }

  #symbol(table: CodeTable): number {
    while (this.#bitCount < table.width) {
      // Past the end zeros are read: the last code word may be shorter than the table is wide.
      this.#bits |= (this.#input[this.#position] ?? 0) << this.#bitCount;
      this.#position++;
      this.#bitCount += 8;
    }
    const entry = table.entries[this.#bits & (table.entries.length - 1)]!;
    const length = entry & 15;
    if (length === 0) this.#output.fail('a code word that stands for nothing');
    this.#bits >>>= length;
    this.#bitCount -= length;
    if (this.#position - (this.#bitCount >>> 3) > this.#input.length) this.#output.fail('it ends in the middle');
    return entry >>> 4;
  }

  #compressed(literalTable: CodeTable, distanceTable: CodeTable): void {
    const output = this.#output;
    let bytes = output.bytes;
    let out = output.length;
    for (;;) {
      const symbol = this.#symbol(literalTable);
      if (symbol < END_OF_BLOCK) {
        if (out >= bytes.length) bytes = output.grow(out + 1);
        bytes[out++] = symbol;
        continue;
      }
      if (symbol === END_OF_BLOCK) break;
      const lengthBase = LENGTH_BASE[symbol - 257] ?? output.fail(`length code ${symbol} does not exist`);
      const length = lengthBase + this.#take(LENGTH_EXTRA[symbol - 257]!);
      const distanceCode = this.#symbol(distanceTable);
      const distanceBase = DISTANCE_BASE[distanceCode] ?? output.fail(`distance code ${distanceCode} does not exist`);
      const distance = distanceBase + this.#take(DISTANCE_EXTRA[distanceCode]!);
      if (distance > out) output.fail(`a match reaches ${distance} bytes back, before the start of the data`);
      if (out + length > bytes.length) bytes = output.grow(out + length);
      for (const stop = out + length; out < stop; out++) bytes[out] = bytes[out - distance]!;
    }
    output.length = out;
  }
}

/** RFC 1951 §3.2.2: canonical codes from their lengths. Code words arrive with the first bit lowest, so each is stored reversed. */
function buildTable(lengths: Uint8Array): CodeTable {
  const counts = new Uint16Array(16);
  let width = 1;
  for (const length of lengths) {
    if (length === 0) continue;
    counts[length]!++;
    width = Math.max(width, length);
  }
  const next = new Uint32Array(17);
  for (let length = 1; length < 16; length++) next[length + 1] = (next[length]! + counts[length]!) << 1;
  const entries = new Uint16Array(1 << width);
  for (let symbol = 0; symbol < lengths.length; symbol++) {
    const length = lengths[symbol]!;
    if (length === 0) continue;
    const code = next[length]!++;
    if (code >>> length) continue; // oversubscribed: the code word cannot be written in its own length
    let reversed = 0;
    for (let bit = 0; bit < length; bit++) reversed |= ((code >>> bit) & 1) << (length - 1 - bit);
    for (let index = reversed; index < entries.length; index += 1 << length) entries[index] = (symbol << 4) | length;
  }
  return { entries, width };
}

/** RFC 1951 §3.2.6. */
function buildFixedCodes(): readonly [CodeTable, CodeTable] {
  const literals = new Uint8Array(288);
  literals.fill(8, 0, 144).fill(9, 144, 256).fill(7, 256, 280).fill(8, 280);
  return [buildTable(literals), buildTable(new Uint8Array(30).fill(5))];
}
