/** Runs one silicon case on the software engine, through decoder and interpreter: the image becomes a core's state and back. */
import { createPhysicalMemory } from '../../../src/board/memory.ts';
import type { VcpuWiring } from '../../../src/contracts/index.ts';
import { Blocks } from '../../../src/soft/blocks.ts';
import { CodeTracker } from '../../../src/soft/code-pages.ts';
import { Core, GUEST_FAULT } from '../../../src/soft/core.ts';
import { createCpuidModel } from '../../../src/soft/cpuid.ts';
import { buildInterpreter, type Interpreter, Leave, type RunExports } from '../../../src/soft/interpreter.ts';
import { reservedBytes, slab } from '../../../src/soft/layout.ts';
import { updateMode } from '../../../src/soft/mode.ts';
import { OPERATIONS } from '../../../src/soft/system-operations.ts';
import { ATTRIBUTE_LONG, CR0_PE, CR4_OSFXSR, CR4_OSXMMEXCPT, EFER_LMA } from '../../../src/x86/control.ts';
import { INSTRUCTIONS } from '../../../src/x86/instructions.ts';
import * as S from '../../../src/x86/state.ts';
import { FLOATING_POINT, GENERAL_PROTECTION, INVALID_OPCODE, SIMD_FLOATING_POINT } from '../../../src/x86/vectors.ts';
import * as I from './image.ts';

const RAM_SIZE = 0x1_0000;
const OPERAND_ADDRESS = 0x1000;
const CODE_ADDRESS = 0x2000;
const SIGNALS: Readonly<Record<number, number>> = {
  [FLOATING_POINT]: I.SIGFPE,
  [SIMD_FLOATING_POINT]: I.SIGFPE,
  [INVALID_OPCODE]: I.SIGILL,
  [GENERAL_PROTECTION]: I.SIGSEGV,
};

const unwired: VcpuWiring = {
  io: { read: () => 0xff, write: () => undefined },
  cpuid: createCpuidModel({ vcpuId: 0, vcpus: 1 }),
  acknowledgeInterrupt: () => -1,
  readTaskPriority: () => 0,
  writeTaskPriority: () => undefined,
  readMsr: () => undefined,
  writeMsr: () => false,
  timestamp: () => 0,
};

let interpreter: Interpreter | undefined;

export class EngineUnderTest {
  readonly core: Core;
  readonly #tracker: CodeTracker;
  readonly #blocks: Blocks;
  readonly #run: RunExports['run'];
  /** Host offset of guest address 0. */
  readonly #ram: number;

  constructor() {
    const memory = createPhysicalMemory([{ base: 0, size: RAM_SIZE, access: 'rw' }], reservedBytes(1));
    this.#ram = memory.offsetOf(0, RAM_SIZE);
    this.#tracker = new CodeTracker(memory.bytes.length);
    const core = new Core(0, memory, slab(0), unwired, this.#tracker);
    this.core = core;
    interpreter ??= buildInterpreter(INSTRUCTIONS);
    this.#blocks = new Blocks(core, this.#tracker, interpreter);
    this.#tracker.users.push({
      dropWritable: (page) => core.mmu.dropWritable(page),
      forgetPage: (page) => this.#blocks.forgetPage(page),
    });
    const { mmu } = core;
    const instance = new WebAssembly.Instance(interpreter.module, {
      env: {
        memory: memory.memory,
        readSlow: (low: number, high: number, size: number) => mmu.readSlow(low, high, size),
        writeSlow: (low: number, high: number, size: number, readFirst: number) => mmu.writeSlow(low, high, size, readFirst),
        commitStore: () => mmu.commitStore(),
        system: (record: number, operation: number) => this.#system(record, operation),
      },
    });
    this.#run = (instance.exports as unknown as RunExports).run;
    // 64-bit code without paging: no such mode exists, but no unprivileged instruction minds
    core.set32(S.EFER, EFER_LMA);
    core.set32(S.segmentAttributes(S.CS), ATTRIBUTE_LONG);
    this.control(0, CR4_OSFXSR | CR4_OSXMMEXCPT);
  }

  /** Sets control registers; CR0.PE stays set. */
  control(cr0: number, cr4: number): void {
    this.core.set32(S.CR0, cr0 | CR0_PE);
    this.core.set32(S.CR4, cr4);
    updateMode(this.core);
  }

  /** Executes the image's instruction through decoder and interpreter. */
  run(image: I.Image): I.Image {
    const vector = this.execute(image);
    const result = image.copy();
    if (vector < 0) {
      this.#store(result);
      return result;
    }
    const signal = SIGNALS[vector];
    if (signal === undefined) throw new Error(`unexpected exception ${vector} of ${image.code.map((byte) => byte.toString(16))}`);
    result.view.setInt32(I.SIGNAL, signal, true);
    return result;
  }

  /** The same, for the vector that it raised, or −1. */
  execute(image: I.Image): number {
    const { core } = this;
    this.#load(image);
    const code = this.#ram + CODE_ADDRESS;
    this.#tracker.storing(code, 16);
    core.u8.set(image.bytes.subarray(I.CODE, I.CODE + 15), code);
    core.set64(S.RIP, BigInt(CODE_ADDRESS));
    core.set32(S.BUDGET, 1);
    const record = this.#blocks.find();
    if (record === 0) throw new Error('the instruction cannot be fetched');
    return this.#run(core.base, record) === Leave.Fault ? core.get32(S.FAULT_VECTOR) : -1;
  }

  #system(record: number, operation: number): number {
    try {
      (OPERATIONS[operation] as (typeof OPERATIONS)[number])(this.core, record);
      return 0;
    } catch (fault) {
      if (fault !== GUEST_FAULT) throw fault;
      return Leave.Fault;
    }
  }

  #load(image: I.Image): void {
    const { core } = this;
    const { view } = image;
    for (const [offset, register] of INTEGER_REGISTERS) core.set64(S.gpr(register), view.getBigUint64(offset, true));
    core.set64(S.gpr(S.RBX), BigInt(OPERAND_ADDRESS));
    core.set64(S.gpr(S.RDI), BigInt(OPERAND_ADDRESS));
    core.set64(S.gpr(S.RSP), 0x8000n);
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
  [I.RSI, S.RSI],
];
