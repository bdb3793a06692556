/**
 * Memory as a core reaches it by linear address: what generated code calls when its look into a TLB was not enough, and
 * what system code uses throughout. Translation is in page-walk.ts, the TLBs are in tlb.ts, RAM and devices in physical.ts.
 *
 * Inside, a linear address is a pair of 32-bit halves; towards system code it is one exact number: unsigned below 2^32
 * outside 64-bit mode, signed (−2^47 … 2^47−1) within.
 *
 * A page enters the read TLB on a read and the write TLB on a write, so that accessed and dirty flags are set at the right
 * access. Not in any TLB: device memory, and for writing read-only memory and pages that hold decoded instructions.
 *
 * Alignment checks (#AC, SDM 3A §6.15) and data breakpoints cost nothing while they are off: what they must see is kept out of the
 * TLBs while they are on. Translations are not kept apart by PCID: every load of CR3 forgets those that are not global.
 *
 * Not modelled: #AC of operands of 10 bytes and more, the A20 gate, memory types.
 */
import { CR0_AM, CR4_SMAP } from '../x86/control.ts';
import { AC } from '../x86/flags.ts';
import * as S from '../x86/state.ts';
import { ALIGNMENT_CHECK, GENERAL_PROTECTION } from '../x86/vectors.ts';
import { ACCESS_FETCH, ACCESS_IMPLICIT, ACCESS_IN_SEGMENT, ACCESS_UNGUARDED, ACCESS_USER, ACCESS_WRITE, PAGE } from './access.ts';
import { type CodePages, LINE_BYTES } from './code-pages.ts';
import { type Core, GUEST_FAULT } from './core.ts';
import { TLB_OFFSET, TLB_SIZE, TLB_UNGUARDED, TLB_USER } from './layout.ts';
import { PageWalker } from './page-walk.ts';
import { PhysicalSpace } from './physical.ts';
import { Tlb, TLB_KIND_FETCH, TLB_KIND_READ, TLB_KIND_WRITE } from './tlb.ts';

const TWO_32 = 0x1_0000_0000;

export class Mmu {
  readonly #core: Core;
  readonly #codePages: CodePages;
  readonly #physical: PhysicalSpace;
  readonly #walker: PageWalker;
  readonly #tlb: Tlb;
  readonly #u8: Uint8Array;
  readonly #i32: Int32Array;
  readonly #view: DataView;

  #hasSmap = false;
  /** Data accesses at level 3 must be aligned. The user's data TLBs are empty then. */
  #alignmentInForce = false;

  /** Where the operand begins, and its size (0: none), that was refused with #GP(0) because it crosses 4 GiB in a flat segment. */
  wrapAt = 0;
  wrapSize = 0;
  /** It need not be flat after all: see non-canonical.ts. */
  permitsWrap = false;

  /** Physical address of the bytes of a pending store, before and after the page boundary. */
  #pendingFirst = 0;
  #pendingSecond = 0;
  /** The pending store must find what was read before it, or the instruction runs again: other partitions store there, too. */
  #pendingExchange = false;
  readonly #expected = new DataView(new ArrayBuffer(8));
  /** Flags before the instruction whose store is pending. */
  #flagResult = 0n;
  #flagAux = 0;
  /** The instruction did nothing and is to be run again; FAULT_VECTOR has no fault of its own then. */
  mustRepeat = false;

  constructor(core: Core, codePages: CodePages) {
    this.#core = core;
    this.#codePages = codePages;
    this.#physical = new PhysicalSpace(core.memory, core.wiring.io, codePages, core.u8, core.u32, core.view);
    this.#walker = new PageWalker(core, this.#physical, codePages);
    this.#tlb = new Tlb(core.base, core.i32, core.i64);
    this.#u8 = core.u8;
    this.#i32 = core.i32;
    this.#view = core.view;
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

  /**
   * Carries out the store that `writeSlow` prepared; all checks were made there. 1: another partition has stored there since it was read,
   * and nothing was done; the instruction is to be run again, as after a fault. Until here it has changed flags and nothing else.
   */
  commitStore(): number {
    const core = this.#core;
    const size = core.get32(S.PENDING_STORE_SIZE);
    const room = PAGE - (core.get32(S.PENDING_STORE) & (PAGE - 1));
    const scratch = core.base + S.SCRATCH;
    core.set32(S.PENDING_STORE_SIZE, 0);
    if (size <= room) {
      if (this.#pendingExchange) return this.#exchange(scratch, size);
      this.#physical.store(this.#pendingFirst, scratch, size);
    } else {
      this.#physical.store(this.#pendingFirst, scratch, room);
      this.#physical.store(this.#pendingSecond, scratch + room, size - room);
    }
    return 0;
  }

  #exchange(scratch: number, size: number): number {
    this.#pendingExchange = false;
    if (this.#physical.replace(this.#pendingFirst, this.#expected, scratch, size)) return 0;
    this.#core.set64(S.FLAG_RESULT, this.#flagResult);
    this.#core.set32(S.FLAG_AUX, this.#flagAux);
    this.mustRepeat = true;
    return 1;
  }

  /**
   * For translated code: host offset of plain RAM, entered in a TLB where that is allowed. 0 for whatever else there is (faults, devices,
   * code, breakpoints, pages that end inside): nothing has happened then, and the interpreter does the instruction.
   */
  fill(low: number, high: number, size: number, write: number): number {
    const walker = this.#walker;
    walker.sparesCode = true;
    walker.hasSpared = false;
    const host = this.#plainRam(low, high, size, write !== 0);
    walker.sparesCode = false;
    return host;
  }

  #plainRam(low: number, high: number, size: number, isWrite: boolean): number {
    const access = this.#explicitAccess() | (isWrite ? ACCESS_WRITE : 0);
    if (!this.#mayKeep(low, high, access)) return 0;
    const offset = low & (PAGE - 1);
    if (offset + size > PAGE) return isWrite ? 0 : this.#fillAcross(low, high, size, access);
    const physical = this.#walker.translate(low, high, access);
    if (physical < 0 || this.#walker.hasSpared) return 0;
    const host = this.#physical.hostOf(physical);
    if (host < 0) return 0;
    if (isWrite && (!this.#physical.isWritable || this.#codePages.hasCode(host >>> 12))) return 0;
    const kind = isWrite ? TLB_KIND_WRITE : TLB_KIND_READ;
    this.#enter(kind, this.#tlb.entry(kind, low, access), low, high, host);
    return host + offset;
  }

  #fillAcross(low: number, high: number, size: number, access: number): number {
    const nextLow = ((low & -PAGE) + PAGE) | 0;
    const nextHigh = this.#nextHigh(nextLow, high);
    // At 4 GiB a flat segment ends.
    if (nextLow === 0 && !this.#core.is64Bit) return 0;
    if (!this.#walker.isCanonical(nextHigh) || !this.#mayKeep(nextLow, nextHigh, access)) return 0;
    const first = this.#walker.translate(low, high, access);
    if (first < 0 || this.#physical.hostOf(first) < 0) return 0;
    const second = this.#walker.translate(nextLow, nextHigh, access);
    if (second < 0 || this.#walker.hasSpared || this.#physical.hostOf(second) < 0) return 0;
    const room = PAGE - (low & (PAGE - 1));
    const scratch = this.#core.base + S.SCRATCH;
    this.#physical.load(first + (low & (PAGE - 1)), scratch, room);
    this.#physical.load(second, scratch + room, size - room);
    return scratch;
  }

  /** Host offset of the code byte; 0: a fault was recorded; −1: it does not lie in RAM. */
  fetchSlow(low: number, high: number): number {
    const known = this.fetchedFrom(low, high);
    if (known !== 0) return known;
    const access = ACCESS_FETCH | this.#explicitAccess();
    const physical = this.#walker.translate(low, high, access);
    if (physical < 0) return 0;
    const host = this.#physical.hostOf(physical);
    if (host < 0) return -1;
    this.#enter(TLB_KIND_FETCH, this.#tlb.entry(TLB_KIND_FETCH, low, access), low, high, host);
    return host + (low & (PAGE - 1));
  }

  /** Host offset of what is fetched from an address whose page the TLB has; 0 when it has not, or it is no RAM. */
  fetchedFrom(low: number, high: number): number {
    const entry = this.#tlb.entry(TLB_KIND_FETCH, low, this.#explicitAccess());
    const i32 = this.#i32;
    return i32[entry] === (low & -PAGE) && i32[entry + 1] === high ? (low + (i32[entry + 2] as number)) >>> 0 : 0;
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
  /**
   * Stores `value` where `old` was loaded. Memory that other partitions store to as well may have changed meanwhile: then nothing is done
   * and the instruction runs again.
   */
  replace64(linear: number, old: bigint, value: bigint): void {
    const host = this.#storeTo(linear, 8, this.#explicitAccess(), true);
    if (this.#pendingExchange) this.#expected.setBigUint64(0, old, true);
    this.#view.setBigUint64(host, value, true);
    if (this.#core.get32(S.PENDING_STORE_SIZE) !== 0 && this.commitStore() !== 0) throw GUEST_FAULT;
  }
  storeCanonical(linear: number, value: number): void {
    const host = this.#storeTo(linear, 8, this.#explicitAccess());
    this.#view.setInt32(host, value, true);
    this.#view.setInt32(host + 4, Math.floor(value / TWO_32), true);
    this.#finishStore();
  }

  loadSystem8(linear: number): number {
    return this.#u8[this.#loadFrom(linear, 1, ACCESS_IMPLICIT)] as number;
  }
  loadSystem16(linear: number): number {
    return this.#view.getUint16(this.#loadFrom(linear, 2, ACCESS_IMPLICIT), true);
  }
  loadSystem32(linear: number): number {
    return this.#view.getUint32(this.#loadFrom(linear, 4, ACCESS_IMPLICIT), true);
  }
  loadSystemCanonical(linear: number): number {
    const host = this.#loadFrom(linear, 8, ACCESS_IMPLICIT);
    return this.#view.getInt32(host + 4, true) * TWO_32 + this.#view.getUint32(host, true);
  }
  storeSystem8(linear: number, value: number): void {
    const host = this.#storeTo(linear, 1, ACCESS_IMPLICIT);
    this.#u8[host] = value;
    this.#finishStore();
  }
  storeSystem16(linear: number, value: number): void {
    const host = this.#storeTo(linear, 2, ACCESS_IMPLICIT);
    this.#view.setUint16(host, value, true);
    this.#finishStore();
  }
  storeSystem32(linear: number, value: number): void {
    const host = this.#storeTo(linear, 4, ACCESS_IMPLICIT);
    this.#view.setUint32(host, value, true);
    this.#finishStore();
  }
  /** Stores for a stack at a level that is not yet the current one: `user` tells which. */
  storeAs(user: boolean, linear: number, size: number, value: number): void {
    const host = this.#storeTo(linear, size, (user ? ACCESS_USER : 0) | ACCESS_IN_SEGMENT);
    if (size === 2) this.#view.setUint16(host, value, true);
    else this.#view.setInt32(host, value, true);
    if (size === 8) this.#view.setInt32(host + 4, Math.floor(value / TWO_32), true);
    this.#finishStore();
  }

  /**
   * Host offset of `size` bytes that lie in one page of RAM and may be stored to now, or −1: they must be taken one by one. Faults as a
   * store of them does.
   */
  directWrite(linear: number, size: number): number {
    const host = this.#storeTo(linear, size, this.#explicitAccess());
    if (this.#core.get32(S.PENDING_STORE_SIZE) === 0) return host;
    this.#core.set32(S.PENDING_STORE_SIZE, 0);
    return -1;
  }
  /** The same for loading. */
  directRead(linear: number, size: number): number {
    const access = this.#explicitAccess();
    const low = linear | 0;
    const high = Math.floor(linear / TWO_32) | 0;
    const offset = low & (PAGE - 1);
    if (offset + size > PAGE) return -1;
    const entry = this.#tlb.entry(TLB_KIND_READ, low, access);
    if (this.#i32[entry] === (low & -PAGE) && this.#i32[entry + 1] === high) return (low + (this.#i32[entry + 2] as number)) >>> 0;
    if (!this.#mayKeep(low, high, access)) return -1;
    const physical = this.#walker.translate(low, high, access);
    if (physical < 0) throw GUEST_FAULT;
    const host = this.#physical.hostOf(physical);
    if (host < 0) return -1;
    this.#enter(TLB_KIND_READ, entry, low, high, host);
    return host + offset;
  }

  /** Faults as a read or write of `size` bytes would; touches nothing but accessed and dirty flags. */
  probeRead(linear: number, size: number): void {
    this.#probe(linear, size, this.#explicitAccess());
  }
  probeWrite(linear: number, size: number): void {
    this.#probe(linear, size, this.#explicitAccess() | ACCESS_WRITE);
  }
  /** As `probeWrite`, for a stack at another level. */
  probeWriteAs(user: boolean, linear: number, size: number): void {
    this.#probe(linear, size, (user ? ACCESS_USER : 0) | ACCESS_WRITE | ACCESS_IN_SEGMENT);
  }

  /**
   * Arms the line of 64 bytes around `linear` for MONITOR, which faults as a load of one byte does. Not armed is what does not lie in
   * RAM: it is not write-back memory (SDM 2B, MONITOR).
   */
  watchLine(linear: number): void {
    const host = this.#loadFrom(linear, 1, this.#explicitAccess());
    const scratch = this.#core.base + S.SCRATCH;
    const line = host === scratch ? 0 : host - (host % LINE_BYTES);
    this.#core.set32(S.MONITOR_LINE, line);
    this.#codePages.watchLine(this.#core, line);
  }
  /** Whatever ends MWAIT disarms the line. */
  forgetLine(): void {
    this.#core.lineStored();
    this.#codePages.watchLine(this.#core, 0);
  }

  /** Reads 4 bytes at a physical address (a multiple of 4): all ones where there is no RAM. */
  loadPhysical32(physical: number): number {
    return this.#physical.load32(physical);
  }

  // ── TLB maintenance ─────────────────────────────────────────────────────────────────────────────────────────────────

  /** Forgets every translation. */
  flush(): void {
    this.#walker.forget();
    this.#tlb.flush();
  }
  /** Forgets translations of pages that are not global (MOV to CR3, SDM 3A §4.10.4.1). */
  flushLocal(): void {
    this.#walker.forget();
    this.#tlb.flushLocal();
  }
  /** INVLPG: of a large page any address names the whole. */
  invalidatePage(linear: number): void {
    this.#walker.forget();
    this.#tlb.invalidatePage(linear);
  }
  /** A host page (offset >>> 12) got its first decoded instruction: stores to it must take the slow path from now on. */
  dropWritable(hostPage: number): void {
    this.#tlb.dropWritable(hostPage);
  }

  /** A non-canonical address was refused with #GP(0) since this was last cleared. */
  get refusedNonCanonical(): boolean {
    return this.#walker.refusedNonCanonical;
  }
  set refusedNonCanonical(value: boolean) {
    this.#walker.refusedNonCanonical = value;
  }

  /** CPL, CR0.AM, CR4.SMAP or RFLAGS.AC changed: points TLB_READ, TLB_WRITE and TLB_FETCH at the tables that now apply. */
  setPrivilege(): void {
    const core = this.#core;
    const tables = core.base + TLB_OFFSET + (core.cpl === 3 ? TLB_USER : 0);
    const isFlagSet = (core.getSigned32(S.SYSTEM_FLAGS) & AC) !== 0;
    const hasSmap = (core.getSigned32(S.CR4) & CR4_SMAP) !== 0;
    // Until now the supervisor's tables could hold user pages.
    if (hasSmap && !this.#hasSmap) this.flush();
    this.#hasSmap = hasSmap;
    core.set32(S.TLB_UNGUARDED, hasSmap ? TLB_UNGUARDED : 0);
    const dataTables = hasSmap && isFlagSet && core.cpl !== 3 ? tables + TLB_UNGUARDED : tables;
    core.set32(S.TLB_READ, dataTables);
    core.set32(S.TLB_WRITE, dataTables + TLB_SIZE);
    core.set32(S.TLB_FETCH, tables + 2 * TLB_SIZE);
    const alignment = isFlagSet && core.cpl === 3 && (core.getSigned32(S.CR0) & CR0_AM) !== 0;
    if (alignment && !this.#alignmentInForce) this.flush();
    this.#alignmentInForce = alignment;
  }

  // ── inside ──────────────────────────────────────────────────────────────────────────────────────────────────────────

  #explicitAccess(): number {
    const core = this.#core;
    if (core.cpl === 3) return ACCESS_USER;
    return this.#hasSmap && (core.getSigned32(S.SYSTEM_FLAGS) & AC) !== 0 ? ACCESS_UNGUARDED : 0;
  }

  #enter(kind: number, entry: number, low: number, high: number, host: number): void {
    this.#tlb.fill(kind, entry, low, high, host, this.#walker.pageShift, this.#walker.isGlobal);
  }

  /** This data page may enter a TLB: nothing wants to see the next access to it. */
  #mayKeep(low: number, high: number, access: number): boolean {
    if (this.#alignmentInForce && (access & ACCESS_USER) !== 0) return false;
    return !this.#core.breakpoints.watchesData || !this.#core.breakpoints.isOnPage(low, high);
  }

  /** False: an alignment fault was recorded. Comes before the walk, whose page fault it precedes on every processor known. */
  #isAligned(low: number, size: number, access: number): boolean {
    if (!this.#alignmentInForce || (access & ACCESS_USER) === 0) return true;
    if (size > 8 || (low & (size - 1)) === 0) return true;
    this.#core.recordFault(ALIGNMENT_CHECK, 0);
    return false;
  }

  /** Data breakpoints see what instructions access, not what the processor reads for itself. */
  #watch(low: number, high: number, size: number, access: number): void {
    const { breakpoints } = this.#core;
    if (breakpoints.watchesData && (access & ACCESS_IMPLICIT) === 0) breakpoints.access(low, high, size, (access & ACCESS_WRITE) !== 0);
  }

  #readable(low: number, high: number, size: number, access: number): number {
    const offset = low & (PAGE - 1);
    if (offset + size > PAGE) return this.#readAcross(low, high, size, access);
    const entry = this.#tlb.entry(TLB_KIND_READ, low, access);
    const i32 = this.#i32;
    if (i32[entry] === (low & -PAGE) && i32[entry + 1] === high) return (low + (i32[entry + 2] as number)) >>> 0;
    if (!this.#isAligned(low, size, access)) return 0;
    const physical = this.#walker.translate(low, high, access);
    if (physical < 0) return 0;
    this.#watch(low, high, size, access);
    const host = this.#physical.hostOf(physical);
    if (host >= 0) {
      if (this.#mayKeep(low, high, access)) this.#enter(TLB_KIND_READ, entry, low, high, host);
      return host + offset;
    }
    const scratch = this.#core.base + S.SCRATCH;
    this.#physical.load(physical + offset, scratch, size);
    return scratch;
  }

  #readAcross(low: number, high: number, size: number, access: number): number {
    if (!this.#isAligned(low, size, access)) return 0;
    const nextLow = ((low & -PAGE) + PAGE) | 0;
    const nextHigh = this.#nextHigh(nextLow, high);
    if (!this.#walker.isCanonical(nextHigh) || this.#leavesSegment(low, nextLow, size, access)) return 0;
    const first = this.#walker.translate(low, high, access);
    if (first < 0) return 0;
    const second = this.#walker.translate(nextLow, nextHigh, access);
    if (second < 0) return 0;
    const offset = low & (PAGE - 1);
    const room = PAGE - offset;
    this.#watch(low, high, size, access);
    const scratch = this.#core.base + S.SCRATCH;
    this.#physical.load(first + offset, scratch, room);
    this.#physical.load(second, scratch + room, size - room);
    return scratch;
  }

  #writable(low: number, high: number, size: number, access: number, readFirst: boolean): number {
    const core = this.#core;
    const offset = low & (PAGE - 1);
    core.set32(S.PENDING_STORE_SIZE, 0);
    this.#pendingExchange = false;
    let first: number;
    let second = 0;
    let room = size;
    if (offset + size <= PAGE) {
      const entry = this.#tlb.entry(TLB_KIND_WRITE, low, access);
      const i32 = this.#i32;
      if (i32[entry] === (low & -PAGE) && i32[entry + 1] === high) return (low + (i32[entry + 2] as number)) >>> 0;
      if (!this.#isAligned(low, size, access)) return 0;
      first = this.#walker.translate(low, high, access | ACCESS_WRITE);
      if (first < 0) return 0;
      this.#watch(low, high, size, access | ACCESS_WRITE);
      const host = this.#physical.hostOf(first);
      if (host >= 0 && this.#physical.isWritable) {
        if (this.#codePages.hasCode(host >>> 12)) this.#codePages.storing(host + offset, size);
        else if (this.#mayKeep(low, high, access)) this.#enter(TLB_KIND_WRITE, entry, low, high, host);
        return host + offset;
      }
    } else {
      if (!this.#isAligned(low, size, access)) return 0;
      const nextLow = ((low & -PAGE) + PAGE) | 0;
      const nextHigh = this.#nextHigh(nextLow, high);
      if (!this.#walker.isCanonical(nextHigh) || this.#leavesSegment(low, nextLow, size, access)) return 0;
      first = this.#walker.translate(low, high, access | ACCESS_WRITE);
      if (first < 0) return 0;
      second = this.#walker.translate(nextLow, nextHigh, access | ACCESS_WRITE);
      if (second < 0) return 0;
      room = PAGE - offset;
      this.#watch(low, high, size, access | ACCESS_WRITE);
    }
    const scratch = core.base + S.SCRATCH;
    this.#pendingFirst = first + offset;
    this.#pendingSecond = second;
    if (readFirst) {
      this.#physical.load(first + offset, scratch, room);
      if (room < size) this.#physical.load(second, scratch + room, size - room);
      else if (this.#physical.isExchangeable(first + offset, size)) this.#expect(scratch, size);
    }
    const pending = (core.base + S.PENDING_STORE) >>> 2;
    this.#i32[pending] = low;
    this.#i32[pending + 1] = high;
    core.set32(S.PENDING_STORE_SIZE, size);
    return scratch;
  }

  #expect(scratch: number, size: number): void {
    const core = this.#core;
    for (let i = 0; i < size; i++) this.#expected.setUint8(i, this.#u8[scratch + i] as number);
    this.#flagResult = core.get64(S.FLAG_RESULT);
    this.#flagAux = core.get32(S.FLAG_AUX);
    this.#pendingExchange = true;
  }

  /** The high half after a carry out of the low one; outside 64-bit mode addresses wrap at 4 GiB. */
  #nextHigh(nextLow: number, high: number): number {
    if (nextLow !== 0) return high;
    return high !== 0 || this.#core.is64Bit ? (high + 1) | 0 : 0;
  }

  /** An operand of an instruction crosses 4 GiB, and a fault was recorded. Where segments are not flat, each access has been checked. */
  #leavesSegment(low: number, nextLow: number, size: number, access: number): boolean {
    const core = this.#core;
    if (nextLow !== 0 || core.is64Bit || (access & (ACCESS_IMPLICIT | ACCESS_IN_SEGMENT)) !== 0) return false;
    if (this.permitsWrap || (core.getSigned32(S.MODE) & S.MODE_SEGMENTED) !== 0) return false;
    this.wrapAt = low;
    this.wrapSize = size;
    core.recordFault(GENERAL_PROTECTION, 0);
    return true;
  }

  #probe(linear: number, size: number, access: number): void {
    const low = linear | 0;
    const high = Math.floor(linear / TWO_32) | 0;
    if (this.#walker.translate(low, high, access) < 0) throw GUEST_FAULT;
    if ((low & (PAGE - 1)) + size <= PAGE) return;
    const nextLow = ((low & -PAGE) + PAGE) | 0;
    if (this.#leavesSegment(low, nextLow, size, access)) throw GUEST_FAULT;
    if (this.#walker.translate(nextLow, this.#nextHigh(nextLow, high), access) < 0) throw GUEST_FAULT;
  }

  /** An access that the processor makes by itself obeys SMAP even while RFLAGS.AC is set (SDM 3A §4.6.1): it finds no entry that does not. */
  #prepare(linear: number, access: number): void {
    // The later part of an operand that system code takes in parts.
    if (linear >= TWO_32 && this.#leavesSegment(linear, 0, 1, access)) throw GUEST_FAULT;
  }

  #loadFrom(linear: number, size: number, access: number): number {
    this.#prepare(linear, access);
    const host = this.#readable(linear | 0, Math.floor(linear / TWO_32) | 0, size, access);
    if (host === 0) throw GUEST_FAULT;
    return host;
  }

  #storeTo(linear: number, size: number, access: number, readFirst = false): number {
    this.#prepare(linear, access);
    const host = this.#writable(linear | 0, Math.floor(linear / TWO_32) | 0, size, access, readFirst);
    if (host === 0) throw GUEST_FAULT;
    return host;
  }

  #finishStore(): void {
    if (this.#core.get32(S.PENDING_STORE_SIZE) !== 0) this.commitStore();
  }
}
