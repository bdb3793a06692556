/**
 * The LZMA decoder proper, and the two plain containers around it: LZMA2 chunks (inside XZ) and the old `.lzma` file.
 *
 * Spec: Igor Pavlov, "LZMA specification" (2015-06-14), cited as §; for LZMA2 the XZ file format 1.1.0 §5.3.1 and the state resets
 * that its chunk headers ask for.
 *
 * The decoded bytes are their own dictionary: they lie in one array, so that a match is a copy inside it. The range coder's state
 * stands in a Uint32Array because a JavaScript field that leaves the 31-bit range costs an allocation at each store.
 */
import { u16, u32, u64 } from '../bytes.ts';
import type { DecompressedOutput } from './output.ts';

const BIT_MODEL_TOTAL = 11,
  PROBABILITY_INIT = 1 << (BIT_MODEL_TOTAL - 1),
  MOVE_BITS = 5;
const TOP = 1 << 24;
const RANGE = 0,
  CODE = 1;

const STATES = 12,
  POSITION_STATES = 16;
const MIN_MATCH = 2;
const END_MARKER = 0xffffffff;

// One probability array for everything; these are the starts of its parts (§ "The main loop of decoder").
const IS_MATCH = 0;
const IS_REP = IS_MATCH + STATES * POSITION_STATES;
const IS_REP0 = IS_REP + STATES,
  IS_REP1 = IS_REP0 + STATES,
  IS_REP2 = IS_REP1 + STATES;
const IS_REP0_LONG = IS_REP2 + STATES;
const DISTANCE_SLOT = IS_REP0_LONG + STATES * POSITION_STATES; // 4 trees of 6 bits
const DISTANCE_SPECIAL = DISTANCE_SLOT + 4 * 64; // reverse trees of slots 4…13, each starting at its base - slot
const DISTANCE_ALIGN = DISTANCE_SPECIAL + 128;
const MATCH_LENGTH = DISTANCE_ALIGN + 16;
const LENGTH_CODER_SIZE = 2 + 2 * POSITION_STATES * 8 + 256;
const REP_LENGTH = MATCH_LENGTH + LENGTH_CODER_SIZE;
const LITERAL = REP_LENGTH + LENGTH_CODER_SIZE;
const LITERAL_CODER_SIZE = 0x300;

// Inside a length coder.
const LENGTH_CHOICE2 = 1,
  LENGTH_LOW = 2,
  LENGTH_MID = LENGTH_LOW + POSITION_STATES * 8,
  LENGTH_HIGH = LENGTH_MID + POSITION_STATES * 8;

export const LZMA_HEADER_SIZE = 13;
/** One byte for lc, lp and pb: (pb * 5 + lp) * 9 + lc (§ "lc, lp, pb"). */
const PROPERTIES_END = 9 * 5 * 5;

class LzmaDecoder {
  readonly #output: DecompressedOutput;
  readonly #input: Uint8Array;
  readonly #coder = new Uint32Array(2);
  #probabilities = new Uint16Array(0);
  #position = 0;
  #literalContextBits = 0;
  #literalPositionMask = 0;
  #positionMask = 0;
  #state = 0;
  readonly #repeats = new Uint32Array(4);
  /** Where the dictionary begins in the output: nothing before it may be referred to. */
  #dictionaryStart = 0;

  constructor(input: Uint8Array, output: DecompressedOutput) {
    this.#input = input;
    this.#output = output;
  }

  get position(): number {
    return this.#position;
  }

  resetDictionary(): void {
    this.#dictionaryStart = this.#output.length;
  }

  setProperties(properties: number): void {
    if (properties >= PROPERTIES_END) this.#output.fail(`properties byte ${properties} is out of range`);
    this.#literalContextBits = properties % 9;
    const literalPositionBits = Math.floor(properties / 9) % 5;
    this.#literalPositionMask = (1 << literalPositionBits) - 1;
    this.#positionMask = (1 << Math.floor(properties / 45)) - 1;
    const size = LITERAL + (LITERAL_CODER_SIZE << (this.#literalContextBits + literalPositionBits));
    if (this.#probabilities.length !== size) this.#probabilities = new Uint16Array(size);
  }

  resetState(): void {
    this.#probabilities.fill(PROBABILITY_INIT);
    this.#state = 0;
    this.#repeats.fill(0);
  }

  /** § "The range decoder": five bytes, of which the first is always 0. */
  startRangeCoder(position: number): void {
    const input = this.#input;
    if (position + 5 > input.length) this.#output.fail('it ends in the middle');
    if (input[position] !== 0) this.#output.fail('the range coder does not start with a zero byte');
    this.#coder[RANGE] = 0xffffffff;
    this.#coder[CODE] =
      ((input[position + 1]! << 24) | (input[position + 2]! << 16) | (input[position + 3]! << 8) | input[position + 4]!) >>> 0;
    this.#position = position + 5;
  }

  /** True when the range coder has come out even, as it does at the end of its data. */
  get finished(): boolean {
    return this.#coder[CODE] === 0;
  }

  /**
   * Decodes until the output holds `target` bytes; true when the end marker came instead. Reads no byte at or after `inputEnd`
   * without failing.
   */
  decode(target: number, inputEnd: number): boolean {
    const output = this.#output;
    const repeats = this.#repeats;
    const dictionaryStart = this.#dictionaryStart;
    let bytes = output.bytes;
    let out = output.length;
    let state = this.#state;
    while (out < target) {
      // Checked per symbol, not per byte: until then the coder takes what lies behind, which can do no harm.
      if (this.#position > inputEnd) output.fail('it ends in the middle');
      const positionState = (out - dictionaryStart) & this.#positionMask;
      if (this.#bit(IS_MATCH + state * POSITION_STATES + positionState) === 0) {
        if (out >= bytes.length) bytes = output.grow(out + 1);
        bytes[out] = this.#literal(bytes, out, state);
        out++;
        state = state < 4 ? 0 : state < 10 ? state - 3 : state - 6;
        continue;
      }

      let length: number;
      if (this.#bit(IS_REP + state) === 0) {
        length = this.#length(MATCH_LENGTH, positionState);
        state = state < 7 ? 7 : 10;
        repeats.copyWithin(1, 0, 3);
        const distance = this.#distance(length);
        if (distance === END_MARKER) {
          output.length = out;
          this.#state = state;
          return true;
        }
        repeats[0] = distance;
      } else {
        if (out === dictionaryStart) output.fail('it starts with a repeated match');
        if (this.#bit(IS_REP0 + state) === 0) {
          if (this.#bit(IS_REP0_LONG + state * POSITION_STATES + positionState) === 0) {
            state = state < 7 ? 9 : 11;
            const back = repeats[0]! + 1;
            if (back > out - dictionaryStart) output.fail(`a match reaches ${back} bytes back, before the start of the data`);
            if (out >= bytes.length) bytes = output.grow(out + 1);
            bytes[out] = bytes[out - back]!;
            out++;
            continue;
          }
        } else {
          this.#useOlderRepeat(state);
        }
        length = this.#length(REP_LENGTH, positionState);
        state = state < 7 ? 8 : 11;
      }

      const back = repeats[0]! + 1;
      if (back > out - dictionaryStart) output.fail(`a match reaches ${back} bytes back, before the start of the data`);
      if (out + length > target) output.fail('a match goes beyond the announced size');
      if (out + length > bytes.length) bytes = output.grow(out + length);
      for (const stop = out + length; out < stop; out++) bytes[out] = bytes[out - back]!;
    }
    if (this.#position > inputEnd) output.fail('it ends in the middle');
    output.length = out;
    this.#state = state;
    return false;
  }

  /** The end marker that may follow data of known size. */
  skipEndMarker(inputEnd: number): void {
    const before = this.#output.length;
    if (!this.decode(before + 1, inputEnd)) this.#output.fail('there is data beyond the announced size');
  }

  #bit(index: number): number {
    return this.#tree(index - 1, 1);
  }

  /**
   * `count` bits, each with a probability of its own for all that came before it: the last `count` bits of the result are they, and a one
   * stands before them (§ "The Bit Tree Decoder"). The hottest of loops, so the coder's state is in local variables.
   */
  #node(base: number, count: number): number {
    const coder = this.#coder,
      probabilities = this.#probabilities,
      input = this.#input;
    let range = coder[RANGE]!,
      code = coder[CODE]!,
      node = 1;
    for (const end = 1 << count; node < end; ) {
      const probability = probabilities[base + node]!;
      const bound = Math.imul(range >>> BIT_MODEL_TOTAL, probability) >>> 0;
      if (code < bound) {
        range = bound;
        probabilities[base + node] = probability + (((1 << BIT_MODEL_TOTAL) - probability) >>> MOVE_BITS);
        node <<= 1;
      } else {
        range = (range - bound) >>> 0;
        code = (code - bound) >>> 0;
        probabilities[base + node] = probability - (probability >>> MOVE_BITS);
        node = (node << 1) | 1;
      }
      if (range < TOP) {
        range = (range << 8) >>> 0;
        code = ((code << 8) | input[this.#position++]!) >>> 0;
      }
    }
    coder[RANGE] = range;
    coder[CODE] = code;
    return node;
  }

  /** `count` bits of fixed probability one half (§ "DecodeDirectBits"). */
  #directBits(count: number): number {
    const coder = this.#coder;
    let range = coder[RANGE]!,
      code = coder[CODE]!;
    let value = 0;
    for (let i = 0; i < count; i++) {
      range >>>= 1;
      value <<= 1;
      if (code >= range) {
        code -= range;
        value |= 1;
      }
      if (range < TOP) {
        range = (range << 8) >>> 0;
        code = ((code << 8) | this.#input[this.#position++]!) >>> 0;
      }
    }
    coder[RANGE] = range;
    coder[CODE] = code;
    return value;
  }

  #tree(base: number, bits: number): number {
    return this.#node(base, bits) - (1 << bits);
  }

  /** The same, least significant bit first. */
  #reverseTree(base: number, bits: number): number {
    let node = this.#node(base, bits),
      value = 0;
    for (let i = 0; i < bits; i++, node >>>= 1) value = (value << 1) | (node & 1);
    return value;
  }

  /** § "Literals". After a match the byte at the last distance, which the literal differs from, selects the probabilities. */
  #literal(bytes: Uint8Array, out: number, state: number): number {
    const previous = out > this.#dictionaryStart ? bytes[out - 1]! : 0;
    const contextBits = this.#literalContextBits;
    const context = (((out - this.#dictionaryStart) & this.#literalPositionMask) << contextBits) | (previous >>> (8 - contextBits));
    const base = LITERAL + LITERAL_CODER_SIZE * context;
    if (state < 7) return this.#tree(base, 8);
    const coder = this.#coder,
      probabilities = this.#probabilities,
      input = this.#input;
    let range = coder[RANGE]!,
      code = coder[CODE]!,
      node = 1;
    // Bit 8 of `matched` while all bits so far were as expected: two more trees stand behind the first, for an expected 0 and 1.
    let matched = 0x100,
      expected = bytes[out - this.#repeats[0]! - 1] ?? 0;
    while (node < 0x100) {
      expected <<= 1;
      const expectedBit = expected & matched;
      const index = base + matched + expectedBit + node;
      const probability = probabilities[index]!;
      const bound = Math.imul(range >>> BIT_MODEL_TOTAL, probability) >>> 0;
      if (code < bound) {
        range = bound;
        probabilities[index] = probability + (((1 << BIT_MODEL_TOTAL) - probability) >>> MOVE_BITS);
        node <<= 1;
        matched &= ~expectedBit;
      } else {
        range = (range - bound) >>> 0;
        code = (code - bound) >>> 0;
        probabilities[index] = probability - (probability >>> MOVE_BITS);
        node = (node << 1) | 1;
        matched &= expectedBit;
      }
      if (range < TOP) {
        range = (range << 8) >>> 0;
        code = ((code << 8) | input[this.#position++]!) >>> 0;
      }
    }
    coder[RANGE] = range;
    coder[CODE] = code;
    return node & 0xff;
  }

  #length(base: number, positionState: number): number {
    if (this.#bit(base) === 0) return MIN_MATCH + this.#tree(base + LENGTH_LOW + positionState * 8, 3);
    if (this.#bit(base + LENGTH_CHOICE2) === 0) return MIN_MATCH + 8 + this.#tree(base + LENGTH_MID + positionState * 8, 3);
    return MIN_MATCH + 16 + this.#tree(base + LENGTH_HIGH, 8);
  }

  /** § "Match distance": minus 1, or END_MARKER. */
  #distance(length: number): number {
    const slot = this.#tree(DISTANCE_SLOT + Math.min(length - MIN_MATCH, 3) * 64, 6);
    if (slot < 4) return slot;
    const footerBits = (slot >>> 1) - 1;
    const base = (2 | (slot & 1)) << footerBits;
    if (slot < 14) return base + this.#reverseTree(DISTANCE_SPECIAL + base - slot, footerBits);
    const high = this.#directBits(footerBits - 4) << 4;
    return (base + high + this.#reverseTree(DISTANCE_ALIGN, 4)) >>> 0;
  }

  #useOlderRepeat(state: number): void {
    const repeats = this.#repeats;
    let index = 1;
    if (this.#bit(IS_REP1 + state) === 1) index = this.#bit(IS_REP2 + state) === 0 ? 2 : 3;
    const distance = repeats[index]!;
    repeats.copyWithin(1, 0, index);
    repeats[0] = distance;
  }
}

/** LZMA2: returns the offset behind its end mark. */
export function decodeLzma2(input: Uint8Array, start: number, output: DecompressedOutput): number {
  const decoder = new LzmaDecoder(input, output);
  let position = start;
  let needsDictionary = true,
    needsProperties = true,
    needsState = true;
  for (;;) {
    if (position >= input.length) output.fail('it ends between two LZMA2 chunks');
    const control = input[position]!;
    if (control === 0) return position + 1;
    if (control >= 0xe0 || control === 1) {
      needsDictionary = false;
      needsProperties = true;
      decoder.resetDictionary();
    } else if (needsDictionary) {
      output.fail('the first LZMA2 chunk does not reset the dictionary');
    }
    if (control < 0x80) {
      if (control > 2) output.fail(`LZMA2 control byte ${control} does not exist`);
      const size = big16(input, position + 1) + 1;
      position += 3;
      if (position + size > input.length) output.fail('it ends inside an LZMA2 chunk');
      const end = output.length + size;
      output.grow(end).set(input.subarray(position, position + size), output.length);
      output.length = end;
      position += size;
      needsState = true; // an uncompressed chunk leaves the state undefined: the next LZMA chunk resets it
      continue;
    }
    const size = ((control & 0x1f) << 16) + big16(input, position + 1) + 1;
    const compressedSize = big16(input, position + 3) + 1;
    position += 5;
    const reset = (control >>> 5) & 3; // 0 nothing, 1 state, 2 state and properties, 3 dictionary too
    if (reset >= 2) {
      decoder.setProperties(input[position++] ?? 0xff);
      needsProperties = false;
    }
    if (reset >= 1) {
      if (needsProperties) output.fail('an LZMA2 chunk uses properties that were never set');
      decoder.resetState();
      needsState = false;
    }
    if (needsState || needsProperties) output.fail('an LZMA2 chunk uses a state that was never set');
    const end = position + compressedSize;
    if (end > input.length) output.fail('it ends inside an LZMA2 chunk');
    decoder.startRangeCoder(position);
    if (decoder.decode(output.length + size, end)) output.fail('an LZMA2 chunk has an end marker');
    if (decoder.position !== end || !decoder.finished) output.fail('an LZMA2 chunk is shorter than it says');
    position = end;
  }
}

/** A `.lzma` file: properties, dictionary size, size or −1, data (§ "LZMA file format"). */
export function decodeLzmaAlone(input: Uint8Array, output: DecompressedOutput): void {
  if (input.length < LZMA_HEADER_SIZE + 5) output.fail('it is shorter than its header');
  const sizeKnown = u32(input, 5) !== 0xffffffff || u32(input, 9) !== 0xffffffff;
  const decoder = new LzmaDecoder(input, output);
  decoder.setProperties(input[0]!);
  decoder.resetState();
  decoder.startRangeCoder(LZMA_HEADER_SIZE);
  const ended = decoder.decode(sizeKnown ? u64(input, 5) : Number.POSITIVE_INFINITY, input.length);
  if (sizeKnown && ended) output.fail('it ends before the announced size');
  if (sizeKnown && !ended && !decoder.finished) decoder.skipEndMarker(input.length);
}

/** A stream of this shape has no magic number: properties as every encoder writes them, a plausible dictionary, a plausible size. */
export function looksLikeLzmaAlone(input: Uint8Array): boolean {
  if (input.length < LZMA_HEADER_SIZE + 5 || input[0] !== 0x5d || input[LZMA_HEADER_SIZE] !== 0) return false;
  const dictionary = u32(input, 1);
  const roundDictionary = dictionary >= 4096 && u16(input, 1) === 0 ? (dictionary & (dictionary - 1)) === 0 : false;
  const sizeHigh = u32(input, 9);
  return roundDictionary && (sizeHigh === 0 || (sizeHigh === 0xffffffff && u32(input, 5) === 0xffffffff));
}

function big16(input: Uint8Array, offset: number): number {
  return ((input[offset] ?? 0) << 8) | (input[offset + 1] ?? 0);
}
