// Shared consoles as a user has them: a machine in one process, its consoles by socket, telnet, browser, pseudo-terminal, file, and `bulkhead console`.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WebSocket } from 'ws';
import { eventually } from './support/shell.ts';

const MAIN = fileURLToPath(new URL('../src/cli/main.ts', import.meta.url));
const image = (name: string): string => fileURLToPath(new URL(`../guests/rtos/images/${name}`, import.meta.url));
/** It takes a second or two; for a machine that has other things to do. */
const PATIENCE = 100_000;

let folder: string;
const children: ChildProcess[] = [];

interface Process {
  readonly child: ChildProcess;
  output: string;
}

/** `bulkhead …`, with control sockets of its own. */
function bulkhead(...args: string[]): Process {
  const child = spawn(process.execPath, [MAIN, ...args], { cwd: folder, env: { ...process.env, XDG_RUNTIME_DIR: folder } });
  children.push(child);
  const made: Process = { child, output: '' };
  for (const stream of [child.stdout, child.stderr]) stream?.on('data', (data: Buffer) => void (made.output += data.toString()));
  return made;
}

function visit(where: { path: string } | { host: string; port: number }): { socket: Socket; text(): string } {
  const socket = connect(where as { path: string });
  let text = '';
  const decoder = new TextDecoder();
  socket.on('data', (bytes) => void (text += decoder.decode(bytes, { stream: true })));
  socket.on('error', () => undefined);
  return { socket, text: () => text };
}

const freePort = (): Promise<number> =>
  new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });

describe('a machine with shared consoles', () => {
  let machine: Process;
  let telnet: number;
  let websocket: number;
  const sees = (text: () => string, pattern: RegExp) => eventually(String(pattern), () => pattern.test(text()), text, PATIENCE * 0.9);

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'bulkhead-consoles-'));
    [telnet, websocket] = await Promise.all([freePort(), freePort()]);
    writeFileSync(
      join(folder, 'cell.yaml'),
      `
version: 1
machine: consoles
board: { cores: 3, memory: 64MiB }
shared:
  motion:
    kind: console
    grants: { control: {} }
    ways:
      - { unix: ./motion.sock }
      - { telnet: ${telnet} }
      - { websocket: ${websocket}, access: ro }
      - { pty: ./motion.pty }
  all:
    kind: console
    grants: { vision: {}, second: { access: ro } }
    ways: [{ unix: ./all.sock }, { file: ./all.log }]
partitions:
  control:
    role: rtos
    cores: [1]
    memory: 16MiB
    boot: { kernel: ${image('control.elf')} }
    devices: { com1: { model: uart16550, shared: motion } }
    console: com1
  vision:
    role: rtos
    cores: [2]
    memory: 16MiB
    boot: { kernel: ${image('vision.elf')}, cmdline: fps=5 }
    devices: { com1: { model: uart16550, shared: all } }
    console: com1
  second:
    role: gpos
    cores: [0]
    memory: 16MiB
    boot: { kernel: ${image('control.elf')} }
    devices: { com1: { model: uart16550, shared: all } }
    console: com1
`,
    );
    machine = bulkhead('run', 'cell.yaml', '--log-dir', 'logs');
    await sees(() => machine.output, /control: t=1s/);
  }, PATIENCE);
  afterAll(() => {
    for (const child of children) child.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  });

  it('says where its consoles are', () => {
    for (const way of ['unix', 'telnet', 'websocket', 'pty']) expect(machine.output).toMatch(new RegExp(`── motion: ${way} `));
  });

  it('has one who writes and many who look, and hands the pen over when it is asked for', { timeout: PATIENCE }, async () => {
    const [socket, phone, browser] = [visit({ path: join(folder, 'motion.sock') }), visit({ host: '127.0.0.1', port: telnet }), new WebSocket(`ws://127.0.0.1:${websocket}`)];
    let shown = '';
    browser.on('message', (data: Buffer, isBinary: boolean) => void (shown += isBinary ? data.toString() : ''));
    await sees(socket.text, /control: t=\d+s/);
    socket.socket.write('log off\rtasks\r');
    for (const text of [socket.text, phone.text, () => shown]) await sees(text, /logger .*ready|logger .*wait/i);
    phone.socket.write('setpoint 1000\r');
    await sees(phone.text, /what you type goes nowhere: unix .*motion\.sock has the pen/);
    browser.send(Buffer.from('setpoint 1\r'));
    phone.socket.write(Uint8Array.of(255, 243)); // the break key
    phone.socket.write('setpoint 900\r');
    await sees(socket.text, /setpoint 900 rpm/);
    expect(shown).not.toMatch(/setpoint 1(000)? rpm/);
    socket.socket.write('setpoint 2\r'); // the pen is gone, and a socket has no place for words
    for (const one of [socket.socket, phone.socket]) one.destroy();
    browser.terminate();
  });

  it('is a terminal to a program that wants one', { timeout: PATIENCE }, async () => {
    const program = await open(join(folder, 'motion.pty'), 'r+');
    await expect.poll(async () => {
      await program.write('setpoint 800\r');
      const { buffer, bytesRead } = await program.read(Buffer.alloc(4096), 0, 4096, null);
      return buffer.toString('latin1', 0, bytesRead);
    }, { timeout: PATIENCE }).toMatch(/setpoint 800/);
    await program.close();
  });

  it('can be looked at and taken over from a second terminal', { timeout: PATIENCE }, async () => {
    const looker = bulkhead('console', 'control');
    await sees(() => looker.output, /setpoint 900/); // what came before
    looker.child.stdin?.write('setpoint 600\r');
    const writer = bulkhead('console', 'control', '--write');
    await sees(() => writer.output, /setpoint 900/);
    await new Promise((resolve) => setTimeout(resolve, 200));
    writer.child.stdin?.write('setpoint 690\r');
    await sees(() => looker.output, /setpoint 690 rpm/);
    expect(looker.output).not.toMatch(/setpoint 600 rpm/);
    const nobody = bulkhead('console', 'control', '--device', 'com9');
    await sees(() => nobody.output, /BH644/);
    for (const { child } of [looker, writer]) child.kill();
  });

  it('shows several consoles line by line, and types to the one that was chosen', { timeout: PATIENCE }, async () => {
    const all = visit({ path: join(folder, 'all.sock') });
    await sees(all.text, /second │ control: t=\d+s/);
    all.socket.write('filter\r');
    await sees(all.text, /vision │ .*160 x 120 pixels/);
    all.socket.write('\x1d2setpoint 500\r\x1d1log off\r'); // `second` was granted its console to read only: nothing is typed to it
    await sees(all.text, /typing goes to second[\s\S]*typing goes to vision/);
    expect(all.text()).not.toMatch(/setpoint 500 rpm/);
    all.socket.destroy();
  });

  it('keeps the lines of its consoles, with the time, in their file and in the logs', async () => {
    const line = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (second: )?control: t=\d+s/m;
    expect(readFileSync(join(folder, 'all.log'), 'utf8')).toMatch(line);
    expect(readFileSync(join(folder, 'logs/consoles/second.log'), 'utf8')).toMatch(line);
  });
});
