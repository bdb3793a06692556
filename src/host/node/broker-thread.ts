/** The Worker of a broker, seen from the machine and from within: it is posted what it is to serve, blocks or has an event loop as it likes, and ends. */
import { parentPort, Worker, workerData } from 'node:worker_threads';
import type { Severity } from '../../contracts/index.ts';

const HEAP_MIB = 512;

export interface BrokerThreadEvents {
  log(severity: Severity, message: string): void;
  /** `detail`: why, when it did not go of its own accord. */
  exited(detail?: string): void;
}

type BrokerMessage =
  | { readonly kind: 'log'; readonly severity: Severity; readonly message: string }
  | { readonly kind: 'failed'; readonly detail: string };

/** Starts a Worker on the module `entry`, which calls {@link serveBrokerThread}. `start` is posted to it: plain data and shared memory. */
export function startBrokerThread<Start>(entry: URL, name: string, start: Start, events: BrokerThreadEvents): { terminate(): void } {
  const worker = new Worker(entry, { workerData: start, name, resourceLimits: { maxOldGenerationSizeMb: HEAP_MIB } });
  let failure: string | undefined;
  worker.on('message', (message: BrokerMessage) => {
    if (message.kind === 'log') events.log(message.severity, message.message);
    else failure = message.detail;
  });
  worker.on('error', (error) => {
    failure ??= error.message;
  });
  worker.on('exit', (code) => events.exited(failure ?? (code === 0 ? undefined : `exit code ${code}`)));
  return { terminate: () => void worker.terminate() };
}

/** Runs `program` on what was posted to this Worker. What it throws is what its machine is told. */
export async function serveBrokerThread<Start>(program: (start: Start, log: BrokerThreadEvents['log']) => void | Promise<void>): Promise<void> {
  const port = parentPort;
  if (port === null) throw new Error('serveBrokerThread outside a Worker');
  const tell = (message: BrokerMessage): void => port.postMessage(message);
  try {
    await program(workerData as Start, (severity, message) => tell({ kind: 'log', severity, message }));
  } catch (error) {
    const { code, message, hint } = error as { readonly code?: unknown; readonly message: string; readonly hint?: string };
    tell({ kind: 'failed', detail: `${typeof code === 'string' ? `${code}: ` : ''}${message}${hint === undefined ? '' : ` (${hint})`}` });
  }
}
