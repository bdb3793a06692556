/** The partition's side of its Worker: takes what was posted, runs it, tells how it ended. */
import { parentPort, workerData } from 'node:worker_threads';
import type { DisplayBuffers, Severity } from '../../contracts/index.ts';
import type { ThreadMessage } from './partition-thread.ts';

/** What a partition's program may tell while it runs. Nothing of it is on a hot path. */
export interface ThreadVoice {
  started(image: string, displays: Readonly<Record<string, DisplayBuffers>>): void;
  log(severity: Severity, message: string): void;
}

/**
 * Runs `program` on what was posted to this Worker, to its end, and posts what it returned. The program blocks the thread: it hears from
 * the machine through shared memory only. An error it throws ends the Worker, and the machine hears of that.
 */
export async function servePartitionThread<Start, End>(program: (start: Start, voice: ThreadVoice) => End | Promise<End>): Promise<void> {
  const port = parentPort;
  if (port === null) throw new Error('servePartitionThread outside a Worker');
  const tell = (message: ThreadMessage<End>): void => port.postMessage(message);
  const end = await program(workerData as Start, {
    started: (image, displays) => tell({ kind: 'started', image, displays }),
    log: (severity, message) => tell({ kind: 'log', severity, message }),
  });
  tell({ kind: 'ended', end });
}
