/** V8 settings that we depend on for speed. They are the process's, for all threads, and harmless where unknown. */
import { setFlagsFromString } from 'node:v8';

/** First thing in every process of ours. */
export function tuneV8(): void {
  // Branch hints move slow paths out of line; V8 of Node 24 knows them but has them off.
  setFlagsFromString('--experimental-wasm-branch-hinting');
  // Compiled when a module is made, in the threads that make it: at its first call a vCPU's own thread would compile, and its guest wait.
  setFlagsFromString('--no-wasm-lazy-compilation');
  // Most of our TypeScript runs while a machine starts and is not worth optimising after 400 and 3000 calls, which took as long as running it.
  setFlagsFromString('--invocation-count-for-maglev=3000');
  setFlagsFromString('--invocation-count-for-turbofan=20000');
  // MiB, of threads that start from now on: fresh memory for what soon is garbage costs more than to look through it more often.
  setFlagsFromString('--max-semi-space-size=4');
}
