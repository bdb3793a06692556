/** Operations that the decoder makes up: they prepare an unusual address for the instruction behind them, or stand for one that cannot be. */
import { DISP, IMM, INDEX, BASE, SCALE } from '../x86/record.ts';
import * as S from '../x86/state.ts';
import type { InstructionRow } from '../x86/table.ts';
import { GENERAL_PROTECTION } from '../x86/vectors.ts';
import { PAGE } from './access.ts';
import { type Core, GUEST_FAULT } from './core.ts';

/** PREPARED ← (base + index·scale + displacement) modulo the address size, which is the upper half of the immediate. */
function prepareAddress(core: Core, record: number): void {
  const base = core.getSigned32(core.u16[(record + BASE) >>> 1] as number);
  const index = core.getSigned32(core.u16[(record + INDEX) >>> 1] as number);
  const sum = base + (index << (core.u8[record + SCALE] as number)) + (core.i32[(record + DISP) >>> 2] as number);
  const word = (core.base + S.PREPARED) >>> 2;
  core.i32[word] = sum & (core.i32[(record + IMM + 4) >>> 2] as number);
  core.i32[word + 1] = 0;
}

/** PREPARED ← a 64-bit offset: low half in DISP, high half in the immediate. */
function prepareAbsolute(core: Core, record: number): void {
  const word = (core.base + S.PREPARED) >>> 2;
  core.i32[word] = core.i32[(record + DISP) >>> 2] as number;
  core.i32[word + 1] = core.i32[(record + IMM) >>> 2] as number;
}

/** PREPARED ← page of the code + a displacement that has wrapped around 2^31. */
function prepareFar(core: Core, record: number): void {
  const displacement = BigInt(core.i32[(record + DISP) >>> 2] as number) + 0x1_0000_0000n;
  core.set64(S.PREPARED, core.get64(S.CODE_PAGE) + displacement);
}

/** Before an instruction across two pages: what follows was decoded with this host page (low half of the immediate) as the second one. */
function checkCrossing(core: Core, record: number): void {
  const word = (core.base + S.CODE_PAGE) >>> 2;
  const low = ((core.i32[word] as number) + PAGE) | 0;
  const high = core.i32[word + 1] as number;
  const host = core.mmu.fetchSlow(low, low === 0 && core.is64Bit ? (high + 1) | 0 : high);
  if (host === 0) throw GUEST_FAULT;
  if (host === core.i32[(record + IMM) >>> 2]) return;
  core.onStaleCrossing();
  core.jumpTo(core.getCanonical(S.RIP));
}

export const MICRO_OPERATIONS: Readonly<Record<string, (core: Core, record: number) => void>> = {
  prepare_address: prepareAddress,
  prepare_absolute: prepareAbsolute,
  prepare_far: prepareFar,
  check_crossing: checkCrossing,
  /** SDM 2A §2.3.11. */
  instruction_too_long: (core) => core.raise(GENERAL_PROTECTION, 0),
};

const READ_ONLY = new Set([
  'cmp', 'test', 'push', 'call', 'jmp', 'mul', 'imul', 'div', 'idiv', 'bt', 'lgdt', 'lidt', 'lmsw', 'lldt', 'ltr', 'verr', 'verw',
  'mov_to_sreg', 'invlpg', 'call_far_memory', 'jmp_far_memory', 'fxrstor', 'ldmxcsr', 'fldenv', 'frstor', 'fldcw', 'fbld', 'xrstor', 'clflush',
]);

/** Whether the memory operand is only read, so that a read-only segment will do. */
export function readsOnly(row: InstructionRow): boolean {
  if (row.operands[0]?.role !== 'rm' || row.attributes.has('reversed')) return true;
  if (row.attributes.has('x87')) return !row.attributes.has('writes');
  return READ_ONLY.has(row.mnemonic);
}

const UNSIZED: Readonly<Record<string, number>> = {
  sgdt: 6, sidt: 6, lgdt: 6, lidt: 6, fxsave: 512, fxrstor: 512, xsave: 576, xsaveopt: 576, xsavec: 576, xrstor: 576,
  cmpxchg8b: 8, invlpg: 1, invpcid: 16, sldt: 2, str: 2, smsw: 2, mov_from_sreg: 2,
};
/** x87 images that are smaller with 16-bit operands (SDM 1 figures 8-9 to 8-12): the table has the smaller. */
const X87_IMAGES: ReadonlyMap<number, number> = new Map([[14, 28], [94, 108]]);

/** Bytes that the memory operand spans, for limit checks. */
export function memoryBytes(row: InstructionRow, sizeLog2: number): number {
  const operand = row.operands.find((o) => o.role === 'rm');
  switch (operand?.size) {
    case 'b': return 1;
    case 'w': return 2;
    case 'd': return 4;
    case 'q': return 8;
    case 'x': return 16;
  }
  const unsized = UNSIZED[row.mnemonic];
  if (unsized !== undefined) return unsized;
  const size = 1 << sizeLog2;
  if (row.attributes.has('x87')) {
    const bytes = Number([...row.attributes].find((attribute) => attribute.startsWith('bytes:'))?.slice('bytes:'.length));
    return size === 2 ? bytes : (X87_IMAGES.get(bytes) ?? bytes);
  }
  if (row.mnemonic.endsWith('far_memory') || row.mnemonic.startsWith('les_')) return size + 2;
  return row.mnemonic === 'bound' ? size * 2 : size;
}
