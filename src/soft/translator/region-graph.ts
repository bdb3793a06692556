/** A region seen as a graph of blocks, and what is known about each before anything is generated. */
import { RECORD_SIZE } from '../../x86/record.ts';
import type { Handler, HandlerTable } from '../handlers.ts';
import { type FlagNeed, flagsNeeded } from './flag-use.ts';
import { analyse, type Edge, type Flow } from './flow.ts';
import { blocksOf, CALLS, isDispatch, type PlannedBlock, type RegionPlan, targetOf, type Transfer, transferOf } from './plan.ts';
import type { Touched } from './region-state.ts';
import type { Effect, TouchedRegisters } from './registers.ts';
import { type Access, accessesOf } from './windows.ts';
import { planX87, type X87Plan } from './x87-plan.ts';

const ELSEWHERE = new Set(['call', 'call_rel', 'system']);
const OTHER_TLB = new Set(['stac', 'clac']);
/** Others go on with it: everything is in the state block. */
const goesElsewhere = ({ mnemonic, semantics }: Handler): boolean => ELSEWHERE.has(mnemonic) || semantics.repeats === true;

export class RegionGraph {
  readonly blocks: readonly PlannedBlock[];
  /** Blocks where control comes in, the one that was asked for first. */
  readonly entries: readonly number[];
  /** Where the graph begins: the only entry; or, where there are several, a block without instructions that leads to all of them. */
  readonly root: number;
  readonly transfers: readonly Transfer[];
  /** Blocks that end with an indirect jump that may lead to others of the region. */
  readonly dispatches: readonly boolean[];
  readonly edges: readonly (readonly Edge[])[];
  readonly flow: Flow;
  readonly needsFlags: readonly FlagNeed[];
  readonly effects: readonly (readonly Effect[])[];
  /** Registers that each block changes ({@link Touched}). */
  readonly changed: readonly number[];
  /** A call or a system operation is in it: nothing is as it was. */
  readonly clobbers: readonly boolean[];
  /** Registers that may differ from the state block at the start of each block ({@link Touched}). */
  readonly dirty: readonly number[];
  /** Accesses to memory at a constant distance from a general register. */
  readonly accesses: readonly (readonly Access[])[];
  readonly x87: X87Plan | undefined;
  readonly #numbers: ReadonlyMap<number, number>;
  /** Offsets that indirect jumps may lead to. */
  readonly #targets: ReadonlySet<number>;

  constructor(plan: RegionPlan, handlers: HandlerTable, registers: TouchedRegisters) {
    const blocks = blocksOf(plan);
    this.#targets = new Set(plan.targets);
    this.#numbers = new Map(blocks.map(({ start }, number) => [start, number]));
    const instructions = blocks.map(({ records }) =>
      Array.from({ length: records.byteLength / RECORD_SIZE }, (_, n) => handlers.at(records.getUint16(n * RECORD_SIZE, true)) as Handler));
    const transfers = instructions.map((list) => transferOf(list.at(-1)?.mnemonic ?? ''));
    const dispatches = instructions.map((list, number) => {
      const { records, stops } = blocks[number] as PlannedBlock;
      return !stops && isDispatch(records, records.byteLength - RECORD_SIZE, list.at(-1) as Handler);
    });
    const edges = blocks.map((block, number) => this.#edgesOf(block, transfers[number] as Transfer, dispatches[number] as boolean));
    const flow = analyse(edges, instructions.map(({ length }) => length));
    this.x87 = planX87(instructions, blocks.map(({ records }) => records), edges);
    this.entries = [0, ...(this.x87 === undefined ? this.#entriesBehindCalls(plan, flow) : [])];
    this.root = 0;
    if (this.entries.length > 1) {
      this.root = blocks.push({ start: -1, end: -1, stops: false, crosses: false, records: new DataView(new ArrayBuffer(0)), address: 0 }) - 1;
      instructions.push([]);
      transfers.push('none');
      dispatches.push(false);
      edges.push(this.entries.toReversed().map((to) => ({ to, isCall: true })));
    }
    this.blocks = blocks;
    this.transfers = transfers;
    this.dispatches = dispatches;
    this.edges = edges;
    this.flow = this.root === 0 ? flow : analyse(edges, instructions.map(({ length }) => length), this.root);
    this.effects = blocks.map(({ records, crosses }) =>
      Array.from({ length: records.byteLength / RECORD_SIZE }, (_, n) => {
        const effect = registers.effectOf(records, n * RECORD_SIZE);
        return crosses ? { ...effect, mayLeave: true } : effect;
      }));
    this.changed = blocks.map(({ records }) => {
      let changed = 0;
      for (let record = 0; record < records.byteLength; record += RECORD_SIZE) changed |= registers.changedBy(records, record);
      return changed;
    });
    this.clobbers = instructions.map((list) => list.some((handler) => goesElsewhere(handler) || OTHER_TLB.has(handler.mnemonic)));
    this.dirty = this.#dirtyAtStart(instructions, registers);
    this.accesses = blocks.map(({ records }, number) => accessesOf(instructions[number] as Handler[], records));
    this.needsFlags = flagsNeeded(
      this.effects,
      blocks.map(({ stops }, number) => (stops ? 'exits' : this.#staysInside(number) ? 'none' : 'reads')),
      this.edges,
      (from, to) => (this.flow.isForeign(from, to) ? 'reads' : this.flow.isBack(from, to) ? 'exits' : 'none'),
    );
  }

  /** Calls, and what is executed elsewhere, find everything in the state block, and what comes back is loaded from there. */
  #dirtyAtStart(instructions: readonly (readonly Handler[])[], registers: TouchedRegisters): readonly number[] {
    const added = this.blocks.map(({ records }, number) => (instructions[number] as readonly Handler[]).reduce(
      (dirty, handler, n) => (goesElsewhere(handler) ? 0 : dirty | registers.changedBy(records, n * RECORD_SIZE)), 0));
    const synchronizes = instructions.map((list) => list.some(goesElsewhere));
    const atStart = new Array<number>(this.blocks.length).fill(0);
    for (let changed = true; changed; ) {
      changed = false;
      for (const [number, edges] of this.edges.entries()) {
        const atEnd = (added[number] as number) | (synchronizes[number] ? 0 : (atStart[number] as number));
        for (const { to } of edges) {
          if (((atStart[to] as number) | atEnd) === atStart[to]) continue;
          atStart[to] = (atStart[to] as number) | atEnd;
          changed = true;
        }
      }
    }
    return atStart;
  }

  /** Offset in the page where a block starts. */
  startOf(number: number): number {
    return (this.blocks[number] as PlannedBlock).start;
  }

  /** The block that starts at an offset of the page. */
  numberAt(offset: number): number | undefined {
    return this.#numbers.get(offset);
  }

  /** Control goes from the block to one of this region, and to no other place. */
  #staysInside(number: number): boolean {
    const transfer = this.transfers[number] as Transfer;
    return (transfer === 'none' || transfer === 'jump') && (this.edges[number] as readonly Edge[]).length > 0;
  }

  /** Not in a loop: with a second entry it would be none. */
  #entriesBehindCalls({ entries }: RegionPlan, { isLoopHeader, loopOf }: Flow): number[] {
    const inLoops = new Set(isLoopHeader.flatMap((isHeader, number) => (isHeader ? loopOf(number) : [])));
    return Array.from(entries, (offset) => this.numberAt(offset) as number).filter((number) => !inLoops.has(number));
  }

  #edgesOf(block: PlannedBlock, transfer: Transfer, dispatches: boolean): Edge[] {
    if (block.stops) return [];
    if (dispatches) return [...this.#targets].map((offset) => ({ to: this.numberAt(offset) as number, isCall: false }));
    const view = block.records;
    const offsets: number[] = [];
    if (transfer === 'conditional' || transfer === 'jump') {
      const target = targetOf(view, view.byteLength - RECORD_SIZE);
      if (target !== undefined) offsets.push(target);
    }
    if (transfer !== 'jump' && transfer !== 'return' && transfer !== 'leave') offsets.push(block.end);
    const isCall = CALLS.has(transfer);
    return offsets.flatMap((offset) => {
      const to = this.numberAt(offset);
      return to === undefined ? [] : [{ to, isCall }];
    });
  }
}
