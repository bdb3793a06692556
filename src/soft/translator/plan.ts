/**
 * What a region is made of before it is translated: plain data, so that it can be posted to a thread that translates.
 *
 * A region is the block it is asked for and what follows it along relative branches and fall-through on the same page, as far as
 * the interpreter has been there. It is entered at that block, or behind one of its calls, when the interpreter has finished the
 * call. What lies behind the page is never part of it: the memory behind a page may be another page's.
 */
import { IMM, INDEX, INFO, INFO_SIZE, LENGTH, LINK, OFFSET, RECORD_SIZE } from '../../x86/record.ts';
import { ZERO } from '../../x86/state.ts';
import { type Handler, HANDLER_MICRO, HANDLER_SYSTEM, type HandlerTable } from '../handlers.ts';
import { SYSTEM_MNEMONICS } from '../system-operations.ts';

const PAGE = 4096;
/** INFO_SIZE of 16-bit operands. */
const LOG2_OF_2 = 1;
const MOST_INSTRUCTIONS = 400;
const MOST_BLOCKS = 100;

/** Straight-line instructions: entered at the first only. */
export interface PlannedBlock {
  /** Offset of the first instruction in the page. */
  readonly start: number;
  /** Offset behind the last one. */
  readonly end: number;
  /** What stands at `end` is not translated: the interpreter takes over there. */
  readonly stops: boolean;
  /**
   * One instruction across the end of the page. It is as it was decoded while the fetch TLB has the host page behind in the place that
   * the immediate of the record before `address` names (blocks.ts), which is 0 when that page's code has changed.
   */
  readonly crosses: boolean;
  /** Decoded records (x86/record.ts), one for each instruction. */
  readonly records: DataView;
  /** Where they lie in the shared memory, for system operations: as long as the region is valid, so are they. */
  readonly address: number;
}

/** A few buffers and numbers, however many blocks there are: posting it must cost the vCPU little. */
export interface RegionPlan {
  /** MODE_… bits (x86/state.ts) in which the code was decoded. */
  readonly mode: number;
  /** Host offset of its page. */
  readonly page: number;
  /** Host offset of the state block of the vCPU that it is for. */
  readonly state: number;
  /** For each block, the entry first: start, end, STOPS and CROSSES, instructions. */
  readonly shape: Uint16Array<ArrayBuffer>;
  /** The records of all blocks, in the same order. */
  readonly records: Uint8Array<ArrayBuffer>;
  /** {@link PlannedBlock.address} of each. */
  readonly addresses: Uint32Array<ArrayBuffer>;
  /** Starts of blocks that indirect jumps of the region may lead to. */
  readonly targets: Uint16Array<ArrayBuffer>;
  /** Starts of blocks behind calls where the region may be entered, too. */
  readonly entries: Uint16Array<ArrayBuffer>;
}

const SHAPE_FIELDS = 4;
const STOPS = 1;
const CROSSES = 2;

export function blocksOf({ shape, records, addresses }: RegionPlan): PlannedBlock[] {
  const blocks: PlannedBlock[] = [];
  let first = 0;
  for (let at = 0; at < shape.length; at += SHAPE_FIELDS) {
    const [start, end, flags, count] = shape.subarray(at, at + SHAPE_FIELDS) as unknown as [number, number, number, number];
    const address = addresses[at / SHAPE_FIELDS] as number;
    const view = new DataView(records.buffer, records.byteOffset + first, count * RECORD_SIZE);
    blocks.push({ start, end, stops: (flags & STOPS) !== 0, crosses: (flags & CROSSES) !== 0, records: view, address });
    first += count * RECORD_SIZE;
  }
  return blocks;
}

/** Where the interpreter's decoded blocks are found. */
export interface KnownBlocks {
  readonly memory: Uint8Array;
  /** Host offset of the vCPU's state block. */
  readonly state: number;
  /** First record of the block at this offset of the page, or 0. */
  recordAt(offset: number): number;
  /** Where control went in this page, again and again, by no link: what an indirect jump at this offset may lead to. */
  soughtAround(offset: number): readonly number[];
  /** A region starts at this offset of the page already. */
  isTranslated(offset: number): boolean;
}

/** How a block goes on, by the mnemonic of its last instruction. */
export type Transfer = 'conditional' | 'jump' | 'call' | 'indirect-call' | 'return' | 'leave' | 'mode' | 'none';
const TRANSFERS: Readonly<Record<string, Transfer>> = {
  jcc: 'conditional', loop: 'conditional', loope: 'conditional', loopne: 'conditional', jcxz: 'conditional',
  jmp_rel: 'jump', call_rel: 'call', call: 'indirect-call', ret: 'return', ret_imm: 'return', jmp: 'leave',
  syscall: 'leave', sysret: 'leave', sysenter: 'leave', sysexit: 'leave', iret: 'leave',
  // Straight on, unless what follows must be decoded anew.
  mov_to_sreg: 'mode', pop_sreg: 'mode',
};
export const transferOf = (mnemonic: string): Transfer => TRANSFERS[mnemonic] ?? 'none';

/** What comes back from these goes on behind them. */
export const CALLS: ReadonlySet<Transfer> = new Set(['call', 'indirect-call']);

/** What follows these in memory is not what comes next. */
const FINAL = new Set([
  'iret', 'int', 'int3', 'int1', 'hlt', 'undefined', 'instruction_too_long', 'jmp_far_immediate',
  'call_far_immediate', 'jmp_far_memory', 'call_far_memory', 'ret_far',
]);

/** A jump through a table, or through a register: not one through a fixed place, which leads elsewhere altogether. */
export function isDispatch(view: DataView, record: number, { mnemonic, shape }: Handler): boolean {
  return mnemonic === 'jmp' && (!shape.memory || view.getUint16(record + INDEX, true) !== ZERO);
}

/** Offset in the page where the relative branch in this record goes; undefined when that is not on the page, or cut to 16 bits. */
export function targetOf(view: DataView, record: number): number | undefined {
  if ((view.getUint16(record + INFO, true) & INFO_SIZE) === LOG2_OF_2) return undefined;
  const target = view.getUint16(record + OFFSET, true) + view.getUint8(record + LENGTH) + Number(view.getBigInt64(record + IMM, true));
  return target >= 0 && target < PAGE ? target : undefined;
}

interface Found {
  readonly start: number;
  readonly record: number;
  readonly count: number;
  readonly end: number;
  readonly stops: boolean;
  readonly crosses: boolean;
  readonly successors: readonly number[];
  /** By an indirect jump. */
  readonly dispatches: boolean;
  /** It ends with a call: what comes back goes on behind it. */
  readonly calls: boolean;
}

/** The region from `entry`, or undefined when its very first instruction is none to translate. */
export function planRegion(blocks: KnownBlocks, handlers: HandlerTable, mode: number, page: number, entry: number): RegionPlan | undefined {
  const view = new DataView(blocks.memory.buffer, blocks.memory.byteOffset, blocks.memory.byteLength);
  const found: Found[] = [];
  const seen = new Set([entry]);
  const queue = [entry];
  let instructions = 0;
  for (const start of queue) {
    if (found.length === MOST_BLOCKS || instructions > MOST_INSTRUCTIONS) break;
    const record = blocks.recordAt(start);
    if (record === 0) continue;
    const block = outline(view, handlers, blocks, start, record);
    if (block.count === 0) {
      if (start === entry) return undefined;
      continue;
    }
    found.push(block);
    instructions += block.count;
    for (const next of block.successors) {
      if (next >= PAGE || seen.has(next)) continue;
      seen.add(next);
      queue.push(next);
    }
  }
  if (found.length === 0) return undefined;
  const starts = new Set(found.map(({ start }) => start));
  const cuts = found.map((block) => cut(view, block, starts));
  const records = new Uint8Array(cuts.reduce((sum, { count }) => sum + count, 0) * RECORD_SIZE);
  let at = 0;
  for (const { record, count } of cuts) {
    records.set(blocks.memory.subarray(record, record + count * RECORD_SIZE), at);
    at += count * RECORD_SIZE;
  }
  const entries = cuts.filter(({ calls, end }) => calls && starts.has(end) && end !== entry && !blocks.isTranslated(end)).map(({ end }) => end);
  const targets = new Set(found.flatMap(({ successors: next, dispatches }) => (dispatches ? next : [])));
  return {
    mode, page, records,
    state: blocks.state,
    targets: Uint16Array.from(cuts.map(({ start }) => start).filter((start) => targets.has(start)).sort((a, b) => a - b)),
    entries: Uint16Array.from(new Set(entries)),
    shape: Uint16Array.from(cuts.flatMap(({ start, end, stops, crosses, count }) => [start, end, (stops ? STOPS : 0) | (crosses ? CROSSES : 0), count])),
    addresses: Uint32Array.from(cuts, ({ record }) => record),
  };
}

function outline(view: DataView, handlers: HandlerTable, blocks: KnownBlocks, start: number, first: number): Found {
  const crosses = isCheck(view, first);
  const record = crosses ? first + RECORD_SIZE : first;
  let count = 0;
  for (let at = record; ; at += RECORD_SIZE, count++) {
    const handler = handlers.at(view.getUint16(at, true));
    const end = view.getUint16(at + OFFSET, true);
    const isEnd = handlers.isEnd(view.getUint16(at, true));
    if (!isEnd && handler !== undefined) continue;
    const stops = !isEnd || (count > 0 && isFinal(view, at - RECORD_SIZE));
    const last = stops || count === 0 ? undefined : handlers.at(view.getUint16(at - RECORD_SIZE, true));
    const dispatches = last !== undefined && isDispatch(view, at - RECORD_SIZE, last);
    const calls = CALLS.has(transferOf(last?.mnemonic ?? ''));
    return { start, record, count, end, stops, crosses, dispatches, calls, successors: stops || count === 0 ? [] : successors(view, handlers, blocks, at - RECORD_SIZE, end) };
  }
}

/** What stands before an instruction across the end of the page. */
function isCheck(view: DataView, record: number): boolean {
  return view.getUint16(record, true) === HANDLER_MICRO && SYSTEM_MNEMONICS[view.getInt32(record + LINK, true)] === 'check_crossing';
}

/** A system operation that does not go on with the next instruction. */
function isFinal(view: DataView, record: number): boolean {
  return view.getUint16(record, true) === HANDLER_SYSTEM && FINAL.has(SYSTEM_MNEMONICS[view.getInt32(record + LINK, true)] as string);
}

function successors(view: DataView, handlers: HandlerTable, blocks: KnownBlocks, last: number, end: number): readonly number[] {
  const handler = handlers.at(view.getUint16(last, true));
  if (handler !== undefined && isDispatch(view, last, handler)) return blocks.soughtAround(view.getUint16(last + OFFSET, true));
  const transfer = transferOf(handler?.mnemonic ?? '');
  const target = transfer === 'conditional' || transfer === 'jump' ? targetOf(view, last) : undefined;
  const next = transfer === 'jump' || transfer === 'return' || transfer === 'leave' ? [] : [end];
  return target === undefined ? next : [target, ...next];
}

/** A block that runs into the start of another one ends there. */
function cut(view: DataView, block: Found, starts: ReadonlySet<number>): Found {
  for (let count = 1; count < block.count; count++) {
    const end = view.getUint16(block.record + count * RECORD_SIZE + OFFSET, true);
    if (starts.has(end)) return { ...block, count, end, stops: false, dispatches: false, calls: false };
  }
  return block;
}
