/**
 * Cases for the host CPU and the software engine, made from the instruction table: every unprivileged encoding outside x87, MMX
 * and SSE, in 64-bit, 32-bit and 16-bit code, with random prefixes, registers, immediates, addressing, alignment and values that sit on
 * edges. The stack lies in the same bytes as memory operands, and where a branch goes is part of the outcome.
 *
 * 16-bit code runs in segments of an LDT that begin at the code and at the memory (SEGMENTS), so that addresses are small, and limits and
 * types are part of the matter.
 */
import { INSTRUCTIONS } from '../../src/x86/instructions.ts';
import type { InstructionRow } from '../../src/x86/table.ts';
import { untestedBecause } from './coverage.ts';

/** Where instruction and memory of a case lie, in the harness and in the engine. */
export const CODE_ADDRESS = 0x2100_0000;
export const DATA_ADDRESS = 0x2200_0000;
export const MEMORY_BYTES = 128;
/** Operands and stack pointers lie from here on, 16 different places. */
const MIDDLE = 48;

/** Code whose segments begin at 0 and have no end. */
export type FlatBits = 64 | 32;
export type Bits = FlatBits | 16;

/** Where RIP begins. */
export const startOf = (bits: Bits): bigint => (bits === 16 ? 0n : BigInt(CODE_ADDRESS));

/** What 16-bit code has, at level 3: harness.c makes the same. SS is as DS. ES expands down, GS cannot be written. */
export const SEGMENTS_16 = {
  cs: { index: 0, base: CODE_ADDRESS, limit: 0xffff, access: 0xfb },
  ds: { index: 1, base: DATA_ADDRESS, limit: MEMORY_BYTES - 1, access: 0xf3 },
  es: { index: 2, base: DATA_ADDRESS, limit: 31, access: 0xf7 },
  gs: { index: 3, base: DATA_ADDRESS, limit: MEMORY_BYTES - 1, access: 0xf1 },
} as const;

export interface Case {
  readonly mnemonic: string;
  readonly bits: Bits;
  readonly code: readonly number[];
  readonly gpr: readonly bigint[];
  readonly flags: number;
  readonly memory: Uint8Array;
  /** How often it may be executed while RIP stays on it: a repeated string instruction, else 1. 0: a program that ends in a fault. */
  readonly steps: number;
}

export class Random {
  #state: number;
  constructor(seed: number) {
    this.#state = seed | 0;
  }
  /** Unsigned 32 bits (a multiplicative hash over a counter). */
  next(): number {
    this.#state = (this.#state + 0x6d2b_79f5) | 0;
    let x = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    x = (x + Math.imul(x ^ (x >>> 7), 61 | x)) ^ x;
    return (x ^ (x >>> 14)) >>> 0;
  }
  below(n: number): number {
    return this.next() % n;
  }
  oneIn(n: number): boolean {
    return this.below(n) === 0;
  }
  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)] as T;
  }
}

const EDGES = [
  0n, 1n, 0x7fn, 0x80n, 0xffn, 0x7fffn, 0x8000n, 0xffffn, 0x7fff_ffffn, 0x8000_0000n, 0xffff_ffffn,
  0x7fff_ffff_ffff_ffffn, 0x8000_0000_0000_0000n, 0xffff_ffff_ffff_ffffn,
];
export const ARITHMETIC_FLAGS = 0x8d5;
export const DIRECTION = 0x400;
const RAX = 0;
const RCX = 1;
const RDX = 2;
const RBX = 3;
const RSP = 4;
const RBP = 5;
const RSI = 6;
const RDI = 7;
/** What 16-bit addresses are made of, by R/M; with a modifier of 0 the seventh is a displacement alone. */
const NARROW_ADDRESSES = [[RBX, RSI], [RBX, RDI], [RBP, RSI], [RBP, RDI], [RSI], [RDI], [RBP], [RBX]] as const;

export interface Form {
  readonly row: InstructionRow;
  readonly bits: Bits;
}

/** Every encoding that this oracle covers, in each mode that has it. */
export const FORMS: readonly Form[] = INSTRUCTIONS.filter((row) => untestedBecause(row) === undefined).flatMap((row): Form[] => [
  ...(row.attributes.has('no64') ? [] : [{ row, bits: 64 } as const]),
  ...(row.attributes.has('only64') ? [] : [{ row, bits: 32 } as const, { row, bits: 16 } as const]),
]);

export function makeCase({ row, bits }: Form, random: Random): Case {
  return new Maker(row, bits, random).make();
}

class Maker {
  readonly #row: InstructionRow;
  readonly #bits: Bits;
  readonly #random: Random;
  readonly #gpr: bigint[];
  readonly #memory: Uint8Array;
  readonly #code: number[] = [];
  /** Address of the memory. */
  readonly #origin: number;
  #rex = 0;
  /** Addresses have 16 bits. */
  #isNarrow = false;
  /** Where in the code a displacement relative to RIP waits for the length, and what it aims at. */
  #relative: { readonly at: number; readonly target: number } | undefined;

  constructor(row: InstructionRow, bits: Bits, random: Random) {
    this.#row = row;
    this.#bits = bits;
    this.#random = random;
    this.#origin = bits === 16 ? 0 : DATA_ADDRESS;
    const wide = (): bigint => (BigInt(random.next()) << 32n) | BigInt(random.next());
    this.#gpr = Array.from({ length: 16 }, () => (random.oneIn(3) ? random.pick(EDGES) : wide()));
    this.#memory = Uint8Array.from({ length: MEMORY_BYTES }, () => random.next());
  }

  make(): Case {
    const row = this.#row;
    const random = this.#random;
    const isString = row.attributes.has('string');
    const is64 = this.#bits === 64;
    this.#prepareRegisters();
    const prefixes: number[] = [];
    // 66 on near branches in 64-bit mode means different things to different makers (SDM 2A, JMP; APM 3 §1.2.4)
    const operandPrefix = random.oneIn(4) && row.prefix !== 0x66 && row.prefix !== 1 && !(is64 && row.attributes.has('force64'));
    if (operandPrefix) prefixes.push(0x66);
    const namesMemory = row.hasModRm && row.exact < 0 && row.modRm !== 'register' && (row.modRm === 'memory' || random.oneIn(2));
    const counts = /^(loop|jcxz)/.test(row.mnemonic);
    // 32-bit addresses in 64-bit and 16-bit code; 16-bit ones reach nothing that a program in 32-bit code may use
    const mayAddress = this.#bits !== 32 && (namesMemory || isString);
    const addressPrefix = random.oneIn(this.#bits === 16 ? 3 : 8) && (counts || mayAddress);
    if (addressPrefix) prefixes.push(0x67);
    this.#isNarrow = this.#bits === 16 && !addressPrefix;
    if (is64 && random.oneIn(16)) prefixes.push(random.pick([0x26, 0x2e, 0x36, 0x3e]));
    // SDM 2A: ARPL needs a segment that can be written; AMD's processors do when they write
    const segments = row.mnemonic === 'arpl' ? [0x26, 0x36, 0x3e] : [0x26, 0x2e, 0x36, 0x3e, 0x65];
    if (this.#bits === 16 && random.oneIn(4)) prefixes.push(random.pick(segments));
    if (random.oneIn(row.attributes.has('lock') ? 6 : 64)) prefixes.push(0xf0);
    if (row.prefix > 1) prefixes.push(row.prefix);
    if (is64 && random.oneIn(2)) this.#rex = 0x40 | random.below(16);
    if (row.attributes.has('noRexB')) this.#rex &= ~1;
    const body = this.#code;
    if (row.map > 0) body.push(0x0f);
    if (row.map > 1) body.push(row.map === 2 ? 0x38 : 0x3a);
    body.push(row.opcode);
    if (row.hasModRm) this.#modRm(namesMemory);
    if (isString) this.#stringRegisters();
    if (row.operands.some((operand) => operand.kind === 'O')) this.#absolute(addressPrefix);
    this.#immediates(operandPrefix);
    const code = [...prefixes, ...(this.#rex === 0 ? [] : [this.#rex]), ...body];
    this.#resolveRelative(code, body);
    const mask = is64 ? -1n : 0xffff_ffffn;
    return {
      mnemonic: row.mnemonic,
      bits: this.#bits,
      code,
      gpr: this.#gpr.map((value, n) => (is64 ? BigInt.asUintN(64, value) : n < 8 ? value & mask : 0n)),
      flags: (random.next() & ARITHMETIC_FLAGS) | 2 | (isString && random.oneIn(4) ? DIRECTION : 0),
      memory: this.#memory,
      steps: /^rep/.test(row.mnemonic) ? 8 : 1,
    };
  }

  #place(): number {
    return this.#origin + MIDDLE + this.#random.below(16);
  }

  /** An address as it stands in a register, of which only 16 bits may count. */
  #inRegister(address: number): bigint {
    return BigInt(this.#isNarrow ? (address & 0xffff) + (this.#random.below(4) << 16) : address);
  }

  /** The stack, and what else an instruction uses without naming it. */
  #prepareRegisters(): void {
    const { mnemonic, stack } = this.#row;
    if (stack !== 0 || mnemonic === 'enter' || mnemonic === 'leave') {
      // the stack has 16 bits in 16-bit code, whatever addresses have
      const above = (): bigint => (this.#bits === 16 ? BigInt(this.#random.below(4)) << 16n : 0n);
      this.#gpr[RSP] = BigInt(this.#place()) + above();
      this.#gpr[RBP] = BigInt(this.#place()) + above();
    }
    if (mnemonic === 'xlat') this.#gpr[RBX] = this.#inRegister(this.#place() - Number((this.#gpr[0] as bigint) & 0xffn));
    if (/^(loop|jcxz)/.test(mnemonic) && this.#random.oneIn(2)) this.#gpr[RCX] = this.#inRegister(this.#random.below(3));
    // the top of the stack as a canonical address, and as flags without AC, NT, TF and ID, which would act on the harness
    const top = Number((this.#gpr[RSP] as bigint) & 0x7fn);
    if (/^ret/.test(mnemonic)) this.#makeReachable(top);
    if (mnemonic === 'popf') {
      this.#memory[top + 1] = (this.#memory[top + 1] as number) & ~0x41;
      this.#memory[top + 2] = (this.#memory[top + 2] as number) & ~0x27;
    }
  }

  /** A canonical address; in 16-bit code every other one within the limit of CS. */
  #makeReachable(offset: number): void {
    if (offset + 8 > MEMORY_BYTES) return;
    if (this.#bits === 16 && this.#random.oneIn(2)) this.#memory.fill(0, offset + 2, offset + 4);
    this.#memory[offset + 5] = (this.#memory[offset + 5] as number) & 0x7f;
    this.#memory[offset + 6] = 0;
    this.#memory[offset + 7] = 0;
  }

  #modRm(namesMemory: boolean): void {
    const row = this.#row;
    const random = this.#random;
    const reg = row.extension >= 0 ? row.extension : random.below(8);
    if (row.exact >= 0) {
      this.#code.push(row.exact);
      return;
    }
    if (!namesMemory) {
      const rm = random.below(8);
      this.#code.push(0xc0 | (reg << 3) | rm);
      // a branch to an address that is not canonical faults here or there
      if (/^(jmp|call)$/.test(row.mnemonic)) {
        const register = rm | ((this.#rex & 1) << 3);
        this.#gpr[register] = (this.#gpr[register] as bigint) & (this.#bits === 16 && random.oneIn(2) ? 0xffffn : 0x7fff_ffff_ffffn);
        if (register === RSP && row.stack !== 0) this.#gpr[RSP] = BigInt(this.#place());
      }
      return;
    }
    const aligned = row.mnemonic === 'cmpxchg8b' && random.oneIn(2);
    // below the memory there is no page, and with it the segments end: what reaches there faults, and where is part of the outcome
    const isMissing = random.oneIn(16);
    const missing = this.#bits === 16 && random.oneIn(2) ? MEMORY_BYTES - random.below(8) : this.#origin - 1 - random.below(12);
    const target = isMissing ? missing : aligned ? this.#origin + MIDDLE : this.#place();
    const register = reg | ((this.#rex & 4) << 1);
    const isBitIndex = /^bt[src]?$/.test(row.mnemonic) && row.operands[1]?.kind === 'G';
    // A bit index reaches beyond the operand: keep it within the memory.
    if (isBitIndex) this.#gpr[register] = BigInt(random.below(200) - 100);
    if (!isMissing && /^(jmp|call)$/.test(row.mnemonic)) this.#makeReachable(target - this.#origin);
    if (!isMissing && row.mnemonic === 'bound') this.#boundsAround(target - this.#origin, register);
    if (this.#isNarrow) this.#narrowAddress(reg, target, isBitIndex || row.mnemonic === 'bound' ? register : -1);
    else this.#address(reg, target, isBitIndex || row.mnemonic === 'bound' ? register : -1);
    if (!isMissing && /^cmpxchg/.test(row.mnemonic) && random.oneIn(2)) this.#expect(target - this.#origin, row.mnemonic === 'cmpxchg8b');
  }

  /** What CMPXCHG and kin compare with is there. */
  #expect(offset: number, isPair: boolean): void {
    const view = new DataView(this.#memory.buffer, offset);
    const isWide = (this.#rex & 8) !== 0;
    view.setBigUint64(0, BigInt.asUintN(64, this.#gpr[RAX] as bigint), true);
    if (isPair && isWide) view.setBigUint64(8, BigInt.asUintN(64, this.#gpr[RDX] as bigint), true);
    else if (isPair) view.setUint32(4, Number((this.#gpr[RDX] as bigint) & 0xffff_ffffn), true);
  }

  /** Half of all bounds enclose the register. */
  #boundsAround(offset: number, register: number): void {
    if (this.#random.oneIn(2)) return;
    const view = new DataView(this.#memory.buffer, offset);
    const value = Number(BigInt.asIntN(16, this.#gpr[register] as bigint));
    this.#gpr[register] = BigInt(value);
    const by = this.#random.below(3) - 1;
    if (this.#random.oneIn(2)) {
      view.setInt32(0, value - by, true);
      view.setInt32(4, value + by, true);
    } else {
      view.setInt16(0, value - by, true);
      view.setInt16(2, value + by, true);
    }
  }

  /** ModRM, SIB and displacement for `target`; registers in use get values that fit. `taken` must keep its value. */
  #address(reg: number, target: number, taken: number): void {
    const random = this.#random;
    const is64 = this.#bits === 64;
    const form = random.below(4);
    const base = random.below(8) | ((this.#rex & 1) << 3);
    const index = random.below(8) | ((this.#rex & 2) << 2);
    const usesStack = this.#row.stack !== 0 || this.#row.mnemonic === 'xlat';
    const fixed = (register: number): boolean => register === taken || (usesStack && (register === RSP || register === RBP));
    if (form === 0 || (form > 1 && fixed(base) && base !== RSP) || (form === 3 && (fixed(index) || index === base))) {
      this.#absoluteModRm(reg, target);
      return;
    }
    if (form === 1 && is64) {
      this.#code.push((reg << 3) | 5);
      this.#relative = { at: this.#code.length, target };
      this.#code.push(0, 0, 0, 0);
      return;
    }
    const hasIndex = form === 3 && index !== RSP;
    const scale = random.below(4);
    if (hasIndex) this.#gpr[index] = BigInt(random.below(64));
    const offset = hasIndex ? Number(this.#gpr[index]) << scale : 0;
    let displacement = random.below(256) - 128;
    if (fixed(base)) displacement = target - offset - Number(this.#gpr[base]);
    else this.#gpr[base] = BigInt(target - offset - displacement);
    const isShort = displacement >= -128 && displacement < 128 && !random.oneIn(4);
    const needsSib = hasIndex || (base & 7) === 4;
    this.#code.push((isShort ? 0x40 : 0x80) | (reg << 3) | (needsSib ? 4 : base & 7));
    if (needsSib) {
      if (!hasIndex) this.#rex &= ~2;
      this.#code.push((scale << 6) | ((hasIndex ? index & 7 : 4) << 3) | (base & 7));
    }
    if (isShort) this.#code.push(displacement & 0xff);
    else this.#long(displacement);
  }

  /** The same with 16-bit addresses (SDM 2A table 2-1). */
  #narrowAddress(reg: number, target: number, taken: number): void {
    const random = this.#random;
    const rm = random.below(8);
    const registers = NARROW_ADDRESSES[rm] as readonly number[];
    const mod = random.below(3);
    if (mod === 0 && rm === 6) {
      this.#code.push((reg << 3) | rm, target & 0xff, (target >> 8) & 0xff);
      return;
    }
    const usesStack = this.#row.stack !== 0;
    const fixed = (register: number): boolean => register === taken || (usesStack && register === RBP);
    let displacement = mod === 0 ? 0 : mod === 1 ? random.below(256) - 128 : random.below(0x1_0000);
    const free = registers.find((register) => !fixed(register));
    const others = registers.filter((register) => register !== free).reduce((sum, register) => sum + Number((this.#gpr[register] as bigint) & 0xffffn), 0);
    let size = mod;
    if (free === undefined) {
      displacement = target - others;
      size = 2;
    } else this.#gpr[free] = this.#inRegister(target - others - displacement);
    this.#code.push((size << 6) | (reg << 3) | rm);
    if (size > 0) this.#code.push(displacement & 0xff);
    if (size > 1) this.#code.push((displacement >> 8) & 0xff);
  }

  #absoluteModRm(reg: number, target: number): void {
    this.#rex &= ~3; // X and B would add registers
    if (this.#bits === 64) this.#code.push((reg << 3) | 4, 0x25);
    else this.#code.push((reg << 3) | 5);
    this.#long(target);
  }

  #long(value: number): void {
    this.#code.push(value & 0xff, (value >> 8) & 0xff, (value >> 16) & 0xff, (value >>> 24) & 0xff);
  }

  /** At most three elements of eight bytes, upwards or downwards, stay inside. */
  #stringRegisters(): void {
    this.#gpr[RSI] = this.#inRegister(this.#place());
    this.#gpr[RDI] = this.#inRegister(this.#place());
    this.#gpr[RCX] = this.#inRegister(this.#random.below(4));
  }

  #absolute(addressPrefix: boolean): void {
    if (this.#isNarrow) {
      this.#code.push(this.#place(), 0);
      return;
    }
    this.#long(this.#place());
    if (this.#bits === 64 && !addressPrefix) this.#long(0);
  }

  #immediates(operandPrefix: boolean): void {
    let n = 0;
    for (const operand of this.#row.operands) {
      if (operand.kind !== 'I' && operand.kind !== 'J') continue;
      // ENTER copies frames: as many as lie in memory
      if (this.#row.mnemonic === 'enter' && n++ === 1) this.#code.push(this.#random.below(4) | (this.#random.below(8) << 5));
      else for (let i = this.#immediateBytes(operand.size, operandPrefix); i > 0; i--) this.#code.push(this.#random.next() & 0xff);
      // every other wide branch in 16-bit code goes a short way
      if (this.#bits === 16 && operand.kind === 'J' && operandPrefix && operand.size !== 'b' && this.#random.oneIn(2)) this.#code.splice(-2, 2, 0, 0);
    }
  }

  #immediateBytes(size: string, operandPrefix: boolean): number {
    const rexW = (this.#rex & 8) !== 0;
    if (size === 'b' || size === 's') return 1;
    if (size === 'w') return 2;
    if (size === 'v' && rexW) return 8;
    return operandPrefix !== (this.#bits === 16) && !rexW ? 2 : 4;
  }

  #resolveRelative(code: number[], body: readonly number[]): void {
    if (this.#relative === undefined) return;
    const at = code.length - body.length + this.#relative.at;
    const displacement = this.#relative.target - (CODE_ADDRESS + code.length);
    for (let i = 0; i < 4; i++) code[at + i] = (displacement >> (8 * i)) & 0xff;
  }
}
