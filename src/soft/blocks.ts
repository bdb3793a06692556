/**
 * The cache of decoded blocks of one vCPU: finds or makes the block at RIP, and turns decoded instructions into records
 * (x86/record.ts). A block ends at a branch, at the end of its page or after 32 instructions; links between records never leave
 * a page, so that forgetting a page means clearing its entries in the block table.
 *
 * What is rare is prepared by a micro-operation in front: addresses of unusual width, accesses through segments that are not
 * flat. The instruction itself then uses PREPARED as its base, and the common handlers stay simple.
 */
import { BASE_RIP, DECODE_NEEDS_MORE, DECODE_TOO_LONG, Decoder, NO_REGISTER } from '../x86/decoder.ts';
import * as R from '../x86/record.ts';
import * as S from '../x86/state.ts';
import type { InstructionRow, OperandCode } from '../x86/table.ts';
import { GENERAL_PROTECTION } from '../x86/vectors.ts';
import type { CodeTracker } from './code-pages.ts';
import type { Core } from './core.ts';
import { HANDLER_END, HANDLER_LOOKUP, HANDLER_MICRO, HANDLER_SYSTEM, type HandlerTable } from './handlers.ts';
import { SYSTEM_NUMBER } from './interpreter.ts';
import { BLOCK_ENTRIES, BLOCK_ENTRY_SIZE, BLOCK_OFFSET, BLOCK_OTHER_WAY, blockSlot, RECORDS_OFFSET, RECORDS_SIZE } from './layout.ts';
import { memoryBytes, readsOnly } from './micro-operations.ts';

const PAGE = 4096;
const LONGEST_BLOCK = 32;
/** Records one instruction can need: two micro-operations, itself, and the end of the block. */
const RECORDS_PER_INSTRUCTION = 4;
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

/** Instructions that name memory and do not touch it. */
const ADDRESS_ONLY = /^(lea|nop|ud)$/;
const BIT_STRING = /^bt[src]?$/;

const keyOf = (host: number, mode: number): number => host * S.MODE_LIMIT + mode;

export class Blocks {
  readonly #core: Core;
  readonly #tracker: CodeTracker;
  readonly #handlerTable: HandlerTable;
  readonly #decoder = new Decoder();
  readonly #handlers = new Map<InstructionRow, Int16Array>();
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
    this.#handlerTable = handlers;
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
    this.#write(this.lookUp, HANDLER_LOOKUP, 0, 0, S.ZERO, S.ZERO, S.ZERO, S.ZERO, 0);
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
        const slot = this.slotOf(Math.floor(key / S.MODE_LIMIT), key % S.MODE_LIMIT);
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
    if (this.#nextRecord + (LONGEST_BLOCK + 1) * RECORDS_PER_INSTRUCTION * R.RECORD_SIZE > this.#endOfRecords) this.forgetAll();
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
        record = this.#system(record, at & (PAGE - 1), length === DECODE_TOO_LONG ? 'instruction_too_long' : 'undefined');
        at = Math.min(at + 1, end);
        ended = true;
        break;
      }
      record = this.#emit(record, at & (PAGE - 1), mode);
      at += length;
      ended = this.#decoder.out.row.attributes.has('end');
      if (at >= end) break;
    }
    this.#end(record, at - (host - (host & (PAGE - 1))));
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
      this.#write(record, HANDLER_MICRO, length, offset, S.ZERO, S.ZERO, S.ZERO, S.ZERO, 0);
      core.i32[(record + R.IMM) >>> 2] = next;
      core.i32[(record + R.LINK) >>> 2] = SYSTEM_NUMBER.get('check_crossing') as number;
      record += R.RECORD_SIZE;
    }
    if (length <= 0) record = this.#system(record, offset, length === DECODE_TOO_LONG ? 'instruction_too_long' : 'undefined');
    else record = this.#emit(record, offset, mode);
    this.#end(record, offset + Math.max(length, 1));
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
    this.#end(record, 0);
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
    this.#end(this.#system(first, low & (PAGE - 1), 'undefined'), (low & (PAGE - 1)) + 1);
    return first;
  }

  #end(record: number, offset: number): void {
    this.#write(record, HANDLER_END, 0, offset, S.ZERO, S.ZERO, S.ZERO, S.ZERO, 0);
  }

  #system(record: number, offset: number, name: string): number {
    this.#write(record, HANDLER_SYSTEM, 1, offset, S.ZERO, S.ZERO, S.ZERO, S.ZERO, 0);
    this.#core.i32[(record + R.LINK) >>> 2] = SYSTEM_NUMBER.get(name) as number;
    return record + R.RECORD_SIZE;
  }

  #write(record: number, handler: number, length: number, offset: number, base: number, index: number, segment: number, reg: number, info: number): void {
    const { u8, u16, i32 } = this.#core;
    const half = record >>> 1;
    u16[half] = handler;
    u8[record + R.LENGTH] = length;
    u8[record + R.SCALE] = 0;
    u16[half + R.OFFSET / 2] = offset;
    u16[half + R.BASE / 2] = base;
    u16[half + R.INDEX / 2] = index;
    u16[half + R.SEGMENT / 2] = segment;
    u16[half + R.REG / 2] = reg;
    u16[half + R.INFO / 2] = info;
    const word = record >>> 2;
    i32[word + R.IMM / 4] = 0;
    i32[word + R.IMM / 4 + 1] = 0;
    i32[word + R.DISP / 4] = 0;
    i32[word + R.LINK / 4] = 0;
  }

  /** Writes the records of the instruction in the decoder; returns where the next one goes. */
  #emit(first: number, offset: number, mode: number): number {
    const d = this.#decoder.out;
    const { row } = d;
    const { i32, u8 } = this.#core;
    const isString = row.attributes.has('string');
    const segmented = (mode & S.MODE_SEGMENTED) !== 0;
    const isCheckedExtra = (mode & (d.segment === S.FS ? S.MODE_FS_CHECKED : d.segment === S.GS ? S.MODE_GS_CHECKED : 0)) !== 0;
    const isCheckedString = isString && (segmented || isCheckedExtra);
    const name = isCheckedString
      ? row.mnemonic.slice(row.mnemonic.indexOf('_') + 1)
      : row.mnemonic === 'cmpxchg8b' && d.size === 3 ? 'cmpxchg16b' : row.mnemonic;
    const absent = this.#absence(row, name, mode);
    if (absent !== undefined) return this.#system(first, offset, absent);
    // The index moves such an operand: what must be checked, or wraps, is known when it has.
    const isBitString = BIT_STRING.test(name) && d.isMemory && row.operands[1]?.kind === 'G' && (isCheckedExtra || segmented || d.addressBits === 16);
    const handler = !isCheckedString && !isBitString ? this.#handler(row, d.size, d.isMemory ? 1 : 0, row.conditional ? d.opcode & 15 : 0) : -1;
    const info = d.size
      | (d.isMemory ? R.INFO_MEMORY : 0)
      | ((d.addressBits === 16 ? 0 : d.addressBits === 32 ? 1 : 2) << R.INFO_ADDRESS_SHIFT)
      | (d.hasRep ? R.INFO_REP : 0) | (d.hasRepne ? R.INFO_REPNE : 0)
      | (d.segment << R.INFO_SEGMENT_SHIFT)
      | (d.hasLock ? R.INFO_LOCK : 0)
      | ((d.reg & 15) << R.INFO_REG_SHIFT);
    const is64 = (mode & S.MODE_CODE_SIZE) === S.MODE_CODE_64;
    let record = first;
    let base: number = S.ZERO;
    let index: number = S.ZERO;
    let displacement = d.displacement;
    let overflows = false;
    if (d.isMemory) {
      if (d.base === BASE_RIP) {
        // RIP is the page plus something: usually the displacement absorbs that, unless it is near the end of its ±2 GiB.
        base = S.CODE_PAGE;
        displacement = (displacement + offset + d.length) | 0;
        overflows = displacement < d.displacement;
      } else if (d.base !== NO_REGISTER) base = S.gpr(d.base);
      if (d.index !== NO_REGISTER) index = S.gpr(d.index);
      const mask = d.addressBits === 16 ? 0xffff : -1;
      // Code is never writable, however flat it is (SDM 3A §5.5.1).
      const writesCode = d.segment === S.CS && (mode & S.MODE_PROTECTED) !== 0 && !readsOnly(row);
      const isLimited = d.segment < S.FS ? segmented || writesCode : isCheckedExtra;
      const checked = !ADDRESS_ONLY.test(name) && !isBitString && !is64 && isLimited;
      const usual = is64 ? 64 : 32;
      if (checked || overflows || (d.addressBits !== usual && !isBitString) || d.displacementHigh !== d.displacement >> 31) {
        const operation = checked ? 'check_segment' : d.addressBits !== usual ? 'prepare_address' : overflows ? 'prepare_far' : 'prepare_absolute';
        const bytes = memoryBytes(row, d.size);
        // POP addresses with the stack pointer as it is behind what it pops (SDM 2B, POP), and this runs before it
        if (row.mnemonic === 'pop' && d.base === S.RSP) displacement += 1 << d.size;
        this.#write(record, HANDLER_MICRO, d.length, offset, base, index, S.ZERO, S.ZERO, info);
        u8[record + R.SCALE] = d.scale;
        i32[(record + R.DISP) >>> 2] = displacement;
        const writes = !readsOnly(row);
        i32[(record + R.IMM) >>> 2] = checked ? (writes ? 1 : 0) | 2 | (bytes << 8) : d.displacementHigh;
        i32[(record + R.IMM + 4) >>> 2] = mask;
        i32[(record + R.LINK) >>> 2] = SYSTEM_NUMBER.get(operation) as number;
        record += R.RECORD_SIZE;
        base = S.PREPARED;
        index = S.ZERO;
        displacement = 0;
      }
    }
    if (segmented && row.stack !== 0 && handler >= 0) {
      this.#write(record, HANDLER_MICRO, d.length, offset, S.ZERO, S.ZERO, S.ZERO, S.ZERO, info);
      i32[(record + R.IMM) >>> 2] = row.stack << d.size;
      i32[(record + R.LINK) >>> 2] = SYSTEM_NUMBER.get('check_stack') as number;
      record += R.RECORD_SIZE;
    }
    if (!d.isMemory) {
      const rm = row.operands.find((operand) => operand.role === 'rm');
      if (rm) base = registerOffset(rm, d.rm, rm.kind === 'A' || rm.kind === 'Z' || rm.kind === 'E' ? operandLog2(rm, d.size) : d.size, d.hasRex);
    }
    const reg = row.operands.find((operand) => operand.role === 'reg');
    this.#write(
      record, handler >= 0 ? handler : HANDLER_SYSTEM, d.length, offset, base, index,
      (d.isMemory || isString) && (!is64 || d.segment >= S.FS) ? S.segmentBase(d.segment) : S.ZERO,
      reg ? registerOffset(reg, d.reg, operandLog2(reg, d.size), d.hasRex) : S.ZERO, info,
    );
    u8[record + R.SCALE] = base === S.PREPARED ? 0 : d.isMemory ? d.scale : 0;
    const word = record >>> 2;
    i32[word + R.DISP / 4] = displacement;
    i32[word + R.IMM / 4] = d.immediate;
    i32[word + R.IMM / 4 + 1] = d.immediateHigh;
    if (handler < 0) i32[word + R.LINK / 4] = SYSTEM_NUMBER.get(name) ?? (SYSTEM_NUMBER.get('undefined') as number);
    this.#special(word, name, isString);
    return record + R.RECORD_SIZE;
  }

  /**
   * The operation that raises what an instruction raises which may not be used now: not announced by CPUID, or its unit is off.
   * Modes that differ in this have blocks of their own, so that nothing is tested when the instruction runs.
   */
  #absence(row: InstructionRow, name: string, mode: number): string | undefined {
    const feature = name === 'cmpxchg16b' ? 'cx16' : row.feature;
    if (feature !== undefined && !this.#core.features.has(feature)) return 'undefined';
    const isOff = (mode & S.MODE_FPU_OFF) !== 0;
    if (row.attributes.has('sse')) return isOff || (mode & S.MODE_SSE_ENABLED) === 0 ? 'sse_unavailable' : undefined;
    if (isOff && row.attributes.has('mmx')) return 'mmx_unavailable';
    return isOff && row.attributes.has('x87') && name !== 'fwait' ? 'x87_unavailable' : undefined;
  }

  /** Fields that some instructions use in their own way (documented with the instructions). */
  #special(word: number, name: string, isString: boolean): void {
    const d = this.#decoder.out;
    const { i32, u16 } = this.#core;
    if (isString) {
      i32[word + R.IMM / 4] = d.addressBits === 16 ? 0xffff : -1;
      i32[word + R.IMM / 4 + 1] = d.addressBits === 64 ? -1 : 0;
      return;
    }
    switch (name) {
      case 'loop': case 'loope': case 'loopne': case 'jcxz':
        i32[word + R.DISP / 4] = 64 - d.addressBits;
        return;
      case 'push_sreg': case 'pop_sreg': {
        const info = word * 2 + R.INFO / 2;
        u16[info] = ((u16[info] as number) & 0x0fff) | (((d.opcode >> 3) & 7) << R.INFO_REG_SHIFT);
        return;
      }
      case 'les_lds_lss_lfs_lgs':
        i32[word + R.IMM / 4] = d.opcode === 0xc4 ? S.ES : d.opcode === 0xc5 ? S.DS : d.opcode === 0xb2 ? S.SS : d.opcode === 0xb4 ? S.FS : S.GS;
        return;
      case 'enter':
        i32[word + R.IMM / 4] = d.immediate | (d.secondImmediate << 16);
        return;
      case 'jmp_far_immediate': case 'call_far_immediate':
        i32[word + R.DISP / 4] = d.displacement;
        i32[word + R.IMM / 4] = d.secondImmediate;
        return;
    }
  }

  #handler(row: InstructionRow, size: number, memory: 0 | 1, condition: number): number {
    let known = this.#handlers.get(row);
    if (known === undefined) {
      known = new Int16Array(8 * 2 * 16).fill(-2);
      this.#handlers.set(row, known);
    }
    const slot = (size * 2 + memory) * 16 + condition;
    if (known[slot] === -2) known[slot] = this.#handlerTable.numberOf(row, size, memory, condition);
    return known[slot] as number;
  }
}

/** log2 of an operand's own size, which may differ from the instruction's (MOVZX). */
function operandLog2(operand: OperandCode, size: number): number {
  switch (operand.size) {
    case 'b': return 0;
    case 'w': return 1;
    case 'd': return 2;
    case 'q': return 3;
    default: return size;
  }
}

function registerOffset(operand: OperandCode, number: number, sizeLog2: number, hasRex: boolean): number {
  switch (operand.kind) {
    case 'P': case 'Q': case 'N': return S.X87 + (number & 7) * 16;
    case 'V': case 'W': case 'U': return S.xmm(number);
    case 'A': return S.gpr(S.RAX);
    default: return sizeLog2 === 0 && !hasRex && number >= 4 && number < 8 ? S.gpr(number - 4) + 1 : S.gpr(number);
  }
}
