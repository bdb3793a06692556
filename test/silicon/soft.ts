/** Runs cases on the software engine: user mode with nothing around it, so that every exception is a triple fault that names it. */
import { ExitReason, type Vcpu, type VcpuState } from '../../src/contracts/index.ts';
import type { SoftEngineOptions } from '../../src/soft/index.ts';
import { type BareVcpu, bareVcpu, longModeState } from '../support/bare-vcpu.ts';
import { type Bits, type Case, CODE_ADDRESS, DATA_ADDRESS, MEMORY_BYTES, SEGMENTS_16, startOf } from './cases.ts';
import type { Outcome } from './outcome.ts';

/** What Linux makes of exceptions, by vector (arch/x86/kernel/traps.c). */
const SIGNALS: Readonly<Record<number, number>> = { 0: 8, 1: 5, 3: 5, 4: 11, 5: 11, 6: 4, 11: 7, 12: 7, 13: 11, 14: 11, 16: 8, 17: 7, 19: 8 };
const PAGE_FAULT = 14;

/** Nothing but the two pages that the harness maps, so that everything else faults on both sides. */
const PDPT = 0x2000;
const DIRECTORY = 0x3000;
const TABLES = 0x4000;
const USER_WRITABLE = 7;
const PAGE = 4096;
const RIP = BigInt(CODE_ADDRESS);
/** PAE, OSFXSR, OSXMMEXCPT, OSXSAVE. */
const CR4 = 0x4_0620n;
/** xor ecx, ecx; mov eax, 3; xor edx, edx; xsetbv */
const XSETBV = [0x31, 0xc9, 0xb8, 3, 0, 0, 0, 0x31, 0xd2, 0x0f, 0x01, 0xd1];
/** Behind the code of a single instruction: NOPs. */
const PADDED_BYTES = 16;
const NOP = 0x90;

const segment = (selector: number, attributes: number): VcpuState['segments']['cs'] => ({ selector, base: 0n, limit: 0xffff_ffff, attributes });
/** Of the LDT, at level 3. */
const small = ({ index, base, limit, access }: (typeof SEGMENTS_16)[keyof typeof SEGMENTS_16]): VcpuState['segments']['cs'] =>
  ({ selector: (index << 3) | 7, base: BigInt(base), limit, attributes: access });

export class SoftMachine {
  readonly #bare: BareVcpu;
  readonly #data: number;
  readonly #states: Readonly<Record<Bits, VcpuState>>;

  constructor(options: SoftEngineOptions = {}) {
    this.#bare = bareVcpu(0x2300_0000, options);
    const { memory, vcpu } = this.#bare;
    this.#data = memory.offsetOf(DATA_ADDRESS, PAGE);
    // as an operating system does: x87 and SSE state for XSAVE
    memory.write(CODE_ADDRESS, Uint8Array.from(XSETBV));
    vcpu.writeState(longModeState(vcpu, { rip: RIP, cr4: CR4 }));
    vcpu.run(4);
    this.#enter(PDPT, 0, DIRECTORY);
    for (const [i, page] of [CODE_ADDRESS, DATA_ADDRESS].entries()) {
      this.#enter(DIRECTORY, page >>> 21, TABLES + i * PAGE);
      this.#enter(TABLES + i * PAGE, (page >>> 12) & 0x1ff, page);
    }
    const user = segment(0x2b, 0xc0f3);
    const before = longModeState(vcpu, { cr4: CR4 });
    const segments = { ...before.segments, ss: user, ds: user, es: user, fs: user, gs: user };
    // no interrupt table: whatever is raised becomes a triple fault, and CR2 stays
    const idtr = { base: 0n, limit: 0 };
    this.#states = {
      64: { ...before, idtr, segments: { ...segments, cs: segment(0x33, 0xa0fb) } },
      32: { ...before, idtr, segments: { ...segments, cs: segment(0x23, 0xc0fb) } },
      16: {
        ...before, idtr,
        segments: {
          ...segments, cs: small(SEGMENTS_16.cs), ds: small(SEGMENTS_16.ds), ss: small(SEGMENTS_16.ds), es: small(SEGMENTS_16.es), gs: small(SEGMENTS_16.gs),
        },
      },
    };
  }

  get vcpu(): Vcpu {
    return this.#bare.vcpu;
  }

  /** A copy of the case's memory as it is now. */
  get contents(): Uint8Array {
    return this.#bare.memory.bytes.slice(this.#data, this.#data + MEMORY_BYTES);
  }

  /** Everything in place for the first instruction of a case or a program. */
  start({ bits, code, gpr, flags, memory: contents }: Case): void {
    const { memory, vcpu, changed } = this.#bare;
    memory.bytes.fill(0, this.#data, this.#data + PAGE);
    memory.bytes.set(contents, this.#data);
    const padded = new Uint8Array(Math.max(PADDED_BYTES, code.length)).fill(NOP);
    padded.set(code);
    memory.write(CODE_ADDRESS, padded);
    changed(CODE_ADDRESS, padded.length);
    vcpu.writeState({ ...this.#states[bits], gpr, rip: startOf(bits), rflags: BigInt(flags) });
  }

  run(test: Case): Outcome {
    const { gpr, flags, memory: contents, steps } = test;
    const { vcpu } = this.#bare;
    const start = startOf(test.bits);
    this.start(test);
    let state = vcpu.readState();
    for (let step = 0; step < steps && state.rip === start; step++) {
      if (vcpu.run(1) === ExitReason.Shutdown) return { gpr, flags, memory: contents, rip: start, ...this.signal() };
      state = vcpu.readState();
    }
    return { gpr: state.gpr, flags: Number(state.rflags), memory: this.contents, rip: state.rip, signal: 0, address: 0n };
  }

  /** What Linux would have sent for the exception that the vCPU ended in, and where a page fault was. */
  signal(): { readonly signal: number; readonly address: bigint } {
    const { detail } = this.vcpu;
    const vector = Number(/exception (\d+)/.exec(detail)?.[1] ?? -1);
    const signal = SIGNALS[vector];
    if (signal === undefined) throw new Error(`no signal for: ${detail}`);
    return { signal, address: vector === PAGE_FAULT ? this.vcpu.readState().cr2 : 0n };
  }

  #enter(table: number, index: number, target: number): void {
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setUint32(0, target | USER_WRITABLE, true);
    this.#bare.memory.write(table + index * 8, bytes);
  }
}
