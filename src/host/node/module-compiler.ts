/**
 * WebAssembly modules made in a thread beside: the asking thread never waits, not even for its event loop, which a vCPU's thread
 * does not have. What is asked for and how it is made is the caller's.
 */
import { MessageChannel, type MessagePort, parentPort, receiveMessageOnPort, Worker } from 'node:worker_threads';

/** One thread's way to the compiler. */
export interface ModuleCompiler<Job> {
  submit(id: number, job: Job): void;
  /** A job that is done, once each; undefined when there is none. */
  finished(): Compiled | undefined;
}

export interface Compiled {
  readonly id: number;
  /** Size of its bytes. */
  readonly bytes: number;
  /** The module, or in words why there is none. */
  readonly module: WebAssembly.Module | string;
}

interface Client {
  readonly port: MessagePort;
  /** One word: how many modules were posted, so that a look costs no system call. */
  readonly posted: Int32Array<SharedArrayBuffer>;
}

interface Request<Job> {
  readonly id: number;
  readonly job: Job;
}

/**
 * Starts a Worker on the module `entry`, which calls {@link serveModuleCompiler}; the returned function opens a way to it. It lives as long
 * as the calling thread. `failed` is called when it dies: modules asked for later never come.
 */
export function startModuleCompiler<Job>(entry: URL, failed: (error: Error) => void): () => ModuleCompiler<Job> {
  const worker = new Worker(entry, { name: 'translator' });
  worker.unref();
  worker.on('error', failed);
  return () => {
    const { port1, port2 } = new MessageChannel();
    const posted = new Int32Array(new SharedArrayBuffer(4));
    worker.postMessage({ port: port2, posted } satisfies Client, [port2]);
    port1.unref();
    let taken = 0;
    return {
      submit: (id, job) => port1.postMessage({ id, job } satisfies Request<Job>),
      finished() {
        if (Atomics.load(posted, 0) === taken) return undefined;
        const received = receiveMessageOnPort(port1);
        if (received === undefined) return undefined;
        taken++;
        return received.message;
      },
    };
  };
}

/** The Worker's side: translates what clients ask for to bytes and compiles them, in the order of asking. */
export function serveModuleCompiler<Job>(translate: (job: Job) => Uint8Array<ArrayBuffer>): void {
  parentPort?.on('message', ({ port, posted }: Client) => {
    port.on('message', ({ id, job }: Request<Job>) => {
      port.postMessage({ id, ...attempt(() => translate(job)) } satisfies Compiled);
      Atomics.add(posted, 0, 1);
    });
  });
}

/** One job that cannot be done must not be the end of all that follow. */
function attempt(translate: () => Uint8Array<ArrayBuffer>): Omit<Compiled, 'id'> {
  try {
    const bytes = translate();
    return { bytes: bytes.length, module: new WebAssembly.Module(bytes) };
  } catch (error) {
    return { bytes: 0, module: (error as Error).message };
  }
}
