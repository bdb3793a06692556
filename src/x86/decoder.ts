/**
 * The instruction decoder: bytes → one reused {@link Decoded}, for every mode (SDM 2A chapter 2). It knows the instruction
 * table and nothing of engines; interpreter, disassembler and tests share it. Never throws, never reads beyond what it is given.
 *
 * Not modelled: VEX, EVEX, XOP (reported as undefined).
 */
import { INSTRUCTIONS } from './instructions.ts';
import { FIRST_X87_OPCODE, LAST_X87_OPCODE, x87Opcode } from './instructions-x87.ts';
import { CS, DS, ES, FS, GS, SS } from './state.ts';
import type { InstructionRow, OperandCode } from './table.ts';

export const DECODE_NEEDS_MORE = 0;
export const DECODE_UNDEFINED = -1;
/** More than 15 bytes: #GP(0) (SDM 2A §2.3.11). */
export const DECODE_TOO_LONG = -2;

/** RIP as a base register. */
export const BASE_RIP = 16;
export const NO_REGISTER = -1;
const LONGEST = 15;

export class Decoded {
  row: InstructionRow = INSTRUCTIONS[0] as InstructionRow;
  length = 0;
  /** log2 of the operand size in bytes. */
  size = 2;
  /** 16, 32 or 64. */
  addressBits = 32;
  isMemory = false;
  base: number = NO_REGISTER;
  index: number = NO_REGISTER;
  /** log2. */
  scale = 0;
  displacement = 0;
  /** Upper half of a 64-bit absolute offset (MOV moffs). */
  displacementHigh = 0;
  /** Segment of the memory operand. */
  segment: number = DS;
  /** ModRM.rm or the opcode's register, with REX.B. */
  rm = 0;
  /** ModRM.reg with REX.R. */
  reg = 0;
  modRm = 0;
  opcode = 0;
  hasRex = false;
  immediate = 0;
  immediateHigh = 0;
  /** ENTER's level; the selector of a far pointer. */
  secondImmediate = 0;
  hasLock = false;
  hasRep = false;
  hasRepne = false;
}

/** Rows that can match, most demanding prefix first, by map × opcode. */
const CANDIDATES: readonly (readonly InstructionRow[])[] = (() => {
  const table: InstructionRow[][] = Array.from({ length: 1024 }, () => []);
  for (const row of INSTRUCTIONS) (table[row.map * 256 + row.opcode] as InstructionRow[]).push(row);
  const rank = (row: InstructionRow): number => (row.exact >= 0 ? 4 : 0) + (row.prefix !== 0 ? 2 : 0) + (row.modRm !== 'any' ? 1 : 0);
  for (const rows of table) rows.sort((a, b) => rank(b) - rank(a));
  return table;
})();
const HAS_MODRM: readonly boolean[] = CANDIDATES.map((rows) => rows.some((row) => row.hasModRm));

const LEGACY_16_BASE = [3, 3, 5, 5, 6, 7, 5, 3] as const;
const LEGACY_16_INDEX = [6, 7, 6, 7, NO_REGISTER, NO_REGISTER, NO_REGISTER, NO_REGISTER] as const;

export class Decoder {
  readonly out: Decoded = new Decoded();
  #bytes: Uint8Array = new Uint8Array(0);
  #at = 0;
  #end = 0;
  #short = false;
  #codeIs64 = false;

  /**
   * Decodes at `bytes[at]`, looking at no more than `available` bytes. `codeBits`: 16, 32 or 64. Returns the length, or one
   * of the DECODE_… constants.
   */
  decode(bytes: Uint8Array, at: number, available: number, codeBits: 16 | 32 | 64, protectedMode: boolean): number {
    const out = this.out;
    this.#bytes = bytes;
    this.#at = at;
    this.#end = at + Math.min(available, LONGEST);
    this.#short = false;
    this.#codeIs64 = codeBits === 64;
    let operandPrefix = false;
    let addressPrefix = false;
    let rex = 0;
    let override: number = NO_REGISTER;
    out.hasLock = false;
    out.hasRep = false;
    out.hasRepne = false;
    let opcode = 0;
    for (;;) {
      opcode = this.#byte();
      if (this.#short) return this.#incomplete(available);
      if (codeBits === 64 && (opcode & 0xf0) === 0x40) {
        rex = opcode;
        continue;
      }
      switch (opcode) {
        case 0x26: override = codeBits === 64 ? override : ES; break;
        case 0x2e: override = codeBits === 64 ? override : CS; break;
        case 0x36: override = codeBits === 64 ? override : SS; break;
        case 0x3e: override = codeBits === 64 ? override : DS; break;
        case 0x64: override = FS; break;
        case 0x65: override = GS; break;
        case 0x66: operandPrefix = true; break;
        case 0x67: addressPrefix = true; break;
        case 0xf0: out.hasLock = true; break;
        case 0xf2: out.hasRepne = true; out.hasRep = false; break;
        case 0xf3: out.hasRep = true; out.hasRepne = false; break;
        default: {
          const length = this.#instruction(opcode, rex, operandPrefix, addressPrefix, override, codeBits, protectedMode);
          if (this.#short) return this.#incomplete(available);
          if (length > 0) out.length = length - at;
          return length > 0 ? length - at : length;
        }
      }
      rex = 0; // a REX prefix counts only directly before the opcode
    }
  }

  #incomplete(available: number): number {
    return available >= LONGEST ? DECODE_TOO_LONG : DECODE_NEEDS_MORE;
  }

  /** Returns the position behind the instruction, or DECODE_UNDEFINED. */
  #instruction(
    first: number, rex: number, operandPrefix: boolean, addressPrefix: boolean, override: number, codeBits: 16 | 32 | 64, protectedMode: boolean,
  ): number {
    const out = this.out;
    let map = 0;
    let opcode = first;
    if (opcode === 0x0f) {
      opcode = this.#byte();
      map = 1;
      if (opcode === 0x38 || opcode === 0x3a) {
        map = opcode === 0x38 ? 2 : 3;
        opcode = this.#byte();
      }
    }
    out.opcode = opcode;
    out.hasRex = rex !== 0;
    out.isMemory = false;
    out.addressBits = codeBits === 64 ? (addressPrefix ? 32 : 64) : (codeBits === 32) !== addressPrefix ? 32 : 16;
    const slot = map * 256 + opcode;
    if (HAS_MODRM[slot]) {
      if (this.#at >= this.#end) {
        this.#short = true;
        return 0;
      }
      out.modRm = this.#bytes[this.#at] as number;
    }
    const row = this.#match(CANDIDATES[slot] as readonly InstructionRow[], rex, operandPrefix, codeBits, protectedMode);
    if (this.#short) return 0;
    if (row === undefined) return DECODE_UNDEFINED;
    out.row = row;
    const rexW = (rex & 8) !== 0;
    out.size = operandSize(row, rexW, operandPrefix && row.prefix !== 0x66, codeBits);
    out.rm = (opcode & 7) | ((rex & 1) << 3);
    out.segment = override === NO_REGISTER ? DS : override;
    out.reg = 0;
    out.displacement = 0;
    if (row.hasModRm) {
      out.reg = ((out.modRm >> 3) & 7) | ((rex & 4) << 1);
      this.#modRm(rex, override, row.attributes.has('registers'));
    }
    out.displacementHigh = out.displacement >> 31;
    out.immediate = 0;
    out.immediateHigh = 0;
    let isSecond = false;
    for (const operand of row.operands) {
      switch (operand.kind) {
        case 'I': case 'J':
          if (isSecond) out.secondImmediate = this.#byte();
          else this.#immediate(operand, rexW, codeBits);
          isSecond = true;
          break;
        case '1': out.immediate = 1; break;
        case 'A': out.rm = 0; break;
        case 'O': this.#absolute(override); break;
        case 'F':
          out.displacement = out.size === 1 ? this.#word() : this.#long();
          out.secondImmediate = this.#word();
          break;
      }
    }
    if (map === 0 && opcode >= FIRST_X87_OPCODE && opcode <= LAST_X87_OPCODE) out.immediate = x87Opcode(opcode, out.modRm);
    if (out.hasLock && !(row.attributes.has('lock') && out.isMemory && row.operands[0]?.role === 'rm')) return DECODE_UNDEFINED;
    return this.#at;
  }

  #match(rows: readonly InstructionRow[], rex: number, operandPrefix: boolean, codeBits: number, protectedMode: boolean): InstructionRow | undefined {
    const out = this.out;
    for (const row of rows) {
      if (row.hasModRm) {
        if (row.exact >= 0 && row.exact !== out.modRm) continue;
        if (row.extension >= 0 && row.extension !== ((out.modRm >> 3) & 7)) continue;
        if (row.modRm === 'memory' && out.modRm >= 0xc0) continue;
        if (row.modRm === 'register' && out.modRm < 0xc0) continue;
      }
      if (row.prefix !== 0) {
        const repeat = out.hasRep ? 0xf3 : out.hasRepne ? 0xf2 : 0;
        const have = repeat !== 0 ? repeat : operandPrefix ? 0x66 : 1;
        if (have !== row.prefix) continue;
      }
      if (codeBits === 64 ? row.attributes.has('no64') : row.attributes.has('only64')) continue;
      if ((rex & 1) !== 0 && row.attributes.has('noRexB')) continue;
      if (!protectedMode && row.attributes.has('protected')) continue;
      return row;
    }
    return undefined;
  }

  #modRm(rex: number, override: number, registersOnly: boolean): void {
    const out = this.out;
    this.#at++;
    const mod = out.modRm >> 6;
    const rm = out.modRm & 7;
    if (mod === 3 || registersOnly) {
      out.rm = rm | ((rex & 1) << 3);
      return;
    }
    out.isMemory = true;
    out.index = NO_REGISTER;
    out.scale = 0;
    if (out.addressBits === 16) {
      out.base = LEGACY_16_BASE[rm] as number;
      out.index = LEGACY_16_INDEX[rm] as number;
      out.displacement = 0;
      if (mod === 1) out.displacement = (this.#byte() << 24) >> 24;
      else if (mod === 2) out.displacement = (this.#word() << 16) >> 16;
      else if (rm === 6) {
        out.base = NO_REGISTER;
        out.displacement = this.#word();
      }
      if (override === NO_REGISTER && out.base === 5) out.segment = SS;
      return;
    }
    let base: number = rm | ((rex & 1) << 3);
    if (rm === 4) {
      const sib = this.#byte();
      const index = ((sib >> 3) & 7) | ((rex & 2) << 2);
      out.index = index === 4 ? NO_REGISTER : index;
      out.scale = sib >> 6;
      base = (sib & 7) | ((rex & 1) << 3);
      if ((sib & 7) === 5 && mod === 0) base = NO_REGISTER;
    } else if (rm === 5 && mod === 0) base = this.#codeIs64 ? BASE_RIP : NO_REGISTER;
    out.base = base;
    if (mod === 1) out.displacement = (this.#byte() << 24) >> 24;
    else if (mod === 2 || base === NO_REGISTER || base === BASE_RIP) out.displacement = this.#long();
    else out.displacement = 0;
    if (override === NO_REGISTER && (base === 4 || base === 5)) out.segment = SS;
  }

  #immediate(operand: OperandCode, rexW: boolean, codeBits: number): void {
    const out = this.out;
    const signedByte = operand.size === 's' || operand.kind === 'J';
    switch (operand.size) {
      case 'b': case 's': {
        const byte = this.#byte();
        out.immediate = signedByte ? (byte << 24) >> 24 : byte;
        break;
      }
      case 'w': out.immediate = this.#word(); return;
      case 'v':
        if (rexW) {
          out.immediate = this.#long();
          out.immediateHigh = this.#long();
          return;
        }
        out.immediate = out.size === 1 ? this.#word() : this.#long();
        break;
      default: // z; near branches in 64-bit mode always have 32 bits (Intel)
        if (out.size === 1 && !(codeBits === 64 && operand.kind === 'J')) {
          const word = this.#word();
          out.immediate = operand.kind === 'J' ? (word << 16) >> 16 : word;
        } else out.immediate = this.#long();
    }
    out.immediateHigh = out.immediate >> 31;
  }

  #absolute(override: number): void {
    const out = this.out;
    out.isMemory = true;
    out.base = NO_REGISTER;
    out.index = NO_REGISTER;
    out.scale = 0;
    out.segment = override === NO_REGISTER ? DS : override;
    out.displacement = out.addressBits === 16 ? this.#word() : this.#long();
    out.displacementHigh = out.addressBits === 64 ? this.#long() : out.displacement >> 31;
  }

  #byte(): number {
    if (this.#at >= this.#end) {
      this.#short = true;
      return 0;
    }
    return this.#bytes[this.#at++] as number;
  }
  #word(): number {
    const low = this.#byte();
    return low | (this.#byte() << 8);
  }
  #long(): number {
    const low = this.#word();
    return low | (this.#word() << 16);
  }
}

const FIXED_SIZES: Readonly<Record<string, number>> = { b: 0, w: 1, d: 2, q: 3, x: 4 };

function operandSize(row: InstructionRow, rexW: boolean, prefixed: boolean, codeBits: number): number {
  const first = row.operands[0];
  const hasPrefix = prefixed && !row.attributes.has('nosize');
  let general: number;
  if (codeBits === 64) {
    if (row.attributes.has('force64')) general = 3;
    else if (row.attributes.has('registers')) general = 3;
    else general = rexW ? 3 : hasPrefix ? 1 : row.attributes.has('default64') ? 3 : 2;
  } else if (row.attributes.has('registers')) general = 2;
  else general = (codeBits === 32) !== hasPrefix ? 2 : 1;
  if (first === undefined || first.role === 'imm' || first.role === 'cl' || first.role === 'dx') return general;
  const fixed = FIXED_SIZES[first.size];
  if (fixed !== undefined) return fixed;
  if (first.size === 'z') return Math.min(general, 2);
  if (first.size === 'y') return row.attributes.has('registers') ? general : rexW ? 3 : 2;
  return general;
}
