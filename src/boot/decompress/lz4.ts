/**
 * LZ4 in the legacy frame that Linux uses for its kernels: a magic number, then blocks of at most 8 MiB each, every one preceded
 * by its compressed size. Spec: LZ4 frame format 1.6.3 "Legacy frame", LZ4 block format.
 * Not modelled: the modern LZ4 frame (magic 0x184d2204), which no x86 kernel is packed with.
 */
import { MiB } from '../../base/index.ts';
import { u32 } from '../bytes.ts';
import type { DecompressedOutput } from './output.ts';

export const LZ4_LEGACY_MAGIC: readonly number[] = [0x02, 0x21, 0x4c, 0x18];

const BLOCK_SIZE = 8 * MiB;
/** The worst case of incompressible data (block format, "LZ4_compressBound"). */
const COMPRESSED_BLOCK_MAX = BLOCK_SIZE + Math.floor(BLOCK_SIZE / 255) + 16;
const MIN_MATCH = 4;

export function decodeLz4(input: Uint8Array, output: DecompressedOutput): void {
  let position = LZ4_LEGACY_MAGIC.length;
  // The frame has no end mark. Linux appends the uncompressed size to its payload: four bytes that cannot be a block any more.
  while (input.length - position > 4) {
    const size = u32(input, position);
    if (size > COMPRESSED_BLOCK_MAX) output.fail(`a block claims ${size} bytes, more than a block can have`);
    position += 4;
    if (size > input.length - position) output.fail(`it ends ${size - (input.length - position)} bytes before its last block does`);
    const before = output.length;
    decodeBlock(input, position, position + size, output);
    position += size;
    if (output.length - before < BLOCK_SIZE) break; // only the last block is short
  }
}

function decodeBlock(input: Uint8Array, start: number, end: number, output: DecompressedOutput): void {
  const base = output.length;
  let bytes = output.bytes;
  let out = base,
    position = start;
  while (position < end) {
    const token = input[position++]!;
    let literals = token >>> 4;
    if (literals === 15) {
      let more: number;
      do {
        if (position >= end) output.fail('a literal run has no end');
        more = input[position++]!;
        literals += more;
      } while (more === 255);
    }
    if (literals > end - position) output.fail('a literal run is longer than its block');
    if (out + literals > bytes.length) bytes = output.grow(out + literals);
    if (literals < 32) for (let i = 0; i < literals; i++) bytes[out + i] = input[position + i]!;
    else bytes.set(input.subarray(position, position + literals), out);
    out += literals;
    position += literals;
    if (position === end) break; // the last sequence of a block has no match

    if (end - position < 2) output.fail('a match has no offset');
    const distance = input[position]! | (input[position + 1]! << 8);
    position += 2;
    if (distance === 0 || distance > out - base) output.fail(`a match reaches ${distance} bytes back, before the start of its block`);
    let length = token & 15;
    if (length === 15) {
      let more: number;
      do {
        if (position >= end) output.fail('a match length has no end');
        more = input[position++]!;
        length += more;
      } while (more === 255);
    }
    length += MIN_MATCH;
    if (out + length > bytes.length) bytes = output.grow(out + length);
    for (const stop = out + length; out < stop; out++) bytes[out] = bytes[out - distance]!;
    if (out - base > BLOCK_SIZE) output.fail('a block expands to more than 8 MiB');
  }
  output.length = out;
}
