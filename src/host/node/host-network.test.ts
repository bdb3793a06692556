import { createSocket } from 'node:dgram';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import type { HostStream, HostStreamEvents } from '../../contracts/index.ts';
import { hostNetwork } from './host-network.ts';

const LOOPBACK = 0x7f00_0001;
const network = hostNetwork();
const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0)) cleanup();
});

/** Events as words, and the means to wait for one. */
class Witness implements HostStreamEvents {
  readonly heard: string[] = [];
  text = '';
  opened = (): void => this.#note('opened');
  data = (bytes: Uint8Array): void => {
    this.text += Buffer.from(bytes).toString('latin1');
    this.#note('data');
  };
  drained = (): void => this.#note('drained');
  ended = (): void => this.#note('ended');
  closed = (how: string): void => this.#note(`closed: ${how}`);

  #note(word: string): void {
    this.heard.push(word);
  }
}

async function until(holds: () => boolean): Promise<void> {
  const last = performance.now() + 10_000;
  while (!holds()) {
    if (performance.now() > last) throw new Error('never');
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

async function serve(handler: (socket: Socket) => void): Promise<number> {
  const server: Server = createServer({ allowHalfOpen: true }, handler);
  cleanups.push(() => server.close());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

describe('streams', () => {
  it('carry data both ways, and each side ends for itself', async () => {
    const port = await serve((socket) => {
      let text = '';
      socket.on('data', (bytes) => (text += bytes.toString()));
      socket.on('end', () => socket.end(`you said ${text}`));
    });
    const witness = new Witness();
    const stream = network.connect({ address: LOOPBACK, port }, witness);
    await until(() => witness.heard.includes('opened'));
    const bytes = Uint8Array.from(Buffer.from('hello'));
    stream.write(bytes);
    bytes.fill(0); // it took a copy
    stream.end();
    await until(() => witness.heard.some((word) => word.startsWith('closed')));
    expect([witness.text, witness.heard.at(-1), witness.heard.includes('ended'), witness.heard.includes('drained')]).toEqual(['you said hello', 'closed: done', true, true]);
  });

  it('say that nobody listens', async () => {
    const port = await serve(() => undefined);
    for (const cleanup of cleanups.splice(0)) cleanup();
    const witness = new Witness();
    network.connect({ address: LOOPBACK, port }, witness);
    await until(() => witness.heard.length > 0);
    expect(witness.heard).toEqual(['closed: refused']);
  });

  it('say that they were torn down', async () => {
    const port = await serve((socket) => socket.resetAndDestroy());
    const witness = new Witness();
    network.connect({ address: LOOPBACK, port }, witness);
    await until(() => witness.heard.some((word) => word.startsWith('closed')));
    expect(witness.heard.at(-1)).toBe('closed: reset');
  });

  it('stop and go on, and are silent once they are given up', async () => {
    let served: Socket | undefined;
    const port = await serve((socket) => {
      served = socket;
      socket.on('error', () => undefined);
    });
    const witness = new Witness();
    const stream = network.connect({ address: LOOPBACK, port }, witness);
    stream.pause();
    await until(() => witness.heard.includes('opened') && served !== undefined);
    served?.write('x');
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(witness.text).toBe('');
    stream.resume();
    await until(() => witness.text === 'x');
    const count = witness.heard.length;
    stream.destroy();
    await until(() => served?.destroyed === true);
    expect(witness.heard).toHaveLength(count);
  });
});

describe('forwarded ports', () => {
  it('hand over streams that stand', async () => {
    const witness = new Witness();
    let taken: HostStream | undefined;
    const free = await serve(() => undefined);
    for (const cleanup of cleanups.splice(0)) cleanup();
    const listener = network.listen(free, (stream) => {
      taken = stream;
      return witness;
    }, () => undefined);
    cleanups.push(() => listener[Symbol.dispose]());
    const client = connect(free, '127.0.0.1');
    client.on('error', () => undefined);
    let answer = '';
    client.on('data', (bytes) => (answer += bytes.toString()));
    client.write('knock');
    await until(() => taken !== undefined);
    taken?.resume();
    await until(() => witness.text === 'knock');
    taken?.write(Uint8Array.from(Buffer.from('come in')));
    await until(() => answer === 'come in');
    taken?.destroy();
    await until(() => client.destroyed);
  });

  it('say why they cannot be', async () => {
    const port = await serve(() => undefined);
    let why = '';
    network.listen(port, () => undefined, (reason) => (why = reason));
    await until(() => why !== '');
    expect(why).toMatch(/EADDRINUSE/);
  });
});

describe('datagrams', () => {
  it('go to one other and come from it', async () => {
    const echo = createSocket('udp4');
    cleanups.push(() => echo.close());
    echo.on('message', (bytes, from) => echo.send(`${bytes.toString()}!`, from.port, from.address));
    await new Promise<void>((resolve) => echo.bind(0, '127.0.0.1', resolve));
    const { port } = echo.address();
    const heard: string[] = [];
    const socket = network.datagram({ address: LOOPBACK, port }, { data: (bytes) => heard.push(Buffer.from(bytes).toString()), refused: () => heard.push('refused') });
    socket.send(Uint8Array.from(Buffer.from('early'))); // before it is connected
    await until(() => heard.length === 1);
    socket.send(Uint8Array.from(Buffer.from('late')));
    await until(() => heard.length === 2);
    expect(heard).toEqual(['early!', 'late!']);
    socket.close();
    socket.send(Uint8Array.of(1));
    socket.close();
  });

  it('say that nobody listens', async () => {
    const probe = createSocket('udp4');
    await new Promise<void>((resolve) => probe.bind(0, '127.0.0.1', resolve));
    const { port } = probe.address();
    await new Promise<void>((resolve) => probe.close(() => resolve()));
    let refused = 0;
    const socket = network.datagram({ address: LOOPBACK, port }, { data: () => undefined, refused: () => refused++ });
    const timer = setInterval(() => socket.send(Uint8Array.of(1)), 5);
    await until(() => refused > 0);
    clearInterval(timer);
    socket.close();
  });

  it('that come to a forwarded port are answered to whoever sent them', async () => {
    const probe = createSocket('udp4');
    await new Promise<void>((resolve) => probe.bind(0, '127.0.0.1', resolve));
    const { port } = probe.address();
    await new Promise<void>((resolve) => probe.close(() => resolve()));
    const listener = network.listenDatagram(port, (bytes, from) => listener.send(Uint8Array.from(bytes, (byte) => byte + 1), from), () => undefined);
    cleanups.push(() => listener.close());
    const client = createSocket('udp4');
    cleanups.push(() => client.close());
    const heard: number[] = [];
    client.on('message', (bytes) => heard.push(...bytes));
    await until(() => {
      client.send(Uint8Array.of(1, 2), port, '127.0.0.1');
      return heard.length > 0;
    });
    expect(heard.slice(0, 2)).toEqual([2, 3]);
  });
});
