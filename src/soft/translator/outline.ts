/** The interpreter's decoded records read as blocks of a graph: where each ends, and how it goes on. */
import { IMM, INDEX, INFO, INFO_SIZE, LENGTH, LINK, OFFSET, RECORD_SIZE } from '../../x86/record.ts';
import { ZERO } from '../../x86/state.ts';
import { type Handler, HANDLER_MICRO, HANDLER_SYSTEM, type HandlerTable } from '../handlers.ts';
import { SYSTEM_MNEMONICS } from '../system-operations.ts';

const PAGE = 4096;
/** INFO_SIZE of 16-bit operands. */
const LOG2_OF_2 = 1;

/** Where the interpreter's control went in a page again and again, by no link: what an indirect jump at this offset may lead to. */
export type SoughtAround = (offset: number) => readonly number[];

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

/** A system operation or a repeated string: it finds everything in the state block, and changes it there. */
export const isExecutedElsewhere = ({ mnemonic, semantics }: Handler): boolean => mnemonic === 'system' || semantics.repeats === true;

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
  const target = farTargetOf(view, record);
  return target !== undefined && target >= 0 && target < PAGE ? target : undefined;
}

/** The same, on whatever page. */
export function farTargetOf(view: DataView, record: number): number | undefined {
  if ((view.getUint16(record + INFO, true) & INFO_SIZE) === LOG2_OF_2) return undefined;
  return view.getUint16(record + OFFSET, true) + view.getUint8(record + LENGTH) + Number(view.getBigInt64(record + IMM, true));
}

export interface Found {
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

/** The blocks of a page that are reached from one of them, itself first, and where they start. */
export function blocksFrom(
  entry: number, mostBlocks: number, mostInstructions: number, blockAt: (start: number) => Found | undefined,
): { readonly found: readonly Found[]; readonly starts: ReadonlySet<number> } {
  const found: Found[] = [];
  const seen = new Set([entry]);
  const queue = [entry];
  let instructions = 0;
  for (const start of queue) {
    if (found.length === mostBlocks || instructions > mostInstructions) break;
    const block = blockAt(start);
    if (block === undefined || block.count === 0) continue;
    found.push(block);
    instructions += block.count;
    for (const next of block.successors) {
      if (next >= PAGE || seen.has(next)) continue;
      seen.add(next);
      queue.push(next);
    }
  }
  return { found, starts: new Set(found.map(({ start }) => start)) };
}

export function outline(view: DataView, handlers: HandlerTable, soughtAround: SoughtAround, start: number, first: number): Found {
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
    return { start, record, count, end, stops, crosses, dispatches, calls, successors: stops || count === 0 ? [] : successors(view, handlers, soughtAround, at - RECORD_SIZE, end) };
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

function successors(view: DataView, handlers: HandlerTable, soughtAround: SoughtAround, last: number, end: number): readonly number[] {
  const handler = handlers.at(view.getUint16(last, true));
  if (handler !== undefined && isDispatch(view, last, handler)) return soughtAround(view.getUint16(last + OFFSET, true));
  const transfer = transferOf(handler?.mnemonic ?? '');
  const target = transfer === 'conditional' || transfer === 'jump' ? targetOf(view, last) : undefined;
  const next = transfer === 'jump' || transfer === 'return' || transfer === 'leave' ? [] : [end];
  return target === undefined ? next : [target, ...next];
}

/** A block that runs into the start of another one ends there. */
export function cut(view: DataView, block: Found, starts: ReadonlySet<number>): Found {
  for (let count = 1; count < block.count; count++) {
    const end = view.getUint16(block.record + count * RECORD_SIZE + OFFSET, true);
    if (starts.has(end)) return { ...block, count, end, stops: false, dispatches: false, calls: false };
  }
  return block;
}
