/**
 * MSI-X: a table of messages and the bits of those held back, in a memory range of their own.
 *
 *     0        table, 16 bytes per vector: address low, address high, data, vector control (bit 0: masked)
 *     size/2   pending bits, one per vector, read-only
 *
 * Spec: PCI Local Bus Specification 3.0 §6.8.2.
 * Not modelled: anything about accesses that are not whole aligned dwords (§6.8.2 leaves them undefined: here each byte counts).
 */
import { BulkheadError } from '../../base/index.ts';
import type { AccessSize, Bytes, IoHandler } from '../../contracts/index.ts';
import type { SendMessage } from './msi.ts';
import type { PciConfigSpace } from './pci-function.ts';

export const MSI_X_CAPABILITY = 0x11;
export const MSI_X_BYTES = 12;
const CONTROL = 2;
const TABLE = 4;
const PENDING = 8;
const ENABLE = 1 << 15;
const FUNCTION_MASK = 1 << 14;
const MOST_VECTORS = 2048;
const SMALLEST_RANGE = 4096;

// An entry of the table, in dwords
const ENTRY_DWORDS = 4;
const ADDRESS_LOW = 0;
const ADDRESS_HIGH = 1;
const DATA = 2;
const VECTOR_CONTROL = 3;
const MASKED = 1 << 0;
const ADDRESS_BITS = 0xffff_fffc;
const TWO_32 = 0x1_0000_0000;

export interface MsiXState {
  readonly table: readonly number[];
  readonly pending: readonly number[];
}

export class MsiX implements IoHandler {
  readonly vectors: number;
  readonly #config: PciConfigSpace;
  readonly #at: number;
  readonly #send: SendMessage;
  readonly #table: Uint32Array;
  readonly #pending: Uint32Array;
  readonly #pendingOffset: Bytes;

  /** `at`: the register the capability starts at. Throws BH216 when there can be no such vectors. */
  constructor(config: PciConfigSpace, at: number, vectors: number, bar: number, send: SendMessage) {
    if (!Number.isInteger(vectors) || vectors < 1 || vectors > MOST_VECTORS) {
      throw new BulkheadError('BH216', `a function cannot have ${vectors} MSI-X vectors`, { hint: `from 1 to ${MOST_VECTORS}` });
    }
    this.vectors = vectors;
    this.#config = config;
    this.#at = at;
    this.#send = send;
    this.#table = new Uint32Array(vectors * ENTRY_DWORDS);
    this.#pending = new Uint32Array(Math.ceil(vectors / 32));
    this.#pendingOffset = msiXRangeBytes(vectors) / 2;
    config.preset(at + CONTROL, 2, vectors - 1);
    config.allowWrites(at + CONTROL, 2, ENABLE | FUNCTION_MASK);
    config.preset(at + TABLE, 4, bar);
    config.preset(at + PENDING, 4, this.#pendingOffset | bar);
    this.reset();
  }

  get enabled(): boolean {
    return (this.#config.read(this.#at + CONTROL, 2) & ENABLE) !== 0;
  }

  /** §6.8.2.9: every vector is masked. */
  reset(): void {
    for (let i = 0; i < this.#table.length; i++) this.#table[i] = i % ENTRY_DWORDS === VECTOR_CONTROL ? MASKED : 0;
    this.#pending.fill(0);
  }

  signal(vector: number): void {
    if (!(vector >= 0 && vector < this.vectors)) return;
    if (this.#isMasked(vector)) this.#setPending(vector, true);
    else this.#deliver(vector);
  }

  /** After a write to configuration space: what was held back and is masked no more goes out. */
  update(): void {
    if (!this.enabled || this.#functionMasked) return;
    for (const [word, bits] of this.#pending.entries()) {
      if (bits === 0) continue;
      for (let vector = word * 32; vector < Math.min(this.vectors, word * 32 + 32); vector++) this.#release(vector);
    }
  }

  read(offset: number, size: AccessSize): number {
    let value = 0;
    for (let i = size - 1; i >= 0; i--) value = (value << 8) | this.#byte(offset + i);
    return value >>> 0;
  }

  write(offset: number, size: AccessSize, value: number): void {
    const tableBytes = this.#table.length * 4;
    let lastDword = -1;
    for (let i = 0; i < size && offset + i < tableBytes; i++) {
      const at = offset + i;
      const dword = at >> 2;
      const shift = (at & 3) * 8;
      const merged = ((this.#table[dword] as number) & ~(0xff << shift)) | (((value >>> (8 * i)) & 0xff) << shift);
      this.#table[dword] = merged & writableBits(dword % ENTRY_DWORDS);
      lastDword = dword;
    }
    if (lastDword >= 0 && this.enabled && !this.#functionMasked) this.#release(lastDword >> 2);
  }

  save(): MsiXState {
    return { table: [...this.#table], pending: [...this.#pending] };
  }

  restore({ table, pending }: MsiXState): void {
    this.#table.set(table);
    this.#pending.set(pending);
  }

  #byte(offset: number): number {
    const pending = offset - this.#pendingOffset;
    const dword = pending >= 0 ? this.#pending[pending >> 2] : this.#table[offset >> 2];
    return ((dword ?? 0) >>> ((offset & 3) * 8)) & 0xff;
  }

  get #functionMasked(): boolean {
    return (this.#config.read(this.#at + CONTROL, 2) & FUNCTION_MASK) !== 0;
  }

  #isMasked(vector: number): boolean {
    return this.#functionMasked || ((this.#table[vector * ENTRY_DWORDS + VECTOR_CONTROL] as number) & MASKED) !== 0;
  }

  #setPending(vector: number, on: boolean): void {
    const word = vector >> 5;
    const bits = this.#pending[word] as number;
    this.#pending[word] = on ? bits | (1 << (vector & 31)) : bits & ~(1 << (vector & 31));
  }

  #release(vector: number): void {
    if ((((this.#pending[vector >> 5] as number) >>> (vector & 31)) & 1) === 0 || this.#isMasked(vector)) return;
    this.#setPending(vector, false);
    this.#deliver(vector);
  }

  #deliver(vector: number): void {
    const entry = vector * ENTRY_DWORDS;
    const table = this.#table;
    const address = (table[entry + ADDRESS_LOW] as number) + (table[entry + ADDRESS_HIGH] as number) * TWO_32;
    this.#send(address, table[entry + DATA] as number);
  }
}

/** Bytes of the memory range that holds table and pending bits, each in a half of its own. */
export function msiXRangeBytes(vectors: number): Bytes {
  let half = SMALLEST_RANGE;
  while (half < vectors * ENTRY_DWORDS * 4) half *= 2;
  return 2 * half;
}

function writableBits(field: number): number {
  return field === ADDRESS_LOW ? ADDRESS_BITS : field === VECTOR_CONTROL ? MASKED : 0xffff_ffff;
}
