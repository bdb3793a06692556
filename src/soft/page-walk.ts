/**
 * Page walks: paging in its three forms (SDM 3A §4.3–§4.5), access rights (§4.6), page faults (§4.7), accessed and dirty flags
 * (§4.8). A linear address is a pair of 32-bit halves.
 *
 * In PAE and 4-level paging, page-directory entries that led to a page are remembered with the rights above them (§4.10.3), and forgotten with
 * translations. They are good for finding pages only: before anything is refused, the walk begins at the top.
 *
 * Not modelled: 5-level paging, protection keys.
 */
import { CR0_WP, CR4_PAE, CR4_PSE, CR4_SMAP, CR4_SMEP, EFER_LMA, EFER_NXE } from '../x86/control.ts';
import { AC } from '../x86/flags.ts';
import * as S from '../x86/state.ts';
import { GENERAL_PROTECTION, PAGE_FAULT } from '../x86/vectors.ts';
import { ACCESS_FETCH, ACCESS_IMPLICIT, ACCESS_PRESENT, ACCESS_RESERVED, ACCESS_USER, ACCESS_WRITE, PAGE } from './access.ts';
import type { CodePages } from './code-pages.ts';
import type { Core } from './core.ts';
import type { PhysicalSpace } from './physical.ts';

const TWO_32 = 0x1_0000_0000;

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

/** Page-directory entries remembered, by their number modulo this, and the words of each. */
const REMEMBERED = 128;
const REMEMBERED_WORDS = 8;
// Words: bits 31:21 of the linear address plus 1 (0: nothing), and its high half; the entry; what holds above it
const TAG = 0;
const HIGH = 1;
const DIRECTORY_LOW = 2;
const DIRECTORY_HIGH = 3;
const RIGHTS = 4;
const NO_EXECUTE = 5;

/** Index of the first word for the page-directory entry of a linear address. */
const remembranceOf = (low: number): number => ((low >>> 21) & (REMEMBERED - 1)) * REMEMBERED_WORDS;

export class PageWalker {
  /** Set by translated code, under whose feet nothing may be forgotten: flags in tables that lie among code are left as they are … */
  sparesCode = false;
  /** … and this tells that some were. */
  hasSpared = false;
  readonly #core: Core;
  readonly #physical: PhysicalSpace;
  readonly #codePages: CodePages;
  readonly #i32: Int32Array;
  readonly #remembered: Int32Array = new Int32Array(REMEMBERED * REMEMBERED_WORDS);
  #anyRemembered = false;
  /** Of the page that `translate` found last: global (SDM 3A §4.10.2.4), and log2 of its size. */
  isGlobal = false;
  pageShift = 12;
  refusedNonCanonical = false;

  constructor(core: Core, physical: PhysicalSpace, codePages: CodePages) {
    this.#core = core;
    this.#physical = physical;
    this.#codePages = codePages;
    this.#i32 = core.i32;
  }

  /** False: #GP(0) was recorded (SDM 1 §3.3.7.1). For the stack that is not the last word: see non-canonical.ts. */
  isCanonical(high: number): boolean {
    if ((high + 0x8000) >>> 16 === 0) return true;
    this.refusedNonCanonical = true;
    this.#core.recordFault(GENERAL_PROTECTION, 0);
    return false;
  }

  /** All page-directory entries are read anew. */
  forget(): void {
    if (!this.#anyRemembered) return;
    this.#anyRemembered = false;
    this.#remembered.fill(0);
  }

  /** Physical address of the 4 KiB page that `low`, `high` lies in; −1: a fault was recorded. Sets `isGlobal`, `pageShift`. */
  translate(low: number, high: number, access: number): number {
    if (!this.isCanonical(high)) return -1;
    this.isGlobal = false;
    this.pageShift = 12;
    const core = this.#core;
    if (core.getSigned32(S.CR0) >= 0) return (low & -PAGE) >>> 0;
    if ((core.getSigned32(S.CR4) & CR4_PAE) === 0) return this.#walk32(low, access);
    const known = remembranceOf(low);
    if (this.#remembered[known + TAG] === (low >>> 21) + 1 && this.#remembered[known + HIGH] === high) {
      const page = this.#walkRemembered(known, low, access);
      if (page >= 0) return page;
    }
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
      if ((directoryEntry & (1 << 21)) !== 0) return this.#pageFault(low, 0, access | ACCESS_PRESENT | ACCESS_RESERVED);
      if (this.#denied(access, directoryEntry, 0)) return this.#pageFault(low, 0, access | ACCESS_PRESENT);
      this.#mark(directoryAt, directoryEntry, access);
      this.isGlobal = (directoryEntry & ENTRY_GLOBAL) !== 0;
      this.pageShift = 22;
      return ((directoryEntry >>> 13) & 0xff) * TWO_32 + (((directoryEntry & 0xffc0_0000) | (low & 0x003f_f000)) >>> 0);
    }
    this.#mark(directoryAt, directoryEntry, 0);
    const at = this.#entryAt((directoryEntry & -PAGE) >>> 0, ((low >>> 12) & 0x3ff) * 4);
    const entry = at < 0 ? -1 : (this.#i32[at] as number);
    if ((entry & ENTRY_PRESENT) === 0) return this.#pageFault(low, 0, access);
    if (this.#denied(access, entry & directoryEntry, 0)) return this.#pageFault(low, 0, access | ACCESS_PRESENT);
    this.#mark(at, entry, access);
    this.isGlobal = (entry & ENTRY_GLOBAL) !== 0;
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
    const core = this.#core;
    const i32 = this.#i32;
    const cr3 = (core.base + S.CR3) >>> 2;
    const reserved = this.#highReserved(HIGH_RESERVED);
    const pml4At = this.#entryAt(tableAddress(i32[cr3] as number, i32[cr3 + 1] as number), ((high >>> 7) & 0x1ff) * 8);
    const pml4Low = pml4At < 0 ? -1 : (i32[pml4At] as number);
    const pml4High = pml4At < 0 ? -1 : (i32[pml4At + 1] as number);
    if ((pml4Low & ENTRY_PRESENT) === 0) return this.#pageFault(low, high, access);
    if ((pml4Low & ENTRY_LARGE) !== 0 || (pml4High & reserved) !== 0)
      return this.#pageFault(low, high, access | ACCESS_PRESENT | ACCESS_RESERVED);
    this.#mark(pml4At, pml4Low, 0);

    const pdptAt = this.#entryAt(tableAddress(pml4Low, pml4High), (((high << 2) | (low >>> 30)) & 0x1ff) * 8);
    const pdptLow = pdptAt < 0 ? -1 : (i32[pdptAt] as number);
    const pdptHigh = pdptAt < 0 ? -1 : (i32[pdptAt + 1] as number);
    if ((pdptLow & ENTRY_PRESENT) === 0) return this.#pageFault(low, high, access);
    if ((pdptHigh & reserved) !== 0) return this.#pageFault(low, high, access | ACCESS_PRESENT | ACCESS_RESERVED);
    const rights = pml4Low & pdptLow;
    const noExecute = pml4High | pdptHigh;
    if ((pdptLow & ENTRY_LARGE) !== 0) {
      // Table 4-16: bits 29:13 are reserved in an entry that maps 1 GiB; without such pages the bit that asks for one is (§4.5.4).
      if ((pdptLow & 0x3fff_e000) !== 0 || !core.features.has('pdpe1gb')) return this.#pageFault(low, high, access | ACCESS_PRESENT | ACCESS_RESERVED);
      if (this.#denied(access, rights, noExecute)) return this.#pageFault(low, high, access | ACCESS_PRESENT);
      this.#mark(pdptAt, pdptLow, access);
      this.isGlobal = (pdptLow & ENTRY_GLOBAL) !== 0;
      this.pageShift = 30;
      return (pdptHigh & HIGH_ADDRESS) * TWO_32 + (((pdptLow & 0xc000_0000) | (low & 0x3fff_f000)) >>> 0);
    }
    this.#mark(pdptAt, pdptLow, 0);
    return this.#walkDirectory(low, high, access, tableAddress(pdptLow, pdptHigh), rights, noExecute, HIGH_RESERVED);
  }

  /** From a remembered entry; −1 when that does not lead to a page which may be accessed like this, or something is to be marked in the entry. */
  #walkRemembered(known: number, low: number, access: number): number {
    const i32 = this.#i32;
    const directoryLow = this.#remembered[known + DIRECTORY_LOW] as number;
    const directoryHigh = this.#remembered[known + DIRECTORY_HIGH] as number;
    const rights = (this.#remembered[known + RIGHTS] as number) & directoryLow;
    const noExecute = (this.#remembered[known + NO_EXECUTE] as number) | directoryHigh;
    if ((directoryLow & ENTRY_LARGE) !== 0) {
      if (((access & ACCESS_WRITE) !== 0 && (directoryLow & ENTRY_DIRTY) === 0) || this.#denied(access, rights, noExecute)) return -1;
      this.isGlobal = (directoryLow & ENTRY_GLOBAL) !== 0;
      this.pageShift = 21;
      return largePage(low, directoryLow, directoryHigh);
    }
    const at = this.#entryAt(tableAddress(directoryLow, directoryHigh), ((low >>> 12) & 0x1ff) * 8);
    const entryLow = at < 0 ? 0 : (i32[at] as number);
    const entryHigh = at < 0 ? 0 : (i32[at + 1] as number);
    // In 4-level paging some of these bits may be set: that page is then found from the top.
    if ((entryLow & ENTRY_PRESENT) === 0 || (entryHigh & this.#highReserved(PAE_HIGH_RESERVED)) !== 0) return -1;
    if (this.#denied(access, rights & entryLow, noExecute | entryHigh)) return -1;
    this.#mark(at, entryLow, access);
    this.isGlobal = (entryLow & ENTRY_GLOBAL) !== 0;
    return tableAddress(entryLow, entryHigh);
  }

  /** An entry of a page directory that has led to a page, with the flags it got. Not while some are left out. */
  #remember(low: number, high: number, directoryLow: number, directoryHigh: number, rightsAbove: number, noExecuteAbove: number): void {
    if (this.hasSpared) return;
    const known = remembranceOf(low);
    const remembered = this.#remembered;
    this.#anyRemembered = true;
    remembered[known + TAG] = (low >>> 21) + 1;
    remembered[known + HIGH] = high;
    remembered[known + DIRECTORY_LOW] = directoryLow;
    remembered[known + DIRECTORY_HIGH] = directoryHigh;
    remembered[known + RIGHTS] = rightsAbove;
    remembered[known + NO_EXECUTE] = noExecuteAbove;
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
    if ((directoryHigh & reserved) !== 0) return this.#pageFault(low, high, access | ACCESS_PRESENT | ACCESS_RESERVED);
    if ((directoryLow & ENTRY_LARGE) !== 0) {
      // Tables 4-9 and 4-18: bits 20:13 are reserved in an entry that maps 2 MiB.
      if ((directoryLow & 0x001f_e000) !== 0) return this.#pageFault(low, high, access | ACCESS_PRESENT | ACCESS_RESERVED);
      if (this.#denied(access, rightsAbove & directoryLow, noExecuteAbove | directoryHigh)) {
        return this.#pageFault(low, high, access | ACCESS_PRESENT);
      }
      this.#mark(directoryAt, directoryLow, access);
      this.isGlobal = (directoryLow & ENTRY_GLOBAL) !== 0;
      this.pageShift = 21;
      this.#remember(low, high, directoryLow | wantedFlags(access), directoryHigh, rightsAbove, noExecuteAbove);
      return largePage(low, directoryLow, directoryHigh);
    }
    this.#mark(directoryAt, directoryLow, 0);
    const at = this.#entryAt(tableAddress(directoryLow, directoryHigh), ((low >>> 12) & 0x1ff) * 8);
    const entryLow = at < 0 ? -1 : (i32[at] as number);
    const entryHigh = at < 0 ? -1 : (i32[at + 1] as number);
    if ((entryLow & ENTRY_PRESENT) === 0) return this.#pageFault(low, high, access);
    if ((entryHigh & reserved) !== 0) return this.#pageFault(low, high, access | ACCESS_PRESENT | ACCESS_RESERVED);
    if (this.#denied(access, rightsAbove & directoryLow & entryLow, noExecuteAbove | directoryHigh | entryHigh)) {
      return this.#pageFault(low, high, access | ACCESS_PRESENT);
    }
    this.#mark(at, entryLow, access);
    this.#remember(low, high, directoryLow, directoryHigh, rightsAbove, noExecuteAbove);
    this.isGlobal = (entryLow & ENTRY_GLOBAL) !== 0;
    return tableAddress(entryLow, entryHigh);
  }

  /** Word index of a paging-structure entry; −1 when the table does not lie in RAM (it then reads as all ones). */
  #entryAt(table: number, offset: number): number {
    const host = this.#physical.hostOf(table);
    return host < 0 ? -1 : (host + offset) >>> 2;
  }

  /** XD is a reserved bit while EFER.NXE is clear (SDM 3A §4.4.2, §4.5.4). */
  #highReserved(bits: number): number {
    return (this.#core.getSigned32(S.EFER) & EFER_NXE) !== 0 ? bits : bits | HIGH_NO_EXECUTE;
  }

  /** Access rights (SDM 3A §4.6.1). `rights` and `noExecute` are combined over all levels. */
  #denied(access: number, rights: number, noExecute: number): boolean {
    const core = this.#core;
    if ((access & ACCESS_FETCH) !== 0 && noExecute < 0) return true;
    if ((access & ACCESS_USER) !== 0) return (rights & ENTRY_USER) === 0 || ((access & ACCESS_WRITE) !== 0 && (rights & ENTRY_WRITE) === 0);
    if ((rights & ENTRY_USER) !== 0) {
      const cr4 = core.getSigned32(S.CR4);
      if ((access & ACCESS_FETCH) !== 0) return (cr4 & CR4_SMEP) !== 0;
      if ((cr4 & CR4_SMAP) !== 0 && ((access & ACCESS_IMPLICIT) !== 0 || (core.getSigned32(S.SYSTEM_FLAGS) & AC) === 0)) return true;
    }
    return (access & ACCESS_WRITE) !== 0 && (rights & ENTRY_WRITE) === 0 && (core.getSigned32(S.CR0) & CR0_WP) !== 0;
  }

  /** Sets the accessed flag, and for a write the dirty flag, unless they are (SDM 3A §4.8). Locked: other cores do the same. */
  #mark(at: number, entry: number, access: number): void {
    const wanted = wantedFlags(access);
    if ((entry & wanted) === wanted || at < 0 || !this.#physical.isWritable) return;
    if (this.#codePages.hasCode(at >>> 10)) {
      if (this.sparesCode) {
        this.hasSpared = true;
        return;
      }
      this.#codePages.storing(at * 4, 4);
    }
    Atomics.or(this.#i32, at, wanted);
  }

  /** SDM 3A §4.7. */
  #pageFault(low: number, high: number, access: number): number {
    const core = this.#core;
    let code = access & (ACCESS_PRESENT | ACCESS_WRITE | ACCESS_USER | ACCESS_RESERVED);
    if ((access & ACCESS_FETCH) !== 0) {
      const cr4 = core.getSigned32(S.CR4);
      const noExecute = (cr4 & CR4_PAE) !== 0 && (core.getSigned32(S.EFER) & EFER_NXE) !== 0;
      if (noExecute || (cr4 & CR4_SMEP) !== 0) code |= ACCESS_FETCH;
    }
    const cr2 = (core.base + S.CR2) >>> 2;
    this.#i32[cr2] = low;
    this.#i32[cr2 + 1] = high;
    core.recordFault(PAGE_FAULT, code);
    return -1;
  }
}

/** Physical address of the table or page that an 8-byte entry names. */
function tableAddress(low: number, high: number): number {
  return (high & HIGH_ADDRESS) * TWO_32 + ((low & -PAGE) >>> 0);
}

/** What an access leaves in the entry that maps its page (SDM 3A §4.8). */
const wantedFlags = (access: number): number => ((access & ACCESS_WRITE) !== 0 ? ENTRY_ACCESSED | ENTRY_DIRTY : ENTRY_ACCESSED);

/** The 4 KiB page of `low` in the 2 MiB that a page-directory entry maps. */
function largePage(low: number, directoryLow: number, directoryHigh: number): number {
  return (directoryHigh & HIGH_ADDRESS) * TWO_32 + (((directoryLow & 0xffe0_0000) | (low & 0x001f_f000)) >>> 0);
}
