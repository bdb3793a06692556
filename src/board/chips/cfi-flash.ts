/**
 * NOR flash memory of 8 bits with Intel's command set, in blocks of 4 KiB: where UEFI firmware keeps its variables.
 *
 * Loads see its bytes directly while it is in array mode. A store is a command; until 0xFF ends the dialogue, loads see status,
 * identification or the query table. Programming clears bits, erasing sets those of a block. What has changed goes to the file when the
 * dialogue ends.
 *
 * Spec: JEDEC JESD68.01 (common flash interface) and JEP137 (command set 0x0001); Intel 28F640J3A datasheet (290667) §4, tables 4 and 5
 * (commands), §4.4 (status register).
 *
 * SR.7 is set by the operations that end, and clear after 0x50 and a reset, where the chip would say "ready" all the time: EDK II tells
 * flash memory from RAM and ROM by that (OvmfPkg, QemuFlash.c).
 *
 * Not modelled: the time that programming and erasing take, suspension, buffered programming (the query table says so), block locks, the
 * protection register.
 */
import type { AccessSize, BlockBackend, Bytes, DeviceState, Gpa, IoHandler, PhysicalMemory } from '../../contracts/index.ts';
import { SECTOR_BYTES } from '../../contracts/index.ts';

export const FLASH_BLOCK: Bytes = 4096;

// Commands (table 4); any other byte, as 0xff does, goes back to reading the array
const READ_IDENTIFIER = 0x90;
const READ_QUERY = 0x98;
const READ_STATUS = 0x70;
const CLEAR_STATUS = 0x50;
const PROGRAM = 0x40;
const PROGRAM_TOO = 0x10;
const ERASE = 0x20;
const CONFIRM = 0xd0;
// Status register (table 5)
const READY = 1 << 7;
const ERASE_ERROR = 1 << 5;
const PROGRAM_ERROR = 1 << 4;
/** Identifier codes: Intel, 28F640J3A. */
const IDENTIFIERS: readonly number[] = [0x89, 0x17, 0x00];
const ERASED = 0xff;
const QUERY_AT = 0x10;

type Mode = 'array' | 'status' | 'identifier' | 'query' | 'program' | 'erase';

export interface CfiFlashOptions {
  readonly memory: Pick<PhysicalMemory, 'bytes' | 'overlay' | 'reserve'>;
  /** Where processors see it; whole pages. */
  readonly base: Gpa;
  readonly size: Bytes;
  /** What it holds, and keeps; without one it is erased, and forgets. */
  readonly file?: BlockBackend | undefined;
  /** What it holds while its file is new: all zeros. */
  readonly factory?: Uint8Array | undefined;
  /** The file could not be written. */
  readonly failed: () => void;
}

export class CfiFlash implements IoHandler {
  readonly #memory: CfiFlashOptions['memory'];
  readonly #base: Gpa;
  readonly #size: Bytes;
  readonly #offset: number;
  readonly #file: BlockBackend | undefined;
  readonly #failed: () => void;
  readonly #query: Uint8Array;
  #shown: Disposable | undefined;
  #mode: Mode = 'array';
  #status = 0;
  /** Bytes that the file does not have yet; none when `#changedTo` is 0. */
  #changedFrom = 0;
  #changedTo = 0;

  constructor({ memory, base, size, file, factory, failed }: CfiFlashOptions) {
    this.#memory = memory;
    this.#base = base;
    this.#size = size;
    this.#file = file;
    this.#failed = failed;
    this.#query = queryTable(size);
    this.#offset = memory.reserve(size, 'flash memory');
    const bytes = this.#bytes.fill(ERASED);
    const held = Math.min(size, (file?.sectors ?? 0) * SECTOR_BYTES);
    if (file !== undefined && !file.read(0, bytes.subarray(0, held))) failed();
    // A file that was made a moment ago is a chip that comes from the factory: the whole of it is to be written at the next occasion.
    if (bytes.subarray(0, held).every((byte) => byte === 0)) {
      bytes.fill(ERASED).set(factory?.subarray(0, size) ?? []);
      this.#touch(0, size);
    }
    this.#setMode('array');
  }

  get #bytes(): Uint8Array {
    return this.#memory.bytes.subarray(this.#offset, this.#offset + this.#size);
  }

  reset(): void {
    this.#status = 0;
    this.#setMode('array');
  }

  dispose(): void {
    this.#keep();
    this.#shown?.[Symbol.dispose]();
  }

  read(offset: number, size: AccessSize): number {
    let value = 0;
    for (let i = size - 1; i >= 0; i--) value = value * 256 + this.#byte(offset + i);
    return value;
  }

  write(offset: number, size: AccessSize, value: number): void {
    if (this.#mode === 'program') {
      for (let i = 0; i < size; i++) this.#program(offset + i, (value >>> (8 * i)) & 0xff);
      this.#status |= READY;
      this.#setMode('status');
    } else if (this.#mode === 'erase') {
      if ((value & 0xff) === CONFIRM) this.#erase(offset - (offset % FLASH_BLOCK));
      // §4.4: both error bits are a wrong sequence of commands
      else this.#status |= ERASE_ERROR | PROGRAM_ERROR;
      this.#status |= READY;
      this.#setMode('status');
    } else this.#command(value & 0xff);
  }

  save(): DeviceState {
    this.#keep();
    return { version: 1, mode: this.#mode, status: this.#status };
  }

  restore(state: DeviceState): void {
    this.#status = state['status'] as number;
    this.#setMode(state['mode'] as Mode);
  }

  #command(command: number): void {
    switch (command) {
      case READ_IDENTIFIER:
        this.#setMode('identifier');
        break;
      case READ_QUERY:
        this.#setMode('query');
        break;
      case READ_STATUS:
        this.#setMode('status');
        break;
      case CLEAR_STATUS:
        this.#status = 0;
        break;
      case PROGRAM:
      case PROGRAM_TOO:
        this.#setMode('program');
        break;
      case ERASE:
        this.#setMode('erase');
        break;
      default:
        this.#setMode('array');
    }
  }

  #byte(offset: number): number {
    switch (this.#mode) {
      case 'array':
        return this.#bytes[offset] ?? ERASED;
      case 'identifier':
        return IDENTIFIERS[offset % FLASH_BLOCK] ?? 0;
      case 'query':
        return this.#query[offset - QUERY_AT] ?? 0;
      default:
        return this.#status;
    }
  }

  #program(offset: number, value: number): void {
    const bytes = this.#bytes;
    if (offset >= bytes.length) return;
    bytes[offset] = (bytes[offset] as number) & value;
    this.#touch(offset, offset + 1);
  }

  #erase(block: number): void {
    this.#bytes.fill(ERASED, block, block + FLASH_BLOCK);
    this.#touch(block, block + FLASH_BLOCK);
  }

  #touch(from: number, to: number): void {
    this.#changedFrom = this.#changedTo === 0 ? from : Math.min(this.#changedFrom, from);
    this.#changedTo = Math.max(this.#changedTo, to);
  }

  /** What has changed, to the file; in whole sectors. */
  #keep(): void {
    if (this.#changedTo === 0) return;
    const from = Math.floor(this.#changedFrom / SECTOR_BYTES);
    const to = Math.min(Math.ceil(this.#changedTo / SECTOR_BYTES), this.#file?.sectors ?? 0);
    this.#changedTo = 0;
    if (this.#file === undefined || to <= from) return;
    if (!this.#file.write(from, this.#bytes.slice(from * SECTOR_BYTES, to * SECTOR_BYTES))) this.#failed();
  }

  /** In array mode loads reach its bytes without a call. */
  #setMode(mode: Mode): void {
    this.#mode = mode;
    if (mode === 'array') {
      this.#keep();
      this.#shown ??= this.#memory.overlay(this.#base, this.#size, this.#offset, 'ro');
    } else {
      this.#shown?.[Symbol.dispose]();
      this.#shown = undefined;
    }
  }
}

/** The query table from 0x10 on (JESD68.01 §4.3.2 to §4.3.4): one region of equal blocks, one byte programmed at a time. */
function queryTable(size: Bytes): Uint8Array {
  const blocks = size / FLASH_BLOCK - 1;
  return Uint8Array.of(
    ...[...'QRY'].map((letter) => letter.charCodeAt(0)),
    ...[0x01, 0x00, 0x31, 0x00, 0x00, 0x00, 0x00, 0x00], // Intel's command set, whose own table would be at 0x31
    ...[0x27, 0x36, 0x00, 0x00], // 2.7 V to 3.6 V, no programming voltage
    ...[0x07, 0x00, 0x0a, 0x00, 0x01, 0x00, 0x01, 0x00], // times, as powers of two; none for a buffer or the whole chip
    Math.ceil(Math.log2(size)),
    ...[0x00, 0x00], // 8 bits wide
    ...[0x00, 0x00], // no buffer
    1, // region of blocks
    ...[blocks & 0xff, blocks >> 8, (FLASH_BLOCK / 256) & 0xff, FLASH_BLOCK >> 16],
  );
}
