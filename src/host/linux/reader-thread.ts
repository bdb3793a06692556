/** A thread of its own for a file of the host that must be waited for: see file-reader.ts. */
import { closeSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import type { FileReaderStart } from './file-reader.ts';

const READER = new URL('./file-reader.ts', import.meta.url);

/** Reads until it is disposed of, and closes the file then: earlier, another file could get its number. */
export function startReader(start: FileReaderStart): Disposable {
  const reader = new Worker(READER, { workerData: start });
  reader.on('exit', () => closeSync(start.file));
  reader.on('error', () => undefined);
  reader.unref();
  return { [Symbol.dispose]: () => void reader.terminate() };
}
