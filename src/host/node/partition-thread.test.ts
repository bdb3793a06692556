import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startPartitionThread } from './partition-thread.ts';

const WORKER = new URL('./worker.ts', import.meta.url).href;

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'bulkhead-thread-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

interface Life {
  readonly told: string[];
  /** What `exited` said; null for nothing. */
  readonly exited: Promise<string | null>;
  readonly started: Promise<void>;
  terminate(): void;
}

/** A partition's thread whose program is the given code: a function body with `start` and `voice`. */
function life(name: string, code: string, start: unknown = null): Life {
  const file = join(folder, `${name}.mjs`);
  writeFileSync(file, `import { servePartitionThread } from ${JSON.stringify(WORKER)};\nservePartitionThread((start, voice) => { ${code} });\n`);
  const told: string[] = [];
  let running: () => void = () => {};
  let gone: (detail: string | null) => void = () => {};
  const started = new Promise<void>((resolve) => {
    running = resolve;
  });
  const exited = new Promise<string | null>((resolve) => {
    gone = resolve;
  });
  const thread = startPartitionThread<unknown, unknown>(pathToFileURL(file), name, start, {
    started: (image) => {
      told.push(`started ${image}`);
      running();
    },
    ended: (end) => told.push(`ended ${JSON.stringify(end)}`),
    log: (severity, message) => told.push(`${severity}: ${message}`),
    exited: (detail) => {
      told.push('exited');
      gone(detail ?? null);
    },
  });
  return { told, exited, started, terminate: () => thread.terminate() };
}

describe('the thread of a partition', () => {
  it('tells how its program began and ended, and goes', async () => {
    const { told, exited } = life('orderly', "voice.started('image'); voice.log('warn', 'odd'); return { code: start.code };", { code: 7 });
    expect(await exited).toBeNull();
    expect(told).toEqual(['started image', 'warn: odd', 'ended {"code":7}', 'exited']);
  });

  it('can be ended in the middle of an endless loop', async () => {
    const { started, exited, told, terminate } = life('loop', "voice.started('image'); for (;;);");
    await started;
    terminate();
    expect(await exited).toMatch(/exit code/);
    expect(told).toEqual(['started image', 'exited']);
  });

  it('can be ended in its sleep', async () => {
    const { started, exited, terminate } = life('sleep', "voice.started('image'); Atomics.wait(start, 0, 0);", new Int32Array(new SharedArrayBuffer(4)));
    await started;
    terminate();
    expect(await exited).toMatch(/exit code/);
  });

  it.each([
    ['throws', "throw new Error('a defect');", 'a defect'],
    ['exits', 'process.exit(3);', 'exit code 3'],
    ['eats all memory', 'const hoard = []; for (;;) hoard.push(new Array(1e5).fill(hoard.length));', 'out of memory'],
  ])('that %s takes nobody with it, and says why it went', async (name, code, reason) => {
    const { exited, told } = life(name.replaceAll(' ', '-'), code);
    expect(await exited).toBe(reason);
    expect(told).toEqual(['exited']);
  });
});
