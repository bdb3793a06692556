/** Runs one silicon case on the software engine's operations: the image becomes a core's state and back. */
import { createPhysicalMemory } from '../../src/board/memory.ts';
import type { VcpuWiring } from '../../src/contracts/index.ts';
import { Core, GUEST_FAULT } from '../../src/soft/core.ts';
import { reservedBytes, slab } from '../../src/soft/layout.ts';
import { CR4_OSFXSR, CR4_OSXMMEXCPT } from '../../src/x86/control.ts';
import * as R from '../../src/x86/record.ts';
import * as S from '../../src/x86/state.ts';
import { FLOATING_POINT, GENERAL_PROTECTION, INVALID_OPCODE, SIMD_FLOATING_POINT } from '../../src/x86/vectors.ts';
import * as I from './image.ts';

const OPERAND_ADDRESS = 0x1000;
/** Guest RAM that holds nothing but the record under test. */
const RECORD_ADDRESS = 0x2000;
const SIGNALS: Readonly<Record<number, number>> = {
  [FLOATING_POINT]: I.SIGFPE,
  [SIMD_FLOATING_POINT]: I.SIGFPE,
  [INVALID_OPCODE]: I.SIGILL,
  [GENERAL_PROTECTION]: I.SIGSEGV,
};

const unwired: VcpuWiring = {
  io: { read: () => 0xff, write: () => undefined },
  cpuid: { lookup: () => undefined },
  acknowledgeInterrupt: () => -1,
  readTaskPriority: () => 0,
  writeTaskPriority: () => undefined,
  readMsr: () => undefined,
  writeMsr: () => false,
  timestamp: () => 0n,
};

export type Operation = (core: Core, record: number) => void;
/** Finds the operation for an image's code and fills in the record; the memory operand is always `[rbx]`. */
export type Decode = (code: readonly number[], record: RecordWriter) => Operation;

/** What a decoder knows about an instruction. */
export class RecordWriter {
  readonly #view: DataView;
  readonly #at: number;

  constructor(view: DataView, at: number) {
    this.#view = view;
    this.#at = at;
    new Uint8Array(view.buffer, at, R.RECORD_SIZE).fill(0);
    for (const field of [R.INDEX, R.SEGMENT, R.REG, R.BASE]) view.setUint16(at + field, S.ZERO, true);
  }
  /** `log2Size` is the operand size. */
  info(log2Size: number, memory: boolean): this {
    const address64 = 2 << R.INFO_ADDRESS_SHIFT;
    this.#view.setUint16(this.#at + R.INFO, log2Size | (memory ? R.INFO_MEMORY : 0) | address64 | (S.DS << R.INFO_SEGMENT_SHIFT), true);
    if (memory) this.#view.setUint16(this.#at + R.BASE, S.gpr(S.RBX), true);
    return this;
  }
  rm(offset: number): this {
    this.#view.setUint16(this.#at + R.RM, offset, true);
    return this;
  }
  reg(offset: number): this {
    this.#view.setUint16(this.#at + R.REG, offset, true);
    return this;
  }
  immediate(value: number): this {
    this.#view.setBigInt64(this.#at + R.IMM, BigInt(value), true);
    return this;
  }
}

export class EngineUnderTest {
  readonly core: Core;
  readonly #ram: number;

  constructor() {
    const memory = createPhysicalMemory([{ base: 0, size: 0x1_0000, access: 'rw' }], reservedBytes(1));
    this.core = new Core(0, memory, slab(0), unwired);
    this.#ram = memory.offsetOf(0, 0x1_0000);
    // 64-bit code without paging: no such mode exists, but no operation minds
    this.core.set32(S.MODE, S.MODE_CODE_64 | S.MODE_PROTECTED);
    this.core.set64(S.LINEAR_MASK, 0xffff_ffff_ffff_ffffn);
    this.core.set32(S.CR4, CR4_OSFXSR | CR4_OSXMMEXCPT);
    this.core.mmu.setPrivilege();
  }

  run(image: I.Image, decode: Decode): I.Image {
    const { core } = this;
    const record = this.#ram + RECORD_ADDRESS;
    this.#load(image);
    const operation = decode(image.code, new RecordWriter(core.view, record));
    const result = image.copy();
    try {
      operation(core, record);
    } catch (error) {
      if (error !== GUEST_FAULT) throw error;
      const vector = core.get32(S.FAULT_VECTOR);
      const signal = SIGNALS[vector];
      if (signal === undefined) throw new Error(`unexpected exception ${vector}`);
      result.view.setInt32(I.SIGNAL, signal, true);
      return result;
    }
    this.#store(result);
    return result;
  }

  #load(image: I.Image): void {
    const { core } = this;
    const { view } = image;
    for (const [offset, register] of INTEGER_REGISTERS) core.set64(S.gpr(register), view.getBigUint64(offset, true));
    core.set64(S.gpr(S.RBX), BigInt(OPERAND_ADDRESS));
    core.setFlags(view.getUint32(I.RFLAGS, true));
    core.u8.set(image.bytes.subarray(I.MEMORY, I.MEMORY + I.MEMORY_SIZE), this.#ram + OPERAND_ADDRESS);
    const top = (view.getUint16(I.FSW, true) >> 11) & 7;
    const control = view.getUint16(I.FCW, true);
    const status = view.getUint16(I.FSW, true);
    const pending = (status & ~control & 0x3f) !== 0;
    core.set32(S.FCW, control);
    core.set32(S.FSW, pending ? status | 0x8080 : status & 0x7f7f);
    const abridged = image.bytes[I.FTW] as number;
    let tags = 0;
    for (let register = 0; register < 8; register++) if (!((abridged >> register) & 1)) tags |= 3 << (2 * register);
    core.set32(S.FTW, tags);
    for (let i = 0; i < 8; i++) {
      const register = (top + i) & 7;
      core.u8.set(image.bytes.subarray(I.ST + 16 * i, I.ST + 16 * i + 16), core.base + S.X87 + 16 * register);
      core.u8.fill(0, core.base + S.X87 + 16 * register + 10, core.base + S.X87 + 16 * register + 16);
    }
    core.set32(S.MXCSR, view.getUint32(I.MXCSR, true));
    for (let i = 0; i < 16; i++) core.u8.set(image.bytes.subarray(I.XMM + 16 * i, I.XMM + 16 * i + 16), core.base + S.xmm(i));
  }

  #store(result: I.Image): void {
    const { core } = this;
    const { view } = result;
    view.setInt32(I.SIGNAL, 0, true);
    for (const [offset, register] of INTEGER_REGISTERS) view.setBigUint64(offset, core.get64(S.gpr(register)), true);
    view.setBigUint64(I.RFLAGS, BigInt(core.getFlags()), true);
    result.bytes.set(core.u8.subarray(this.#ram + OPERAND_ADDRESS, this.#ram + OPERAND_ADDRESS + I.MEMORY_SIZE), I.MEMORY);
    view.setUint16(I.FCW, core.get32(S.FCW), true);
    view.setUint16(I.FSW, core.get32(S.FSW), true);
    const top = (core.get32(S.FSW) >> 11) & 7;
    let abridged = 0;
    for (let register = 0; register < 8; register++) if (((core.get32(S.FTW) >> (2 * register)) & 3) !== 3) abridged |= 1 << register;
    result.bytes[I.FTW] = abridged;
    for (let i = 0; i < 8; i++) {
      const at = core.base + S.X87 + 16 * ((top + i) & 7);
      result.bytes.set(core.u8.subarray(at, at + 10), I.ST + 16 * i);
    }
    view.setUint32(I.MXCSR, core.get32(S.MXCSR), true);
    for (let i = 0; i < 16; i++) result.bytes.set(core.u8.subarray(core.base + S.xmm(i), core.base + S.xmm(i) + 16), I.XMM + 16 * i);
  }
}

const INTEGER_REGISTERS: readonly (readonly [number, number])[] = [
  [I.RAX, S.RAX],
  [I.RCX, S.RCX],
  [I.RDX, S.RDX],
  [I.RDI, S.RDI],
  [I.RSI, S.RSI],
];
