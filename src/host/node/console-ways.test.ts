import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import type { ConsoleVisitor, ConsoleWayServer, Welcome } from './console-visitor.ts';
import { obey, openTelnetWay, openUnixWay, openWebSocketWay } from './console-ways.ts';
import { telnetWindowSize } from './telnet.ts';

let folder: string;
let events: string[];
let visitors: ConsoleVisitor[];
const open: { close(): void }[] = [];

/** What a visitor does lands where his own test looks, however late. */
const welcome: Welcome = (visitor) => {
  const heard = events;
  visitors.push(visitor);
  return {
    typed: (bytes) => void heard.push(`typed ${Buffer.from(bytes).toString('latin1')}`),
    resized: ({ columns, rows }) => void heard.push(`${columns}x${rows}`),
    takePen: () => void heard.push('pen'),
    left: () => void heard.push('left'),
  };
};

function keep(server: ConsoleWayServer): ConsoleWayServer {
  open.push({ close: () => server[Symbol.dispose]() });
  return server;
}

function client(where: { path: string } | { host: string; port: number }): { socket: Socket; received: () => string } {
  const socket = connect(where as { path: string });
  let text = '';
  socket.on('data', (bytes) => {
    text += bytes.toString('latin1');
  });
  socket.on('error', () => undefined);
  open.push({ close: () => socket.destroy() });
  return { socket, received: () => text };
}

const portOf = (server: ConsoleWayServer): number => Number(/:(\d+)$/.exec(server.address)?.[1]);

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'bulkhead-ways-'));
  events = [];
  visitors = [];
});
afterEach(() => {
  for (const one of open.splice(0)) one.close();
  rmSync(folder, { recursive: true, force: true });
});

describe('a Unix socket', () => {
  it('carries bytes both ways, to several, and goes with its server', async () => {
    const path = join(folder, 'hmi.sock');
    const server = keep(await openUnixWay(path, welcome));
    const [a, b] = [client({ path }), client({ path })];
    await expect.poll(() => visitors.length).toBe(2);
    for (const visitor of visitors) visitor.write(Buffer.from('login: \xff', 'latin1'));
    a.socket.write(Buffer.from('root\r\xff', 'latin1'));
    await expect.poll(() => [a.received(), b.received(), events.join()]).toEqual(['login: \xff', 'login: \xff', 'typed root\r\xff']);
    b.socket.end();
    await expect.poll(() => events).toContain('left');
    server[Symbol.dispose]();
    expect(existsSync(path)).toBe(false);
  });

  it('lets nobody in but its owner', async () => {
    const path = join(folder, 'hmi.sock');
    keep(await openUnixWay(path, welcome));
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  it('takes the place of one whose process was killed, and of nothing else', async () => {
    const path = join(folder, 'hmi.sock');
    keep(await openUnixWay(path, welcome));
    await expect(openUnixWay(path, welcome)).rejects.toMatchObject({ code: 'BH660' });
    const file = join(folder, 'data');
    writeFileSync(file, 'mine');
    await expect(openUnixWay(file, welcome)).rejects.toMatchObject({ code: 'BH660' });
    expect(existsSync(file)).toBe(true);
  });
});

describe('telnet', () => {
  it('negotiates, hears keys, sizes and breaks, and shows every byte', async () => {
    const server = keep(await openTelnetWay({ host: '127.0.0.1', port: 0 }, welcome));
    const { socket, received } = client({ host: '127.0.0.1', port: portOf(server) });
    await expect.poll(() => visitors.length).toBe(1);
    visitors[0]!.write(Uint8Array.of(0x41, 0xff));
    visitors[0]!.notice?.('── words ──');
    socket.write(Buffer.concat([Buffer.from('ls\r\0'), telnetWindowSize({ columns: 132, rows: 43 }), Buffer.from([255, 243])]));
    await expect.poll(() => events).toEqual(['typed ls\r', '132x43', 'pen']);
    expect(received()).toContain('A\xff\xff\r\n');
    expect(visitors[0]!.label).toMatch(/^telnet 127\.0\.0\.1:\d+$/);
  });

  it('refuses a port that is taken', async () => {
    const server = keep(await openTelnetWay({ host: '127.0.0.1', port: 0 }, welcome));
    await expect(openTelnetWay({ host: '127.0.0.1', port: portOf(server) }, welcome)).rejects.toMatchObject({ code: 'BH660' });
  });

  it('sends the seventeenth visitor away', async () => {
    const server = keep(await openTelnetWay({ host: '127.0.0.1', port: 0 }, welcome));
    const clients = Array.from({ length: 17 }, () => client({ host: '127.0.0.1', port: portOf(server) }));
    await expect.poll(() => visitors.length).toBe(16);
    await expect.poll(() => clients.filter(({ socket }) => socket.destroyed || socket.readableEnded).length).toBe(1);
  });

  it('keeps a bounded amount for somebody who does not read, and says how much he missed', async () => {
    const server = keep(await openTelnetWay({ host: '127.0.0.1', port: 0 }, welcome));
    const { socket, received } = client({ host: '127.0.0.1', port: portOf(server) });
    await expect.poll(() => visitors.length).toBe(1);
    socket.pause();
    const before = process.memoryUsage().arrayBuffers;
    for (let i = 0; i < 2000; i++) {
      visitors[0]!.write(new Uint8Array(32 * 1024).fill(0x2e));
      if (i % 100 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(64 * 1024 * 1024);
    socket.resume();
    await expect.poll(() => received(), { timeout: 10_000 }).toMatch(/\d+ bytes of output were skipped/);
  });
});

describe('WebSocket', () => {
  const browser = (port: number, origin?: string): { socket: WebSocket; messages: string[] } => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}`, origin === undefined ? {} : { origin });
    const messages: string[] = [];
    socket.on('message', (data: Buffer, isBinary: boolean) => messages.push(`${isBinary ? 'bytes' : 'text'} ${data.toString('latin1')}`));
    socket.on('error', (error) => messages.push(error.message));
    open.push({ close: () => socket.terminate() });
    return { socket, messages };
  };

  it('carries bytes as binary messages, words and wishes as text', async () => {
    const server = keep(await openWebSocketWay({ host: '127.0.0.1', port: 0 }, welcome));
    const { socket, messages } = browser(portOf(server));
    await expect.poll(() => [visitors.length, socket.readyState]).toEqual([1, WebSocket.OPEN]);
    visitors[0]!.write(Buffer.from('# '));
    visitors[0]!.notice?.('hello');
    socket.send(Buffer.from('ls\r'));
    socket.send('{"resize":{"columns":100,"rows":30},"pen":"take"}');
    socket.send('nonsense');
    await expect.poll(() => events).toEqual(['typed ls\r', 'pen', '100x30']);
    await expect.poll(() => messages).toEqual(['bytes # ', 'text {"notice":"hello"}']);
  });

  it('sends pages of other origins away', async () => {
    const server = keep(await openWebSocketWay({ host: '127.0.0.1', port: 0 }, welcome));
    const port = portOf(server);
    const [stranger, own] = [browser(port, 'https://example.org'), browser(port, `http://localhost:${port}`)];
    await expect.poll(() => visitors.length).toBe(1);
    await expect.poll(() => stranger.messages).toEqual(['Unexpected server response: 401']);
    expect(own.messages).toEqual([]);
  });

  it('ends a visit that sends more than a message may hold', async () => {
    const server = keep(await openWebSocketWay({ host: '127.0.0.1', port: 0 }, welcome));
    const { socket } = browser(portOf(server));
    await expect.poll(() => [visitors.length, socket.readyState]).toEqual([1, WebSocket.OPEN]);
    socket.send(Buffer.alloc(100_000));
    await expect.poll(() => events).toEqual(['left']);
  });

  it('makes nothing of text that makes no sense', () => {
    for (const text of ['', 'null', '[]', '7', '{"pen":1}', '{"resize":{}}', '{"resize":{"columns":0,"rows":1}}', '{"resize":{"columns":1e9,"rows":1}}', '{"resize":{"columns":"80","rows":25}}', '{']) {
      obey(text, { resized: () => events.push('resized'), takePen: () => events.push('pen') });
    }
    expect(events).toEqual([]);
  });
});
