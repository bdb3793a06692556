/** V8 settings that generated code depends on for its speed. They are the process's, for all threads, and harmless where unknown. */
import { setFlagsFromString } from 'node:v8';

/** Before the first WebAssembly module is compiled. */
export function tuneWebAssembly(): void {
  // Branch hints move slow paths out of line; V8 of Node 24 knows them but has them off.
  setFlagsFromString('--experimental-wasm-branch-hinting');
  // Compiled when a module is made, in the threads that make it: at its first call a vCPU's own thread would compile, and its guest wait.
  setFlagsFromString('--no-wasm-lazy-compilation');
}
