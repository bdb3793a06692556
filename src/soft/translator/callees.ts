/**
 * Short functions as part of the regions that call them: what tells position-independent code where it is, entries of procedure linkage
 * tables, and whatever else takes less time than being called does. They may lie on another page: whoever enters one asks the fetch TLB
 * whether the page is still there, and a word in memory whether its code is still what it was (Blocks.guardOf).
 */
import type { Handler, HandlerTable } from '../handlers.ts';
import { RECORD_SIZE } from '../../x86/record.ts';
import { blocksFrom, CALLS, cut, farTargetOf, type Found, isExecutedElsewhere, outline, targetOf, transferOf } from './outline.ts';
import type { KnownBlocks, PlannedCallee } from './plan.ts';

const PAGE = 4096;
const MOST_BLOCKS = 12;
const MOST_INSTRUCTIONS = 64;
/** Of all callees of a region. */
const MOST_CALLED_INSTRUCTIONS = 400;
/** Distances are kept in 32 bits. */
const FARTHEST = 2 ** 31;

interface Callee extends PlannedCallee {
  readonly body: readonly Found[];
}

/** What the blocks of a region call that can be part of it. */
export function planCallees(view: DataView, handlers: HandlerTable, blocks: KnownBlocks, own: readonly Found[]): Callee[] {
  const callees: Callee[] = [];
  let instructions = 0;
  for (const [caller, block] of own.entries()) {
    const last = block.record + (block.count - 1) * RECORD_SIZE;
    if (!block.calls || handlers.at(view.getUint16(last, true))?.mnemonic !== 'call_rel') continue;
    const target = farTargetOf(view, last);
    if (target === undefined) continue;
    const distance = Math.floor(target / PAGE) * PAGE;
    if (Math.abs(distance) >= FARTHEST) continue;
    const other = distance === 0 ? undefined : blocks.pageAt(distance);
    if (distance !== 0 && other === undefined) continue;
    const body = bodyOf(view, handlers, (offset) => (other ?? blocks).recordAt(offset), target - distance);
    if (body === undefined) continue;
    instructions += body.reduce((sum, { count }) => sum + count, 0);
    if (instructions > MOST_CALLED_INSTRUCTIONS) break;
    const guard = other?.guard() ?? 0;
    if (distance !== 0 && guard === 0) continue;
    callees.push({ caller, distance, guard, body });
  }
  return callees;
}

/** The blocks of a short function that calls nothing; undefined when it is none, or has never been seen to return. */
function bodyOf(view: DataView, handlers: HandlerTable, recordAt: (offset: number) => number, entry: number): readonly Found[] | undefined {
  let isShort = true;
  const { found, starts } = blocksFrom(entry, MOST_BLOCKS + 1, MOST_INSTRUCTIONS, (start) => {
    const record = recordAt(start);
    if (record === 0) return undefined;
    const block = outline(view, handlers, () => [], start, record);
    isShort &&= isPlain(view, handlers, block);
    return block;
  });
  const instructions = found.reduce((sum, { count }) => sum + count, 0);
  const returns = found.some(({ successors }) => successors.length === 0);
  if (!isShort || !returns || found[0]?.start !== entry || found.length > MOST_BLOCKS || instructions > MOST_INSTRUCTIONS) return undefined;
  return found.map((block) => cut(view, block, starts));
}

/** Nothing that is executed elsewhere, and at its end nothing but branches, returns and jumps. */
function isPlain(view: DataView, handlers: HandlerTable, { record, count, stops, crosses }: Found): boolean {
  if (stops || crosses) return false;
  for (let n = 0; n < count; n++) {
    const at = record + n * RECORD_SIZE;
    const handler = handlers.at(view.getUint16(at, true)) as Handler;
    const transfer = transferOf(handler.mnemonic);
    const isX87 = handler.semantics.popped !== undefined;
    if (isExecutedElsewhere(handler) || isX87 || transfer === 'mode' || CALLS.has(transfer)) return false;
    if (transfer === 'leave' && handler.mnemonic !== 'jmp') return false;
    if (transfer === 'conditional' && targetOf(view, at) === undefined) return false;
  }
  return true;
}
