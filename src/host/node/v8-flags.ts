/** V8 settings that generated code depends on for its speed. They are the process's, for all threads, and harmless where unknown. */
import { setFlagsFromString } from 'node:v8';

/** Branch hints move slow paths out of line; V8 of Node 24 knows them but has them off. Before the first WebAssembly module is compiled. */
export function enableBranchHints(): void {
  setFlagsFromString('--experimental-wasm-branch-hinting');
}
