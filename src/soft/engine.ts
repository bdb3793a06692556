/** The software engine: x86 in generated WebAssembly, everywhere. */
import { createPhysicalMemory } from '../board/memory.ts';
import type { Engine, Logger, PhysicalMemory, RamRegion, Vcpu, VcpuWiring, Vm } from '../contracts/index.ts';
import { INSTRUCTIONS } from '../x86/instructions.ts';
import { CodeTracker } from './code-pages.ts';
import { buildInterpreter, type Interpreter } from './interpreter.ts';
import { reservedBytes } from './layout.ts';
import { SoftVcpu } from './vcpu.ts';

const MAX_VCPUS = 16;

let interpreter: Interpreter | undefined;

class SoftVm implements Vm {
  readonly #memory: PhysicalMemory;
  readonly #vcpus: number;
  readonly #log: Logger;
  readonly #tracker: CodeTracker;

  constructor(memory: PhysicalMemory, vcpus: number, log: Logger) {
    this.#memory = memory;
    this.#vcpus = vcpus;
    this.#log = log;
    this.#tracker = new CodeTracker(memory.bytes.length);
  }

  createVcpu(id: number, wiring: VcpuWiring): Vcpu {
    interpreter ??= buildInterpreter(INSTRUCTIONS);
    return new SoftVcpu(id, this.#memory, wiring, this.#tracker, interpreter, this.#vcpus === 1, this.#log);
  }

  memoryChanged(gpa: number, size: number): void {
    for (let at = gpa; at < gpa + size; at = (Math.floor(at / 4096) + 1) * 4096) {
      const host = this.#memory.offsetOf(at, 1);
      if (host >= 0) this.#tracker.storing(host, Math.min(4096 - (at % 4096), gpa + size - at));
    }
  }

  [Symbol.dispose](): void {
    this.#tracker.users.length = 0;
  }
}

/** Needs nothing of the host but WebAssembly with threads and SIMD. */
export function createSoftEngine(): Engine {
  return {
    name: 'soft',
    probe: () => ({ available: true, maxVcpus: MAX_VCPUS, deterministic: true }),
    createMemory: (regions: readonly RamRegion[], vcpus: number) => createPhysicalMemory(regions, reservedBytes(vcpus)),
    createVm: (memory, vcpus, log) => new SoftVm(memory, vcpus, log),
  };
}
