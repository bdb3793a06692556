/**
 * Zstandard. Spec: RFC 8878 §3, cited as §.
 * Not modelled: dictionaries (BH311); the content checksum (XXH64) is not verified.
 */
import { matchesAt, u16, u32, u64 } from '../bytes.ts';
import type { DecompressedOutput } from './output.ts';
import {
  BackwardBits,
  buildFseTable,
  decodeHuffman,
  type FseTable,
  type HuffmanTable,
  readFseTable,
  readHuffmanTable,
  singleSymbolTable,
} from './zstd-entropy.ts';

export const ZSTD_MAGIC: readonly number[] = [0x28, 0xb5, 0x2f, 0xfd];

// Frame_Header_Descriptor (§3.1.1.1.1)
const SINGLE_SEGMENT = 1 << 5,
  RESERVED = 1 << 3,
  CONTENT_CHECKSUM = 1 << 2,
  DICTIONARY_ID = 3;
const CONTENT_SIZE_BYTES = [0, 2, 4, 8] as const;
// Block_Type (§3.1.1.2.2)
const RAW_BLOCK = 0,
  RLE_BLOCK = 1,
  COMPRESSED_BLOCK = 2;
const BLOCK_MAX = 128 * 1024;
// Literals_Block_Type (§3.1.1.3.1.1)
const RAW_LITERALS = 0,
  RLE_LITERALS = 1,
  COMPRESSED_LITERALS = 2;
// Compression modes of the three codes of sequences (§3.1.1.3.2.1)
const PREDEFINED = 0,
  SINGLE_SYMBOL = 1,
  FSE_COMPRESSED = 2;

/** A code of the sequences section: what its symbols stand for, and its default distribution (§3.1.1.3.2.1.1, §3.1.1.3.2.2). */
interface SequenceCode {
  readonly bases: readonly number[];
  readonly extraBits: readonly number[];
  readonly maxAccuracy: number;
  readonly predefined: FseTable;
}

const range = (count: number, of: (i: number) => number): number[] => Array.from({ length: count }, (_, i) => of(i));
const repeat = (count: number, value: number): number[] => range(count, () => value);
/** Base values follow from the extra bits: each symbol begins where the one before ends. */
const basesOf = (first: number, extraBits: readonly number[]): number[] => {
  let base = first;
  return extraBits.map((bits) => {
    base += 2 ** bits;
    return base - 2 ** bits;
  });
};

const LITERAL_LENGTH_BITS = [...repeat(16, 0), 1, 1, 1, 1, 2, 2, 3, 3, 4, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16];
const MATCH_LENGTH_BITS = [...repeat(32, 0), 1, 1, 1, 1, 2, 2, 3, 3, 4, 4, 5, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16];
const LITERAL_LENGTH: SequenceCode = {
  bases: basesOf(0, LITERAL_LENGTH_BITS),
  extraBits: LITERAL_LENGTH_BITS,
  maxAccuracy: 9,
  predefined: buildFseTable([4, 3, ...repeat(11, 2), 1, 1, 1, ...repeat(9, 2), 3, 2, ...repeat(5, 1), ...repeat(4, -1)], 6),
};
const OFFSET: SequenceCode = {
  bases: range(32, (i) => 2 ** i),
  extraBits: range(32, (i) => i),
  maxAccuracy: 8,
  predefined: buildFseTable([...repeat(6, 1), 2, 2, 2, ...repeat(15, 1), ...repeat(5, -1)], 5),
};
const MATCH_LENGTH: SequenceCode = {
  bases: basesOf(3, MATCH_LENGTH_BITS),
  extraBits: MATCH_LENGTH_BITS,
  maxAccuracy: 9,
  predefined: buildFseTable([1, 4, 3, ...repeat(6, 2), ...repeat(37, 1), ...repeat(7, -1)], 6),
};
/** In the order in which their tables are stored. */
const SEQUENCE_CODES = [LITERAL_LENGTH, OFFSET, MATCH_LENGTH] as const;

/** Decodes all frames; what follows the last one (Linux appends the size) is left alone. */
export function decodeZstd(input: Uint8Array, output: DecompressedOutput): void {
  for (let position = 0; matchesAt(input, position, ZSTD_MAGIC); ) position = new ZstdFrame(input, output).decode(position);
}

class ZstdFrame {
  readonly #input: Uint8Array;
  readonly #output: DecompressedOutput;
  /** Offset of the frame's first byte in the output: no match may reach before it. */
  readonly #frameStart: number;
  readonly #literals = new Uint8Array(BLOCK_MAX);
  /** Tables of the previous block, which a block may use again. */
  #huffman: HuffmanTable | undefined;
  readonly #tables: (FseTable | undefined)[] = [undefined, undefined, undefined];
  /** The three last offsets (§3.1.1.5). */
  readonly #offsets = Uint32Array.of(1, 4, 8);

  constructor(input: Uint8Array, output: DecompressedOutput) {
    this.#input = input;
    this.#output = output;
    this.#frameStart = output.length;
  }

  /** Returns the offset behind the frame. */
  decode(start: number): number {
    const input = this.#input,
      output = this.#output;
    let position = start + ZSTD_MAGIC.length;
    const descriptor = input[position++] ?? output.fail('it ends inside a frame header');
    if (descriptor & RESERVED) output.unsupported('reserved frame header bits');
    if (descriptor & DICTIONARY_ID) output.unsupported('a dictionary');
    const single = (descriptor & SINGLE_SEGMENT) !== 0;
    if (!single) position++; // the window descriptor: the whole output is our window
    const sizeBytes = single && descriptor >>> 6 === 0 ? 1 : CONTENT_SIZE_BYTES[(descriptor >>> 6) as 0 | 1 | 2 | 3];
    const contentSize = readContentSize(input, position, sizeBytes);
    position += sizeBytes;
    for (let last = false; !last; ) {
      if (position + 3 > input.length) output.fail('it ends between two blocks');
      const header = u16(input, position) | (input[position + 2]! << 16);
      last = (header & 1) === 1;
      position = this.#block((header >>> 1) & 3, position + 3, header >>> 3);
    }
    if (contentSize !== undefined && output.length - this.#frameStart !== contentSize)
      output.fail('it expands to another size than it says');
    if (descriptor & CONTENT_CHECKSUM) position += 4;
    if (position > input.length) output.fail('it ends before its checksum');
    return position;
  }

  /** §3.1.1.2; returns the offset behind the block. */
  #block(kind: number, position: number, size: number): number {
    const input = this.#input,
      output = this.#output;
    if (size > BLOCK_MAX) output.fail('a block is larger than 128 KiB');
    const end = position + (kind === RLE_BLOCK ? 1 : size);
    if (end > input.length) output.fail('it ends inside a block');
    if (kind === COMPRESSED_BLOCK) {
      this.#compressedBlock(position, end);
    } else if (kind === RAW_BLOCK || kind === RLE_BLOCK) {
      const bytes = output.grow(output.length + size);
      if (kind === RAW_BLOCK) bytes.set(input.subarray(position, end), output.length);
      else bytes.fill(input[position]!, output.length, output.length + size);
      output.length += size;
    } else {
      output.fail('block type 3 does not exist');
    }
    return end;
  }

  #compressedBlock(start: number, end: number): void {
    const { end: sequences, size: literalSize } = this.#readLiterals(start, end);
    const input = this.#input,
      output = this.#output;
    if (sequences >= end) output.fail('a block has no sequences section');
    let position = sequences;
    let count = input[position++]!;
    if (count === 255) {
      count = u16(input, position) + 0x7f00;
      position += 2;
    } else if (count >= 128) {
      count = ((count - 128) << 8) + (input[position++] ?? 0);
    }
    let used = 0;
    if (count > 0) {
      const modes = input[position++] ?? 0;
      if (modes & 3) output.fail('reserved bits of a sequences section are set');
      SEQUENCE_CODES.forEach((code, i) => {
        position = this.#readTable(i, code, (modes >>> (6 - 2 * i)) & 3, position, end);
      });
      used = this.#executeSequences(count, new BackwardBits(input, position, end, output), literalSize);
    }
    const rest = literalSize - used;
    output.grow(output.length + rest).set(this.#literals.subarray(used, literalSize), output.length);
    output.length += rest;
  }

  /** §3.1.1.3.1. */
  #readLiterals(start: number, blockEnd: number): { readonly end: number; readonly size: number } {
    const input = this.#input,
      output = this.#output,
      literals = this.#literals;
    const first = input[start] ?? 0;
    const kind = first & 3,
      sizeFormat = (first >>> 2) & 3;
    const header = u32(input, start);
    if (kind === RAW_LITERALS || kind === RLE_LITERALS) {
      const headerSize = sizeFormat === 1 ? 2 : sizeFormat === 3 ? 3 : 1;
      const size = sizeFormat === 1 ? (header & 0xffff) >>> 4 : sizeFormat === 3 ? (header & 0xffffff) >>> 4 : first >>> 3;
      const data = start + headerSize;
      const end = data + (kind === RAW_LITERALS ? size : 1);
      if (size > BLOCK_MAX || end > blockEnd) output.fail('a literals section is longer than its block');
      if (kind === RAW_LITERALS) literals.set(input.subarray(data, end));
      else literals.fill(input[data]!, 0, size);
      return { end, size };
    }

    const sizeBits = sizeFormat < 2 ? 10 : sizeFormat === 2 ? 14 : 18;
    const mask = (1 << sizeBits) - 1;
    const size = (header >>> 4) & mask;
    const compressedSize = Math.floor((header + (input[start + 4] ?? 0) * 2 ** 32) / 2 ** (4 + sizeBits)) & mask;
    let position = start + (sizeFormat < 2 ? 3 : sizeFormat + 2);
    const end = position + compressedSize;
    if (size > BLOCK_MAX || end > blockEnd) output.fail('a literals section is longer than its block');
    if (kind === COMPRESSED_LITERALS) {
      const read = readHuffmanTable(input, position, end, output);
      this.#huffman = read.table;
      position = read.end;
    }
    const table = this.#huffman ?? output.fail('a block uses a Huffman table that was never given');
    if (sizeFormat === 0) decodeHuffman(table, input, position, end, literals, 0, size, output);
    else this.#decodeFourStreams(table, position, end, size);
    return { end, size };
  }

  /** §4.2.2: three sizes, then four streams that each hold a quarter. */
  #decodeFourStreams(table: HuffmanTable, start: number, end: number, size: number): void {
    const input = this.#input,
      output = this.#output;
    const quarter = (size + 3) >> 2;
    let position = start + 6;
    for (let i = 0; i < 4; i++) {
      const streamEnd = i === 3 ? end : position + u16(input, start + 2 * i);
      if (streamEnd > end) output.fail('a Huffman stream is longer than its section');
      decodeHuffman(
        table,
        input,
        position,
        streamEnd,
        this.#literals,
        Math.min(size, quarter * i),
        i === 3 ? size : Math.min(size, quarter * (i + 1)),
        output,
      );
      position = streamEnd;
    }
  }

  #readTable(index: number, code: SequenceCode, mode: number, position: number, end: number): number {
    const output = this.#output;
    let after = position;
    if (mode === PREDEFINED) {
      this.#tables[index] = code.predefined;
    } else if (mode === SINGLE_SYMBOL) {
      const symbol = this.#input[after++] ?? 0;
      if (symbol >= code.bases.length) output.fail(`sequence symbol ${symbol} does not exist`);
      this.#tables[index] = singleSymbolTable(symbol);
    } else if (mode === FSE_COMPRESSED) {
      const read = readFseTable(this.#input, position, end, code.maxAccuracy, code.bases.length, output);
      this.#tables[index] = read.table;
      after = read.end;
    } else if (this.#tables[index] === undefined) {
      output.fail('a block uses a table that was never given');
    }
    if (after > end) output.fail('it ends inside a sequences section');
    return after;
  }

  /** §3.1.1.4; returns how many literals were used. */
  #executeSequences(count: number, bits: BackwardBits, literalSize: number): number {
    const output = this.#output,
      literals = this.#literals,
      offsets = this.#offsets;
    const [lengthTable, offsetTable, matchTable] = this.#tables as [FseTable, FseTable, FseTable];
    const blockStart = output.length;
    let target = output.bytes;
    let out = blockStart,
      used = 0;
    let lengthState = bits.take(lengthTable.accuracy),
      offsetState = bits.take(offsetTable.accuracy),
      matchState = bits.take(matchTable.accuracy);
    for (let i = 0; i < count; i++) {
      const offsetSymbol = offsetTable.symbols[offsetState]!,
        matchSymbol = matchTable.symbols[matchState]!,
        lengthSymbol = lengthTable.symbols[lengthState]!;
      const offsetValue = OFFSET.bases[offsetSymbol]! + bits.take(OFFSET.extraBits[offsetSymbol]!);
      const matchLength = MATCH_LENGTH.bases[matchSymbol]! + bits.take(MATCH_LENGTH.extraBits[matchSymbol]!);
      const literalLength = LITERAL_LENGTH.bases[lengthSymbol]! + bits.take(LITERAL_LENGTH.extraBits[lengthSymbol]!);
      if (i < count - 1) {
        lengthState = lengthTable.bases[lengthState]! + bits.take(lengthTable.bits[lengthState]!);
        matchState = matchTable.bases[matchState]! + bits.take(matchTable.bits[matchState]!);
        offsetState = offsetTable.bases[offsetState]! + bits.take(offsetTable.bits[offsetState]!);
      }
      if (bits.left < 0) output.fail('a sequences section has too few bits');

      if (literalLength > literalSize - used) output.fail('a sequence takes more literals than there are');
      const end = out + literalLength + matchLength;
      if (end - blockStart > BLOCK_MAX) output.fail('a block expands to more than 128 KiB');
      if (end > target.length) target = output.grow(end);
      for (const stop = out + literalLength; out < stop; out++) target[out] = literals[used++]!;
      const offset = resolveOffset(offsets, offsetValue, literalLength);
      if (offset === 0 || offset > out - this.#frameStart)
        output.fail(`a match reaches ${offset} bytes back, before the start of the data`);
      for (; out < end; out++) target[out] = target[out - offset]!;
    }
    if (bits.left !== 0) output.fail('a sequences section has bits left over');
    output.length = out;
    return used;
  }
}

/** §3.1.1.5: values 1 to 3 mean one of the last three offsets, moved by one where no literals precede the match. */
function resolveOffset(offsets: Uint32Array, value: number, literalLength: number): number {
  if (value > 3) {
    offsets.copyWithin(1, 0, 2);
    offsets[0] = value - 3;
    return value - 3;
  }
  const which = value - 1 + (literalLength === 0 ? 1 : 0);
  if (which === 0) return offsets[0]!;
  const offset = which === 3 ? offsets[0]! - 1 : offsets[which]!;
  if (which > 1) offsets[2] = offsets[1]!;
  offsets[1] = offsets[0]!;
  offsets[0] = offset;
  return offset;
}

/** §3.1.1.1.4. */
function readContentSize(input: Uint8Array, position: number, bytes: 0 | 1 | 2 | 4 | 8): number | undefined {
  switch (bytes) {
    case 0:
      return undefined;
    case 1:
      return input[position] ?? 0;
    case 2:
      return u16(input, position) + 256;
    case 4:
      return u32(input, position);
    case 8:
      return u64(input, position);
  }
}
