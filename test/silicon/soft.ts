/** Runs cases on the software engine: user mode with nothing around it, so that every exception is a triple fault that names it. */
import { ExitReason, type VcpuState } from '../../src/contracts/index.ts';
import { bareVcpu, longModeState } from '../support/bare-vcpu.ts';
import { type Case, CODE_ADDRESS, DATA_ADDRESS, MEMORY_BYTES } from './cases.ts';
import type { Outcome } from './outcome.ts';

/** What Linux makes of exceptions, by vector (arch/x86/kernel/traps.c). */
const SIGNALS: Readonly<Record<number, number>> = { 0: 8, 1: 5, 3: 5, 4: 11, 5: 11, 6: 4, 11: 7, 12: 7, 13: 11, 14: 11, 16: 8, 17: 7, 19: 8 };

const { memory, vcpu, changed } = bareVcpu(0x2300_0000);
const data = memory.offsetOf(DATA_ADDRESS, MEMORY_BYTES);
const padding = new Uint8Array(16);

/** Nothing but the two pages that the harness maps, so that everything else faults on both sides. */
const PDPT = 0x2000;
const DIRECTORY = 0x3000;
const TABLES = 0x4000;
const USER_WRITABLE = 7;
function entry(table: number, index: number, target: number): void {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setUint32(0, target | USER_WRITABLE, true);
  memory.write(table + index * 8, bytes);
}
entry(PDPT, 0, DIRECTORY);
for (const [i, page] of [CODE_ADDRESS, DATA_ADDRESS].entries()) {
  entry(DIRECTORY, page >>> 21, TABLES + i * 0x1000);
  entry(TABLES + i * 0x1000, (page >>> 12) & 0x1ff, page);
}

const segment = (selector: number, attributes: number): VcpuState['segments']['cs'] => ({ selector, base: 0n, limit: 0xffff_ffff, attributes });
const user = segment(0x2b, 0xc0f3);
const before = longModeState(vcpu, {});
const segments = { ...before.segments, ss: user, ds: user, es: user, fs: user, gs: user };
/** No interrupt table: whatever is raised becomes a triple fault, and CR2 stays. */
const idtr = { base: 0n, limit: 0 };
const STATES = {
  64: { ...before, idtr, segments: { ...segments, cs: segment(0x33, 0xa0fb) } },
  32: { ...before, idtr, segments: { ...segments, cs: segment(0x23, 0xc0fb) } },
} as const;
const RIP = BigInt(CODE_ADDRESS);

export function runSoftly({ bits, code, gpr, flags, memory: contents, steps }: Case): Outcome {
  memory.bytes.set(contents, data);
  padding.fill(0x90);
  padding.set(code);
  memory.write(CODE_ADDRESS, padding);
  changed(CODE_ADDRESS, 16);
  vcpu.writeState({ ...STATES[bits], gpr, rip: RIP, rflags: BigInt(flags) });
  let state = vcpu.readState();
  for (let step = 0; step < steps && state.rip === RIP; step++) {
    if (vcpu.run(1) === ExitReason.Shutdown) return { gpr, flags, memory: contents, rip: RIP, ...exception(vcpu.detail) };
    state = vcpu.readState();
  }
  return { gpr: state.gpr, flags: Number(state.rflags), memory: memory.bytes.slice(data, data + MEMORY_BYTES), rip: state.rip, signal: 0, address: 0n };
}

const PAGE_FAULT = 14;

function exception(detail: string): { readonly signal: number; readonly address: bigint } {
  const vector = Number(/exception (\d+)/.exec(detail)?.[1] ?? -1);
  const signal = SIGNALS[vector];
  if (signal === undefined) throw new Error(`no signal for: ${detail}`);
  return { signal, address: vector === PAGE_FAULT ? vcpu.readState().cr2 : 0n };
}
