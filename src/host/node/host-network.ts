/**
 * The host's network through Node's own sockets: what the gateway of a shared network makes its guests' connections with. It takes no
 * privileges. Everything it listens on is on the host's loopback.
 */
import { createSocket, type Socket as DatagramSocket } from 'node:dgram';
import { getServers } from 'node:dns';
import { createServer, connect as netConnect, type Socket } from 'node:net';
import type { HostDatagram, HostDatagramEvents, HostDatagramListener, HostEndpoint, HostNetwork, HostStream, HostStreamEvents } from '../../contracts/index.ts';

const LOOPBACK = '127.0.0.1';
const DNS_PORT = 53;
/** Somebody on the host opens connections faster than a guest answers. */
const MOST_CONNECTIONS = 256;
/** Datagrams that wait until a socket is connected, which is a matter of one turn of the event loop. */
const MOST_WAITING = 16;

export function hostNetwork(): HostNetwork {
  return { resolver: hostResolver(), connect, datagram, listen, listenDatagram };
}

/** The first of the host's resolvers that has an IPv4 address. */
function hostResolver(): HostEndpoint | undefined {
  for (const server of getServers()) {
    const match = /^(\d+\.\d+\.\d+\.\d+)(?::(\d+))?$/.exec(server);
    if (match !== null) return { address: addressOf(match[1] as string), port: Number(match[2] ?? DNS_PORT) };
  }
  return undefined;
}

function textOf(address: number): string {
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 0xff).join('.');
}

function addressOf(text: string): number {
  return text.split('.').reduce((address, part) => address * 256 + Number(part), 0);
}

class NodeStream implements HostStream {
  readonly #socket: Socket;
  #events: HostStreamEvents | undefined;
  #problem: string | undefined;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.setNoDelay(true);
  }

  /** Whoever hears of it from now on. */
  set events(events: HostStreamEvents) {
    this.#events = events;
    const socket = this.#socket;
    socket.on('connect', () => this.#events?.opened());
    socket.on('data', (bytes) => this.#events?.data(bytes));
    socket.on('end', () => this.#events?.ended());
    socket.on('error', (error: NodeJS.ErrnoException) => {
      this.#problem = error.code ?? error.message;
    });
    socket.on('close', () => this.#events?.closed(howOf(this.#problem)));
  }

  get waiting(): number {
    return this.#socket.writableLength;
  }

  write(bytes: Uint8Array): void {
    if (this.#socket.writable) this.#socket.write(Uint8Array.from(bytes), () => this.#events?.drained());
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  end(): void {
    this.#socket.end();
  }

  destroy(): void {
    this.#events = undefined;
    if (this.#socket.connecting) this.#socket.destroy();
    else this.#socket.resetAndDestroy();
  }
}

function howOf(problem: string | undefined): 'done' | 'refused' | 'reset' | 'failed' {
  if (problem === undefined) return 'done';
  if (problem === 'ECONNREFUSED') return 'refused';
  return problem === 'ECONNRESET' || problem === 'EPIPE' ? 'reset' : 'failed';
}

function connect({ address, port }: HostEndpoint, events: HostStreamEvents): HostStream {
  const stream = new NodeStream(netConnect({ host: textOf(address), port, allowHalfOpen: true }));
  stream.events = events;
  return stream;
}

function listen(port: number, accept: (stream: HostStream) => HostStreamEvents | undefined, failed: (why: string) => void): Disposable {
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => {
    // Until somebody listens to it, an error of the socket is nobody's.
    socket.on('error', () => undefined);
    const stream = new NodeStream(socket);
    const events = accept(stream);
    if (events === undefined) socket.resetAndDestroy();
    else stream.events = events;
  });
  server.maxConnections = MOST_CONNECTIONS;
  server.on('error', (error) => failed(error.message));
  server.listen(port, LOOPBACK);
  return { [Symbol.dispose]: () => void server.close() };
}

function datagram({ address, port }: HostEndpoint, events: HostDatagramEvents): HostDatagram {
  const socket = createSocket('udp4');
  let waiting: Uint8Array[] | undefined = [];
  let isClosed = false;
  socket.on('message', (bytes) => events.data(bytes));
  socket.on('error', (error: NodeJS.ErrnoException) => {
    if (!isClosed && error.code === 'ECONNREFUSED') events.refused();
  });
  socket.connect(port, textOf(address), (error?: Error) => {
    if (isClosed || error !== undefined) return;
    for (const bytes of waiting ?? []) socket.send(bytes);
    waiting = undefined;
  });
  return {
    send(bytes) {
      if (isClosed) return;
      const copy = Uint8Array.from(bytes);
      if (waiting === undefined) sendQuietly(socket, copy);
      else if (waiting.length < MOST_WAITING) waiting.push(copy);
    },
    close() {
      if (isClosed) return;
      isClosed = true;
      socket.close();
    },
  };
}

function listenDatagram(port: number, data: (bytes: Uint8Array, from: HostEndpoint) => void, failed: (why: string) => void): HostDatagramListener {
  const socket = createSocket('udp4');
  socket.on('message', (bytes, { address, port: fromPort }) => data(bytes, { address: addressOf(address), port: fromPort }));
  socket.on('error', (error) => failed(error.message));
  socket.bind(port, LOOPBACK);
  return {
    send: (bytes, to) => socket.send(Uint8Array.from(bytes), to.port, textOf(to.address), () => undefined),
    close: () => void socket.close(),
  };
}

/** A datagram that cannot be sent is one that got lost; that nobody listens comes as an event of the socket. */
function sendQuietly(socket: DatagramSocket, bytes: Uint8Array): void {
  socket.send(bytes, (error) => {
    if (error !== null && (error as NodeJS.ErrnoException).code === 'ECONNREFUSED') socket.emit('error', error);
  });
}
