/**
 * The partition's end of a console: two byte rings in shared memory, one per direction.
 *
 * Output never waits: a host that does not read loses the oldest bytes, and they are counted. Input is lossless: bytes stay in the
 * ring until the device takes them. The device sees only bytes that were *admitted* between two slices, so that input reaches the guest
 * at an instruction that is known, not whenever another thread happened to write.
 */
import { ByteRing } from '../base/index.ts';
import type { Bytes, CharacterBackend, TerminalSize } from '../contracts/index.ts';

/** The two directions of one console, ready to be posted to another thread. */
export interface ConsoleBuffers {
  /** Guest to host. */
  readonly output: SharedArrayBuffer;
  /** Host to guest. */
  readonly input: SharedArrayBuffer;
  /** Size of the terminal, in one word: columns in the lower half, rows in the upper; 0: unknown. */
  readonly size: SharedArrayBuffer;
}

export function createConsoleBuffers(outputBytes: Bytes, inputBytes: Bytes): ConsoleBuffers {
  return { output: ByteRing.create(outputBytes).buffer, input: ByteRing.create(inputBytes).buffer, size: new SharedArrayBuffer(4) };
}

/** The machine's side. */
export function setConsoleSize({ size }: ConsoleBuffers, { columns, rows }: TerminalSize): void {
  Atomics.store(new Uint32Array(size), 0, ((rows & 0xffff) << 16) | (columns & 0xffff));
}

export class ConsolePort implements CharacterBackend {
  readonly #output: ByteRing;
  readonly #input: ByteRing;
  readonly #sizeWord: Uint32Array;
  #admitted = 0;
  #packedSize = 0;
  /** As of the last `admit`. */
  size: TerminalSize | undefined;

  constructor(buffers: ConsoleBuffers) {
    this.#output = ByteRing.over(buffers.output);
    this.#input = ByteRing.over(buffers.input);
    this.#sizeWord = new Uint32Array(buffers.size);
  }

  output(byte: number): void {
    this.#output.pushByteDroppingOldest(byte);
  }

  input(): number | undefined {
    if (this.#admitted === 0) return undefined;
    this.#admitted--;
    return this.#input.shift();
  }

  /** Between slices: lets the device see what has arrived by now. True when there is something it has not taken yet, or the terminal's size changed. */
  admit(): boolean {
    this.#admitted = this.#input.length;
    return this.#admitSize() || this.#admitted > 0;
  }

  #admitSize(): boolean {
    const packed = Atomics.load(this.#sizeWord, 0);
    if (packed === this.#packedSize) return false;
    this.#packedSize = packed;
    this.size = { columns: packed & 0xffff, rows: packed >>> 16 };
    return true;
  }
}
