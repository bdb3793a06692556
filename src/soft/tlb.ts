/**
 * The software TLBs that generated code looks into (layout.ts): direct-mapped tables for read, write and fetch, for the supervisor
 * and for the user. The supervisor has a second pair for data, because with SMAP it may touch user pages at one moment and not at the
 * next, as often as the kernel copies to or from a program. A journal of what was filled makes forgetting cheap: clearing all tables
 * costs as much as some thousand single entries.
 */
import { ACCESS_UNGUARDED, ACCESS_USER, PAGE } from './access.ts';
import { TLB_ENTRIES, TLB_ENTRY_SIZE, TLB_OFFSET, TLB_SIZE, TLB_TABLES, TLB_UNGUARDED, TLB_USER } from './layout.ts';

const TWO_32 = 0x1_0000_0000;
/** Fills remembered one by one, for pages that CR3 loads forget and for global ones; beyond, the tables are cleared whole. */
const JOURNAL_ENTRIES = 2048;

/** Word 0 belongs to nobody's table. */
const NO_ENTRY = 0;
const SEVERAL = -1;

export const TLB_KIND_READ = 0;
export const TLB_KIND_WRITE = 1;
export const TLB_KIND_FETCH = 2;

export class Tlb {
  /** Byte offset of the first table. */
  readonly #tables: number;
  readonly #i32: Int32Array;
  readonly #i64: BigInt64Array;
  /** Word indices of entries filled since the last clearing. */
  readonly #local: Int32Array = new Int32Array(JOURNAL_ENTRIES);
  #localCount = 0;
  readonly #globals: Int32Array = new Int32Array(JOURNAL_ENTRIES);
  #globalCount = 0;
  /** Which 4 MiB (modulo 4 GiB) and 1 GiB (modulo 64 GiB) areas have entries of a large page. */
  readonly #large: Uint8Array = new Uint8Array(1024);
  readonly #huge: Uint8Array = new Uint8Array(64);
  #anyLarge = false;
  /** By host page: the one entry through which it may be stored to, as a word index, NO_ENTRY or SEVERAL. What is forgotten stays in here. */
  readonly #writable: Int32Array;

  /** `base`: of the vCPU's slab. */
  constructor(base: number, i32: Int32Array, i64: BigInt64Array) {
    this.#tables = base + TLB_OFFSET;
    this.#i32 = i32;
    this.#i64 = i64;
    this.#writable = new Int32Array(i32.byteLength / PAGE);
    this.#clearTlb();
  }

  /** Word index of the entry for an address in one of the TLB_KIND_… tables. */
  entry(kind: number, low: number, access: number): number {
    const set = access & ACCESS_USER ? TLB_USER : access & ACCESS_UNGUARDED && kind !== TLB_KIND_FETCH ? TLB_UNGUARDED : 0;
    const table = this.#tables + kind * TLB_SIZE + set;
    return (table + ((low >>> 12) & (TLB_ENTRIES - 1)) * TLB_ENTRY_SIZE) >>> 2;
  }

  /** Enters a translated page, which begins at `host`, into the table of `kind` that `entry` lies in. */
  fill(kind: number, entry: number, low: number, high: number, host: number, pageShift: number, isGlobal: boolean): void {
    const i32 = this.#i32;
    const page = low & -PAGE;
    i32[entry] = page;
    i32[entry + 1] = high;
    i32[entry + 2] = host - page;
    if (kind === TLB_KIND_WRITE) {
      const known = this.#writable[host >>> 12];
      if (known !== entry) this.#writable[host >>> 12] = known === NO_ENTRY ? entry : SEVERAL;
    }
    if (pageShift !== 12) {
      this.#anyLarge = true;
      if (pageShift === 30) this.#huge[hugeIndex(low, high)] = 1;
      else this.#large[low >>> 22] = 1;
    }
    if (isGlobal) {
      if (this.#globalCount < JOURNAL_ENTRIES) this.#globals[this.#globalCount] = entry;
      this.#globalCount++;
    } else {
      if (this.#localCount < JOURNAL_ENTRIES) this.#local[this.#localCount] = entry;
      this.#localCount++;
    }
  }

  #drop(entry: number): void {
    this.#i32[entry] = -1;
    this.#i32[entry + 1] = -1;
  }

  /** Clears the journalled entries, or everything when a journal ran over. */
  #forget(first: Int32Array, firstCount: number, second: Int32Array, secondCount: number): void {
    if (firstCount > JOURNAL_ENTRIES || secondCount > JOURNAL_ENTRIES) {
      this.#clearTlb();
      return;
    }
    for (let i = 0; i < firstCount; i++) this.#drop(first[i] as number);
    for (let i = 0; i < secondCount; i++) this.#drop(second[i] as number);
  }

  /** The whole area, eight bytes at a time: `fill` on shared memory stores element by element. */
  #clearTlb(): void {
    const first = this.#tables >>> 3;
    this.#i64.fill(-1n, first, first + (TLB_TABLES * TLB_SIZE) / 8);
  }

  /** Forgets every translation. */
  flush(): void {
    this.#forget(this.#local, this.#localCount, this.#globals, this.#globalCount);
    this.#globalCount = 0;
    this.#localCount = 0;
    if (this.#anyLarge) {
      this.#large.fill(0);
      this.#huge.fill(0);
      this.#anyLarge = false;
    }
  }

  /** Forgets translations of pages that are not global (MOV to CR3, SDM 3A §4.10.4.1). */
  flushLocal(): void {
    if (this.#localCount > JOURNAL_ENTRIES) this.flush();
    else this.#forget(this.#local, this.#localCount, this.#globals, 0);
    this.#localCount = 0;
  }

  /** INVLPG: of a large page any address names the whole. */
  invalidatePage(linear: number): void {
    const low = linear | 0;
    const high = Math.floor(linear / TWO_32) | 0;
    if (this.#large[low >>> 22] !== 0 || this.#huge[hugeIndex(low, high)] !== 0) {
      this.flush();
      return;
    }
    for (let table = 0; table < TLB_TABLES; table++) {
      const entry = (this.#tables + table * TLB_SIZE + ((low >>> 12) & (TLB_ENTRIES - 1)) * TLB_ENTRY_SIZE) >>> 2;
      this.#drop(entry);
    }
  }

  /** A host page got its first decoded instruction: stores to it must take the slow path from now on. */
  dropWritable(hostPage: number): void {
    const entry = this.#writable[hostPage] as number;
    this.#writable[hostPage] = NO_ENTRY;
    if (entry === NO_ENTRY) return;
    if (entry !== SEVERAL) this.#dropIfOf(entry, hostPage);
    else {
      for (const set of [0, TLB_USER, TLB_UNGUARDED]) {
        const first = (this.#tables + set + TLB_KIND_WRITE * TLB_SIZE) >>> 2;
        for (let each = first; each < first + TLB_SIZE / 4; each += TLB_ENTRY_SIZE / 4) this.#dropIfOf(each, hostPage);
      }
    }
  }

  #dropIfOf(entry: number, hostPage: number): void {
    const low = this.#i32[entry] as number;
    if (low !== -1 && (low + (this.#i32[entry + 2] as number)) >>> 12 === hostPage) this.#drop(entry);
  }
}

function hugeIndex(low: number, high: number): number {
  return ((high << 2) | (low >>> 30)) & 63;
}
