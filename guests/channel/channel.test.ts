/**
 * The C library for guests, run natively: one side killed at each instruction in turn and at random moments, and a hostile one. Needs a C
 * compiler and an x86-64 host. `CHANNEL_KILLS` and `CHANNEL_CALLS` ask for more; `CHANNEL_SEED` repeats a run.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const here = import.meta.dirname;
const KILLS = process.env['CHANNEL_KILLS'] ?? '200';
const CALLS = process.env['CHANNEL_CALLS'] ?? '300000';
const SEED = process.env['CHANNEL_SEED'] ?? String(Date.now() % 1_000_000);

const COMPILER = 'gcc';
const missing =
  process.arch !== 'x64' || process.platform !== 'linux'
    ? 'it steps through x86-64 instructions under Linux'
    : spawnSync(COMPILER, ['--version']).status === 0
      ? undefined
      : `${COMPILER} is not installed`;
if (missing !== undefined) console.warn(`skipped: the channel library: ${missing}`);

let folder: string;

function check(...args: string[]): string {
  const { status, stdout, stderr } = spawnSync(join(folder, 'check'), args, { encoding: 'utf8' });
  expect([status, stderr]).toEqual([0, '']);
  return stdout;
}

const numbers = (text: string): number[] => [...text.matchAll(/\d+/g)].map(([digits]) => Number(digits));

describe.skipIf(missing !== undefined)('the channel library', () => {
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'bulkhead-channel-'));
    const sources = [join(here, 'test/check.c'), join(here, 'channel.c')];
    const { status, stderr } = spawnSync(COMPILER, ['-std=c11', '-O2', '-Wall', '-Wextra', '-Werror', '-o', join(folder, 'check'), ...sources], { encoding: 'utf8' });
    expect([status, stderr]).toEqual([0, '']);
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it('needs nothing of a C library, in 32 and 64 bits', () => {
    for (const bits of ['-m32', '-m64']) {
      const object = join(folder, `channel${bits}.o`);
      const built = spawnSync(COMPILER, [bits, '-std=c11', '-O2', '-ffreestanding', '-Wall', '-Wextra', '-Werror', '-mgeneral-regs-only', '-c', join(here, 'channel.c'), '-o', object], { encoding: 'utf8' });
      expect([built.status, built.stderr]).toEqual([0, '']);
      const undefinedSymbols = spawnSync('nm', ['-u', object], { encoding: 'utf8' }).stdout;
      // Position-independent code of 32 bits names its offset table.
      expect(undefinedSymbols.replace(/U _GLOBAL_OFFSET_TABLE_/, '').trim()).toBe('');
    }
  });

  it('has a program for Linux that is built from the sources beside it, byte for byte with the same tools', (context) => {
    const images = join(here, 'linux/images');
    const version = (tool: string): string => spawnSync(tool, ['--version'], { encoding: 'utf8' }).stdout.split('\n')[0] ?? '';
    const builtWith = readFileSync(join(images, 'BUILT-WITH'), 'utf8').trim();
    const present = `${version(COMPILER)}\n${version('ld')}`;
    if (present !== builtWith) {
      console.warn(`skipped: ${context.task.name}: it was built with other tools: ${builtWith.replace('\n', ', ')}`);
      context.skip();
    }
    const built = spawnSync('make', ['-C', join(here, 'linux'), `OUT=${folder}`], { encoding: 'utf8' });
    expect([built.status, built.stderr]).toEqual([0, '']);
    expect(readFileSync(join(folder, 'channel'))).toEqual(readFileSync(join(images, 'channel')));
  });

  it('leaves a ring or block that goes on, whichever instruction a side dies in', { timeout: 120_000 }, () => {
    const killed = numbers(check('instructions'));
    expect(killed).toHaveLength(4);
    for (const instructions of killed) expect(instructions).toBeGreaterThan(100);
  });

  it(`delivers every message whole and in order through ${KILLS} kills at random moments (seed ${SEED})`, { timeout: 120_000 }, () => {
    const [kills, messages] = numbers(check('random', KILLS, SEED)) as [number, number];
    expect(kills).toBe(Number(KILLS));
    expect(messages).toBeGreaterThan(kills);
  });

  it(`keeps its calls within bounds against a peer that writes whatever it likes (seed ${SEED})`, { timeout: 120_000 }, () => {
    expect(numbers(check('hostile', CALLS, SEED))).toEqual([Number(CALLS)]);
  });
});
