/**
 * What a region is made of before it is translated: plain data, so that it can be posted to a thread that translates.
 *
 * A region is the block it is asked for and what follows it along relative branches and fall-through on the same page, as far as
 * the interpreter has been there. It is entered at that block, or behind one of its calls, when the interpreter has finished the
 * call. What lies behind the page is never part of it: the memory behind a page may be another page's. Short functions that it calls are
 * (callees.ts), wherever they lie.
 */
import { RECORD_SIZE } from '../../x86/record.ts';
import type { HandlerTable } from '../handlers.ts';
import { planCallees } from './callees.ts';
import { blocksFrom, cut, outline, type SoughtAround } from './outline.ts';

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
  /** 0: the region's own; else it belongs to this one of its callees, counted from 1, and offsets are in that one's page. */
  readonly callee: number;
}

/** A short function as part of the region of its caller: its blocks once for each call. */
export interface PlannedCallee {
  /** Number of the block that ends with the call: what returns goes on behind that. */
  readonly caller: number;
  /** Bytes from the region's page to this one's. */
  readonly distance: number;
  /** Address of a word that is this page's host offset, and 0 when its code has changed (Blocks.guardOf); 0: it is the region's page. */
  readonly guard: number;
}

/** A few buffers and numbers, however many blocks there are: posting it must cost the vCPU little. */
export interface RegionPlan {
  /** MODE_… bits (x86/state.ts) in which the code was decoded. */
  readonly mode: number;
  /** Host offset of its page. */
  readonly page: number;
  /** Host offset of the state block of the vCPU that it is for. */
  readonly state: number;
  /** For each block, the entry first: start, end, STOPS and CROSSES, instructions, callee. */
  readonly shape: Uint16Array<ArrayBuffer>;
  /** The records of all blocks, in the same order. */
  readonly records: Uint8Array<ArrayBuffer>;
  /** {@link PlannedBlock.address} of each. */
  readonly addresses: Uint32Array<ArrayBuffer>;
  /** Starts of blocks that indirect jumps of the region may lead to. */
  readonly targets: Uint16Array<ArrayBuffer>;
  /** Starts of blocks behind calls where the region may be entered, too. */
  readonly entries: Uint16Array<ArrayBuffer>;
  /** For each callee: the fields of {@link PlannedCallee}. */
  readonly callees: Int32Array<ArrayBuffer>;
}

const SHAPE_FIELDS = 5;
const CALLEE_FIELDS = 3;
const STOPS = 1;
const CROSSES = 2;

export function blocksOf({ shape, records, addresses }: RegionPlan): PlannedBlock[] {
  const blocks: PlannedBlock[] = [];
  let first = 0;
  for (let at = 0; at < shape.length; at += SHAPE_FIELDS) {
    const [start, end, flags, count, callee] = shape.subarray(at, at + SHAPE_FIELDS) as unknown as [number, number, number, number, number];
    const address = addresses[at / SHAPE_FIELDS] as number;
    const view = new DataView(records.buffer, records.byteOffset + first, count * RECORD_SIZE);
    blocks.push({ start, end, stops: (flags & STOPS) !== 0, crosses: (flags & CROSSES) !== 0, records: view, address, callee });
    first += count * RECORD_SIZE;
  }
  return blocks;
}

export function calleesOf({ callees }: RegionPlan): PlannedCallee[] {
  return Array.from({ length: callees.length / CALLEE_FIELDS }, (_, n) => {
    const [caller, distance, guard] = callees.subarray(n * CALLEE_FIELDS, (n + 1) * CALLEE_FIELDS) as unknown as [number, number, number];
    return { caller, distance, guard };
  });
}

/** A page with decoded blocks. */
export interface KnownPage {
  /** First record of the block at this offset of the page, or 0. */
  recordAt(offset: number): number;
}

export interface OtherPage extends KnownPage {
  /** {@link PlannedCallee.guard}, for a callee that becomes part of the region. */
  guard(): number;
}

/** Where the interpreter's decoded blocks are found. */
export interface KnownBlocks extends KnownPage {
  readonly memory: Uint8Array;
  /** Host offset of the vCPU's state block. */
  readonly state: number;
  /** The page so many bytes away by linear addresses, where the fetch TLB knows it. */
  pageAt(distance: number): OtherPage | undefined;
  readonly soughtAround: SoughtAround;
  /** A region starts at this offset of the page already. */
  isTranslated(offset: number): boolean;
}

/** The region from `entry`, or undefined when its very first instruction is none to translate. */
export function planRegion(blocks: KnownBlocks, handlers: HandlerTable, mode: number, page: number, entry: number): RegionPlan | undefined {
  const view = new DataView(blocks.memory.buffer, blocks.memory.byteOffset, blocks.memory.byteLength);
  const { found, starts } = blocksFrom(entry, MOST_BLOCKS, MOST_INSTRUCTIONS, (start) => {
    const record = blocks.recordAt(start);
    return record === 0 ? undefined : outline(view, handlers, blocks.soughtAround, start, record);
  });
  if (found[0]?.start !== entry) return undefined;
  const own = found.map((block) => cut(view, block, starts));
  const callees = planCallees(view, handlers, blocks, own);
  const called = new Set(callees.map(({ caller }) => caller));
  const cuts = [...own, ...callees.flatMap(({ body }) => body)];
  const owners = [...own.map(() => 0), ...callees.flatMap(({ body }, n) => body.map(() => n + 1))];
  const records = new Uint8Array(cuts.reduce((sum, { count }) => sum + count, 0) * RECORD_SIZE);
  let at = 0;
  for (const { record, count } of cuts) {
    records.set(blocks.memory.subarray(record, record + count * RECORD_SIZE), at);
    at += count * RECORD_SIZE;
  }
  const entries = own.filter(({ calls, end }, number) => calls && !called.has(number) && starts.has(end) && end !== entry && !blocks.isTranslated(end)).map(({ end }) => end);
  const targets = new Set(found.flatMap(({ successors: next, dispatches }) => (dispatches ? next : [])));
  return {
    mode, page, records,
    state: blocks.state,
    targets: Uint16Array.from(own.map(({ start }) => start).filter((start) => targets.has(start)).sort((a, b) => a - b)),
    entries: Uint16Array.from(new Set(entries)),
    callees: Int32Array.from(callees.flatMap(({ caller, distance, guard }) => [caller, distance, guard])),
    shape: Uint16Array.from(cuts.flatMap(({ start, end, stops, crosses, count }, n) =>
      [start, end, (stops ? STOPS : 0) | (crosses ? CROSSES : 0), count, owners[n] as number])),
    addresses: Uint32Array.from(cuts, ({ record }) => record),
  };
}
