import { chmodSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { BulkheadError } from '../../base/index.ts';
import { controlFolder, controlSockets, requestControl, serveControl, upgradeControl } from './control-socket.ts';

let folder: string;
const before = process.env['XDG_RUNTIME_DIR'];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'control-'));
  process.env['XDG_RUNTIME_DIR'] = folder;
});
afterEach(() => {
  if (before === undefined) delete process.env['XDG_RUNTIME_DIR'];
  else process.env['XDG_RUNTIME_DIR'] = before;
  rmSync(folder, { recursive: true, force: true });
});

describe('the control socket', () => {
  it('lies in a folder that only its user can enter, and is gone with its machine', async () => {
    const server = await serveControl('cell', async () => undefined);
    expect(dirname(server.path)).toBe(controlFolder());
    expect(statSync(controlFolder()).mode & 0o777).toBe(0o700);
    expect([...controlSockets().keys()]).toEqual(['cell']);
    server[Symbol.dispose]();
    expect(controlSockets().size).toBe(0);
  });

  it('answers a request with what its machine says', async () => {
    using server = await serveControl('cell', async ({ command, ...rest }) => ({ command, rest }));
    expect(await requestControl(server.path, { command: 'status', x: [1, 'ä'] })).toEqual({ command: 'status', rest: { x: [1, 'ä'] } });
  });

  it('becomes something else where a request asks for it, and loses no byte on the way', async () => {
    let got = '';
    using server = await serveControl(
      'cell',
      async () => 'ordinary',
      ({ command }) => {
        if (command === 'refused') throw new BulkheadError('BH644', 'no such console');
        return command !== 'console'
          ? undefined
          : (socket) => {
              socket.on('data', (bytes) => void (got += bytes.toString('latin1')));
              socket.write('\n\xff\n', 'latin1');
            };
      },
    );
    expect(await requestControl(server.path, { command: 'status' })).toBe('ordinary');
    const { socket, first } = await upgradeControl(server.path, { command: 'console' });
    let seen = first.toString('latin1');
    socket.on('data', (bytes) => void (seen += bytes.toString('latin1')));
    socket.write('{"command":"status"}\n\xfe', 'latin1');
    await expect.poll(() => [seen, got]).toEqual(['\n\xff\n', '{"command":"status"}\n\xfe']);
    socket.destroy();
    await expect(upgradeControl(server.path, { command: 'refused' })).rejects.toMatchObject({ code: 'BH644' });
  });

  it('carries errors over with code and hint', async () => {
    using server = await serveControl('cell', async () => {
      throw new BulkheadError('BH503', 'no such partition', { hint: 'try another' });
    });
    await expect(requestControl(server.path, { command: 'screen' })).rejects.toMatchObject({
      code: 'BH503',
      message: 'no such partition',
      hint: 'try another',
    });
  });

  it('takes several requests over one connection, one per line, and refuses what is no request', async () => {
    using server = await serveControl('cell', async ({ command }) => command);
    const lines = await new Promise<string[]>((resolve) => {
      let text = '';
      const socket = connect(server.path, () => socket.write('{"command":"a"}\nnonsense\n[1]\n{"command":"b"}\n'));
      socket.on('data', (data) => {
        text += String(data);
        if (text.split('\n').length === 5) {
          socket.destroy();
          resolve(text.trim().split('\n'));
        }
      });
    });
    const answers = lines.map((line) => JSON.parse(line) as { ok?: unknown; error?: { code?: string } });
    expect(answers.flatMap(({ ok }) => (ok === undefined ? [] : [ok])).sort()).toEqual(['a', 'b']);
    expect(answers.filter(({ error }) => error !== undefined)).toHaveLength(2);
  });

  it('ends a connection whose line never ends', async () => {
    using server = await serveControl('cell', async () => undefined);
    await new Promise<void>((resolve) => {
      const socket = connect(server.path, () => socket.write('x'.repeat((1 << 20) + 2)));
      socket.on('error', () => {});
      socket.on('close', () => resolve());
    });
  });

  it('gives a second machine of the same name a name of its own, and takes the place of one that was killed', async () => {
    using first = await serveControl('cell', async () => 1);
    using second = await serveControl('cell', async () => 2);
    expect(second.path).not.toBe(first.path);
    expect([await requestControl(first.path, { command: 'x' }), await requestControl(second.path, { command: 'x' })]).toEqual([1, 2]);
    writeFileSync(join(controlFolder(), 'dead.sock'), '');
    using third = await serveControl('dead', async () => 3);
    expect(await requestControl(third.path, { command: 'x' })).toBe(3);
  });

  it('is not made in a folder that others can enter', async () => {
    mkdirSync(controlFolder(), { mode: 0o755 });
    chmodSync(controlFolder(), 0o755);
    await expect(serveControl('cell', async () => undefined)).rejects.toMatchObject({ code: 'BH641' });
  });

  it('says so when nobody answers', async () => {
    await expect(requestControl(join(folder, 'nothing.sock'), { command: 'x' })).rejects.toMatchObject({ code: 'BH642' });
  });
});
