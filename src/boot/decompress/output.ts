/**
 * Where a decoder puts what it decodes: a growing byte array with an upper limit, which is also the decoder's window into the
 * past, and the one place that turns "the data is wrong" into an error that names the file.
 */
import { BulkheadError, MiB } from '../../base/index.ts';

const FIRST_CAPACITY = 1 * MiB;

export class DecompressedOutput {
  readonly #source: string;
  readonly #format: string;
  readonly #limit: number;
  bytes: Uint8Array<ArrayBuffer>;
  /** Bytes decoded so far. Decoders keep it in a local variable while they run and store it when they are done. */
  length = 0;

  /** `expected` is a guess (a size field of the file) that saves growing; it is not trusted. */
  constructor(source: string, format: string, limit: number, expected: number) {
    this.#source = source;
    this.#format = format;
    this.#limit = limit;
    this.bytes = new Uint8Array(Math.min(limit, Math.max(expected, FIRST_CAPACITY)));
  }

  /** The array with room for at least `size` bytes in all. Throws BH312 past the limit. */
  grow(size: number): Uint8Array<ArrayBuffer> {
    if (size <= this.bytes.length) return this.bytes;
    if (size > this.#limit) {
      throw new BulkheadError(
        'BH312',
        `${this.#source}: the ${this.#format} data expands to more than ${Math.floor(this.#limit / MiB)} MiB`,
        {
          hint: 'Give an uncompressed image, or check that the file is what it claims to be.',
        },
      );
    }
    const larger = new Uint8Array(Math.min(this.#limit, Math.max(size, this.bytes.length * 2)));
    larger.set(this.bytes);
    this.bytes = larger;
    return larger;
  }

  /** Throws BH310. */
  fail(what: string): never {
    throw new BulkheadError('BH310', `${this.#source}: the ${this.#format} data is damaged: ${what}`, {
      hint: 'The file is incomplete or was changed: fetch or build it again.',
    });
  }

  /** Throws BH311: well-formed, but a part of the format that is not implemented. */
  unsupported(what: string): never {
    throw new BulkheadError('BH311', `${this.#source}: ${this.#format} data with ${what} cannot be read`, {
      hint: 'Decompress the file yourself and give the result, or set `decompress: false` to let the kernel do it.',
    });
  }

  finish(): Uint8Array<ArrayBuffer> {
    return this.bytes.subarray(0, this.length);
  }
}
