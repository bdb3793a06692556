import type { IoSpace } from './bus.ts';
import type { Logger, TimeBase } from './clock.ts';
import type { MemoryObserver, PhysicalMemory, RamRegion } from './memory.ts';
import type { Gpa, VcpuId } from './scalars.ts';

export interface EngineCapabilities {
  readonly available: boolean;
  /** Why not, in words for the user (`/dev/kvm: permission denied`). */
  readonly reason?: string;
  readonly maxVcpus: number;
  /** Same inputs, same instruction counts, same exits. */
  readonly deterministic: boolean;
}

/** A way to run x86 code. `soft` and `kvm` implement it and pass the same conformance suite. */
export interface Engine {
  readonly name: 'soft' | 'kvm';
  /** Never throws. */
  probe(): EngineCapabilities;
  /** The shared memory that holds RAM and whatever the engine keeps beside it. Throws BH401 when the host cannot give that much. */
  createMemory(regions: readonly RamRegion[], vcpus: number): PhysicalMemory;
  createVm(memory: PhysicalMemory, vcpus: number, log: Logger): Vm;
}

/** Observes its memory from `createVm` until it is disposed. */
export interface Vm extends Disposable, MemoryObserver {
  createVcpu(id: VcpuId, wiring: VcpuWiring): Vcpu;
}

/** CPUID leaves, answered the same way by every engine. */
export interface CpuidModel {
  /** Fills `out` with EAX, EBX, ECX, EDX. Hot enough not to allocate. */
  lookup(leaf: number, subleaf: number, out: Uint32Array): void;
}

/** What a core is wired to: everything outside it. All of it is called in the vCPU's own thread, mid-instruction. */
export interface VcpuWiring {
  readonly io: IoSpace;
  readonly cpuid: CpuidModel;
  /** INTA cycle: the vector to deliver now, moved to in-service; -1 when there is none after all. */
  acknowledgeInterrupt(): number;
  /** TPR bits 7:4 as CR8 shows them (SDM 3A §11.8.6). */
  readTaskPriority(): number;
  writeTaskPriority(priority: number): void;
  /** MSRs outside the core: APIC base, x2APIC, TSC deadline. undefined: no such MSR here (#GP). */
  readMsr(index: number): bigint | undefined;
  /** False: no such MSR, or a reserved bit is set (#GP). */
  writeMsr(index: number, value: bigint): boolean;
  /** The time-stamp counter before IA32_TSC_ADJUST and writes to the TSC, which the core keeps itself; an exact integer below 2^53. */
  timestamp(): number;
  /** Where {@link timestamp} is a function of retired instructions: which, for the run that begins. */
  timeBase?(into: TimeBase): void;
}

/**
 * Why `run` came back. Port and memory I/O never appear here: they are synchronous calls on {@link IoSpace} in the middle of
 * the instruction, so every engine completes them the same way.
 */
export const ExitReason = {
  /** Ran its instructions. */
  Budget: 0,
  /** `limit(0)`, a kick, or the guest executed PAUSE in a multi-vCPU partition: let others run. */
  Yield: 1,
  /** HLT: sleep until an interrupt. MWAIT: or until `awake`. */
  Halt: 2,
  /** Triple fault. */
  Shutdown: 3,
  /** Breakpoint, watchpoint or single step for the debugger. */
  Debug: 4,
  /** The engine cannot continue; see `detail`. */
  Fatal: 5,
  /** Waiting for SIPI (after INIT). */
  WaitForSipi: 6,
} as const;
export type ExitReason = (typeof ExitReason)[keyof typeof ExitReason];

export interface Vcpu extends Disposable {
  readonly id: VcpuId;
  /** Blocks the calling thread until an exit. `budget` is an upper bound in instructions, at least 1. */
  run(budget: number): ExitReason;
  /** Instructions retired by the current `run` so far (valid inside {@link IoSpace} calls), or by the last one. */
  readonly retired: number;
  /** Inside an {@link IoSpace} call: end the current `run` after at most this many further instructions (a nearer deadline). */
  limit(instructions: number): void;
  /** It would execute: neither halted nor waiting for SIPI. A store to the line that MWAIT waits for sets it without any pin. */
  readonly awake: boolean;
  /** More than NMI, INIT and SIPI can end its sleep: the INTR pin, or a store that MWAIT waits for. */
  readonly canWake: boolean;
  /** In words, after `Shutdown` or `Fatal`. */
  readonly detail: string;
  /** INTR pin. Delivered when IF and the interrupt shadow allow, through `acknowledgeInterrupt`. */
  setInterruptPin(level: boolean): void;
  /** NMI, SMI-less INIT, SIPI: delivered at the next instruction boundary that allows it. */
  inject(event: VcpuEvent): void;
  /** Reset state as after power-on (SDM 3A table 10-1); the bootstrap processor runs, the others wait for SIPI. */
  reset(bootstrap: boolean): void;
  readState(): VcpuState;
  writeState(state: VcpuState): void;
}

export type VcpuEvent =
  | { readonly kind: 'nmi' }
  | { readonly kind: 'init' }
  | { readonly kind: 'sipi'; readonly vector: number }
  /** An uncorrected hardware error: its MCA code (SDM 3B §16.9) and, where known, the physical address. Without CR4.MCE it shuts down. */
  | { readonly kind: 'machine-check'; readonly code: number; readonly address?: Gpa };

export interface SegmentState {
  readonly selector: number;
  readonly base: bigint;
  /** In bytes, after granularity. */
  readonly limit: number;
  /** Descriptor bytes 5 and 6 as VMX packs them: type[3:0], S[4], DPL[6:5], P[7], AVL[12], L[13], D/B[14], G[15], unusable[16] (SDM 3C §25.4.1). */
  readonly attributes: number;
}

export type SegmentName = 'es' | 'cs' | 'ss' | 'ds' | 'fs' | 'gs' | 'ldtr' | 'tr';

/** Architectural state in names: for loaders, reports, debuggers and snapshots. Not a hot path. */
export interface VcpuState {
  /** RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8…R15. */
  readonly gpr: readonly bigint[];
  readonly rip: bigint;
  readonly rflags: bigint;
  readonly segments: Readonly<Record<SegmentName, SegmentState>>;
  readonly gdtr: { readonly base: bigint; readonly limit: number };
  readonly idtr: { readonly base: bigint; readonly limit: number };
  readonly cr0: bigint;
  readonly cr2: bigint;
  readonly cr3: bigint;
  readonly cr4: bigint;
  readonly efer: bigint;
}
