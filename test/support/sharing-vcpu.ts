/** A vCPU on an engine of its own that runs a few 32-bit instructions on memory that others store to at the same time. A Worker of this file runs one, too. */
import { isMainThread, parentPort, workerData } from 'node:worker_threads';
import { SharedWindow } from '../../src/base/index.ts';
import { ExitReason, type VcpuState } from '../../src/contracts/index.ts';
import { createSoftEngine } from '../../src/soft/index.ts';
import { silentWiring } from '../../src/soft/testing.ts';

/** Where it sees the memory; EDI points there. */
const SHARED = 0xd000_0000;
const CODE = 0x1000;
const EAX = 0;
const ECX = 1;
const ESP = 4;
const EDI = 7;
const STACK = 0x8000n;
const SLICE = 20_000;

export interface SharingStart {
  readonly memory: SharedArrayBuffer;
  /** Machine code; ends in an endless loop, with ECX 0. */
  readonly code: readonly number[];
  readonly rounds: number;
}

/** Runs until ECX, which counts rounds down, is 0. Returns what is in EAX then, and how many instructions it took. */
export function share({ memory: buffer, code, rounds }: SharingStart): { readonly eax: number; readonly retired: number } {
  const window = new SharedWindow(buffer, true);
  const wiring = silentWiring({
    io: {
      read: (_space, _address, size) => 2 ** (8 * size) - 1,
      write: () => undefined,
      sharedAt: (address, size) => (address >= SHARED && address + size <= SHARED + window.size ? { base: SHARED, window } : undefined),
    },
  });
  const engine = createSoftEngine();
  const memory = engine.createMemory([{ base: 0, size: 0x10_0000, access: 'rw' }], 1);
  const vcpu = engine.createVm(memory, 1, { log: () => undefined }).createVcpu(0, wiring);
  memory.write(CODE, Uint8Array.from(code));
  const before = vcpu.readState();
  const flat = (selector: number, attributes: number): VcpuState['segments']['cs'] => ({ selector, base: 0n, limit: 0xffff_ffff, attributes });
  const data = flat(16, 0xc093);
  vcpu.writeState({
    ...before,
    rip: BigInt(CODE),
    rflags: 2n,
    cr0: 0x11n,
    cr4: 0x600n, // SSE
    gpr: before.gpr.map((_, n) => (n === ECX ? BigInt(rounds) : n === EDI ? BigInt(SHARED) : n === ESP ? STACK : 0n)),
    segments: { ...before.segments, cs: flat(8, 0xc09b), ds: data, es: data, ss: data, fs: data, gs: data },
  });
  let retired = 0;
  while (vcpu.readState().gpr[ECX] !== 0n) {
    if (vcpu.run(SLICE) === ExitReason.Shutdown) throw new Error(vcpu.detail);
    retired += vcpu.retired;
  }
  return { eax: Number(vcpu.readState().gpr[EAX]), retired };
}

if (!isMainThread && workerData !== null && typeof workerData === 'object' && 'rounds' in workerData) {
  parentPort?.postMessage(share(workerData as SharingStart));
}

