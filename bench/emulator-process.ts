/** An emulator as a process: its console is watched, and what it has used by then is read. */
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import type { Readable, Writable } from 'node:stream';
import { MiB } from '../src/base/index.ts';

/** Linux counts processor time in these (proc(5), `/proc/pid/stat`; USER_HZ is 100 on every architecture it runs on here). */
const TICKS_PER_SECOND = 100;

export interface Usage {
  /** Wall clock, since the process was started. */
  readonly seconds: number;
  /** Of all its threads; undefined where there is no /proc. */
  readonly cpuSeconds: number | undefined;
  /** Processor seconds of the threads that live now, by name; several of one name together. */
  readonly threads: ReadonlyMap<string, number>;
  readonly peakRssMiB: number | undefined;
}

export class EmulatorProcess {
  stdout = '';
  stderr = '';
  /** The exit status; null when a signal ended it. */
  readonly ended: Promise<number | null>;
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly #started = performance.now();
  #look: () => void = () => {};

  /** `environment`: what its users have beside what everybody has. */
  constructor(command: string, args: readonly string[], environment: Readonly<Record<string, string>> = {}) {
    this.#child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'], env: { ...process.env, ...environment } });
    this.ended = new Promise((resolve, reject) => {
      this.#child.once('error', reject);
      this.#child.once('close', (status) => resolve(status));
    });
    this.#child.stdout.on('data', (data: Buffer) => {
      this.stdout += data.toString('latin1');
      this.#look();
    });
    this.#child.stderr.on('data', (data: Buffer) => void (this.stderr += data.toString()));
  }

  /**
   * What it has used when its output holds `text`. Rejects, and kills it, when its kernel panics or the process ends before, or when it
   * takes more than `limit` seconds.
   */
  async usageAt(text: string, limit: number): Promise<Usage> {
    let timeout: NodeJS.Timeout | undefined;
    const seen = new Promise<Usage>((resolve, reject) => {
      timeout = setTimeout(() => reject(new Error(`no \`${text}\` within ${limit} s`)), limit * 1000);
      this.#look = () => {
        if (this.stdout.includes(text)) resolve(this.#usage());
        else if (this.stdout.includes('end Kernel panic')) reject(new Error('the kernel panicked'));
      };
      this.#look();
    });
    const over = this.ended.then((status) => Promise.reject(new Error(`ended with ${status} without \`${text}\``)));
    try {
      return await Promise.race([seen, over]);
    } catch (error) {
      this.#child.kill('SIGKILL');
      throw new Error(`${(error as Error).message}\n${this.stdout.slice(-4000)}\n${this.stderr.slice(-1000)}`, { cause: error });
    } finally {
      clearTimeout(timeout);
      // Whoever wins the race, the other one is heard.
      over.catch(() => {});
    }
  }

  /** Resolves when it is gone. */
  async stop(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    this.#child.kill(signal);
    await this.ended;
  }

  #usage(): Usage {
    const seconds = (performance.now() - this.#started) / 1000;
    try {
      const status = readFileSync(`/proc/${this.#child.pid}/status`, 'utf8');
      // The name, in brackets, may hold blanks: user and system time are fields 14 and 15 of the line, 12 and 13 behind it.
      const fields = readFileSync(`/proc/${this.#child.pid}/stat`, 'utf8').replace(/^.*\) /s, '').split(' ');
      const peakKiB = Number(/^VmHWM:\s+(\d+) kB/m.exec(status)?.[1]);
      return { seconds, cpuSeconds: (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND, threads: threadSeconds(this.#child.pid as number), peakRssMiB: (peakKiB * 1024) / MiB };
    } catch {
      return { seconds, cpuSeconds: undefined, threads: new Map(), peakRssMiB: undefined };
    }
  }
}

/** Linux Documentation/scheduler/sched-stats.rst: the first field of a thread's schedstat is its run time in nanoseconds. */
function threadSeconds(pid: number): ReadonlyMap<string, number> {
  const seconds = new Map<string, number>();
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    try {
      const name = readFileSync(`/proc/${pid}/task/${thread}/comm`, 'utf8').trim();
      const nanos = Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'latin1').split(' ')[0]);
      seconds.set(name, (seconds.get(name) ?? 0) + nanos / 1e9);
    } catch {
      // It ended between two looks.
    }
  }
  return seconds;
}
