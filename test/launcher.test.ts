// bin/bulkhead.mjs as a shell starts it: any Node from 20 on, any folder, any end.
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));
const LAUNCHER = join(ROOT, 'bin', 'bulkhead.mjs');

/** Nodes on this machine that are not the pinned one: what a user may have. */
function otherNodes(): string[] {
  const candidates = ['/usr/bin/node', '/usr/local/bin/node'].filter((path) => existsSync(path));
  return candidates.filter((path) => Number(execFileSync(path, ['--version'], { encoding: 'utf8' }).slice(1).split('.')[0]) >= 20);
}

describe('the launcher', () => {
  it.each([process.execPath, ...otherNodes()])('passes arguments and exit status through under %s', (node) => {
    const version = spawnSync(node, [LAUNCHER, '--version'], { cwd: tmpdir(), encoding: 'utf8' });
    expect([version.status, version.stdout]).toEqual([0, '0.1.0\n']);
    const usage = spawnSync(node, [LAUNCHER, 'no-such-command'], { cwd: tmpdir(), encoding: 'utf8' });
    expect([usage.status, usage.stdout]).toEqual([2, '']);
  });

  it('does without a cache that cannot be made', () => {
    const version = (cache: string) => spawnSync(process.execPath, [LAUNCHER, '--version'], { encoding: 'utf8', timeout: 20_000, env: { ...process.env, NODE_COMPILE_CACHE: undefined, BULKHEAD_CACHE: cache } });
    expect([version('/proc/nowhere').stdout, version('/nowhere/at/all').stdout]).toEqual(['0.1.0\n', '0.1.0\n']);
  });

  it('bundles the sources once, and keeps what Node made of them', () => {
    const cache = mkdtempSync(join(tmpdir(), 'bulkhead-launcher-'));
    const version = () => spawnSync(process.execPath, [LAUNCHER, '--version'], { encoding: 'utf8', env: { ...process.env, NODE_COMPILE_CACHE: undefined, BULKHEAD_CACHE: cache } }).stdout;
    expect(version()).toBe('0.1.0\n');
    const [state, ...others] = readdirSync(join(cache, 'program'));
    expect(others).toEqual([]);
    expect(readdirSync(join(cache, 'compiled'))).not.toEqual([]);
    // What is there is run: nobody makes it again, or looks at the sources instead.
    writeFileSync(join(cache, 'program', state!, 'cli', 'main.mjs'), "console.log('the bundle');");
    expect(version()).toBe('the bundle\n');
    rmSync(cache, { recursive: true });
  });

  it('says so when the sources cannot be bundled, and runs them as they are', () => {
    const cache = mkdtempSync(join(tmpdir(), 'bulkhead-launcher-'));
    writeFileSync(join(cache, 'program'), 'not a folder');
    const { stdout, stderr } = spawnSync(process.execPath, [LAUNCHER, '--version'], { encoding: 'utf8', env: { ...process.env, BULKHEAD_CACHE: cache } });
    expect([stdout, stderr]).toEqual(['0.1.0\n', expect.stringMatching(/^bulkhead: runs from its sources, which takes longer to start, because they cannot be bundled: .*\bprogram\b/)]);
    rmSync(cache, { recursive: true });
  });

  it('finds files from the folder it is started in', () => {
    const { status, stdout } = spawnSync(process.execPath, [LAUNCHER, 'inspect', 'cpu', 'packaging-cell.yaml'], { cwd: join(ROOT, 'machines'), encoding: 'utf8' });
    expect(status).toBe(0);
    expect(stdout).toMatch(/\n +2 +control +rtos/);
  });

  it('ends as its child ends when it is told to stop', async () => {
    // Nobody ever writes into the manifest, so that the child is still there, reading it, when the signal comes.
    const folder = mkdtempSync(join(tmpdir(), 'bulkhead-launcher-'));
    const manifest = join(folder, 'silent.yaml');
    execFileSync('mkfifo', [manifest]);
    const child = spawn(process.execPath, [LAUNCHER, 'check', manifest], { stdio: 'ignore' });
    const ended = new Promise((resolve) => child.on('exit', (code, signal) => resolve(code ?? signal)));
    await new Promise((resolve) => setTimeout(resolve, 1500));
    child.kill('SIGTERM');
    const status = await ended;
    rmSync(folder, { recursive: true });
    expect(status).toBe(143);
  });
});
