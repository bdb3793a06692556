import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type Compiled, type ModuleCompiler, startModuleCompiler } from './module-compiler.ts';

const HERE = pathToFileURL(join(import.meta.dirname, 'module-compiler.ts')).href;
/** An empty module, or bytes that are none. */
const EMPTY = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0];

let folder: string;
let connect: () => ModuleCompiler<readonly number[]>;
const failures: Error[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'bulkhead-compiler-'));
  const entry = join(folder, 'entry.mjs');
  writeFileSync(entry, `import { serveModuleCompiler } from '${HERE}';\nserveModuleCompiler((bytes) => Uint8Array.from(bytes));\n`);
  connect = startModuleCompiler<readonly number[]>(pathToFileURL(entry), (error) => failures.push(error));
});
afterEach(() => rmSync(folder, { recursive: true }));

/** As a vCPU's thread asks: without ever returning to the event loop. */
function wait(compiler: ModuleCompiler<readonly number[]>): Compiled {
  const word = new Int32Array(new SharedArrayBuffer(4));
  for (let i = 0; i < 2000; i++) {
    const done = compiler.finished();
    if (done !== undefined) return done;
    Atomics.wait(word, 0, 0, 10);
  }
  throw new Error('nothing came');
}

describe('the module compiler', () => {
  it('compiles beside a thread that never returns to its event loop, in the order of asking', () => {
    const compiler = connect();
    expect(compiler.finished()).toBeUndefined();
    compiler.submit(1, EMPTY);
    compiler.submit(2, EMPTY);
    const done = [wait(compiler), wait(compiler)];
    expect(done.map(({ id }) => id)).toEqual([1, 2]);
    expect(done[0]?.module).toBeInstanceOf(WebAssembly.Module);
    expect(compiler.finished()).toBeUndefined();
  });

  it('says why a job cannot be done, and does the next one', () => {
    const compiler = connect();
    compiler.submit(1, [1, 2, 3]);
    compiler.submit(2, EMPTY);
    expect(wait(compiler).module).toMatch(/expected/);
    expect(wait(compiler).module).toBeInstanceOf(WebAssembly.Module);
    expect(failures).toEqual([]);
  });

  it('keeps the jobs of two threads apart', () => {
    const [a, b] = [connect(), connect()];
    a.submit(7, EMPTY);
    b.submit(8, EMPTY);
    expect([wait(b).id, wait(a).id]).toEqual([8, 7]);
  });
});
