/** A region seen as a graph of blocks, and what is known about each before anything is generated. */
import { RECORD_SIZE } from '../../x86/record.ts';
import type { Handler, HandlerTable } from '../handlers.ts';
import { type FlagNeed, flagsNeeded } from './flag-use.ts';
import { analyse, type Edge, type Flow } from './flow.ts';
import { blocksOf, isDispatch, type PlannedBlock, type RegionPlan, targetOf, type Transfer, transferOf } from './plan.ts';
import type { Effect, TouchedRegisters } from './registers.ts';
import { type Access, accessesOf } from './windows.ts';
import { planX87, type X87Plan } from './x87-plan.ts';

const CLOBBERS = new Set(['call', 'call_rel', 'system', 'stac', 'clac']);

export class RegionGraph {
  readonly blocks: readonly PlannedBlock[];
  readonly transfers: readonly Transfer[];
  /** Blocks that end with an indirect jump that may lead to others of the region. */
  readonly dispatches: readonly boolean[];
  readonly edges: readonly (readonly Edge[])[];
  readonly flow: Flow;
  readonly needsFlags: readonly FlagNeed[];
  readonly effects: readonly (readonly Effect[])[];
  /** General registers that each block changes. */
  readonly changed: readonly number[];
  /** A call or a system operation is in it: nothing is as it was. */
  readonly clobbers: readonly boolean[];
  /** Accesses to memory at a constant distance from a general register. */
  readonly accesses: readonly (readonly Access[])[];
  readonly x87: X87Plan | undefined;
  readonly #numbers: ReadonlyMap<number, number>;
  /** Offsets that indirect jumps may lead to. */
  readonly #targets: ReadonlySet<number>;

  constructor(plan: RegionPlan, handlers: HandlerTable, registers: TouchedRegisters) {
    const blocks = blocksOf(plan);
    this.blocks = blocks;
    this.#targets = new Set(plan.targets);
    this.#numbers = new Map(blocks.map(({ start }, number) => [start, number]));
    const instructions = blocks.map(({ records }) =>
      Array.from({ length: records.byteLength / RECORD_SIZE }, (_, n) => handlers.at(records.getUint16(n * RECORD_SIZE, true)) as Handler));
    this.transfers = instructions.map((list) => transferOf(list.at(-1)?.mnemonic ?? ''));
    this.dispatches = instructions.map((list, number) => {
      const { records, stops } = blocks[number] as PlannedBlock;
      return !stops && isDispatch(records, records.byteLength - RECORD_SIZE, list.at(-1) as Handler);
    });
    this.edges = blocks.map((block, number) => this.#edgesOf(block, number));
    this.flow = analyse(this.edges, instructions.map(({ length }) => length));
    this.x87 = planX87(instructions, blocks.map(({ records }) => records), this.edges);
    this.effects = blocks.map(({ records }) =>
      Array.from({ length: records.byteLength / RECORD_SIZE }, (_, n) => registers.effectOf(records, n * RECORD_SIZE)));
    this.changed = blocks.map(({ records }) => {
      let changed = 0;
      for (let record = 0; record < records.byteLength; record += RECORD_SIZE) changed |= registers.changedBy(records, record);
      return changed;
    });
    this.clobbers = instructions.map((list) => list.some(({ mnemonic, semantics }) => CLOBBERS.has(mnemonic) || semantics.repeats));
    this.accesses = blocks.map(({ records }, number) => accessesOf(instructions[number] as Handler[], records));
    this.needsFlags = flagsNeeded(
      this.effects,
      blocks.map(({ stops }, number) => (stops ? 'exits' : this.#staysInside(number) ? 'none' : 'reads')),
      this.edges,
      (from, to) => (this.flow.isForeign(from, to) ? 'reads' : this.flow.isBack(from, to) ? 'exits' : 'none'),
    );
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

  #edgesOf(block: PlannedBlock, number: number): Edge[] {
    if (block.stops) return [];
    if (this.dispatches[number]) return [...this.#targets].map((offset) => ({ to: this.numberAt(offset) as number, isCall: false }));
    const transfer = this.transfers[number] as Transfer;
    const view = block.records;
    const offsets: number[] = [];
    if (transfer === 'conditional' || transfer === 'jump') {
      const target = targetOf(view, view.byteLength - RECORD_SIZE);
      if (target !== undefined) offsets.push(target);
    }
    if (transfer !== 'jump' && transfer !== 'return' && transfer !== 'leave') offsets.push(block.end);
    const isCall = transfer === 'call' || transfer === 'indirect-call';
    return offsets.flatMap((offset) => {
      const to = this.numberAt(offset);
      return to === undefined ? [] : [{ to, isCall }];
    });
  }
}
