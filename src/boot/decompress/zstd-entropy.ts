/**
 * The two entropy codes of Zstandard: finite state entropy (FSE) and Huffman with FSE-coded weights, and the bit stream that both
 * read from its end. Spec: RFC 8878 §4, cited as §.
 */
import type { DecompressedOutput } from './output.ts';

const HUFFMAN_MAX_BITS = 11;
const WEIGHT_MAX_ACCURACY = 6;
const WEIGHTS_MAX = 255;

/** For each state: the symbol it stands for, and how the next state is made: `base` plus the next `bits` bits. */
export interface FseTable {
  readonly accuracy: number;
  readonly symbols: Uint8Array;
  readonly bits: Uint8Array;
  readonly bases: Uint16Array;
}

/** Entry = symbol << 4 | code length, indexed by the next `width` bits. */
export interface HuffmanTable {
  readonly width: number;
  readonly entries: Uint16Array;
}

/** A bit stream read backwards (§4.1): from the highest bit of its last byte down to the lowest of its first. */
export class BackwardBits {
  readonly #bytes: Uint8Array;
  readonly #start: number;
  /** Bits left. Below zero once more was taken than there is; such bits read as 0. */
  left: number;

  constructor(bytes: Uint8Array, start: number, end: number, output: DecompressedOutput) {
    this.#bytes = bytes;
    this.#start = start;
    const last = end > start ? bytes[end - 1]! : 0;
    if (last === 0) output.fail('a bit stream has no end mark'); // the highest set bit marks the end
    this.left = (end - start - 1) * 8 + (31 - Math.clz32(last));
  }

  /** At most 31 bits. */
  take(count: number): number {
    this.left -= count;
    if (this.left < 0) return 0;
    const bytes = this.#bytes;
    const at = this.#start + (this.left >>> 3),
      shift = this.left & 7;
    let value = (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> shift;
    if (shift + count > 32) value |= bytes[at + 4]! << (32 - shift);
    return value & (2 ** count - 1);
  }
}

/** §4.1.1: reads a table description; `end` is the offset behind it. */
export function readFseTable(
  input: Uint8Array,
  start: number,
  limit: number,
  maxAccuracy: number,
  symbolCount: number,
  output: DecompressedOutput,
): { readonly table: FseTable; readonly end: number } {
  let position = start * 8;
  const take = (count: number): number => {
    const at = position >>> 3;
    const word = (input[at] ?? 0) | ((input[at + 1] ?? 0) << 8) | ((input[at + 2] ?? 0) << 16);
    position += count;
    return (word >>> ((position - count) & 7)) & ((1 << count) - 1);
  };

  const accuracy = take(4) + 5;
  if (accuracy > maxAccuracy) output.fail(`a table has accuracy ${accuracy}`);
  const probabilities: number[] = [];
  let remaining = 1 << accuracy;
  while (remaining > 0) {
    // Values up to remaining + 1 can occur; the smallest ones take one bit less.
    const max = remaining + 1;
    const bits = 32 - Math.clz32(max);
    const shortCodes = (1 << bits) - 1 - max;
    let value = take(bits - 1);
    if (value >= shortCodes) {
      if (take(1)) value += (1 << (bits - 1)) - shortCodes;
    }
    const probability = value - 1;
    remaining -= Math.abs(probability);
    probabilities.push(probability);
    if (probability === 0) {
      for (let repeat = 3; repeat === 3; ) {
        repeat = take(2);
        for (let i = 0; i < repeat; i++) probabilities.push(0);
        if (probabilities.length > symbolCount) break;
      }
    }
    if (probabilities.length > symbolCount) output.fail('a table has more symbols than exist');
  }
  const end = (position + 7) >>> 3;
  if (remaining < 0 || end > limit) output.fail('a table description is inconsistent');
  return { table: buildFseTable(probabilities, accuracy), end };
}

/** §4.1.1 "From normalized distribution to decoding tables". Probability −1 stands for "less than one". */
export function buildFseTable(probabilities: readonly number[], accuracy: number): FseTable {
  const size = 1 << accuracy;
  const symbols = new Uint8Array(size),
    bits = new Uint8Array(size),
    bases = new Uint16Array(size);
  const next = new Uint16Array(probabilities.length);
  let high = size;
  probabilities.forEach((probability, symbol) => {
    next[symbol] = Math.abs(probability);
    if (probability === -1) symbols[--high] = symbol;
  });
  const step = (size >> 1) + (size >> 3) + 3;
  let state = 0;
  probabilities.forEach((probability, symbol) => {
    for (let i = 0; i < probability; i++) {
      symbols[state] = symbol;
      do state = (state + step) & (size - 1);
      while (state >= high);
    }
  });
  for (let i = 0; i < size; i++) {
    const value = next[symbols[i]!]!++;
    bits[i] = accuracy - (31 - Math.clz32(value));
    bases[i] = (value << bits[i]!) - size;
  }
  return { accuracy, symbols, bits, bases };
}

/** A code with one symbol, which takes no bits. */
export function singleSymbolTable(symbol: number): FseTable {
  return { accuracy: 0, symbols: Uint8Array.of(symbol), bits: Uint8Array.of(0), bases: Uint16Array.of(0) };
}

/** §4.2.1: reads a Huffman tree description; `end` is the offset behind it. */
export function readHuffmanTable(
  input: Uint8Array,
  start: number,
  limit: number,
  output: DecompressedOutput,
): { readonly table: HuffmanTable; readonly end: number } {
  const header = input[start] ?? 0;
  const weights: number[] = [];
  let end: number;
  if (header >= 128) {
    const count = header - 127;
    end = start + 1 + ((count + 1) >> 1);
    for (let i = 0; i < count; i++) weights.push(((input[start + 1 + (i >> 1)] ?? 0) >>> (i & 1 ? 0 : 4)) & 15);
  } else {
    end = start + 1 + header;
    if (end <= limit) readWeights(input, start + 1, end, weights, output);
  }
  if (end > limit) output.fail('a Huffman table is longer than its block');
  return { table: buildHuffmanTable(weights, output), end };
}

/** §4.2.1.2: two FSE states take turns until the bits are used up. */
function readWeights(input: Uint8Array, start: number, end: number, weights: number[], output: DecompressedOutput): void {
  const { table, end: streamStart } = readFseTable(input, start, end, WEIGHT_MAX_ACCURACY, WEIGHTS_MAX, output);
  const bits = new BackwardBits(input, streamStart, end, output);
  let current = bits.take(table.accuracy),
    other = bits.take(table.accuracy);
  while (weights.length < WEIGHTS_MAX) {
    weights.push(table.symbols[current]!);
    const next = table.bases[current]! + bits.take(table.bits[current]!);
    if (bits.left < 0) {
      weights.push(table.symbols[other]!);
      return;
    }
    current = other;
    other = next;
  }
  output.fail('a Huffman table has more than 256 symbols');
}

/** §4.2.1.3: the last weight is not stored, because the code is complete. */
function buildHuffmanTable(weights: number[], output: DecompressedOutput): HuffmanTable {
  let sum = 0;
  for (const weight of weights) {
    if (weight > HUFFMAN_MAX_BITS) output.fail('a Huffman code is longer than 11 bits');
    sum += weight > 0 ? 1 << (weight - 1) : 0;
  }
  if (sum === 0) output.fail('a Huffman table is empty');
  const width = 32 - Math.clz32(sum);
  const rest = (1 << width) - sum;
  if (width > HUFFMAN_MAX_BITS || (rest & (rest - 1)) !== 0) output.fail('a Huffman code is not complete');
  weights.push(32 - Math.clz32(rest));

  const entries = new Uint16Array(1 << width);
  let index = 0;
  for (let weight = 1; weight <= width; weight++) {
    weights.forEach((own, symbol) => {
      if (own !== weight) return;
      const end = index + (1 << (weight - 1));
      entries.fill((symbol << 4) | (width + 1 - weight), index, end);
      index = end;
    });
  }
  return { width, entries };
}

/** Decodes one Huffman stream (§4.2.2) to `target[from, to)`. */
export function decodeHuffman(
  table: HuffmanTable,
  input: Uint8Array,
  start: number,
  end: number,
  target: Uint8Array,
  from: number,
  to: number,
  output: DecompressedOutput,
): void {
  const { width, entries } = table;
  const mask = (1 << width) - 1;
  let left = new BackwardBits(input, start, end, output).left;
  for (let i = from; i < to; i++) {
    // The `width` bits below `left`; near the start of the stream the missing ones are zeros.
    const low = left - width;
    let window: number;
    if (low >= 0) {
      const at = start + (low >>> 3);
      window = (input[at]! | (input[at + 1]! << 8) | (input[at + 2]! << 16)) >>> (low & 7);
    } else {
      window = low < -width ? 0 : (input[start]! | (input[start + 1]! << 8)) << -low;
    }
    const entry = entries[window & mask]!;
    target[i] = entry >>> 4;
    left -= entry & 15;
  }
  if (left !== 0) output.fail('a Huffman stream does not end where it should');
}
