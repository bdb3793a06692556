/** Runs one silicon case on the software engine: the image becomes a vCPU's state and back. */
import { ExitReason, type VcpuState } from '../../../src/contracts/index.ts';
import { slab } from '../../../src/soft/layout.ts';
import { CR0_PE, CR0_PG, CR4_OSFXSR, CR4_OSXMMEXCPT, CR4_PAE } from '../../../src/x86/control.ts';
import * as S from '../../../src/x86/state.ts';
import { FLOATING_POINT, GENERAL_PROTECTION, INVALID_OPCODE, SIMD_FLOATING_POINT } from '../../../src/x86/vectors.ts';
import { bareVcpu, longModeState } from '../../support/bare-vcpu.ts';
import * as I from './image.ts';

const RAM_SIZE = 0x1_0000;
const OPERAND_ADDRESS = 0x5000;
const CODE_ADDRESS = 0x6000;
const STACK = 0x8000n;
const SIGNALS: Readonly<Record<number, number>> = {
  [FLOATING_POINT]: I.SIGFPE,
  [SIMD_FLOATING_POINT]: I.SIGFPE,
  [INVALID_OPCODE]: I.SIGILL,
  [GENERAL_PROTECTION]: I.SIGSEGV,
};
const CODE_32 = 0xc09b;
const CODE_64 = 0xa09b;

export class EngineUnderTest {
  readonly #bare = bareVcpu(RAM_SIZE);
  readonly #initial: VcpuState;
  #cr0 = 0n;
  #cr4 = 0n;
  /** Host offset of guest address 0, and of the state block. */
  readonly #ram: number;
  readonly #base: number = slab(0);
  readonly #bytes: Uint8Array;
  readonly #view: DataView;

  constructor() {
    const { memory, vcpu } = this.#bare;
    this.#ram = memory.offsetOf(0, RAM_SIZE);
    this.#bytes = memory.bytes;
    this.#view = new DataView(memory.memory.buffer);
    // no interrupt table: whatever is raised becomes a triple fault that names it
    this.#initial = { ...longModeState(vcpu, {}), rip: BigInt(CODE_ADDRESS), idtr: { base: 0n, limit: 0 } };
    this.control(0, CR4_OSFXSR | CR4_OSXMMEXCPT);
  }

  /** Sets control registers; protection and paging stay on. */
  control(cr0: number, cr4: number): void {
    this.#cr0 = BigInt((cr0 | CR0_PE | CR0_PG) >>> 0);
    this.#cr4 = BigInt(cr4 | CR4_PAE);
  }

  /** Executes the image's instruction. */
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
    const { vcpu, changed } = this.#bare;
    this.#load(image);
    this.#bytes.set(image.bytes.subarray(I.CODE, I.CODE + 15), this.#ram + CODE_ADDRESS);
    changed(CODE_ADDRESS, 16);
    if (vcpu.run(1) !== ExitReason.Shutdown) return -1;
    return Number(/exception (\d+)/.exec(vcpu.detail)?.[1]);
  }

  /** A field of the state block (x86/state.ts). */
  field32(offset: number): number {
    return this.#view.getUint32(this.#base + offset, true);
  }
  fieldDouble(offset: number): number {
    return this.#view.getFloat64(this.#base + offset, true);
  }
  #set32(offset: number, value: number): void {
    this.#view.setUint32(this.#base + offset, value, true);
  }

  #load(image: I.Image): void {
    const { view } = image;
    const gpr = Array.from({ length: 16 }, () => 0n);
    for (const [offset, register] of INTEGER_REGISTERS) gpr[register] = view.getBigUint64(offset, true);
    gpr[S.RBX] = BigInt(OPERAND_ADDRESS);
    gpr[S.RDI] = BigInt(OPERAND_ADDRESS);
    gpr[S.RSP] = STACK;
    const { segments } = this.#initial;
    const cs = { ...segments.cs, attributes: image.bits === 64 ? CODE_64 : CODE_32 };
    const rflags = BigInt(view.getUint32(I.RFLAGS, true));
    this.#bare.vcpu.writeState({ ...this.#initial, gpr, rflags, cr0: this.#cr0, cr4: this.#cr4, segments: { ...segments, cs } });
    this.#bytes.set(image.bytes.subarray(I.MEMORY, I.MEMORY + I.MEMORY_SIZE), this.#ram + OPERAND_ADDRESS);
    const top = (view.getUint16(I.FSW, true) >> 11) & 7;
    const control = view.getUint16(I.FCW, true);
    const status = view.getUint16(I.FSW, true);
    const pending = (status & ~control & 0x3f) !== 0;
    this.#set32(S.FCW, control);
    this.#set32(S.FSW, pending ? status | 0x8080 : status & 0x7f7f);
    const abridged = image.bytes[I.FTW] as number;
    let tags = 0;
    for (let register = 0; register < 8; register++) if (!((abridged >> register) & 1)) tags |= 3 << (2 * register);
    this.#set32(S.FTW, tags);
    for (let i = 0; i < 8; i++) {
      const at = this.#base + S.X87 + 16 * ((top + i) & 7);
      this.#bytes.set(image.bytes.subarray(I.ST + 16 * i, I.ST + 16 * i + 16), at);
      this.#bytes.fill(0, at + 10, at + 16);
    }
    this.#set32(S.MXCSR, view.getUint32(I.MXCSR, true));
    for (let i = 0; i < 16; i++) this.#bytes.set(image.bytes.subarray(I.XMM + 16 * i, I.XMM + 16 * i + 16), this.#base + S.xmm(i));
  }

  #store(result: I.Image): void {
    const { view } = result;
    const state = this.#bare.vcpu.readState();
    view.setInt32(I.SIGNAL, 0, true);
    for (const [offset, register] of INTEGER_REGISTERS) view.setBigUint64(offset, state.gpr[register] ?? 0n, true);
    view.setBigUint64(I.RFLAGS, state.rflags, true);
    result.bytes.set(this.#bytes.subarray(this.#ram + OPERAND_ADDRESS, this.#ram + OPERAND_ADDRESS + I.MEMORY_SIZE), I.MEMORY);
    view.setUint16(I.FCW, this.field32(S.FCW), true);
    view.setUint16(I.FSW, this.field32(S.FSW), true);
    const top = (this.field32(S.FSW) >> 11) & 7;
    let abridged = 0;
    for (let register = 0; register < 8; register++) if (((this.field32(S.FTW) >> (2 * register)) & 3) !== 3) abridged |= 1 << register;
    result.bytes[I.FTW] = abridged;
    for (let i = 0; i < 8; i++) {
      const at = this.#base + S.X87 + 16 * ((top + i) & 7);
      result.bytes.set(this.#bytes.subarray(at, at + 10), I.ST + 16 * i);
    }
    view.setUint32(I.MXCSR, this.field32(S.MXCSR), true);
    for (let i = 0; i < 16; i++) {
      const at = this.#base + S.xmm(i);
      result.bytes.set(this.#bytes.subarray(at, at + 16), I.XMM + 16 * i);
    }
  }
}

const INTEGER_REGISTERS: readonly (readonly [number, number])[] = [
  [I.RAX, S.RAX],
  [I.RCX, S.RCX],
  [I.RDX, S.RDX],
  [I.RSI, S.RSI],
];
