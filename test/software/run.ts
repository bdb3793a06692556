/** Runs a prepared load: in a guest on the software engine, or on the host itself, out of the same files. */
import { spawn, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { linuxCmdline } from '../../src/boot/index.ts';
import type { Engine } from '../../src/contracts/index.ts';
import { Guest } from '../support/guest.ts';
import type { PreparedLoad } from './loads.ts';

const NATIVE = join(import.meta.dirname, '../../guests/linux/software/native');

export interface Outcome {
  readonly output: string;
  readonly status: number;
}

export interface GuestOutcome extends Outcome {
  /** The kernel's own log. */
  readonly messages: string;
  /** What engine and devices had to say. */
  readonly log: readonly string[];
  readonly retired: number;
  /** In guest nanoseconds, from power-on to power-off. */
  readonly guestTime: number;
  readonly hostSeconds: number;
}

export interface GuestConditions {
  readonly kernel: string;
  readonly cpus: number;
  /** Of the modelled core; with it, guest time is retired instructions and idle time. */
  readonly instructionsPerMicrosecond: number;
  /** The run is given up after this many. */
  readonly instructions: number;
  /** In place of the software engine as it comes. */
  readonly engine?: Engine;
  /** Called now and then. */
  readonly progress?: (guest: Guest) => void;
}

/** Boots `kernel` on the load's file system and waits until it powers off. Throws, with the console's end, when it does not. */
export function runInGuest({ load, initramfs }: PreparedLoad, conditions: GuestConditions): GuestOutcome {
  const { kernel, cpus, instructionsPerMicrosecond, instructions, engine, progress } = conditions;
  const started = performance.now();
  const guest = new Guest(kernel, {
    initrd: initramfs,
    cpus,
    memory: load.memory,
    instructionsPerMicrosecond,
    cmdline: linuxCmdline(),
    ...(engine === undefined ? {} : { engine }),
  });
  guest.run({ instructions, until: () => progress?.(guest) !== undefined });
  const { partition, console, log } = guest;
  const [work, messages] = [...console.matchAll(/\x02([\s\S]*?)\x03(\d+)\x04/g)];
  const { retired, end } = partition;
  if (work === undefined || messages === undefined || end?.state !== 'halted') {
    const what = end === undefined ? 'is still running' : end.state === 'crashed' ? `crashed: ${end.report.cause}` : end.reason;
    throw new Error(`${load.name}: the guest ${what} after ${retired} instructions:\n${[...log, console.slice(-4000)].join('\n')}`);
  }
  return {
    output: work[1] as string,
    status: Number(work[2]),
    messages: messages[1] as string,
    log,
    retired,
    guestTime: partition.clock.now(),
    hostSeconds: (performance.now() - started) / 1000,
  };
}

/** `undefined` where the host can run a load of this architecture, else the reason in words. */
export function whyNotNative({ folder }: PreparedLoad): string | undefined {
  const { error, status, stderr } = spawnSync('unshare', [...namespaces(), 'chroot', folder, '/bin/busybox', 'true'], { encoding: 'utf8' });
  return error?.message ?? (status === 0 ? undefined : stderr.trim() || `unshare: status ${status}`);
}

/** Runs the load as a chroot in namespaces of its own, so that it finds the same empty network and no other process. */
export function runNatively({ folder }: PreparedLoad): Promise<Outcome> {
  return new Promise((done, fail) => {
    const child = spawn('unshare', [...namespaces(), NATIVE, folder], { stdio: ['ignore', 'pipe', 'inherit'] });
    let output = '';
    child.stdout.setEncoding('latin1').on('data', (piece: string) => {
      output += piece;
    });
    child.on('error', fail);
    child.on('close', (code) => done({ output: output.replaceAll('\r', ''), status: code ?? -1 }));
  });
}

function namespaces(): string[] {
  return ['--mount', '--net', '--pid', '--fork', '--kill-child', ...(process.getuid?.() === 0 ? [] : ['--user', '--map-root-user'])];
}
