/**
 * Node keeps what it made of our sources in NODE_COMPILE_CACHE (scripts/setup.mjs) when a thread ends by itself. Those of a machine often
 * end in another way, so that each writes when it has loaded what it needs.
 */
import { flushCompileCache } from 'node:module';

/** Does nothing where there is no such folder, or it cannot be written. */
export function keepCompiled(): void {
  flushCompileCache();
}
