/** From plans to a WebAssembly module: one function for each region, and one for each further entry. */
import { INSTRUCTIONS } from '../../x86/instructions.ts';
import { createHandlers, type HandlerTable } from '../handlers.ts';
import type { Imports } from '../interpreter-scope.ts';
import { ModuleBuilder } from '../wasm/module.ts';
import { F80_NOWHERE, f80FunctionsOf } from '../x87/f80-functions.ts';
import type { RegionPlan } from './plan.ts';
import { REGION_SIGNATURE } from './region-state.ts';
import { entryOf, writeEntry, writeRegion } from './region.ts';
import { TouchedRegisters } from './registers.ts';
import { defineSharedFunctions } from './shared-functions.ts';

/**
 * Makes modules of batches of regions, in this thread or in another. Nothing here waits: what is not ready is asked for again.
 * Translation never changes what a guest sees, only how fast: when a batch arrives is no part of the machine's state.
 */
export interface RegionCompiler {
  /** `id` comes back from {@link finished}. */
  submit(id: number, plans: readonly RegionPlan[]): void;
  /** A batch that is done, once each: its module, or in words why there is none. */
  finished(): CompiledBatch | undefined;
}

export interface CompiledBatch {
  readonly id: number;
  /** Size of the module, before the host makes machine code of it. */
  readonly bytes: number;
  readonly module: WebAssembly.Module | string;
}

export type Translator = (plans: readonly RegionPlan[]) => Uint8Array<ArrayBuffer>;

/** What a module calls the function of its `n`th region, or of that one's entry at an offset of the page behind one of its calls. */
export const exportOf = (n: number, offset?: number): string => (offset === undefined ? `r${n}` : `r${n}@${offset}`);

/** The bytes of a module for a batch of regions. */
export function createTranslator(handlers: HandlerTable = createHandlers(INSTRUCTIONS)): Translator {
  let registers: TouchedRegisters | undefined;
  return (plans) => {
    const builder = new ModuleBuilder(plans[0]?.state);
    const fill = builder.importFunction('fill', { parameters: ['i32', 'i32', 'i32', 'i32'], results: ['i32'] });
    const system = builder.importFunction('system', { parameters: ['i32', 'i32'], results: ['i32'] });
    const execute = builder.importFunction('execute', { parameters: ['i32', 'i32'], results: ['i32'] });
    builder.importTable();
    const type = builder.typeIndex(REGION_SIGNATURE);
    const { miss, translate, find } = defineSharedFunctions(builder, fill);
    const imports: Imports = { readSlow: miss, writeSlow: translate, commitStore: -1, system, f80: f80FunctionsOf(builder) };
    registers ??= new TouchedRegisters(handlers, { ...imports, f80: F80_NOWHERE });
    // Regions call each other, and functions that are defined only when the first of them needs one.
    const declared = plans.map((plan, n) => ({ plan, index: builder.declare(REGION_SIGNATURE, exportOf(n)) }));
    const functions = new Map(declared.map(({ plan, index }) => [entryOf(plan), index]));
    const environment = { handlers, imports, execute, find, type, registers, functions };
    for (const [n, { plan, index }] of declared.entries()) {
      builder.define(index, (code) => {
        for (const [entry, offset] of writeRegion(plan, environment, code).entries()) {
          if (entry > 0) builder.function(REGION_SIGNATURE, exportOf(n, offset), (other) => writeEntry(index, entry, other));
        }
      });
    }
    return builder.build();
  };
}

/** Compiles at once, in the caller's thread: for tests, and where there are no threads. */
export class ImmediateCompiler implements RegionCompiler {
  readonly #translate: Translator;
  readonly #ready: CompiledBatch[] = [];

  constructor(handlers: HandlerTable) {
    this.#translate = createTranslator(handlers);
  }

  submit(id: number, plans: readonly RegionPlan[]): void {
    try {
      const bytes = this.#translate(plans);
      this.#ready.push({ id, bytes: bytes.length, module: new WebAssembly.Module(bytes) });
    } catch (error) {
      this.#ready.push({ id, bytes: 0, module: (error as Error).message });
    }
  }

  finished(): CompiledBatch | undefined {
    return this.#ready.shift();
  }
}
