// The commands that talk to a running machine, from one process to another: screen, keys, mouse, status.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { main } from '../src/cli/main.ts';
import { decodePng } from '../src/host/node/png.ts';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const TIMEOUT = 120_000;

/**
 * Real-mode code at 0x7C00 that shows an H in white on black and then, in green, every byte that the keyboard sends.
 * Scan codes are what a PC's keyboard controller translates to: set 1.
 */
const ECHO_GUEST = Uint8Array.of(
  ...[0xb8, 0x00, 0xb8], // mov ax, 0xB800
  ...[0x8e, 0xc0], // mov es, ax
  ...[0x31, 0xff], // xor di, di
  ...[0x26, 0xc7, 0x05, 0x48, 0x0f], // mov word [es:di], 0x0F48
  ...[0x47, 0x47], // inc di, twice
  ...[0xe4, 0x64], // next: in al, 0x64
  ...[0xa8, 0x01], // test al, 1
  ...[0x74, 0xfa], // jz next
  ...[0xe4, 0x60], // in al, 0x60
  ...[0xb4, 0x0a], // mov ah, 0x0A
  0xab, // stosw
  ...[0xeb, 0xf3], // jmp next
);

const MANIFEST = `
version: 1
machine: echo
board: { cores: 1, memory: 16MiB }
partitions:
  desk:
    role: gpos
    cores: [0]
    memory: 4MiB
    boot: { kernel: echo.bin, protocol: flat, load: 0x7C00 }
    devices:
      com1: { model: uart16550 }
      keyboard: { model: i8042 }
      screen: { model: stdvga }
`;

let folder: string;
let machine: ChildProcess;
const before = process.env['XDG_RUNTIME_DIR'];

/** What a command prints, and how it ends. */
async function bulkhead(...args: string[]): Promise<{ status: number; out: string; err: string }> {
  let out = '';
  let err = '';
  const sink = (take: (text: string) => void) => ({ write: (text: string) => take(text), isTTY: false });
  const status = await main(args, {
    out: sink((text) => {
      out += text;
    }),
    err: sink((text) => {
      err += text;
    }),
    environment: {},
  });
  return { status, out, err };
}

async function until(what: string, holds: () => Promise<boolean>): Promise<void> {
  for (const end = Date.now() + TIMEOUT / 2; Date.now() < end; await new Promise((resolve) => setTimeout(resolve, 100))) {
    if (await holds()) return;
  }
  throw new Error(`not in time: ${what}`);
}

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'screen-'));
  process.env['XDG_RUNTIME_DIR'] = folder;
  writeFileSync(join(folder, 'echo.bin'), ECHO_GUEST);
  writeFileSync(join(folder, 'echo.yaml'), MANIFEST);
  const run = [join(ROOT, 'bin/bulkhead.mjs'), 'run', join(folder, 'echo.yaml'), '--quiet', '--log-dir', join(folder, 'logs')];
  machine = spawn(process.execPath, run, { stdio: ['ignore', 'ignore', 'inherit'], env: process.env });
  await until('the guest shows its letter', async () => (await bulkhead('screen', 'desk')).out.startsWith('H\n'));
}, TIMEOUT);

afterAll(async () => {
  const gone = new Promise((resolve) => machine.once('exit', resolve));
  if (machine.kill('SIGTERM')) await gone;
  if (before === undefined) delete process.env['XDG_RUNTIME_DIR'];
  else process.env['XDG_RUNTIME_DIR'] = before;
  rmSync(folder, { recursive: true, force: true });
});

describe('a machine that runs in another process', () => {
  it('is listed with its partitions', async () => {
    const { out } = await bulkhead('status');
    expect(out).toMatch(/echo +desk +running/);
    expect(JSON.parse((await bulkhead('status', '--json')).out)).toMatchObject([
      { machine: 'echo', partitions: [{ name: 'desk', state: 'running' }] },
    ]);
  });

  it('shows what is typed on its keyboard', async () => {
    expect((await bulkhead('keys', 'desk', '<f8>5')).status).toBe(0);
    // F8 is 42 when it goes down and C2 when it comes up, 5 is 06 and 86.
    await until('the keys arrive', async () => (await bulkhead('screen', 'desk')).out.startsWith('HB┬♠å\n'));
  });

  it('gives its screen as a PNG file', async () => {
    const file = join(folder, 'desk.png');
    expect(await bulkhead('screen', 'desk', '--png', file)).toMatchObject({ status: 0, err: `${file}: 720×400\n` });
    const { width, height, pixels } = decodePng(readFileSync(file));
    expect([width, height]).toEqual([720, 400]);
    const colours = new Set<number>();
    for (let at = 0; at < pixels.length; at += 4) colours.add((pixels[at]! << 16) | (pixels[at + 1]! << 8) | pixels[at + 2]!);
    // White (the cursor under it as well) and green on black.
    expect([...colours].sort((a, b) => a - b)).toEqual([0x000000, 0x55ff55, 0xffffff]);
  });

  it.each([
    [['screen', 'ghost'], 'BH642'],
    [['keys', 'desk', '<warp>'], 'BH640'],
    [['screen', 'desk', '--device', 'printer'], 'BH644'],
    [['mouse', 'desk', '--click', 'tail'], 'BH643'],
    [['screen', 'desk', '--png', '/nowhere/x.png'], 'BH621'],
  ])('refuses %j with %s', async (args, code) => {
    const { status, err } = await bulkhead(...args);
    expect([status, err]).toEqual([1, expect.stringContaining(code)]);
  });
});
