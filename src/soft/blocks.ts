/**
 * The cache of decoded blocks of one vCPU: finds or makes the block at RIP, as records (record-writer.ts). A block ends at a branch, at
 * the end of its page or after 32 instructions; links between records never leave a page, so that forgetting a page means clearing its
 * entries in the block table.
 */
import { DECODE_NEEDS_MORE, DECODE_TOO_LONG, Decoder } from '../x86/decoder.ts';
import * as R from '../x86/record.ts';
import * as S from '../x86/state.ts';
import { GENERAL_PROTECTION } from '../x86/vectors.ts';
import type { CodeTracker } from './code-pages.ts';
import type { Core } from './core.ts';
import { HANDLER_END, HANDLER_LOOKUP, HANDLER_MICRO, HANDLER_SYSTEM, type HandlerTable } from './handlers.ts';
import { SYSTEM_NUMBER } from './interpreter.ts';
import { BLOCK_ENTRIES, BLOCK_ENTRY_SIZE, BLOCK_OFFSET, BLOCK_OTHER_WAY, blockSlot, RECORDS_OFFSET, RECORDS_SIZE } from './layout.ts';
import { RECORDS_PER_INSTRUCTION, RecordWriter } from './record-writer.ts';

const PAGE = 4096;
const LONGEST_BLOCK = 32;
/** The first records of the area are for an instruction that crosses its page and is not to be kept: decoded anew every time. */
const CROSSING_RECORDS = 7;
/** Then there is one that leads to the block table. */
const FIXED_RECORDS: number = CROSSING_RECORDS + 1;

const FEW_LOOKUPS = 8;
const ENTRY_WORDS: number = BLOCK_ENTRY_SIZE / 4;
const OTHER_WAY: number = BLOCK_OTHER_WAY / 4;

interface KnownBlock {
  readonly record: number;
  /** The last word of its entry in the table, as it was when another block took the place. */
  heat: number;
}

/** Of a block on a page. */
const keyOf = (host: number, mode: number): number => (host & (PAGE - 1)) * S.MODE_LIMIT + mode;

export class Blocks {
  readonly #core: Core;
  readonly #tracker: CodeTracker;
  readonly #writer: RecordWriter;
  readonly #decoder = new Decoder();
  readonly #table: number;
  readonly #firstRecord: number;
  readonly #endOfRecords: number;
  #nextRecord: number;
  readonly #hotAfter: number;
  /** A record that sends the interpreter to the block table, for RIP. */
  readonly lookUp: number;
  /** All flat blocks, by page and key: the table has room for two with the same place, and one that lost its own comes back without being decoded again. */
  readonly #byPage = new Map<number, Map<number, KnownBlock>>();
  /** Blocks decoded while segments were not flat: they must be looked up with checks, so they are not in the table. */
  readonly #segmented = new Map<number, { readonly record: number; readonly end: number }>();
  readonly #crossing = new Uint8Array(16);
  /** By page: records whose immediate is its host offset until its code changes, where instructions cross into it or {@link guardOf} was asked. */
  readonly #guards = new Map<number, number[]>();
  /** Set when the page being executed was changed: leave at the next instruction. */
  onForget: () => void = () => undefined;
  onForgetAll: () => void = () => undefined;

  /** `hotAfter`: lookups that make a block worth translating. */
  constructor(core: Core, tracker: CodeTracker, handlers: HandlerTable, hotAfter: number) {
    this.#hotAfter = hotAfter;
    this.#core = core;
    this.#tracker = tracker;
    this.#writer = new RecordWriter(core, handlers);
    this.#table = core.base + BLOCK_OFFSET;
    this.lookUp = core.base + RECORDS_OFFSET + CROSSING_RECORDS * R.RECORD_SIZE;
    this.#firstRecord = core.base + RECORDS_OFFSET + FIXED_RECORDS * R.RECORD_SIZE;
    this.#endOfRecords = core.base + RECORDS_OFFSET + RECORDS_SIZE;
    this.#nextRecord = this.#firstRecord;
    core.onStaleCrossing = () => {
      const host = this.hostOfRip;
      this.#drop(host, core.get32(S.MODE));
      // Other blocks of the page lead to its records, which are stale for good.
      this.unlink(host >>> 12);
    };
    this.forgetAll();
    this.#writer.write(this.lookUp, HANDLER_LOOKUP, 0, 0, S.ZERO, S.ZERO, S.ZERO, S.ZERO, 0);
  }

  forgetAll(): void {
    this.#core.i64.fill(-1n, this.#table >>> 3, (this.#table >>> 3) + (BLOCK_ENTRIES * BLOCK_ENTRY_SIZE) / 8);
    this.#byPage.clear();
    this.#segmented.clear();
    this.#guards.clear();
    this.#nextRecord = this.#firstRecord;
    this.onForgetAll();
  }

  /** Word index in the block table of the flat block that starts at `host` in a mode; −1 when it is not known. */
  slotOf(host: number, mode: number = this.#core.get32(S.MODE)): number {
    const { i32 } = this.#core;
    const slot = (this.#table + blockSlot(host, mode)) >>> 2;
    if (i32[slot] === (host | 0) && i32[slot + 1] === mode << 8) return slot;
    const other = slot ^ OTHER_WAY;
    return i32[other] === (host | 0) && i32[other + 1] === mode << 8 ? other : -1;
  }

  /** Host offset of the code at RIP, which lies on the page that `find` found last. */
  get hostOfRip(): number {
    return this.#core.get32(S.CODE_HOST) + (this.#core.get32(S.RIP) & (PAGE - 1));
  }

  /** There is translated code for RIP, which `find` found. */
  get isTranslated(): boolean {
    const slot = this.slotOf(this.hostOfRip);
    return slot >= 0 && (this.#core.i32[slot + 3] as number) > 0;
  }

  /** First record of the flat block that starts at `host` in the current mode; 0 when it is not known. */
  recordOf(host: number): number {
    return this.#knownAt(host, this.#core.get32(S.MODE))?.record ?? 0;
  }

  /** The flat block that starts at `host` in the current mode was looked up more than a few times: no links lead there. */
  isSought(host: number): boolean {
    const heat = this.heatOf(host, this.#core.get32(S.MODE));
    return heat > 0 || heat < -this.#hotAfter || heat >= FEW_LOOKUPS - this.#hotAfter;
  }

  /** The last word of a block's entry in the table, or what it will be: positive, the number of its region. */
  heatOf(host: number, mode: number): number {
    const slot = this.slotOf(host, mode);
    return slot < 0 ? this.#knownAt(host, mode)?.heat ?? -this.#hotAfter : this.#core.i32[slot + 3] as number;
  }

  /** Sets the last word of a block's entry, wherever that is. False: there is no such block any more. */
  setHeat(host: number, mode: number, heat: number): boolean {
    const known = this.#knownAt(host, mode);
    if (known === undefined) return false;
    const slot = this.slotOf(host, mode);
    if (slot >= 0) this.#core.i32[slot + 3] = heat;
    known.heat = heat;
    return true;
  }

  /** The block at RIP was entered `times` more; true when that makes it hot. */
  heat(times: number): boolean {
    const core = this.#core;
    const slot = this.slotOf(this.hostOfRip);
    if (slot < 0 || (core.i32[slot + 3] as number) >= 0) return false;
    core.i32[slot + 3] = Math.min(0, (core.i32[slot + 3] as number) + times);
    return core.i32[slot + 3] === 0;
  }

  /** Links inside a page go past translated regions: cuts those of the page, for every mode. */
  unlink(hostPage: number): void {
    const { u16, i32 } = this.#core;
    for (const { record } of this.#byPage.get(hostPage)?.values() ?? []) {
      for (let at = record; ; at += R.RECORD_SIZE) {
        const handler = u16[at >>> 1] as number;
        if (handler !== HANDLER_SYSTEM && handler !== HANDLER_MICRO) i32[(at + R.LINK) >>> 2] = 0;
        if (handler === HANDLER_END) break;
      }
    }
  }

  forgetPage(hostPage: number): void {
    const blocks = this.#byPage.get(hostPage);
    const guards = this.#guards.get(hostPage);
    // Its translations may be running: what called what runs now, for instance.
    if (blocks !== undefined || guards !== undefined || this.#core.get32(S.CODE_HOST) >>> 12 === hostPage) this.onForget();
    if (blocks !== undefined) {
      for (const key of blocks.keys()) {
        const slot = this.slotOf(hostPage * PAGE + Math.floor(key / S.MODE_LIMIT), key % S.MODE_LIMIT);
        if (slot >= 0) this.#core.i32[slot] = -1;
      }
      this.#byPage.delete(hostPage);
    }
    if (guards !== undefined) {
      for (const record of guards) this.#core.i32[(record + R.IMM) >>> 2] = 0;
      this.#guards.delete(hostPage);
    }
    if (this.#segmented.size > 0) this.#segmented.clear();
  }

  /** The record to run at RIP, or 0 when fetching it faults (recorded). CODE_PAGE and CODE_HOST follow. */
  find(): number {
    const core = this.#core;
    const mode = core.get32(S.MODE);
    const ripWord = (core.base + S.RIP) >>> 2;
    let low = core.i32[ripWord] as number;
    let high = core.i32[ripWord + 1] as number;
    let room = PAGE;
    if ((mode & S.MODE_CODE_SIZE) !== S.MODE_CODE_64) {
      const limit = core.get32(S.segmentLimit(S.CS));
      if (low >>> 0 > limit) {
        core.recordFault(GENERAL_PROTECTION, 0);
        return 0;
      }
      room = Math.min(PAGE, limit - (low >>> 0) + 1);
      low = (low + core.getSigned32(S.CODE_BASE)) | 0;
      high = 0;
    }
    const host = core.mmu.fetchSlow(low, high);
    if (host === 0) return 0;
    const pageWord = (core.base + S.CODE_PAGE) >>> 2;
    core.i32[pageWord] = low & -PAGE;
    core.i32[pageWord + 1] = high;
    if (host < 0) return this.#floatingBus(low);
    core.set32(S.CODE_HOST, host - (host & (PAGE - 1)));
    return mode & S.MODE_SEGMENTED ? this.#findSegmented(host, mode, low, high, room) : this.#findFlat(host, mode, low, high);
  }

  #findFlat(host: number, mode: number, low: number, high: number): number {
    const core = this.#core;
    const slot = this.slotOf(host, mode);
    if (slot >= 0) return core.i32[slot + 2] as number;
    const known = this.#knownAt(host, mode);
    if (known !== undefined) {
      this.#enter(host, mode, known);
      return known.record;
    }
    this.#makeRoom();
    const record = this.#decode(host, mode, low, high, PAGE);
    if (record <= 0) return -record;
    const block = { record, heat: -this.#hotAfter };
    const blocks = this.#byPage.get(host >>> 12);
    if (blocks) blocks.set(keyOf(host, mode), block);
    else this.#byPage.set(host >>> 12, new Map([[keyOf(host, mode), block]]));
    this.#enter(host, mode, block);
    return record;
  }

  #drop(host: number, mode: number): void {
    const slot = this.slotOf(host, mode);
    if (slot >= 0) this.#core.i32[slot] = -1;
    this.#byPage.get(host >>> 12)?.delete(keyOf(host, mode));
  }

  #knownAt(host: number, mode: number): KnownBlock | undefined {
    return this.#byPage.get(host >>> 12)?.get(keyOf(host, mode));
  }

  /** Puts a block into its place in the table. The one that was there goes beside it; the one that was there keeps its heat. */
  #enter(host: number, mode: number, { record, heat }: KnownBlock): void {
    const { i32 } = this.#core;
    const slot = (this.#table + blockSlot(host, mode)) >>> 2;
    const other = slot ^ OTHER_WAY;
    if (i32[slot] !== -1) {
      const before = i32[other] as number;
      const evicted = before === -1 ? undefined : this.#knownAt(before >>> 0, (i32[other + 1] as number) >>> 8);
      if (evicted !== undefined) evicted.heat = i32[other + 3] as number;
      i32.copyWithin(other, slot, slot + ENTRY_WORDS);
    }
    i32[slot] = host;
    i32[slot + 1] = mode << 8;
    i32[slot + 2] = record;
    i32[slot + 3] = heat;
  }

  #findSegmented(host: number, mode: number, low: number, high: number, room: number): number {
    const key = host * S.MODE_LIMIT + mode;
    const known = this.#segmented.get(key);
    if (known !== undefined && known.end <= room) return known.record;
    this.#makeRoom();
    const record = this.#decode(host, mode, low, high, room);
    if (record <= 0) return -record;
    this.#segmented.set(key, { record, end: this.#decodedBytes });
    return record;
  }

  #makeRoom(): void {
    if (this.#nextRecord + (LONGEST_BLOCK * RECORDS_PER_INSTRUCTION + 2) * R.RECORD_SIZE > this.#endOfRecords) this.forgetAll();
  }

  #decodedBytes = 0;

  /**
   * Decodes from `host` for at most `room` bytes. Returns the first record; the negative of it when it must not be kept (an
   * instruction across pages); 0 after a fault.
   */
  #decode(host: number, mode: number, low: number, high: number, room: number): number {
    const core = this.#core;
    const bits = ([16, 32, 64] as const)[mode & S.MODE_CODE_SIZE] as 16 | 32 | 64;
    const protectedMode = (mode & S.MODE_PROTECTED) !== 0;
    const start = this.#nextRecord;
    let record = start;
    let at = host;
    const pageEnd = host - (host & (PAGE - 1)) + PAGE;
    const end = Math.min(pageEnd, host + room);
    let ended = false;
    for (let count = 0; count < LONGEST_BLOCK && !ended; count++) {
      const length = this.#decoder.decode(core.u8, at, end - at, bits, protectedMode);
      if (length === DECODE_NEEDS_MORE) {
        if (at > host) break;
        return this.#decodeAcross(host, mode, low, high, bits, protectedMode, end - at, room);
      }
      if (length < 0) {
        record = this.#writer.system(record, at & (PAGE - 1), length === DECODE_TOO_LONG ? 'instruction_too_long' : 'undefined');
        at = Math.min(at + 1, end);
        ended = true;
        break;
      }
      record = this.#writer.instruction(record, at & (PAGE - 1), mode, this.#decoder.out);
      at += length;
      ended = this.#decoder.out.row.attributes.has('end');
      if (at >= end) break;
    }
    this.#writer.end(record, at - (host - (host & (PAGE - 1))));
    this.#nextRecord = record + R.RECORD_SIZE;
    this.#decodedBytes = at - host;
    this.#tracker.mark(host, at - host);
    return start;
  }

  /**
   * One instruction whose bytes lie on two pages. Where the second one is RAM, a check of that stands in front of it; elsewhere, and while
   * segments are not flat, its record is good for this once.
   */
  #decodeAcross(
    host: number, mode: number, low: number, high: number, bits: 16 | 32 | 64, protectedMode: boolean, have: number, room: number,
  ): number {
    const core = this.#core;
    const bytes = this.#crossing;
    for (let i = 0; i < have; i++) bytes[i] = core.u8[host + i] as number;
    const nextLow = ((low & -PAGE) + PAGE) | 0;
    const isEndOfFlat = nextLow === 0 && bits !== 64 && (mode & S.MODE_SEGMENTED) === 0;
    if (room <= have || isEndOfFlat) {
      // The segment ends inside the instruction (SDM 3A §5.3).
      core.recordFault(GENERAL_PROTECTION, 0);
      return 0;
    }
    const nextHigh = nextLow === 0 && bits === 64 ? (high + 1) | 0 : high;
    const next = core.mmu.fetchSlow(nextLow, nextHigh);
    if (next === 0) return 0;
    const more = Math.min(15 - have, room - have);
    for (let i = 0; i < more; i++) bytes[have + i] = next < 0 ? 0xff : (core.u8[next + i] as number);
    const length = this.#decoder.decode(bytes, 0, have + more, bits, protectedMode);
    const isKept = next > 0 && length > 0 && (mode & S.MODE_SEGMENTED) === 0;
    const first = isKept ? this.#nextRecord : core.base + RECORDS_OFFSET;
    const offset = host & (PAGE - 1);
    let record = first;
    if (isKept) {
      this.#writer.write(record, HANDLER_MICRO, length, offset, S.ZERO, S.ZERO, S.ZERO, S.ZERO, 0);
      core.i32[(record + R.IMM) >>> 2] = next;
      core.i32[(record + R.LINK) >>> 2] = SYSTEM_NUMBER.get('check_crossing') as number;
      record += R.RECORD_SIZE;
    }
    if (length <= 0) record = this.#writer.system(record, offset, length === DECODE_TOO_LONG ? 'instruction_too_long' : 'undefined');
    else record = this.#writer.instruction(record, offset, mode, this.#decoder.out);
    this.#writer.end(record, offset + Math.max(length, 1));
    if (!isKept) return -first;
    this.#nextRecord = record + R.RECORD_SIZE;
    this.#tracker.mark(host, have);
    this.#tracker.mark(next, length - have);
    this.#guard(next >>> 12, first);
    return first;
  }

  /** From now on the record's immediate says whether the page's code has changed. */
  #guard(hostPage: number, record: number): void {
    const guards = this.#guards.get(hostPage);
    if (guards) guards.push(record);
    else this.#guards.set(hostPage, [record]);
  }

  /** Address of a word that is the host offset of this page of RAM as long as the code that was decoded on it is the same, then 0. 0 when there is no room for it. */
  guardOf(hostPage: number): number {
    const known = this.#guards.get(hostPage)?.[0];
    if (known !== undefined) return known + R.IMM;
    const record = this.#nextRecord;
    if (record + R.RECORD_SIZE > this.#endOfRecords) return 0;
    this.#writer.end(record, 0);
    this.#core.i32[(record + R.IMM) >>> 2] = hostPage << 12;
    this.#nextRecord += R.RECORD_SIZE;
    this.#guard(hostPage, record);
    return record + R.IMM;
  }

  /** Code in device memory or nothing: the bus floats high, and FF FF is no instruction. */
  #floatingBus(low: number): number {
    const first = this.#core.base + RECORDS_OFFSET;
    // No block begins at a host offset this low: what the page before had at this place is not found.
    this.#core.set32(S.CODE_HOST, 0);
    this.#writer.end(this.#writer.system(first, low & (PAGE - 1), 'undefined'), (low & (PAGE - 1)) + 1);
    return first;
  }
}
