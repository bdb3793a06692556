/** `bulkhead run`: a machine, from its manifest or from one line, at this terminal. */
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { MiB } from '../../base/index.ts';
import { detectImage } from '../../boot/index.ts';
import type { Machine } from '../../contracts/index.ts';
import { compileManifest, packageReferences, parseRate, parseSize, parseTime } from '../../manifest/index.ts';
import type { CliCommand, CliIo, RunAction } from '../command.ts';
import { exitStatus } from '../exit-codes.ts';
import { renderFindings } from '../findings.ts';
import { type CompiledFile, compileFile, manifestHost, readManifest } from '../manifest-file.ts';
import { nodeHost } from '../node-host.ts';
import { oneLinerManifest } from '../one-liner.ts';
import { fetchPackagedImages, packagedName, pendingImages } from '../packaged-images.ts';
import { runSession, type SessionOptions } from '../session.ts';
import { paintFor } from '../style.ts';

interface RunOptions {
  readonly kernel?: string;
  readonly initrd?: string;
  readonly cmdline?: string;
  readonly firmware?: string;
  readonly disk?: string;
  readonly cdrom?: string;
  readonly memory?: string;
  readonly cpus?: string;
  readonly speed?: string;
  readonly dumpManifest?: true;
  readonly timeout?: string;
  readonly exitWith?: string;
  readonly watchDevices?: true;
  readonly pace: string;
  readonly quiet?: true;
  readonly json?: true;
  readonly logDir: string;
}

/** What says that there is no manifest, and what only goes with one of these. */
const ONE_LINER_SUBJECTS = ['kernel', 'firmware', 'disk', 'cdrom'] as const;
const ONE_LINER_OPTIONS = ['initrd', 'cmdline', 'memory', 'cpus', 'speed', 'dumpManifest'] as const;
const MAXIMUM_CPUS = 16;

export const run: CliCommand = {
  register(program: Command, io: CliIo, action: RunAction) {
    program
      .command('run')
      .description('run a machine at this terminal')
      .argument('[file]', 'the manifest (YAML or JSON); left out with --kernel, --disk, --cdrom or --firmware')
      .option('--kernel <image>', 'run this image in a machine of one partition: a file, or package:NAME')
      .option('--initrd <image>', 'with --kernel: its initial RAM disk')
      .option('--cmdline <text>', 'with --kernel: its command line (default for Linux: a lean one)')
      .option('--disk <image>', 'a raw disk image: without --kernel, a PC that starts from it')
      .option('--cdrom <image>', 'an ISO image: without --kernel, a PC that starts from it when its disk does not')
      .option('--firmware <image>', 'what starts that PC: `seabios` (default), `ovmf` (UEFI), or the file of a ROM')
      .option('--memory <size>', 'without a manifest: its RAM (default: 256MiB; a PC has 1GiB)')
      .option('--cpus <count>', 'without a manifest: its vCPUs (default: 1)')
      .option('--speed <rate>', 'without a manifest: instructions per microsecond of virtual time (default: 100MIPS)')
      .option('--dump-manifest', 'print the manifest that the options stand for, and end')
      .option('--timeout <time>', 'end after this long, as in 30s')
      .option('--exit-with <partition>', 'end when this partition does; what it gave to debug-exit is the exit status')
      .option('--pace <pace>', '`host`: virtual time keeps to the wall clock; `free`: idle time is skipped', 'host')
      .option('--quiet', 'consoles only')
      .option('--json', 'print one JSON document per partition on stderr at the end')
      .option('--watch-devices', 'load devices of your own anew, and reset them, when their sources change')
      .option('--log-dir <folder>', 'where logs go: <folder>/<machine>/<partition>.log', 'logs')
      .addHelpText('after', '\nAt a terminal, ^] opens a menu: focus one partition, all consoles, status, restart, kill, stop, quit.\n')
      .action(action((file: string | undefined, options: RunOptions) => runCommand(file, options, io)));
  },
};

async function runCommand(file: string | undefined, options: RunOptions, io: CliIo): Promise<number> {
  const wrong = misuse(file, options);
  if (wrong !== undefined) {
    io.err.write(`bulkhead run: ${wrong}\n`);
    return exitStatus('usage');
  }
  const text = file === undefined ? oneLiner(options) : readManifest(file);
  if (options.dumpManifest) {
    io.out.write(text);
    return exitStatus('ok');
  }
  await fetchImages(text, io);
  const { machine, findings } = file === undefined ? compileText(text) : compileFile(file);
  if (findings.length > 0 && !(options.quiet && machine !== undefined)) {
    io.err.write(`${renderFindings(findings, text, paintFor(io.err, io.environment))}\n`);
  }
  if (machine === undefined) return exitStatus('manifestInvalid');
  const unavailable = unavailableEngine(machine);
  if (unavailable !== undefined) {
    io.err.write(`bulkhead: ${paintFor(io.err, io.environment)(['red', 'bold'], 'error BH504')}: ${unavailable}\n`);
    return exitStatus('engineUnavailable');
  }
  const session = sessionOptions(machine, options);
  if (session.exitWith !== undefined && !machine.partitions.some(({ name }) => name === session.exitWith)) {
    io.err.write(`bulkhead run: --exit-with: the machine has no partition \`${session.exitWith}\`\n`);
    return exitStatus('usage');
  }
  return runSession(machine, nodeHost(), session, io);
}

/** What is wrong with the arguments, in words. */
function misuse(file: string | undefined, options: RunOptions): string | undefined {
  const subject = ONE_LINER_SUBJECTS.find((name) => options[name] !== undefined);
  if ((file === undefined) === (subject === undefined)) return 'give either a manifest or --kernel, --disk, --cdrom or --firmware';
  if (file !== undefined) {
    const stray = ONE_LINER_OPTIONS.find((name) => options[name] !== undefined);
    if (stray !== undefined) return `--${stray === 'dumpManifest' ? 'dump-manifest' : stray} goes with --kernel; a manifest says it itself`;
  } else if (options.kernel === undefined) {
    const stray = (['initrd', 'cmdline'] as const).find((name) => options[name] !== undefined);
    if (stray !== undefined) return `--${stray} goes with --kernel; what firmware finds brings its own`;
  } else if (options.firmware !== undefined) return 'give either --kernel or --firmware';
  const { memory, timeout, speed } = options;
  for (const [option, quantity] of [
    ['memory', memory === undefined ? undefined : parseSize(memory)],
    ['timeout', timeout === undefined ? undefined : parseTime(timeout)],
    ['speed', speed === undefined ? undefined : parseRate(speed)],
  ] as const) {
    if (quantity !== undefined && 'problem' in quantity) return `--${option}: ${quantity.problem}; ${quantity.hint}`;
  }
  if (options.cpus !== undefined && !(/^\d{1,2}$/.test(options.cpus) && Number(options.cpus) >= 1 && Number(options.cpus) <= MAXIMUM_CPUS)) {
    return `--cpus: a number from 1 to ${MAXIMUM_CPUS} is wanted`;
  }
  if (options.pace !== 'host' && options.pace !== 'free') return '--pace: `host` or `free` is wanted';
  return undefined;
}

function sessionOptions(machine: Machine, options: RunOptions): SessionOptions {
  const timeout = options.timeout === undefined ? undefined : parseTime(options.timeout);
  return {
    pace: options.pace === 'free' ? 'free' : 'host',
    quiet: options.quiet === true,
    json: options.json === true,
    logFolder: join(options.logDir, machine.name),
    ...(timeout !== undefined && 'value' in timeout ? { timeout: timeout.value } : {}),
    ...(options.exitWith === undefined ? {} : { exitWith: options.exitWith }),
    ...(options.watchDevices ? { watchDevices: true } : {}),
  };
}

function oneLiner(options: RunOptions): string {
  const { kernel, memory = kernel === undefined ? '1GiB' : '256MiB', cpus = '1' } = options;
  const given: Record<string, string> = {};
  for (const name of ['kernel', 'initrd', 'cmdline', 'firmware', 'disk', 'cdrom', 'speed'] as const) {
    const value = options[name];
    if (value !== undefined) given[name] = value;
  }
  return oneLinerManifest({ ...given, memory, cpus: Number(cpus) }, kernel !== undefined && isLinux(kernel));
}

/** By the name of a package, which need not be there yet, or by a file's bytes. What cannot be read is found when it is compiled. */
function isLinux(kernel: string): boolean {
  const name = packagedName(kernel);
  if (name !== undefined) return name.startsWith('linux-');
  try {
    return detectImage(readFileSync(kernel), kernel, 'auto').kind === 'linux';
  } catch {
    return false;
  }
}

/** A manifest that is in no file: its paths start from the working directory. */
function compileText(text: string): CompiledFile {
  const file = '<command line>';
  return { file, text, ...compileManifest(text, file, manifestHost(resolve('.'))) };
}

/** The soft engine is everywhere; what asks for another is refused before anything starts. */
function unavailableEngine(machine: Machine): string | undefined {
  const other = machine.partitions.find(({ engine }) => engine !== 'soft');
  return other && `${other.name} asks for the engine \`${other.engine}\`, which this version does not have`;
}

/** Fetches packaged images, with progress: in place at a terminal, a line for each step elsewhere. */
async function fetchImages(text: string, io: CliIo): Promise<void> {
  const references = packageReferences(text);
  if (references.length === 0) return;
  const pending = pendingImages(references);
  if (pending.length > 0) io.err.write(`fetching ${pending.join(', ')}\n`);
  let shown = '';
  await fetchPackagedImages(references, ({ step, detail, bytes, totalBytes }) => {
    const progress = bytes === undefined || totalBytes === undefined ? '' : ` ${(bytes / MiB).toFixed(1)} of ${(totalBytes / MiB).toFixed(1)} MiB`;
    if (io.err.isTTY) {
      io.err.write(`\r\x1b[K  ${step}: ${detail}${progress}${step === 'ready' ? '\n' : ''}`);
    } else if (`${step} ${detail}` !== shown) {
      io.err.write(`  ${step}: ${detail}${progress}\n`);
    }
    shown = `${step} ${detail}`;
  });
}
