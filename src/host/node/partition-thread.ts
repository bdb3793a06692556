/**
 * The machine's side of a partition's Worker. What is posted to it and what it runs is the caller's: this room knows threads, not partitions.
 *
 * A Worker that throws, runs out of memory, exits or is terminated takes nobody with it: whatever happened, `exited` is called once, last.
 */
import { Worker } from 'node:worker_threads';
import type { DisplayBuffers, Severity } from '../../contracts/index.ts';

/** The guest's memory and the engine's code lie outside the JavaScript heap: a partition that needs more than this has gone wrong. */
const HEAP_MIB = 512;
/** Calls of the guest nest on it, as deep as the engine allows (soft/translator/region.ts). */
const STACK_MIB = 8;

/** What the partition's side posts; see worker.ts. */
export type ThreadMessage<End> =
  | { readonly kind: 'started'; readonly image: string; readonly displays: Readonly<Record<string, DisplayBuffers>> }
  | { readonly kind: 'ended'; readonly end: End }
  | { readonly kind: 'log'; readonly severity: Severity; readonly message: string };

export interface PartitionThreadEvents<End> {
  started(image: string, displays: Readonly<Record<string, DisplayBuffers>>): void;
  ended(end: End): void;
  log(severity: Severity, message: string): void;
  /** `detail`: why, when it did not go of its own accord. */
  exited(detail?: string): void;
}

/**
 * Starts a Worker on the module `entry`, which calls `servePartitionThread`. `start` is posted to it: plain data and shared memory.
 * `terminate` ends it wherever it is: in generated code, in a sleep, in a library.
 */
export function startPartitionThread<Start, End>(
  entry: URL,
  name: string,
  start: Start,
  events: PartitionThreadEvents<End>,
): { terminate(): void } {
  const worker = new Worker(entry, { workerData: start, name, resourceLimits: { maxOldGenerationSizeMb: HEAP_MIB, stackSizeMb: STACK_MIB } });
  let failure: string | undefined;
  worker.on('message', (message: ThreadMessage<End>) => {
    switch (message.kind) {
      case 'started':
        events.started(message.image, message.displays);
        break;
      case 'ended':
        events.ended(message.end);
        break;
      case 'log':
        events.log(message.severity, message.message);
        break;
    }
  });
  worker.on('error', (error: NodeJS.ErrnoException) => {
    failure = error.code === 'ERR_WORKER_OUT_OF_MEMORY' ? 'out of memory' : error.message;
  });
  worker.on('exit', (code) => events.exited(failure ?? (code === 0 ? undefined : `exit code ${code}`)));
  return { terminate: () => void worker.terminate() };
}
