/**
 * Address translation: paging in its three forms (SDM 3A §4.3–§4.5), access rights (§4.6), page faults (§4.7), accessed and
 * dirty flags (§4.8), and the software TLBs that generated code looks into first (layout.ts).
 *
 * Inside, a linear address is a pair of 32-bit halves; towards system code it is one exact number: unsigned below 2^32
 * outside 64-bit mode, signed (−2^47 … 2^47−1) within.
 *
 * A page enters the read TLB on a read and the write TLB on a write, so that accessed and dirty flags are set at the right
 * access. Not in any TLB: device memory, and for writing read-only memory and pages that hold decoded instructions.
 *
 * Not modelled: 5-level paging, PCIDs, protection keys, alignment checks (#AC), the A20 gate, memory types.
 */
import { CR0_WP, CR4_PAE, CR4_PSE, CR4_SMAP, CR4_SMEP, EFER_LMA, EFER_NXE } from '../x86/control.ts';
import { AC } from '../x86/flags.ts';
import * as S from '../x86/state.ts';
import { GENERAL_PROTECTION, PAGE_FAULT } from '../x86/vectors.ts';
import type { AccessSize } from '../contracts/index.ts';
import type { CodePages } from './code-pages.ts';
import { type Core, GUEST_FAULT } from './core.ts';
import { TLB_ENTRIES, TLB_ENTRY_SIZE, TLB_OFFSET, TLB_SIZE, TLB_TABLES, TLB_USER } from './layout.ts';

/** MAXPHYADDR, as CPUID leaf 0x80000008 announces it. */
export const PHYSICAL_ADDRESS_BITS = 40;

const TWO_32 = 0x1_0000_0000;
const PAGE = 4096;

/** An access is described by bits of the page-fault error code it would have (SDM 3A figure 4-12). */
const PRESENT = 1 << 0;
const WRITE = 1 << 1;
const USER = 1 << 2;
const RESERVED = 1 << 3;
const FETCH = 1 << 4;
/** Not an error-code bit: an access the processor makes by itself to descriptor tables and TSSs (SDM 3A §4.6). */
const IMPLICIT = 1 << 8;

/** Paging-structure entries (SDM 3A tables 4-4 to 4-20), low half. */
const ENTRY_PRESENT = 1 << 0;
const ENTRY_WRITE = 1 << 1;
const ENTRY_USER = 1 << 2;
const ENTRY_ACCESSED = 1 << 5;
const ENTRY_DIRTY = 1 << 6;
const ENTRY_LARGE = 1 << 7;
const ENTRY_GLOBAL = 1 << 8;
/** Address bits above MAXPHYADDR in the high half: 51:40. */
const HIGH_RESERVED = 0x000f_ff00;
const HIGH_ADDRESS = 0xff;
const HIGH_NO_EXECUTE = 1 << 31;
/** PAE entries have no ignored bits 62:52 (SDM 3A table 4-11). */
const PAE_HIGH_RESERVED = 0x7fff_ff00;

/** One remembered fill is worth about eight cleared words; beyond this many, the tables are cleared whole. */
const JOURNAL_ENTRIES = 2048;

export class Mmu {
  readonly #core: Core;
  readonly #codePages: CodePages;
  readonly #u8: Uint8Array;
  readonly #u32: Uint32Array;
  readonly #i32: Int32Array;
  readonly #i64: BigInt64Array;
  readonly #view: DataView;

  readonly #regionBase: number[] = [];
  readonly #regionEnd: number[] = [];
  /** Host offset of the region's first byte minus its physical address. */
  readonly #regionDelta: number[] = [];
  readonly #regionWritable: boolean[] = [];
  /** Results of the last {@link Mmu.#hostOf} and {@link Mmu.#translate}. */
  #hostWritable = false;
  #global = false;
  /** log2 of the size of the translated page. */
  #pageShift = 12;

  /** Word indices of TLB entries filled since the last clearing: of pages that CR3 loads forget, and of global ones. */
  readonly #local = new Int32Array(JOURNAL_ENTRIES);
  #localCount = 0;
  readonly #globals = new Int32Array(JOURNAL_ENTRIES);
  #globalCount = 0;
  /** Which 4 MiB (modulo 4 GiB) and 1 GiB (modulo 64 GiB) areas have TLB entries of a large page. */
  readonly #large = new Uint8Array(1024);
  readonly #huge = new Uint8Array(64);
  #anyLarge = false;

  /** Whether supervisor TLB entries were filled with SMAP in force. */
  #smapInForce = false;

  /** Physical address of the bytes of a pending store, before and after the page boundary. */
  #pendingFirst = 0;
  #pendingSecond = 0;

  constructor(core: Core, codePages: CodePages) {
    this.#core = core;
    this.#codePages = codePages;
    this.#u8 = core.u8;
    this.#u32 = core.u32;
    this.#i32 = core.i32;
    this.#i64 = core.i64;
    this.#view = core.view;
    for (const region of core.memory.regions) {
      const base = Math.ceil(region.base / PAGE) * PAGE;
      const end = Math.floor((region.base + region.size) / PAGE) * PAGE;
      const host = core.memory.offsetOf(base, end - base);
      if (host < 0 || end <= base) continue;
      this.#regionBase.push(base);
      this.#regionEnd.push(end);
      this.#regionDelta.push(host - base);
      this.#regionWritable.push(region.access === 'rw');
    }
    this.#clearTlb();
  }

  // ── entry points of generated code ──────────────────────────────────────────────────────────────────────────────────

  /** Host offset to load `size` bytes from: RAM, or SCRATCH where they were assembled. 0: a fault was recorded. */
  readSlow(low: number, high: number, size: number): number {
    return this.#readable(low, high, size, this.#explicitAccess());
  }

  /**
   * Host offset to store `size` bytes to. When that is SCRATCH, PENDING_STORE_SIZE is set and `commitStore` must follow once
   * the value is there. With `readFirst` the old value can be read there before. 0: a fault was recorded.
   */
  writeSlow(low: number, high: number, size: number, readFirst: number): number {
    return this.#writable(low, high, size, this.#explicitAccess(), readFirst !== 0);
  }

  /** Carries out the store that `writeSlow` prepared; all checks were made there. */
  commitStore(): void {
    const core = this.#core;
    const size = core.get32(S.PENDING_STORE_SIZE);
    const room = PAGE - (core.get32(S.PENDING_STORE) & (PAGE - 1));
    const scratch = core.base + S.SCRATCH;
    core.set32(S.PENDING_STORE_SIZE, 0);
    if (size <= room) {
      this.#storePhysical(this.#pendingFirst, scratch, size);
    } else {
      this.#storePhysical(this.#pendingFirst, scratch, room);
      this.#storePhysical(this.#pendingSecond, scratch + room, size - room);
    }
  }

  /** Host offset of the code byte; 0: a fault was recorded; −1: it does not lie in RAM. */
  fetchSlow(low: number, high: number): number {
    const access = FETCH | this.#explicitAccess();
    const entry = this.#entry(2, low, access);
    const i32 = this.#i32;
    if (i32[entry] === (low & -PAGE) && i32[entry + 1] === high) return (low + (i32[entry + 2] as number)) >>> 0;
    const physical = this.#translate(low, high, access);
    if (physical < 0) return 0;
    const host = this.#hostOf(physical);
    if (host < 0) return -1;
    this.#fill(entry, low, high, host);
    return host + (low & (PAGE - 1));
  }

  // ── system code ─────────────────────────────────────────────────────────────────────────────────────────────────────
  // Loads and stores at the current privilege level, and `…System…` at supervisor level whatever CPL is. All throw
  // GUEST_FAULT after recording the fault. 64-bit values come as bigint, or (`…Canonical`) as exact signed numbers.

  load8(linear: number): number {
    return this.#u8[this.#loadFrom(linear, 1, this.#explicitAccess())] as number;
  }
  load16(linear: number): number {
    return this.#view.getUint16(this.#loadFrom(linear, 2, this.#explicitAccess()), true);
  }
  load32(linear: number): number {
    return this.#view.getUint32(this.#loadFrom(linear, 4, this.#explicitAccess()), true);
  }
  load64(linear: number): bigint {
    return this.#view.getBigUint64(this.#loadFrom(linear, 8, this.#explicitAccess()), true);
  }
  loadCanonical(linear: number): number {
    const host = this.#loadFrom(linear, 8, this.#explicitAccess());
    return this.#view.getInt32(host + 4, true) * TWO_32 + this.#view.getUint32(host, true);
  }
  store8(linear: number, value: number): void {
    const host = this.#storeTo(linear, 1, this.#explicitAccess());
    this.#u8[host] = value;
    this.#finishStore();
  }
  store16(linear: number, value: number): void {
    const host = this.#storeTo(linear, 2, this.#explicitAccess());
    this.#view.setUint16(host, value, true);
    this.#finishStore();
  }
  store32(linear: number, value: number): void {
    const host = this.#storeTo(linear, 4, this.#explicitAccess());
    this.#view.setUint32(host, value, true);
    this.#finishStore();
  }
  store64(linear: number, value: bigint): void {
    const host = this.#storeTo(linear, 8, this.#explicitAccess());
    this.#view.setBigUint64(host, value, true);
    this.#finishStore();
  }
  storeCanonical(linear: number, value: number): void {
    const host = this.#storeTo(linear, 8, this.#explicitAccess());
    this.#view.setInt32(host, value, true);
    this.#view.setInt32(host + 4, Math.floor(value / TWO_32), true);
    this.#finishStore();
  }

  loadSystem8(linear: number): number {
    return this.#u8[this.#loadFrom(linear, 1, IMPLICIT)] as number;
  }
  loadSystem16(linear: number): number {
    return this.#view.getUint16(this.#loadFrom(linear, 2, IMPLICIT), true);
  }
  loadSystem32(linear: number): number {
    return this.#view.getUint32(this.#loadFrom(linear, 4, IMPLICIT), true);
  }
  loadSystemCanonical(linear: number): number {
    const host = this.#loadFrom(linear, 8, IMPLICIT);
    return this.#view.getInt32(host + 4, true) * TWO_32 + this.#view.getUint32(host, true);
  }
  storeSystem8(linear: number, value: number): void {
    const host = this.#storeTo(linear, 1, IMPLICIT);
    this.#u8[host] = value;
    this.#finishStore();
  }
  storeSystem16(linear: number, value: number): void {
    const host = this.#storeTo(linear, 2, IMPLICIT);
    this.#view.setUint16(host, value, true);
    this.#finishStore();
  }
  storeSystem32(linear: number, value: number): void {
    const host = this.#storeTo(linear, 4, IMPLICIT);
    this.#view.setUint32(host, value, true);
    this.#finishStore();
  }
  /** Stores for a stack at a level that is not yet the current one: `user` tells which. */
  storeAs(user: boolean, linear: number, size: number, value: number): void {
    const host = this.#storeTo(linear, size, user ? USER : 0);
    if (size === 2) this.#view.setUint16(host, value, true);
    else this.#view.setInt32(host, value, true);
    if (size === 8) this.#view.setInt32(host + 4, Math.floor(value / TWO_32), true);
    this.#finishStore();
  }

  /** Faults as a read or write of `size` bytes would; touches nothing but accessed and dirty flags. */
  probeRead(linear: number, size: number): void {
    this.#probe(linear, size, this.#explicitAccess());
  }
  probeWrite(linear: number, size: number): void {
    this.#probe(linear, size, this.#explicitAccess() | WRITE);
  }
  /** As `probeWrite`, for a stack at another level. */
  probeWriteAs(user: boolean, linear: number, size: number): void {
    this.#probe(linear, size, (user ? USER : 0) | WRITE);
  }

  /** Reads 4 bytes at a physical address (a multiple of 4): all ones where there is no RAM. */
  loadPhysical32(physical: number): number {
    const host = this.#hostOf(physical - (physical % PAGE));
    return host < 0 ? 0xffff_ffff : (this.#u32[(host + (physical % PAGE)) >>> 2] as number);
  }

  // ── TLB maintenance ─────────────────────────────────────────────────────────────────────────────────────────────────

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
      const entry = (this.#core.base + TLB_OFFSET + table * TLB_SIZE + ((low >>> 12) & (TLB_ENTRIES - 1)) * TLB_ENTRY_SIZE) >>> 2;
      this.#drop(entry);
    }
  }

  /** A host page got its first decoded instruction: stores to it must take the slow path from now on. */
  dropWritable(hostPage: number): void {
    for (const table of [1, 4]) {
      const first = (this.#core.base + TLB_OFFSET + table * TLB_SIZE) >>> 2;
      for (let entry = first; entry < first + TLB_SIZE / 4; entry += TLB_ENTRY_SIZE / 4) {
        const low = this.#i32[entry] as number;
        if (low !== -1 && (low + (this.#i32[entry + 2] as number)) >>> 12 === hostPage) this.#drop(entry);
      }
    }
  }

  /** CPL, CR4.SMAP or RFLAGS.AC changed: points TLB_READ, TLB_WRITE and TLB_FETCH at the tables that now apply. */
  setPrivilege(): void {
    const core = this.#core;
    const tables = core.base + TLB_OFFSET + (core.cpl === 3 ? TLB_USER : 0);
    core.set32(S.TLB_READ, tables);
    core.set32(S.TLB_WRITE, tables + TLB_SIZE);
    core.set32(S.TLB_FETCH, tables + 2 * TLB_SIZE);
    const smap = (core.getSigned32(S.CR4) & CR4_SMAP) !== 0 && (core.getSigned32(S.SYSTEM_FLAGS) & AC) === 0;
    if (smap !== this.#smapInForce) {
      this.#smapInForce = smap;
      this.flush();
    }
  }

  // ── inside ──────────────────────────────────────────────────────────────────────────────────────────────────────────

  #explicitAccess(): number {
    return this.#core.cpl === 3 ? USER : 0;
  }

  /** Word index of the TLB entry for an address: table 0 read, 1 write, 2 fetch. */
  #entry(table: number, low: number, access: number): number {
    const tables = this.#core.base + TLB_OFFSET + table * TLB_SIZE + (access & USER ? TLB_USER : 0);
    return (tables + ((low >>> 12) & (TLB_ENTRIES - 1)) * TLB_ENTRY_SIZE) >>> 2;
  }

  #readable(low: number, high: number, size: number, access: number): number {
    const offset = low & (PAGE - 1);
    if (offset + size > PAGE) return this.#readAcross(low, high, size, access);
    const entry = this.#entry(0, low, access);
    const i32 = this.#i32;
    if (i32[entry] === (low & -PAGE) && i32[entry + 1] === high) return (low + (i32[entry + 2] as number)) >>> 0;
    const physical = this.#translate(low, high, access);
    if (physical < 0) return 0;
    const host = this.#hostOf(physical);
    if (host >= 0) {
      this.#fill(entry, low, high, host);
      return host + offset;
    }
    const scratch = this.#core.base + S.SCRATCH;
    this.#loadPhysical(physical + offset, scratch, size);
    return scratch;
  }

  #readAcross(low: number, high: number, size: number, access: number): number {
    const first = this.#translate(low, high, access);
    if (first < 0) return 0;
    const nextLow = ((low & -PAGE) + PAGE) | 0;
    const second = this.#translate(nextLow, this.#nextHigh(nextLow, high), access);
    if (second < 0) return 0;
    const offset = low & (PAGE - 1);
    const room = PAGE - offset;
    const scratch = this.#core.base + S.SCRATCH;
    this.#loadPhysical(first + offset, scratch, room);
    this.#loadPhysical(second, scratch + room, size - room);
    return scratch;
  }

  #writable(low: number, high: number, size: number, access: number, readFirst: boolean): number {
    const core = this.#core;
    const offset = low & (PAGE - 1);
    core.set32(S.PENDING_STORE_SIZE, 0);
    let first: number;
    let second = 0;
    let room = size;
    if (offset + size <= PAGE) {
      const entry = this.#entry(1, low, access);
      const i32 = this.#i32;
      if (i32[entry] === (low & -PAGE) && i32[entry + 1] === high) return (low + (i32[entry + 2] as number)) >>> 0;
      first = this.#translate(low, high, access | WRITE);
      if (first < 0) return 0;
      const host = this.#hostOf(first);
      if (host >= 0 && this.#hostWritable) {
        if (this.#codePages.hasCode(host >>> 12)) this.#codePages.storing(host + offset, size);
        else this.#fill(entry, low, high, host);
        return host + offset;
      }
    } else {
      first = this.#translate(low, high, access | WRITE);
      if (first < 0) return 0;
      const nextLow = ((low & -PAGE) + PAGE) | 0;
      second = this.#translate(nextLow, this.#nextHigh(nextLow, high), access | WRITE);
      if (second < 0) return 0;
      room = PAGE - offset;
    }
    const scratch = core.base + S.SCRATCH;
    this.#pendingFirst = first + offset;
    this.#pendingSecond = second;
    if (readFirst) {
      this.#loadPhysical(first + offset, scratch, room);
      if (room < size) this.#loadPhysical(second, scratch + room, size - room);
    }
    const pending = (core.base + S.PENDING_STORE) >>> 2;
    this.#i32[pending] = low;
    this.#i32[pending + 1] = high;
    core.set32(S.PENDING_STORE_SIZE, size);
    return scratch;
  }

  /** The high half after a carry out of the low one; outside 64-bit mode addresses wrap at 4 GiB. */
  #nextHigh(nextLow: number, high: number): number {
    if (nextLow !== 0) return high;
    return high !== 0 || this.#core.is64Bit ? (high + 1) | 0 : 0;
  }

  #probe(linear: number, size: number, access: number): void {
    const low = linear | 0;
    const high = Math.floor(linear / TWO_32) | 0;
    if (this.#translate(low, high, access) < 0) throw GUEST_FAULT;
    if ((low & (PAGE - 1)) + size <= PAGE) return;
    const nextLow = ((low & -PAGE) + PAGE) | 0;
    if (this.#translate(nextLow, this.#nextHigh(nextLow, high), access) < 0) throw GUEST_FAULT;
  }

  #loadFrom(linear: number, size: number, access: number): number {
    const host = this.#readable(linear | 0, Math.floor(linear / TWO_32) | 0, size, access);
    if (host === 0) throw GUEST_FAULT;
    return host;
  }

  #storeTo(linear: number, size: number, access: number): number {
    const host = this.#writable(linear | 0, Math.floor(linear / TWO_32) | 0, size, access, false);
    if (host === 0) throw GUEST_FAULT;
    return host;
  }

  #finishStore(): void {
    if (this.#core.get32(S.PENDING_STORE_SIZE) !== 0) this.commitStore();
  }

  /** Host offset of a physical page, or −1 when it is not RAM; sets `#hostWritable`. */
  #hostOf(physicalPage: number): number {
    const bases = this.#regionBase;
    for (let i = 0; i < bases.length; i++) {
      if (physicalPage >= (bases[i] as number) && physicalPage < (this.#regionEnd[i] as number)) {
        this.#hostWritable = this.#regionWritable[i] as boolean;
        return physicalPage + (this.#regionDelta[i] as number);
      }
    }
    this.#hostWritable = false;
    return -1;
  }

  /** Copies `size` bytes, within one page, from RAM or a device to `target`. */
  #loadPhysical(physical: number, target: number, size: number): void {
    const page = physical - (physical % PAGE);
    const host = this.#hostOf(page);
    if (host >= 0) {
      const from = host + (physical - page);
      for (let i = 0; i < size; i++) this.#u8[target + i] = this.#u8[from + i] as number;
      return;
    }
    const io = this.#core.wiring.io;
    for (let done = 0; done < size; ) {
      const part = largestAccess(size - done);
      const value = io.read('mmio', physical + done, part);
      if (part === 4) this.#view.setUint32(target + done, value, true);
      else if (part === 2) this.#view.setUint16(target + done, value, true);
      else this.#u8[target + done] = value;
      done += part;
    }
  }

  /** Copies `size` bytes, within one page, from `source` to RAM or a device. ROM takes its writes to the bus, which counts and drops them. */
  #storePhysical(physical: number, source: number, size: number): void {
    const page = physical - (physical % PAGE);
    const host = this.#hostOf(page);
    if (host >= 0 && this.#hostWritable) {
      const to = host + (physical - page);
      if (this.#codePages.hasCode(host >>> 12)) this.#codePages.storing(to, size);
      for (let i = 0; i < size; i++) this.#u8[to + i] = this.#u8[source + i] as number;
      return;
    }
    const io = this.#core.wiring.io;
    for (let done = 0; done < size; ) {
      const part = largestAccess(size - done);
      const value =
        part === 4
          ? this.#view.getUint32(source + done, true)
          : part === 2
            ? this.#view.getUint16(source + done, true)
            : (this.#u8[source + done] as number);
      io.write('mmio', physical + done, part, value);
      done += part;
    }
  }

  // ── page walks ──────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Physical address of the 4 KiB page that `low`, `high` lies in; −1: a fault was recorded. Sets `#global`, `#pageShift`. */
  #translate(low: number, high: number, access: number): number {
    if ((high + 0x8000) >>> 16 !== 0) {
      // SDM 1 §3.3.7.1; callers that know better (the stack) check before.
      this.#core.recordFault(GENERAL_PROTECTION, 0);
      return -1;
    }
    this.#global = false;
    this.#pageShift = 12;
    const core = this.#core;
    if (core.getSigned32(S.CR0) >= 0) return (low & -PAGE) >>> 0;
    if ((core.getSigned32(S.CR4) & CR4_PAE) === 0) return this.#walk32(low, access);
    if ((core.getSigned32(S.EFER) & EFER_LMA) === 0) return this.#walkPae(low, access);
    return this.#walkLong(low, high, access);
  }

  /** 32-bit paging (SDM 3A §4.3), with 4 MiB pages and PSE-36. */
  #walk32(low: number, access: number): number {
    const core = this.#core;
    const directory = core.get32(S.CR3) & -PAGE;
    const directoryAt = this.#entryAt(directory >>> 0, (low >>> 22) * 4);
    const directoryEntry = directoryAt < 0 ? -1 : (this.#i32[directoryAt] as number);
    if ((directoryEntry & ENTRY_PRESENT) === 0) return this.#pageFault(low, 0, access);
    if ((directoryEntry & ENTRY_LARGE) !== 0 && (core.getSigned32(S.CR4) & CR4_PSE) !== 0) {
      if ((directoryEntry & (1 << 21)) !== 0) return this.#pageFault(low, 0, access | PRESENT | RESERVED);
      if (this.#denied(access, directoryEntry, 0)) return this.#pageFault(low, 0, access | PRESENT);
      this.#mark(directoryAt, directoryEntry, access);
      this.#global = (directoryEntry & ENTRY_GLOBAL) !== 0;
      this.#pageShift = 22;
      return ((directoryEntry >>> 13) & 0xff) * TWO_32 + (((directoryEntry & 0xffc0_0000) | (low & 0x003f_f000)) >>> 0);
    }
    this.#mark(directoryAt, directoryEntry, 0);
    const at = this.#entryAt((directoryEntry & -PAGE) >>> 0, ((low >>> 12) & 0x3ff) * 4);
    const entry = at < 0 ? -1 : (this.#i32[at] as number);
    if ((entry & ENTRY_PRESENT) === 0) return this.#pageFault(low, 0, access);
    if (this.#denied(access, entry & directoryEntry, 0)) return this.#pageFault(low, 0, access | PRESENT);
    this.#mark(at, entry, access);
    this.#global = (entry & ENTRY_GLOBAL) !== 0;
    return (entry & -PAGE) >>> 0;
  }

  /** PAE paging (SDM 3A §4.4): the four PDPTEs are registers, checked when they were loaded. */
  #walkPae(low: number, access: number): number {
    const pdpte = (this.#core.base + S.PDPTE + (low >>> 30) * 8) >>> 2;
    const pdpteLow = this.#i32[pdpte] as number;
    if ((pdpteLow & ENTRY_PRESENT) === 0) return this.#pageFault(low, 0, access);
    const table = tableAddress(pdpteLow, this.#i32[pdpte + 1] as number);
    return this.#walkDirectory(low, 0, access, table, ENTRY_WRITE | ENTRY_USER, 0, PAE_HIGH_RESERVED);
  }

  /** 4-level paging (SDM 3A §4.5). */
  #walkLong(low: number, high: number, access: number): number {
    const i32 = this.#i32;
    const cr3 = (this.#core.base + S.CR3) >>> 2;
    const reserved = this.#highReserved(HIGH_RESERVED);
    const pml4At = this.#entryAt(tableAddress(i32[cr3] as number, i32[cr3 + 1] as number), ((high >>> 7) & 0x1ff) * 8);
    const pml4Low = pml4At < 0 ? -1 : (i32[pml4At] as number);
    const pml4High = pml4At < 0 ? -1 : (i32[pml4At + 1] as number);
    if ((pml4Low & ENTRY_PRESENT) === 0) return this.#pageFault(low, high, access);
    if ((pml4Low & ENTRY_LARGE) !== 0 || (pml4High & reserved) !== 0) return this.#pageFault(low, high, access | PRESENT | RESERVED);
    this.#mark(pml4At, pml4Low, 0);

    const pdptAt = this.#entryAt(tableAddress(pml4Low, pml4High), (((high << 2) | (low >>> 30)) & 0x1ff) * 8);
    const pdptLow = pdptAt < 0 ? -1 : (i32[pdptAt] as number);
    const pdptHigh = pdptAt < 0 ? -1 : (i32[pdptAt + 1] as number);
    if ((pdptLow & ENTRY_PRESENT) === 0) return this.#pageFault(low, high, access);
    if ((pdptHigh & reserved) !== 0) return this.#pageFault(low, high, access | PRESENT | RESERVED);
    const rights = pml4Low & pdptLow;
    const noExecute = pml4High | pdptHigh;
    if ((pdptLow & ENTRY_LARGE) !== 0) {
      // Table 4-16: bits 29:13 are reserved in an entry that maps 1 GiB.
      if ((pdptLow & 0x3fff_e000) !== 0) return this.#pageFault(low, high, access | PRESENT | RESERVED);
      if (this.#denied(access, rights, noExecute)) return this.#pageFault(low, high, access | PRESENT);
      this.#mark(pdptAt, pdptLow, access);
      this.#global = (pdptLow & ENTRY_GLOBAL) !== 0;
      this.#pageShift = 30;
      return (pdptHigh & HIGH_ADDRESS) * TWO_32 + (((pdptLow & 0xc000_0000) | (low & 0x3fff_f000)) >>> 0);
    }
    this.#mark(pdptAt, pdptLow, 0);
    return this.#walkDirectory(low, high, access, tableAddress(pdptLow, pdptHigh), rights, noExecute, HIGH_RESERVED);
  }

  /** The last two levels, which PAE and 4-level paging have in common: 2 MiB or 4 KiB pages. */
  #walkDirectory(
    low: number,
    high: number,
    access: number,
    directory: number,
    rightsAbove: number,
    noExecuteAbove: number,
    reservedBits: number,
  ): number {
    const i32 = this.#i32;
    const reserved = this.#highReserved(reservedBits);
    const directoryAt = this.#entryAt(directory, ((low >>> 21) & 0x1ff) * 8);
    const directoryLow = directoryAt < 0 ? -1 : (i32[directoryAt] as number);
    const directoryHigh = directoryAt < 0 ? -1 : (i32[directoryAt + 1] as number);
    if ((directoryLow & ENTRY_PRESENT) === 0) return this.#pageFault(low, high, access);
    if ((directoryHigh & reserved) !== 0) return this.#pageFault(low, high, access | PRESENT | RESERVED);
    if ((directoryLow & ENTRY_LARGE) !== 0) {
      // Tables 4-9 and 4-18: bits 20:13 are reserved in an entry that maps 2 MiB.
      if ((directoryLow & 0x001f_e000) !== 0) return this.#pageFault(low, high, access | PRESENT | RESERVED);
      if (this.#denied(access, rightsAbove & directoryLow, noExecuteAbove | directoryHigh)) {
        return this.#pageFault(low, high, access | PRESENT);
      }
      this.#mark(directoryAt, directoryLow, access);
      this.#global = (directoryLow & ENTRY_GLOBAL) !== 0;
      this.#pageShift = 21;
      return (directoryHigh & HIGH_ADDRESS) * TWO_32 + (((directoryLow & 0xffe0_0000) | (low & 0x001f_f000)) >>> 0);
    }
    this.#mark(directoryAt, directoryLow, 0);
    const at = this.#entryAt(tableAddress(directoryLow, directoryHigh), ((low >>> 12) & 0x1ff) * 8);
    const entryLow = at < 0 ? -1 : (i32[at] as number);
    const entryHigh = at < 0 ? -1 : (i32[at + 1] as number);
    if ((entryLow & ENTRY_PRESENT) === 0) return this.#pageFault(low, high, access);
    if ((entryHigh & reserved) !== 0) return this.#pageFault(low, high, access | PRESENT | RESERVED);
    if (this.#denied(access, rightsAbove & directoryLow & entryLow, noExecuteAbove | directoryHigh | entryHigh)) {
      return this.#pageFault(low, high, access | PRESENT);
    }
    this.#mark(at, entryLow, access);
    this.#global = (entryLow & ENTRY_GLOBAL) !== 0;
    return tableAddress(entryLow, entryHigh);
  }

  /** Word index of a paging-structure entry; −1 when the table does not lie in RAM (it then reads as all ones). */
  #entryAt(table: number, offset: number): number {
    const host = this.#hostOf(table);
    return host < 0 ? -1 : (host + offset) >>> 2;
  }

  /** XD is a reserved bit while EFER.NXE is clear (SDM 3A §4.4.2, §4.5.4). */
  #highReserved(bits: number): number {
    return (this.#core.getSigned32(S.EFER) & EFER_NXE) !== 0 ? bits : bits | HIGH_NO_EXECUTE;
  }

  /** Access rights (SDM 3A §4.6.1). `rights` and `noExecute` are combined over all levels. */
  #denied(access: number, rights: number, noExecute: number): boolean {
    const core = this.#core;
    if ((access & FETCH) !== 0 && noExecute < 0) return true;
    if ((access & USER) !== 0) return (rights & ENTRY_USER) === 0 || ((access & WRITE) !== 0 && (rights & ENTRY_WRITE) === 0);
    if ((rights & ENTRY_USER) !== 0) {
      const cr4 = core.getSigned32(S.CR4);
      if ((access & FETCH) !== 0) return (cr4 & CR4_SMEP) !== 0;
      if ((cr4 & CR4_SMAP) !== 0 && ((access & IMPLICIT) !== 0 || (core.getSigned32(S.SYSTEM_FLAGS) & AC) === 0)) return true;
    }
    return (access & WRITE) !== 0 && (rights & ENTRY_WRITE) === 0 && (core.getSigned32(S.CR0) & CR0_WP) !== 0;
  }

  /** Sets the accessed flag, and for a write the dirty flag, unless they are (SDM 3A §4.8). Locked: other cores do the same. */
  #mark(at: number, entry: number, access: number): void {
    const wanted = (access & WRITE) !== 0 ? ENTRY_ACCESSED | ENTRY_DIRTY : ENTRY_ACCESSED;
    if ((entry & wanted) === wanted || at < 0 || !this.#hostWritable) return;
    if (this.#codePages.hasCode(at >>> 10)) this.#codePages.storing(at * 4, 4);
    Atomics.or(this.#i32, at, wanted);
  }

  /** SDM 3A §4.7. */
  #pageFault(low: number, high: number, access: number): number {
    const core = this.#core;
    let code = access & (PRESENT | WRITE | USER | RESERVED);
    if ((access & FETCH) !== 0) {
      const cr4 = core.getSigned32(S.CR4);
      const noExecute = (cr4 & CR4_PAE) !== 0 && (core.getSigned32(S.EFER) & EFER_NXE) !== 0;
      if (noExecute || (cr4 & CR4_SMEP) !== 0) code |= FETCH;
    }
    const cr2 = (core.base + S.CR2) >>> 2;
    this.#i32[cr2] = low;
    this.#i32[cr2 + 1] = high;
    core.recordFault(PAGE_FAULT, code);
    return -1;
  }

  // ── TLB entries ─────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Enters the page just translated. */
  #fill(entry: number, low: number, high: number, hostPage: number): void {
    const i32 = this.#i32;
    const page = low & -PAGE;
    i32[entry] = page;
    i32[entry + 1] = high;
    i32[entry + 2] = hostPage - page;
    if (this.#pageShift !== 12) {
      this.#anyLarge = true;
      if (this.#pageShift === 30) this.#huge[hugeIndex(low, high)] = 1;
      else this.#large[low >>> 22] = 1;
    }
    if (this.#global) {
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
    const first = (this.#core.base + TLB_OFFSET) >>> 3;
    this.#i64.fill(-1n, first, first + (TLB_TABLES * TLB_SIZE) / 8);
  }
}

/** Physical address of the table or page that an 8-byte entry names. */
function tableAddress(low: number, high: number): number {
  return (high & HIGH_ADDRESS) * TWO_32 + ((low & -PAGE) >>> 0);
}

function hugeIndex(low: number, high: number): number {
  return ((high << 2) | (low >>> 30)) & 63;
}

function largestAccess(remaining: number): AccessSize {
  return remaining >= 4 ? 4 : remaining >= 2 ? 2 : 1;
}
