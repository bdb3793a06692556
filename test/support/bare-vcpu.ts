/** One software vCPU with nothing around it: RAM, no devices, no paging tables but the identity map that long mode needs. */
import type { PhysicalMemory, Vcpu, VcpuState } from '../../src/contracts/index.ts';
import { createSoftEngine } from '../../src/soft/index.ts';
import { silentWiring } from '../../src/soft/testing.ts';

export interface BareVcpu {
  readonly memory: PhysicalMemory;
  readonly vcpu: Vcpu;
  /** Code was written at these addresses from outside. */
  changed(gpa: number, size: number): void;
}

const PML4 = 0x1000;
const PDPT = 0x2000;
const GiB_PAGE = 0x87n;

export function bareVcpu(ramBytes: number, options?: Parameters<typeof createSoftEngine>[0]): BareVcpu {
  const engine = createSoftEngine(options);
  const memory = engine.createMemory([{ base: 0, size: ramBytes, access: 'rw' }], 1);
  const vm = engine.createVm(memory, 1, { log: () => undefined });
  const vcpu = vm.createVcpu(0, silentWiring());
  const tables = new DataView(new ArrayBuffer(0x2000));
  tables.setBigUint64(0, BigInt(PDPT) | 7n, true);
  tables.setBigUint64(0x1000, GiB_PAGE, true);
  memory.write(PML4, new Uint8Array(tables.buffer));
  return { memory, vcpu, changed: (gpa, size) => vm.memoryChanged(gpa, size) };
}

const flat = (selector: number, attributes: number): VcpuState['segments']['cs'] =>
  ({ selector, base: 0n, limit: 0xffff_ffff, attributes });

/** Long mode at CPL 0, identity-mapped; SSE enabled. */
export function longModeState(vcpu: Vcpu, changes: Partial<VcpuState>): VcpuState {
  const before = vcpu.readState();
  const data = flat(16, 0xc093);
  return {
    ...before, cr0: 0x8000_0013n, cr3: BigInt(PML4), cr4: 0x620n, efer: 0x500n,
    segments: { ...before.segments, cs: flat(8, 0xa09b), ds: data, es: data, ss: data, fs: data, gs: data },
    ...changes,
  };
}
