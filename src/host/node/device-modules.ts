/**
 * Modules of the user's own that describe devices: loaded from where they lie, in TypeScript or JavaScript, with the kit they import
 * (`bulkhead/device`) always that of this very program, wherever the module lies and whatever is installed beside it.
 *
 * A module is somebody else's code. To learn what it offers it is loaded in a thread of its own, which is ended when it takes too long;
 * the thread that asks waits, because the compiler of manifests is no place for promises.
 */
import { registerHooks } from 'node:module';
import { pathToFileURL } from 'node:url';
import { MessageChannel, type MessagePort, receiveMessageOnPort, Worker, workerData } from 'node:worker_threads';

/** Long enough for a module with a few imports on a busy host. */
const PATIENCE_MS = 30_000;
const GENERATION = 'bulkhead-generation';

/** Bare specifiers that modules may import, and the files of ours behind them. */
export type Kit = Readonly<Record<string, URL>>;

/** Posted to the thread that looks at a module. */
interface InspectionStart {
  readonly path: string;
  readonly signal: Int32Array;
  readonly port: MessagePort;
}

let hooked = false;

/**
 * Loads a module. `generation` other than 0 loads it anew, with what it imports by relative paths: a module system loads nothing twice
 * otherwise. The old code stays in memory as long as the thread lives.
 */
export async function importDeviceModule(path: string, kit: Kit, generation = 0): Promise<Readonly<Record<string, unknown>>> {
  if (!hooked) hook(kit);
  hooked = true;
  const url = pathToFileURL(path);
  if (generation > 0) url.searchParams.set(GENERATION, String(generation));
  return (await import(url.href)) as Readonly<Record<string, unknown>>;
}

function hook(kit: Kit): void {
  registerHooks({
    resolve(specifier, context, next) {
      const own = kit[specifier];
      if (own !== undefined) return { url: own.href, shortCircuit: true };
      const resolved = next(specifier, context);
      const generation = generationOf(context.parentURL);
      if (generation === null || !specifier.startsWith('.')) return resolved;
      const url = new URL(resolved.url);
      url.searchParams.set(GENERATION, generation);
      return { ...resolved, url: url.href };
    },
  });
}

function generationOf(url: string | undefined): string | null {
  return url === undefined || !URL.canParse(url) ? null : new URL(url).searchParams.get(GENERATION);
}

/** What became of looking at a module: what the thread posted, or why it posted nothing. */
export type Inspection<Facts> = { readonly facts: Facts } | { readonly failure: string };

/**
 * Blocks until the Worker `entry`, which calls {@link serveInspection}, has looked at the module. Never throws.
 * `--watch` and its like see the Worker's imports, so a change of the module is noticed there too.
 */
export function inspectDeviceModule<Facts>(entry: URL, path: string): Inspection<Facts> {
  const signal = new Int32Array(new SharedArrayBuffer(4));
  const { port1, port2 } = new MessageChannel();
  const start: InspectionStart = { path, signal, port: port2 };
  const worker = new Worker(entry, { workerData: start, transferList: [port2], stdout: true, stderr: true });
  // Nobody listens to it any more once it has answered or not.
  worker.on('error', () => undefined);
  worker.unref();
  const outcome = Atomics.wait(signal, 0, 0, PATIENCE_MS);
  const answer = receiveMessageOnPort(port1)?.message as Inspection<Facts> | undefined;
  void worker.terminate();
  port1.close();
  if (answer !== undefined) return answer;
  return { failure: outcome === 'timed-out' ? `it has not finished loading within ${PATIENCE_MS / 1000} s` : 'it ended the thread that loaded it' };
}

/** The program of the thread: loads the module it was given and posts what `describe` makes of its exports. */
export async function serveInspection<Facts>(kit: Kit, describe: (exports: Readonly<Record<string, unknown>>) => Facts): Promise<void> {
  const { path, signal, port } = workerData as InspectionStart;
  const answer = (inspection: Inspection<Facts>): void => {
    port.postMessage(inspection);
    Atomics.store(signal, 0, 1);
    Atomics.notify(signal, 0);
  };
  process.on('exit', () => {
    Atomics.store(signal, 0, 1);
    Atomics.notify(signal, 0);
  });
  try {
    answer({ facts: describe(await importDeviceModule(path, kit)) });
  } catch (error) {
    answer({ failure: loadFailure(error) });
  }
}

/** Why a module could not be loaded: what Node says, in one line. */
export function loadFailure(error: unknown): string {
  if (!(error instanceof Error)) return `it threw ${String(error)}`;
  const code = (error as NodeJS.ErrnoException).code;
  const first = error.message.split('\n').find((line) => line.trim() !== '') ?? error.name;
  if (code === 'ERR_MODULE_NOT_FOUND') return first.replace(/ imported from .*$/, '');
  const place = /([^/\\()\s]+\.[cm]?[jt]s)(?:\?[^:\s]*)?:(\d+)/.exec(error.stack ?? '');
  return `${error.name}: ${first}${place === null ? '' : ` (${place[1]}:${place[2]})`}`;
}
