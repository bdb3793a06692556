/**
 * How other processes talk to a running machine: a Unix socket in a folder that only its user can enter, one JSON document per line and
 * direction. `{"command":"keys","partition":"desktop","text":"ls<enter>"}` is answered by `{"ok":…}` or
 * `{"error":{"code":…,"message":…}}`.
 */
import { mkdirSync, readdirSync, rmSync, statSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { BulkheadError } from '../../base/index.ts';

export interface ControlRequest {
  readonly command: string;
  readonly [argument: string]: unknown;
}

type Answer = { readonly ok: unknown } | { readonly error: { readonly code?: string; readonly message: string; readonly hint?: string } };

/** A line longer than this is no request. */
const REQUEST_BYTES_MAX = 1 << 20;
const ANSWER_BYTES_MAX = 64 << 20;
const ANSWER_TIMEOUT_MS = 30_000;
const SUFFIX = '.sock';

/** Where running machines can be found: `$XDG_RUNTIME_DIR/bulkhead`, or a folder of this user among the system's temporary files. */
export function controlFolder(environment: Readonly<Record<string, string | undefined>> = process.env): string {
  const runtime = environment['XDG_RUNTIME_DIR'];
  return runtime !== undefined && runtime !== '' ? join(runtime, 'bulkhead') : join(tmpdir(), `bulkhead-${userInfo().uid}`);
}

/**
 * A request that turns its connection into something else: what is to be done with the socket once it was answered. Undefined: an
 * ordinary request.
 */
export type Upgrade = (request: ControlRequest) => ((socket: Socket) => void) | undefined;

/** A socket that answers requests; disposing closes and removes it. */
export interface ControlServer extends Disposable {
  readonly path: string;
}

/**
 * Answers requests to the machine `name` with what `handle` resolves to. A machine of the same name that runs already keeps its name;
 * this one gets its process number added. Throws BH641 when there can be no socket.
 */
export async function serveControl(
  name: string,
  handle: (request: ControlRequest) => Promise<unknown>,
  upgrade: Upgrade = () => undefined,
): Promise<ControlServer> {
  const folder = controlFolder();
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    refuseStrangers(folder);
    const taken = await isAnswered(join(folder, `${name}${SUFFIX}`));
    const path = join(folder, `${taken ? `${name}-${process.pid}` : name}${SUFFIX}`);
    rmSync(path, { force: true }); // left by a process that was killed
    const sockets = new Set<Socket>();
    const server = await listen(path, (socket) => {
      sockets.add(socket);
      socket.on('close', () => sockets.delete(socket));
      serve(socket, handle, upgrade);
    });
    return {
      path,
      [Symbol.dispose]() {
        server.close();
        for (const socket of sockets) socket.destroy();
        rmSync(path, { force: true });
      },
    };
  } catch (cause) {
    throw new BulkheadError('BH641', `no control socket in ${folder}: ${(cause as Error).message}`, {
      cause,
      hint: 'set XDG_RUNTIME_DIR to a folder of yours',
    });
  }
}

/** Somebody else may have made it first, where everybody can write. */
function refuseStrangers(folder: string): void {
  const { uid, mode } = statSync(folder);
  if (uid !== userInfo().uid || (mode & 0o077) !== 0) throw new Error('others can enter the folder');
}

/** Paths of the sockets of machines that may be running, by machine. */
export function controlSockets(): ReadonlyMap<string, string> {
  const folder = controlFolder();
  try {
    const names = readdirSync(folder).filter((name) => name.endsWith(SUFFIX));
    return new Map(names.map((name) => [name.slice(0, -SUFFIX.length), join(folder, name)]));
  } catch {
    return new Map();
  }
}

/** Sends a request and resolves to the answer. Throws BH642 when nobody answers, and the error that the machine reports. */
export async function requestControl(path: string, request: ControlRequest): Promise<unknown> {
  return unpack(await exchange(path, `${JSON.stringify(request)}\n`));
}

function unpack(line: string): unknown {
  const answer = JSON.parse(line) as Answer;
  if ('ok' in answer) return answer.ok;
  const { code, message, hint } = answer.error;
  throw new BulkheadError((code ?? 'BH642') as BulkheadError['code'], message, hint === undefined ? {} : { hint });
}

/** Sends a request that turns the connection into something else, and resolves to it: what follows is the caller's. Throws as {@link requestControl}. */
export async function upgradeControl(path: string, request: ControlRequest): Promise<{ readonly socket: Socket; readonly first: Buffer }> {
  return new Promise((resolve, reject) => {
    const fail = (why: string): void => reject(new BulkheadError('BH642', `the machine behind ${path} does not answer: ${why}`));
    const socket = connect(path, () => socket.write(`${JSON.stringify(request)}\n`));
    socket.once('error', (error) => fail(error.message));
    socket.once('end', () => fail('it closed the connection'));
    onLine(socket, ANSWER_BYTES_MAX, (line, detach) => {
      const first = detach();
      socket.removeAllListeners('end').removeAllListeners('error');
      try {
        unpack(line);
        resolve({ socket, first });
      } catch (error) {
        socket.destroy();
        reject(error);
      }
    });
  });
}

function exchange(path: string, line: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const fail = (why: string): void => {
      socket.destroy();
      reject(new BulkheadError('BH642', `the machine behind ${path} does not answer: ${why}`, { hint: 'is it still running?' }));
    };
    const socket = connect(path, () => socket.write(line));
    socket.setTimeout(ANSWER_TIMEOUT_MS, () => fail('no answer in time'));
    socket.on('error', (error) => fail(error.message));
    socket.on('end', () => fail('it closed the connection'));
    onLine(socket, ANSWER_BYTES_MAX, (answer) => {
      socket.removeAllListeners('end');
      socket.end();
      resolve(answer);
    });
  });
}

function serve(socket: Socket, handle: (request: ControlRequest) => Promise<unknown>, upgrade: Upgrade): void {
  socket.on('error', () => socket.destroy());
  let next: ((socket: Socket) => void) | undefined;
  onLine(socket, REQUEST_BYTES_MAX, (line, detach) => {
    void answerTo(line, async (request) => {
      next = upgrade(request);
      return next === undefined ? handle(request) : null;
    }).then((answer) => {
      if (!socket.destroyed) socket.write(`${JSON.stringify(answer)}\n`);
      if (next === undefined || socket.destroyed) return;
      const rest = detach();
      next(socket);
      if (rest.length > 0) socket.emit('data', rest);
    });
  });
}

async function answerTo(line: string, handle: (request: ControlRequest) => Promise<unknown>): Promise<Answer> {
  try {
    const request: unknown = JSON.parse(line);
    if (typeof request !== 'object' || request === null || typeof (request as ControlRequest).command !== 'string') {
      throw new BulkheadError('BH643', 'a request is an object with a `command`');
    }
    return { ok: (await handle(request as ControlRequest)) ?? null };
  } catch (error) {
    if (error instanceof BulkheadError) {
      return { error: { code: error.code, message: error.message, ...(error.hint === undefined ? {} : { hint: error.hint }) } };
    }
    return { error: { message: error instanceof Error ? error.message : String(error) } };
  }
}

/**
 * Calls `take` for every complete line; a line that grows beyond `limit` ends the connection. `detach` ends it all and returns what came
 * behind the last line.
 */
function onLine(socket: Socket, limit: number, take: (line: string, detach: () => Buffer) => void): void {
  /** What belongs to no complete line yet: all but the last without a line end. */
  let pieces: Buffer[] = [];
  let length = 0;
  let isDetached = false;
  const receive = (data: Buffer): void => {
    pieces.push(data);
    length += data.length;
    while (!isDetached) {
      const last = pieces.at(-1) as Buffer;
      const end = last.indexOf(0x0a);
      if (end < 0) break;
      pieces[pieces.length - 1] = last.subarray(0, end);
      const line = Buffer.concat(pieces).toString('utf8');
      pieces = [last.subarray(end + 1)];
      length = last.length - end - 1;
      take(line, detach);
    }
    if (length > limit) socket.destroy();
  };
  const detach = (): Buffer => {
    isDetached = true;
    socket.off('data', receive);
    return Buffer.concat(pieces);
  };
  socket.on('data', receive);
}

function listen(path: string, connected: (socket: Socket) => void): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer(connected);
    server.once('error', reject);
    server.listen(path, () => {
      server.off('error', reject);
      server.unref(); // a machine that has ended does not stay for visitors
      resolve(server);
    });
  });
}

function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path, () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}
