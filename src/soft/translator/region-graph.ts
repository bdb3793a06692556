/** A region seen as a graph of blocks, and what is known about each before anything is generated. */
import { RECORD_SIZE } from '../../x86/record.ts';
import type { Handler, HandlerTable } from '../handlers.ts';
import { type FlagNeed, flagsNeeded } from './flag-use.ts';
import { analyse, type Edge, type Flow } from './flow.ts';
import { CALLS, isDispatch, isExecutedElsewhere, targetOf, type Transfer, transferOf } from './outline.ts';
import { blocksOf, calleesOf, type PlannedBlock, type PlannedCallee, type RegionPlan } from './plan.ts';
import type { Touched } from './region-state.ts';
import type { Effect, TouchedRegisters } from './registers.ts';
import { type Access, accessesOf } from './windows.ts';
import { planX87, type X87Plan } from './x87-plan.ts';

const OTHER_TLB = new Set(['stac', 'clac']);

export class RegionGraph {
  readonly blocks: readonly PlannedBlock[];
  /** By {@link PlannedBlock.callee}; undefined for the region itself. */
  readonly callees: readonly (PlannedCallee | undefined)[];
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
  /** By callee and offset. */
  readonly #numbers: readonly ReadonlyMap<number, number>[];
  /** First blocks of callees, by the number of the block that calls. */
  readonly #called: ReadonlyMap<number, number>;
  /** Offsets that indirect jumps may lead to. */
  readonly #targets: ReadonlySet<number>;

  constructor(plan: RegionPlan, handlers: HandlerTable, registers: TouchedRegisters) {
    const blocks = blocksOf(plan);
    this.blocks = blocks;
    this.#targets = new Set(plan.targets);
    this.callees = [undefined, ...calleesOf(plan)];
    this.#numbers = this.callees.map((_, callee) => new Map(blocks.flatMap((block, number) => (block.callee === callee ? [[block.start, number]] : []))));
    this.#called = new Map(this.callees.flatMap((callee, n) => (callee ? [[callee.caller, blocks.findIndex((block) => block.callee === n)]] : [])));
    const instructions = blocks.map(({ records }) =>
      Array.from({ length: records.byteLength / RECORD_SIZE }, (_, n) => handlers.at(records.getUint16(n * RECORD_SIZE, true)) as Handler));
    const transfers = blocks.map((block, number) => this.#transferOf(block, number, (instructions[number] as readonly Handler[]).at(-1)?.mnemonic ?? ''));
    const dispatches = instructions.map((list, number) => {
      const { records, stops, callee } = blocks[number] as PlannedBlock;
      return !stops && callee === 0 && isDispatch(records, records.byteLength - RECORD_SIZE, list.at(-1) as Handler);
    });
    const edges = blocks.map((block, number) => this.#edgesOf(block, number, transfers[number] as Transfer, dispatches[number] as boolean));
    const flow = analyse(edges, instructions.map(({ length }) => length));
    this.x87 = planX87(instructions, blocks.map(({ records }) => records), edges);
    this.entries = [0, ...(this.x87 === undefined ? this.#entriesBehindCalls(plan, flow) : [])];
    this.root = 0;
    if (this.entries.length > 1) {
      this.root = blocks.push({ start: -1, end: -1, stops: false, crosses: false, records: new DataView(new ArrayBuffer(0)), address: 0, callee: 0 }) - 1;
      instructions.push([]);
      transfers.push('none');
      dispatches.push(false);
      edges.push(this.entries.toReversed().map((to) => ({ to, isCall: true })));
    }
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
    // Calls are the last in their blocks; what becomes a jump to a callee of the region is none.
    const elsewhere = instructions.map((list, number) =>
      list.map((handler, n) => isExecutedElsewhere(handler) || (n === list.length - 1 && CALLS.has(transfers[number] as Transfer))));
    this.clobbers = instructions.map((list, number) => list.some((handler, n) => elsewhere[number]?.[n] || OTHER_TLB.has(handler.mnemonic)));
    this.dirty = this.#dirtyAtStart(elsewhere, registers);
    this.accesses = blocks.map(({ records }, number) => accessesOf(instructions[number] as Handler[], records));
    this.needsFlags = flagsNeeded(
      this.effects,
      blocks.map(({ stops }, number) => (stops ? 'exits' : this.#staysInside(number) ? 'none' : 'reads')),
      this.edges,
      (from, to) => (this.flow.isForeign(from, to) ? 'reads' : this.flow.isBack(from, to) ? 'exits' : 'none'),
    );
  }

  /** Calls, and what is executed elsewhere, find everything in the state block, and what comes back is loaded from there. */
  #dirtyAtStart(elsewhere: readonly (readonly boolean[])[], registers: TouchedRegisters): readonly number[] {
    const added = this.blocks.map(({ records }, number) => (elsewhere[number] as readonly boolean[]).reduce(
      (dirty, isElsewhere, n) => (isElsewhere ? 0 : dirty | registers.changedBy(records, n * RECORD_SIZE)), 0));
    const synchronizes = elsewhere.map((list) => list.includes(true));
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

  /** The block that starts at an offset of the page, or in a callee. */
  numberAt(offset: number, callee = 0): number | undefined {
    return this.#numbers[callee]?.get(offset);
  }

  /** The callee whose first block it is. */
  enteredAt(number: number): PlannedCallee | undefined {
    const callee = this.callees[(this.blocks[number] as PlannedBlock).callee];
    return callee && this.#called.get(callee.caller) === number ? callee : undefined;
  }

  /** The first block of the callee that a block calls. */
  calledBy(number: number): number | undefined {
    return this.#called.get(number);
  }

  /** Offset in the region's page where it goes on when the callee that a block belongs to returns. */
  returnOf({ callee }: PlannedBlock): number {
    return (this.blocks[(this.callees[callee] as PlannedCallee).caller] as PlannedBlock).end;
  }

  /** To callees control goes as in jumps; what they jump to returns to their caller. */
  #transferOf({ records, callee }: PlannedBlock, number: number, mnemonic: string): Transfer {
    const transfer = transferOf(mnemonic);
    if (this.#called.has(number)) return 'jump';
    const leaves = transfer === 'leave' || (transfer === 'jump' && targetOf(records, records.byteLength - RECORD_SIZE) === undefined);
    return callee > 0 && leaves ? 'indirect-call' : transfer;
  }

  /** Control goes from the block to one of this region, and to no other place. */
  #staysInside(number: number): boolean {
    const transfer = this.transfers[number] as Transfer;
    return (transfer === 'none' || transfer === 'jump' || transfer === 'return') && (this.edges[number] as readonly Edge[]).length > 0;
  }

  /** Not in a loop: with a second entry it would be none. */
  #entriesBehindCalls({ entries }: RegionPlan, { isLoopHeader, loopOf }: Flow): number[] {
    const inLoops = new Set(isLoopHeader.flatMap((isHeader, number) => (isHeader ? loopOf(number) : [])));
    return Array.from(entries, (offset) => this.numberAt(offset) as number).filter((number) => !inLoops.has(number));
  }

  #edgesOf(block: PlannedBlock, number: number, transfer: Transfer, dispatches: boolean): Edge[] {
    if (block.stops) return [];
    const called = this.#called.get(number);
    if (called !== undefined) return [{ to: called, isCall: false }];
    if (dispatches) return [...this.#targets].map((offset) => ({ to: this.numberAt(offset) as number, isCall: false }));
    const view = block.records;
    const isCall = CALLS.has(transfer);
    const last = view.byteLength - RECORD_SIZE;
    if (block.callee > 0 && (isCall || transfer === 'return')) {
      const to = this.numberAt(this.returnOf(block));
      return to === undefined ? [] : [{ to, isCall }];
    }
    const offsets: number[] = [];
    if (transfer === 'conditional' || transfer === 'jump') {
      const target = targetOf(view, last);
      if (target !== undefined) offsets.push(target);
    }
    if (transfer !== 'jump' && transfer !== 'return' && transfer !== 'leave') offsets.push(block.end);
    return offsets.flatMap((offset) => {
      const to = this.numberAt(offset, block.callee);
      return to === undefined ? [] : [{ to, isCall }];
    });
  }
}
