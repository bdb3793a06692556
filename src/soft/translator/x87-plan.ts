/** How the x87 stack moves within a region: what x87-locals.ts must know before anything is generated. */
import { BASE, IMM, RECORD_SIZE, REG } from '../../x86/record.ts';
import { X87 } from '../../x86/state.ts';
import type { Handler } from '../handlers.ts';
import type { Edge } from './flow.ts';

export interface X87Plan {
  /** Registers that the region touches, as a bit set relative to TOP at its entry. */
  readonly touched: number;
  /** Where TOP is at the start of each block, relative to TOP at the entry or behind the last call. */
  readonly topAt: readonly number[];
}

/** With fewer instructions than this, loading and storing the registers costs more than it gains. */
const WORTH_IT = 3;
const REGISTERS = 8;
const ALL = (1 << REGISTERS) - 1;
const BYTES = REGISTERS * 16;

/**
 * Undefined when the unit stays in the state block: the region has hardly anything of it, or MMX instructions, which know its
 * registers by their own numbers.
 */
export function planX87(blocks: readonly (readonly Handler[])[], records: readonly DataView[], edges: readonly (readonly Edge[])[]): X87Plan | undefined {
  const isX87 = ({ semantics }: Handler): boolean => semantics.popped !== undefined;
  if (blocks.reduce((count, block) => count + block.filter(isX87).length, 0) < WORTH_IT) return undefined;
  if (blocks.some((block, b) => block.some((handler, n) => !isX87(handler) && usesMmx(handler, records[b] as DataView, n * RECORD_SIZE)))) return undefined;

  const topAt = new Array<number>(blocks.length).fill(-1);
  let touched = 0;
  const visit = (number: number, entryTop: number): void => {
    topAt[number] = entryTop;
    let top = entryTop;
    for (const [n, handler] of (blocks[number] as readonly Handler[]).entries()) {
      if (!isX87(handler)) continue;
      touched |= rotated(touchedBy(handler, records[number] as DataView, n * RECORD_SIZE), top);
      top = (top + (handler.semantics.popped as number)) & (REGISTERS - 1);
    }
    for (const { to, isCall } of edges[number] as readonly Edge[]) {
      // what is behind a call is relative to where the callee left TOP
      const next = isCall ? 0 : top;
      if (topAt[to] === -1) pending.push([to, next]);
      else if (topAt[to] !== next) touched = ALL; // the registers are moved there
    }
  };
  const pending: [number, number][] = [[0, 0]];
  for (let next = pending.pop(); next !== undefined; next = pending.pop()) {
    const [number, top] = next;
    if (topAt[number] === -1) visit(number, top);
    else if (topAt[number] !== top) touched = ALL;
  }
  return { touched, topAt };
}

/** Relative to TOP: ST(0) and ST(1), which are named by no operand; the operand of register forms; the register that is pushed. */
function touchedBy({ semantics }: Handler, records: DataView, record: number): number {
  const FIRST_REGISTER_FORM = 0xc0;
  const modrm = records.getUint8(record + IMM);
  const operand = modrm >= FIRST_REGISTER_FORM ? 1 << (modrm & (REGISTERS - 1)) : 0;
  return 0b11 | operand | (semantics.popped === -1 ? 1 << (REGISTERS - 1) : 0);
}

const rotated = (set: number, by: number): number => ((set << by) | (set >> (REGISTERS - by))) & ALL;

function usesMmx({ mnemonic, shape }: Handler, records: DataView, record: number): boolean {
  const isRegister = (field: number): boolean => {
    const distance = records.getUint16(record + field, true) - X87;
    return distance >= 0 && distance < BYTES;
  };
  return mnemonic === 'emms' || isRegister(REG) || (!shape.memory && isRegister(BASE));
}
