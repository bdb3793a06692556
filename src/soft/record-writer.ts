/**
 * Decoded instructions as records (x86/record.ts).
 *
 * What is rare is prepared by a micro-operation in front: addresses of unusual width, accesses through segments that are not
 * flat. The instruction itself then uses PREPARED as its base, and the common handlers stay simple.
 */
import { BASE_RIP, type Decoded, NO_REGISTER } from '../x86/decoder.ts';
import * as R from '../x86/record.ts';
import * as S from '../x86/state.ts';
import type { InstructionRow, OperandCode } from '../x86/table.ts';
import type { Core } from './core.ts';
import { HANDLER_END, HANDLER_MICRO, HANDLER_SYSTEM, type HandlerTable } from './handlers.ts';
import { SYSTEM_NUMBER } from './interpreter.ts';
import { memoryBytes, readsOnly } from './micro-operations.ts';

/** Records one instruction can need: two micro-operations and itself. */
export const RECORDS_PER_INSTRUCTION = 3;

/** Instructions that name memory and do not touch it. */
const ADDRESS_ONLY = /^(lea|nop|ud)$/;
const BIT_STRING = /^bt[src]?$/;

/** What of a row decides how its instructions are written down. */
interface RowFacts {
  readonly isString: boolean;
  readonly isAddressOnly: boolean;
  /** The index moves the operand where it is memory. */
  readonly isBitString: boolean;
  readonly rm: OperandCode | undefined;
  readonly reg: OperandCode | undefined;
  /** Handlers by size, kind of operand and condition; {@link UNKNOWN_HANDLER} until it was asked for. */
  readonly handlers: Int16Array;
}
const UNKNOWN_HANDLER = -2;

const factsOf = (row: InstructionRow): RowFacts => ({
  isString: row.attributes.has('string'),
  isAddressOnly: ADDRESS_ONLY.test(row.mnemonic),
  isBitString: BIT_STRING.test(row.mnemonic) && row.operands[1]?.kind === 'G',
  rm: row.operands.find(({ role }) => role === 'rm'),
  reg: row.operands.find(({ role }) => role === 'reg'),
  handlers: new Int16Array(8 * 2 * 16).fill(UNKNOWN_HANDLER),
});

export class RecordWriter {
  readonly #core: Core;
  readonly #handlerTable: HandlerTable;
  readonly #facts = new Map<InstructionRow, RowFacts>();

  constructor(core: Core, handlers: HandlerTable) {
    this.#core = core;
    this.#handlerTable = handlers;
  }

  /** The end of a block: `offset` in its page is where it would go on. */
  end(record: number, offset: number): void {
    this.write(record, HANDLER_END, 0, offset, S.ZERO, S.ZERO, S.ZERO, S.ZERO, 0);
  }

  /** A record that stands for one operation in TypeScript; returns where the next one goes. */
  system(record: number, offset: number, name: string): number {
    this.write(record, HANDLER_SYSTEM, 1, offset, S.ZERO, S.ZERO, S.ZERO, S.ZERO, 0);
    this.#core.i32[(record + R.LINK) >>> 2] = SYSTEM_NUMBER.get(name) as number;
    return record + R.RECORD_SIZE;
  }

  /** A record without immediate, displacement and link. */
  write(record: number, handler: number, length: number, offset: number, base: number, index: number, segment: number, reg: number, info: number): void {
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

  /** The records of a decoded instruction at `offset` in its page; returns where the next one goes. */
  instruction(first: number, offset: number, mode: number, d: Decoded): number {
    const { row } = d;
    const { i32, u8 } = this.#core;
    const facts = this.#factsOf(row);
    const { isString } = facts;
    const segmented = (mode & S.MODE_SEGMENTED) !== 0;
    const isCheckedExtra = (mode & (d.segment === S.FS ? S.MODE_FS_CHECKED : d.segment === S.GS ? S.MODE_GS_CHECKED : 0)) !== 0;
    const isCheckedString = isString && (segmented || isCheckedExtra);
    const name = isCheckedString
      ? row.mnemonic.slice(row.mnemonic.indexOf('_') + 1)
      : row.mnemonic === 'cmpxchg8b' && d.size === 3 ? 'cmpxchg16b' : row.mnemonic;
    const absent = this.#absence(row, name, mode);
    if (absent !== undefined) return this.system(first, offset, absent);
    // The index moves such an operand: what must be checked, or wraps, is known when it has.
    const isBitString = facts.isBitString && d.isMemory && (isCheckedExtra || segmented || d.addressBits === 16);
    const handler = !isCheckedString && !isBitString ? this.#handler(row, facts, d.size, d.isMemory ? 1 : 0, row.conditional ? d.opcode & 15 : 0) : -1;
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
      const checked = !facts.isAddressOnly && !isBitString && !is64 && isLimited;
      const usual = is64 ? 64 : 32;
      if (checked || overflows || (d.addressBits !== usual && !isBitString) || d.displacementHigh !== d.displacement >> 31) {
        const operation = checked ? 'check_segment' : d.addressBits !== usual ? 'prepare_address' : overflows ? 'prepare_far' : 'prepare_absolute';
        const bytes = memoryBytes(row, d.size);
        // POP addresses with the stack pointer as it is behind what it pops (SDM 2B, POP), and this runs before it
        if (row.mnemonic === 'pop' && d.base === S.RSP) displacement += 1 << d.size;
        this.write(record, HANDLER_MICRO, d.length, offset, base, index, S.ZERO, S.ZERO, info);
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
      this.write(record, HANDLER_MICRO, d.length, offset, S.ZERO, S.ZERO, S.ZERO, S.ZERO, info);
      i32[(record + R.IMM) >>> 2] = row.stack << d.size;
      i32[(record + R.LINK) >>> 2] = SYSTEM_NUMBER.get('check_stack') as number;
      record += R.RECORD_SIZE;
    }
    const { rm, reg } = facts;
    if (!d.isMemory) {
      if (rm) base = registerOffset(rm, d.rm, rm.kind === 'A' || rm.kind === 'Z' || rm.kind === 'E' ? operandLog2(rm, d.size) : d.size, d.hasRex);
    }
    this.write(
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
    this.#special(word, name, isString, d);
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
  #special(word: number, name: string, isString: boolean, d: Decoded): void {
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

  #factsOf(row: InstructionRow): RowFacts {
    const known = this.#facts.get(row);
    if (known !== undefined) return known;
    const facts = factsOf(row);
    this.#facts.set(row, facts);
    return facts;
  }

  #handler(row: InstructionRow, { handlers }: RowFacts, size: number, memory: 0 | 1, condition: number): number {
    const slot = (size * 2 + memory) * 16 + condition;
    if (handlers[slot] === UNKNOWN_HANDLER) handlers[slot] = this.#handlerTable.numberOf(row, size, memory, condition);
    return handlers[slot] as number;
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
