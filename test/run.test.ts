// `bulkhead run` as a user has it: a process with a manifest or one line, consoles on stdout, an exit status.
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const MAIN = fileURLToPath(new URL('../src/cli/main.ts', import.meta.url));
const guest = (name: string): string => fileURLToPath(new URL(`../guests/${name}`, import.meta.url));
const HELLO = guest('payloads/images/hello.elf');

let folder: string;
let children: ChildProcess[];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'bulkhead-run-'));
  children = [];
});
afterEach(() => {
  for (const child of children) child.kill('SIGKILL');
  rmSync(folder, { recursive: true });
});

class Run {
  readonly child: ChildProcess;
  stdout = '';
  stderr = '';
  readonly #status: Promise<number | null>;
  readonly #changed = new Set<() => void>();

  constructor(...args: string[]) {
    this.child = spawn(process.execPath, [MAIN, 'run', ...args], { cwd: folder });
    children.push(this.child);
    const note = (): void => {
      for (const wake of this.#changed) wake();
    };
    this.child.stdout?.on('data', (data: Buffer) => {
      this.stdout += data.toString();
      note();
    });
    this.child.stderr?.on('data', (data: Buffer) => {
      this.stderr += data.toString();
      note();
    });
    this.#status = new Promise((resolve) => this.child.on('close', (status) => resolve(status)));
  }

  get status(): Promise<number | null> {
    return this.#status;
  }

  type(text: string): void {
    this.child.stdin?.write(text);
  }

  /** Resolves when all that was printed matches; rejects when it ends without. */
  async sees(pattern: RegExp): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const look = (): void => {
        if (pattern.test(this.stdout + this.stderr)) resolve();
      };
      this.#changed.add(look);
      void this.#status.then(() => reject(new Error(`ended without ${pattern}:\n${this.stdout}\n${this.stderr}`)));
      look();
    });
  }
}

/** Two RTOSes; `control` can be made to crash from its console. */
function twoPartitions(onCrash: string): string {
  const file = join(folder, 'cell.yaml');
  const partition = (name: string, core: number, image: string, policy: string): string => `
  ${name}:
    role: rtos
    cores: [${core}]
    memory: 16MiB
    boot: { kernel: ${JSON.stringify(guest(image))} }
    devices: { com1: { model: uart16550 }, telemetry: { model: telemetry } }
    console: com1
    on-crash: ${policy}`;
  writeFileSync(
    file,
    `version: 1\nmachine: cell\nboard: { cores: 4, memory: 64MiB }\npartitions:${partition('control', 1, 'rtos/images/control.elf', onCrash)}${partition('other', 2, 'rtos/images/control.elf', 'halt')}\n`,
  );
  return file;
}

describe('the one-liner', () => {
  it('runs an image, prefixes its console, and ends with the value it gave to debug-exit', async () => {
    const run = new Run('--kernel', HELLO, '--memory', '32MiB', '--exit-with', 'guest', '--json');
    expect(await run.status).toBe(0x10);
    expect(run.stdout).toMatch(/^guest │ done$/m);
    expect(run.stderr).toMatch(/^partition +role +cores +memory/m);
    const report = JSON.parse(run.stderr.trim().split('\n').at(-1) ?? '');
    expect(report).toMatchObject({ name: 'guest', state: 'halted', reason: 'debug-exit', debugExit: 0x10 });
  });

  it('prints its manifest, which runs just as well', async () => {
    const dump = new Run('--kernel', HELLO, '--memory', '32MiB', '--speed', '400MIPS', '--dump-manifest');
    expect(await dump.status).toBe(0);
    expect(dump.stdout).toContain('\n    speed: 400MIPS\n');
    const file = join(folder, 'dumped.yaml');
    writeFileSync(file, dump.stdout);
    const run = new Run(file, '--exit-with', 'guest', '--quiet');
    expect(await run.status).toBe(0x10);
    expect(run.stderr).toBe('');
    expect(run.stdout).toMatch(/^guest │ ok .*\n(guest │ .*\n)*guest │ done\n$/);
  });

  it('keeps a log, with times', async () => {
    const run = new Run('--kernel', HELLO, '--memory', '32MiB');
    await run.status;
    expect(readdirSync(join(folder, 'logs/hello-elf'))).toEqual(['guest.log']);
    expect(readFileSync(join(folder, 'logs/hello-elf/guest.log'), 'utf8')).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z done$/m);
  });

  it('is over when its time is', async () => {
    const loop = guest('payloads/images/loop.elf');
    const run = new Run('--kernel', loop, '--memory', '32MiB', '--cmdline', 'n=0xffffffff', '--timeout', '1s');
    expect(await run.status).toBe(124);
  });

  it.each([
    [['--memory', '1GiB'], /either a manifest or --kernel/],
    [['--kernel', HELLO, '--memory', '256'], /--memory: .*size/],
    [['--kernel', HELLO, '--speed', '100'], /--speed: .*100MIPS/],
    [['--kernel', HELLO, '--cpus', '0'], /--cpus: a number from 1 to 16/],
    [['--kernel', HELLO, '--pace', 'fast'], /--pace/],
    [['--kernel', HELLO, '--exit-with', 'ghost'], /no partition `ghost`/],
  ])('refuses %j as misuse', async (args, message) => {
    const run = new Run(...args);
    expect(await run.status).toBe(2);
    expect(run.stderr).toMatch(message);
  });

  it('refuses an image that is not there, as the manifest it is', async () => {
    const run = new Run('--kernel', 'nowhere.elf');
    expect(await run.status).toBe(3);
    expect(run.stderr).toContain('nowhere.elf');
  });
});

describe('a machine', () => {
  it('restarts a partition that crashes, while the other runs on undisturbed', async () => {
    const run = new Run(twoPartitions('{ action: restart, limit: 1 }'), '--json');
    await run.sees(/control │ .*control: t=1s/);
    await run.sees(/other +│ .*control: t=1s/);
    run.type('crash triple\r'); // without a gpos, typing goes to the first partition
    await run.sees(/partition control crashed on vCPU 0: triple fault/);
    await run.sees(/── control: starts again/);
    expect(run.stderr).toMatch(/^ {2}RIP [0-9a-f]{8} {2}RFLAGS/m);
    run.child.kill('SIGTERM');
    expect(await run.status).toBe(143);
    const [control, other] = run.stderr.trim().split('\n').slice(-2).map((line) => JSON.parse(line));
    expect(control).toMatchObject({ name: 'control', state: 'stopped', restarts: 1, crash: { kind: 'triple-fault' } });
    expect(other).toMatchObject({ name: 'other', state: 'stopped', restarts: 0, deadlineMisses: 0 });
  });

  it('stops as a whole where the policy says so, and says that a partition crashed', async () => {
    const run = new Run(twoPartitions('stop-machine'));
    await run.sees(/control │ .*control: t=1s/);
    run.type('crash triple\r');
    expect(await run.status).toBe(5);
    expect(run.stderr).toContain('the machine stops');
  });
});
