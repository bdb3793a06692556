/** The software engine: x86 in generated WebAssembly, everywhere. */
import { BESIDE_RAM_BYTES, createPhysicalMemory } from '../board/memory.ts';
import type { Engine, Logger, PhysicalMemory, RamRegion, Vcpu, VcpuWiring, Vm } from '../contracts/index.ts';
import { INSTRUCTIONS } from '../x86/instructions.ts';
import { CodeTracker } from './code-pages.ts';
import { createHandlers } from './handlers.ts';
import type { Interpreter } from './interpreter.ts';
import { interpreterBytes } from './interpreter-bytes.ts';
import { reservedBytes } from './layout.ts';
import { ImmediateCompiler, type RegionCompiler } from './translator/compile.ts';
import { SoftVcpu, type VcpuTranslation } from './vcpu.ts';

const MAX_VCPUS = 16;
/** Interpreting a block so often costs about as much as translating it. */
const HOT_AFTER = 15_000;

let interpreter: Interpreter | undefined;

class SoftVm implements Vm {
  readonly #memory: PhysicalMemory;
  readonly #vcpus: number;
  readonly #log: Logger;
  readonly #tracker: CodeTracker;
  readonly #observation: Disposable;
  readonly #options: SoftEngineOptions;

  constructor(memory: PhysicalMemory, vcpus: number, log: Logger, options: SoftEngineOptions) {
    this.#options = options;
    this.#memory = memory;
    this.#vcpus = vcpus;
    this.#log = log;
    this.#tracker = new CodeTracker(memory.bytes.length);
    this.#observation = memory.observe(this);
  }

  createVcpu(id: number, wiring: VcpuWiring): Vcpu {
    interpreter ??= { module: new WebAssembly.Module(interpreterBytes()), handlers: createHandlers(INSTRUCTIONS) };
    return new SoftVcpu(id, this.#memory, wiring, this.#tracker, interpreter, this.#translator(interpreter), this.#vcpus === 1, this.#log);
  }

  #translator({ handlers }: Interpreter): VcpuTranslation | undefined {
    const { translation, hotAfter = HOT_AFTER } = this.#options;
    if (translation === 'none') return undefined;
    return { compiler: translation === undefined || translation === 'immediate' ? new ImmediateCompiler(handlers) : translation(), hotAfter };
  }

  memoryChanged(gpa: number, size: number): void {
    for (let at = gpa; at < gpa + size; at = (Math.floor(at / 4096) + 1) * 4096) {
      const host = this.#memory.offsetOf(at, 1);
      if (host >= 0) this.#tracker.storing(host, Math.min(4096 - (at % 4096), gpa + size - at));
    }
  }

  memoryMapChanged(): void {
    for (const user of this.#tracker.users) user.forgetTranslations();
  }

  [Symbol.dispose](): void {
    this.#observation[Symbol.dispose]();
    this.#tracker.users.length = 0;
  }
}

/** Whether hot code is translated: not at all, in the vCPU's own thread, or by a compiler made for each vCPU. */
export type Translation = 'none' | 'immediate' | (() => RegionCompiler);

export interface SoftEngineOptions {
  /** Left out: in the vCPU's own thread. */
  readonly translation?: Translation;
  /** How many lookups make a block hot; 0: each is translated before it runs, for tests. */
  readonly hotAfter?: number;
}

/** Needs nothing of the host but WebAssembly with threads and SIMD. */
export function createSoftEngine(options: SoftEngineOptions = {}): Engine {
  return {
    name: 'soft',
    probe: () => ({ available: true, maxVcpus: MAX_VCPUS, deterministic: true }),
    createMemory: (regions: readonly RamRegion[], vcpus: number) => createPhysicalMemory(regions, reservedBytes(vcpus), BESIDE_RAM_BYTES),
    createVm: (memory, vcpus, log) => new SoftVm(memory, vcpus, log, options),
  };
}
