/** From plans to a WebAssembly module: one function for each region, exported as `r0`, `r1` … */
import type { HandlerTable } from '../handlers.ts';
import { Code } from '../wasm/code.ts';
import { ModuleBuilder } from '../wasm/module.ts';
import { importF80Functions } from '../x87/f80-functions.ts';
import type { RegionPlan } from './plan.ts';
import { REGION_SIGNATURE, writeRegion } from './region.ts';

/**
 * Makes modules of batches of regions, in this thread or in another. Nothing here waits: what is not ready is asked for again.
 * Translation never changes what a guest sees, only how fast: when a batch arrives is no part of the machine's state.
 */
export interface RegionCompiler {
  /** `batch` comes back from {@link finished}. */
  submit(batch: number, plans: readonly RegionPlan[]): void;
  /** A batch that is ready, once each. */
  finished(): { readonly batch: number; readonly module: WebAssembly.Module } | undefined;
}

export function translate(plans: readonly RegionPlan[], handlers: HandlerTable): Uint8Array<ArrayBuffer> {
  const builder = new ModuleBuilder();
  const fill = builder.importFunction('fill', { parameters: ['i32', 'i32', 'i32', 'i32'], results: ['i32'] });
  const f80 = importF80Functions(builder);
  builder.importTable();
  const environment = { handlers, fill, f80, type: builder.typeIndex(REGION_SIGNATURE) };
  const parameters = REGION_SIGNATURE.parameters.length;
  for (const [n, plan] of plans.entries()) {
    builder.function(REGION_SIGNATURE, `r${n}`, (code) => writeRegion(plan, environment, code, () => new Code(parameters)));
  }
  return builder.build();
}

/** Compiles at once, in the caller's thread: for tests, and where there are no threads. */
export class ImmediateCompiler implements RegionCompiler {
  readonly #handlers: HandlerTable;
  readonly #ready: { readonly batch: number; readonly module: WebAssembly.Module }[] = [];

  constructor(handlers: HandlerTable) {
    this.#handlers = handlers;
  }

  submit(batch: number, plans: readonly RegionPlan[]): void {
    this.#ready.push({ batch, module: new WebAssembly.Module(translate(plans, this.#handlers)) });
  }

  finished(): { readonly batch: number; readonly module: WebAssembly.Module } | undefined {
    return this.#ready.shift();
  }
}
