/**
 * Ways to a console over sockets: a Unix socket (bytes and nothing else), telnet, and WebSocket (binary messages are bytes of the console
 * and of the keyboard; text messages are JSON: `{"resize":{"columns":80,"rows":25}}` and `{"pen":"take"}` from the browser,
 * `{"notice":"…"}` to it).
 *
 * Spec: RFC 6455 (through the package ws), RFC 854 (telnet.ts).
 */
import { lstatSync, rmSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { type WebSocket, WebSocketServer } from 'ws';
import { BulkheadError } from '../../base/index.ts';
import { type ConsoleWayServer, lostInWords, PacedWriter, type VisitorEvents, type Welcome } from './console-visitor.ts';
import { TelnetDecoder, telnetData } from './telnet.ts';

/** At once, and by one way. */
const VISITORS_MAX = 16;
/** A key, a pasted page. */
const MESSAGE_BYTES_MAX = 64 * 1024;
const WEBSOCKET_BACKLOG_BYTES = 256 * 1024;
const SIZE_MAX = 1000;

export interface TcpAddress {
  readonly host: string;
  readonly port: number;
}

/** Throws BH660 when it cannot be opened. Only the user this process runs as can enter. */
export async function openUnixWay(path: string, welcome: Welcome): Promise<ConsoleWayServer> {
  const label = `unix ${path}`;
  try {
    await removeDeadSocket(path);
  } catch (cause) {
    throw refused(label, (cause as Error).message, cause);
  }
  // The socket is made while `serve` is called, not later: it never is anybody else's to enter.
  const mask = process.umask(0o177);
  const serving = serve(label, { path }, (socket) => serveBytes(socket, label, welcome));
  process.umask(mask);
  const way = await serving;
  return {
    address: label,
    [Symbol.dispose]() {
      way.close();
      rmSync(path, { force: true });
    },
  };
}

/** Throws BH660 when it cannot be opened. */
export async function openTelnetWay(address: TcpAddress, welcome: Welcome): Promise<ConsoleWayServer> {
  const way = await serve(`telnet ${address.host}:${address.port}`, address, (socket) => serveTelnet(socket, `telnet ${peerOf(socket)}`, welcome));
  return { address: `telnet ${address.host}:${way.port}`, [Symbol.dispose]: way.close };
}

/** Throws BH660 when it cannot be opened. Pages of other origins are sent away: any page a browser shows could ask. */
export async function openWebSocketWay(address: TcpAddress, welcome: Welcome): Promise<ConsoleWayServer> {
  const label = `websocket ${address.host}:${address.port}`;
  const server = new WebSocketServer({
    ...address,
    maxPayload: MESSAGE_BYTES_MAX,
    verifyClient: ({ origin, req }: { origin?: string; req: { headers: { host?: string | undefined } } }) =>
      server.clients.size < VISITORS_MAX && isOwnOrigin(origin, req.headers.host),
  });
  await new Promise<void>((resolve, reject) => {
    server.once('listening', resolve);
    server.once('error', (cause) => reject(refused(label, cause.message, cause)));
  });
  server.on('error', () => undefined);
  server.on('connection', (socket, request) => serveWebSocket(socket, `websocket ${peerOf(request.socket)}`, welcome));
  const bound = server.address();
  return {
    address: `websocket ${address.host}:${typeof bound === 'object' && bound !== null ? bound.port : address.port}`,
    [Symbol.dispose]() {
      for (const client of server.clients) client.terminate();
      server.close();
    },
  };
}

/** A connection that speaks telnet, whoever accepted it. */
export function serveTelnet(socket: Socket, label: string, welcome: Welcome): void {
  const writer = new PacedWriter(socket, (lost) => notice(lostInWords(lost)));
  const notice = (text: string): void => writer.write(telnetData(Buffer.from(`\r\n${text}\r\n`)));
  socket.setNoDelay(true);
  socket.write(TelnetDecoder.greeting());
  const events = visit(socket, welcome, { label, write: (bytes) => writer.write(telnetData(bytes)), notice });
  const decoder = new TelnetDecoder({
    typed: (bytes) => events.typed(bytes),
    resized: (size) => events.resized(size),
    broken: () => events.takePen(),
    answer: (bytes) => writer.write(bytes),
  });
  socket.on('data', (bytes: Buffer) => decoder.feed(bytes));
}

function serveBytes(socket: Socket, label: string, welcome: Welcome): void {
  const writer = new PacedWriter(socket, () => undefined);
  const events = visit(socket, welcome, { label, write: (bytes) => writer.write(bytes) });
  socket.on('data', (bytes: Buffer) => events.typed(bytes));
}

/** What all sockets have in common. */
function visit(socket: Socket, welcome: Welcome, { label, write, notice }: { label: string; write(bytes: Uint8Array): void; notice?(text: string): void }): VisitorEvents {
  const events = welcome({
    label,
    write,
    ...(notice === undefined ? {} : { notice }),
    pause: () => socket.pause(),
    resume: () => socket.resume(),
    close: () => socket.destroy(),
  });
  socket.on('error', () => socket.destroy());
  socket.on('close', () => events.left());
  return events;
}

function serveWebSocket(socket: WebSocket, label: string, welcome: Welcome): void {
  let lost = 0;
  const events = welcome({
    label,
    write(bytes) {
      if (socket.bufferedAmount > WEBSOCKET_BACKLOG_BYTES) lost += bytes.length;
      else {
        if (lost > 0) socket.send(JSON.stringify({ notice: lostInWords(lost) }));
        lost = 0;
        socket.send(bytes);
      }
    },
    notice: (text) => socket.send(JSON.stringify({ notice: text })),
    pause: () => socket.pause(),
    resume: () => socket.resume(),
    close: () => socket.terminate(),
  });
  socket.on('error', () => socket.terminate());
  socket.on('close', () => events.left());
  socket.on('message', (data: Buffer, isBinary: boolean) => {
    if (isBinary) events.typed(data);
    else obey(String(data), events);
  });
}

/** A text message of a browser; one that makes no sense is ignored. */
export function obey(text: string, events: Pick<VisitorEvents, 'resized' | 'takePen'>): void {
  let message: unknown;
  try {
    message = JSON.parse(text);
  } catch {
    return;
  }
  if (typeof message !== 'object' || message === null) return;
  const { pen, resize } = message as { pen?: unknown; resize?: unknown };
  if (pen === 'take') events.takePen();
  if (typeof resize !== 'object' || resize === null) return;
  const { columns, rows } = resize as { columns?: unknown; rows?: unknown };
  if (isSize(columns) && isSize(rows)) events.resized({ columns, rows });
}

function isSize(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) > 0 && (value as number) <= SIZE_MAX;
}

interface Listening {
  readonly port: number;
  readonly close: () => void;
}

async function serve(label: string, where: TcpAddress | { readonly path: string }, welcome: (socket: Socket) => void): Promise<Listening> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    if (sockets.size >= VISITORS_MAX) {
      socket.destroy();
      return;
    }
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
    welcome(socket);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) => reject(refused(label, cause.message, cause)));
    server.listen(where, resolve);
  });
  server.on('error', () => undefined);
  const bound = server.address();
  return {
    port: typeof bound === 'object' && bound !== null ? bound.port : 0,
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

/** A socket that nobody answers was left by a process that was killed. Anything else that lies there is not ours to remove. */
async function removeDeadSocket(path: string): Promise<void> {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (!found.isSocket()) throw new Error('there is a file of that name');
  const answered = await new Promise<boolean>((resolve) => {
    const socket = connect(path, () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
  if (answered) throw new Error('somebody answers there already');
  rmSync(path, { force: true });
}

/** A page from where the WebSocket itself is, from this machine, or no page at all. */
function isOwnOrigin(origin: string | undefined, host: string | undefined): boolean {
  if (origin === undefined || origin === '') return true;
  const from = URL.canParse(origin) ? new URL(origin) : undefined;
  if (from === undefined) return false;
  return from.host === host || ['localhost', '127.0.0.1', '[::1]'].includes(from.hostname);
}

function peerOf({ remoteAddress, remotePort }: Pick<Socket, 'remoteAddress' | 'remotePort'>): string {
  return `${remoteAddress}:${remotePort}`;
}

function refused(way: string, reason: string, cause: unknown): BulkheadError {
  return new BulkheadError('BH660', `the console cannot be reached by ${way}: ${reason}`, { cause, hint: 'choose another path or port' });
}
