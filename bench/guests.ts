/**
 * `npm run bench:guests -- [--rounds N] [--repeat N] [--only NAME]… [--tests A,B] [--cpu N | --no-pin] [--dry]`: the guest suite of
 * bench/suite on Bulkhead, QEMU's TCG, v86 and natively, interleaved in one run.
 *
 * Every configuration is a process of its own on one processor; what counts is the processor time its threads use between a test's two
 * lines, natively what the program says of itself. The first round of a test is cold (translators warm up), later ones warm. Checksums
 * must agree everywhere. `--dry` leaves docs/performance.md alone.
 */
import { spawn } from 'node:child_process';
import { readdirSync, readFileSync, rmSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { packageFile } from '../src/host/node/packages.ts';
import { program } from '../scripts/program.mjs';
import { machineEnvironment } from '../scripts/setup.mjs';
import { conditions, keep, markdownTable, outputOf } from './report.ts';
import { buildSuite, type SuiteImages } from './suite-images.ts';
import { SuiteRecords } from './suite-records.ts';

const MEMORY_MIB = 256;
const LIMIT_SECONDS = 1200;
const MAIN = program(process.execPath);
/** About what a core reaches on average, so that guests take no more timer interrupts in the host's time than on the other emulators. */
const SPEED = '400MIPS';
const V86_GUEST = fileURLToPath(new URL('v86-guest.ts', import.meta.url));
const SUITE = join(import.meta.dirname, 'suite');

const GROUPS: Readonly<Record<string, readonly string[]>> = {
  integer: ['intloop', 'divloop', 'int64', 'sieve', 'sha256', 'crc32', 'qsort', 'fib', 'interp', 'mix', 'codegen'],
  memory: ['memrep', 'memword', 'ptrchase', 'memlibc'],
  'floating point': ['matmul', 'mandel', 'sse2-matmul', 'sse2-mandel'],
  'operating system': ['syscall', 'clock', 'signal', 'pipe', 'forkexec', 'pagefault', 'fileio'],
  programs: ['bb-gzip', 'bb-sha256', 'bb-awk', 'bb-sh'],
};
type System = 'Linux i386' | 'Linux x86-64' | 'bare metal';
type Emulator = 'native' | 'QEMU TCG' | 'v86' | 'Bulkhead';

interface Configuration {
  readonly system: System;
  readonly emulator: Emulator;
  readonly command: readonly string[];
  readonly runs: SuiteRun[];
}

interface SuiteRun {
  readonly records: SuiteRecords;
  readonly peakRssMiB: number;
}

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '2' },
    repeat: { type: 'string', default: '1' },
    only: { type: 'string', multiple: true, default: [] },
    tests: { type: 'string', default: '' },
    cpu: { type: 'string', default: '0' },
    'no-pin': { type: 'boolean', default: false },
    dry: { type: 'boolean', default: false },
  },
});
const rounds = Number(options.rounds);
const repeat = Number(options.repeat);
if (!(rounds >= 1) || !(repeat >= 1)) throw new Error('--rounds and --repeat want numbers from 1 on');

async function configurationsOf(images: SuiteImages, scratch: string): Promise<Configuration[]> {
  const kernel64 = await packageFile('linux-image-cloud-amd64', 'amd64', 'boot/vmlinuz-*');
  const kernel32 = await packageFile('linux-image-686', 'i386', 'boot/vmlinuz-*');
  const cmdline = ['console=ttyS0', 'mitigations=off', `BENCH_ROUNDS=${rounds}`, ...(options.tests === '' ? [] : [`BENCH_TESTS=${options.tests}`])].join(' ');
  const qemu = (bits: 32 | 64, ...rest: string[]): string[] => [
    bits === 64 ? 'qemu-system-x86_64' : 'qemu-system-i386', '-accel', 'tcg', '-M', 'pc', '-m', `${MEMORY_MIB}`, '-smp', '1', '-nodefaults',
    '-display', 'none', '-monitor', 'none', '-serial', 'stdio', '-no-reboot', ...rest,
  ];
  const v86 = (...rest: string[]): string[] => [process.execPath, V86_GUEST, '--memory', `${MEMORY_MIB}`, ...rest];
  const bulkhead = (name: string, ...rest: string[]): string[] => [
    process.execPath, MAIN, 'run', '--memory', `${MEMORY_MIB}MiB`, '--cpus', '1', '--pace', 'free', '--speed', SPEED, '--quiet', '--log-dir', join(scratch, name), ...rest,
  ];
  const native = (bench: string, busybox: string, sse2 = ''): string[] =>
    ['sh', join(SUITE, 'native.sh'), bench, busybox, `${rounds + 1}`, images.text, sse2, ...(options.tests === '' ? [] : [options.tests])];
  const linux = (kernel: string, initrd: string): string[] => ['-kernel', kernel, '-initrd', initrd, '-append', cmdline];
  const ours = (kernel: string, initrd: string): string[] => ['--kernel', kernel, '--initrd', initrd, '--cmdline', cmdline];
  const all: readonly (readonly [System, Emulator, readonly string[]])[] = [
    ['Linux i386', 'native', native(images.native32, images.busybox32, images.native32Sse2)],
    ['Linux i386', 'QEMU TCG', qemu(32, ...linux(kernel32, images.initrd32))],
    ['Linux i386', 'v86', v86(...ours(kernel32, images.initrd32))],
    ['Linux i386', 'Bulkhead', bulkhead('i386', ...ours(kernel32, images.initrd32))],
    ['Linux x86-64', 'native', native(images.native64, images.busybox64)],
    ['Linux x86-64', 'QEMU TCG', qemu(64, ...linux(kernel64, images.initrd64))],
    ['Linux x86-64', 'Bulkhead', bulkhead('amd64', ...ours(kernel64, images.initrd64))],
    ['bare metal', 'QEMU TCG', qemu(32, '-device', 'isa-debug-exit,iobase=0xf4,iosize=4', '-kernel', images.bare)],
    ['bare metal', 'v86', v86('--multiboot', images.bare)],
    ['bare metal', 'Bulkhead', bulkhead('bare', '--kernel', images.bare)],
  ];
  return all
    .map(([system, emulator, command]) => ({ system, emulator, command, runs: [] }))
    .filter(({ system, emulator }) => options.only.length === 0 || options.only.some((part) => `${system}, ${emulator}`.includes(part)));
}

function run({ emulator, command }: Configuration): Promise<SuiteRun> {
  const [program, ...args] = options['no-pin'] ? command : ['taskset', '-c', options.cpu, ...command];
  return new Promise((resolve, reject) => {
    // The others run as they come.
    const environment = emulator === 'Bulkhead' ? machineEnvironment() : {};
    const child = spawn(program as string, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...environment } });
    const records = new SuiteRecords(() => threadsCpuMs(child.pid as number));
    let peakKiB = 0;
    let tail = '';
    const watch = setInterval(() => {
      peakKiB = Math.max(peakKiB, peakRssKiB(child.pid as number));
      if (!records.isDone) return;
      clearInterval(watch);
      child.kill('SIGKILL');
    }, 200);
    const limit = setTimeout(() => child.kill('SIGKILL'), LIMIT_SECONDS * 1000);
    child.stdout.on('data', (data: Buffer) => {
      tail = (tail + data.toString('latin1')).slice(-2000);
      records.text(data.toString('latin1'));
    });
    child.stderr.on('data', (data: Buffer) => void (tail = (tail + data.toString()).slice(-2000)));
    child.on('error', reject);
    child.on('close', () => {
      clearInterval(watch);
      clearTimeout(limit);
      if (records.isDone) resolve({ records, peakRssMiB: peakKiB / 1024 });
      else reject(new Error(`${command.join(' ')}: the suite did not end:\n${tail}`));
    });
  });
}

/** Run time of every live thread (Linux Documentation/scheduler/sched-stats.rst: the first field is in nanoseconds). */
function threadsCpuMs(pid: number): number {
  let nanos = 0;
  try {
    for (const thread of readdirSync(`/proc/${pid}/task`)) nanos += Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'latin1').split(' ')[0]);
  } catch {
    // It ended between two looks.
  }
  return nanos / 1e6;
}

function peakRssKiB(pid: number): number {
  try {
    return Number(/^VmHWM:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? 0);
  } catch {
    return 0;
  }
}

// ── the report ──

const geomean = (values: readonly number[]): number => Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);

/**
 * The least, over all runs, of the first (`cold`) or the later rounds; undefined where it did not run. What else happens on a shared host makes a
 * process slower by half for minutes, and nothing makes it faster.
 */
function timeOf({ emulator, runs }: Configuration, test: string, which: 'cold' | 'warm'): number | undefined {
  const times = runs.flatMap(({ records }) => {
    const rounds = records.tests.filter((one) => one.test === test);
    const wanted = which === 'cold' ? rounds.filter(({ round }) => round === 0) : rounds.slice(rounds.length > 1 ? 1 : 0);
    return wanted.map((one) => (emulator === 'native' ? (one.guestCpuMs ?? one.cpuMs) : one.cpuMs));
  });
  return times.length === 0 ? undefined : Math.min(...times);
}

const figure = (value: number | undefined, unit = ''): string =>
  value === undefined ? '–' : `${value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2)}${unit}`;

function tableOf(system: System, configurations: readonly Configuration[]): string {
  const here = configurations.filter((one) => one.system === system);
  const named = (emulator: Emulator): Configuration | undefined => here.find((one) => one.emulator === emulator);
  const ours = named('Bulkhead');
  if (ours === undefined) return '';
  const peers = (['QEMU TCG', 'v86', 'native'] as const).filter((emulator) => named(emulator) !== undefined);
  const time = (emulator: Emulator, test: string, which: 'cold' | 'warm' = 'warm'): number | undefined => {
    const configuration = named(emulator);
    return configuration && timeOf(configuration, test, which);
  };
  /** How many times faster than a peer. */
  const faster = (emulator: Emulator, test: string, which: 'cold' | 'warm'): number | undefined => {
    const [a, b] = [time(emulator, test, which), time('Bulkhead', test, which)];
    return a === undefined || b === undefined || a === 0 || b === 0 ? undefined : a / b;
  };
  const columns = [
    { title: 'test' }, { title: 'Bulkhead', align: 'right' as const }, { title: 'first round', align: 'right' as const },
    ...peers.flatMap((peer) => [{ title: peer, align: 'right' as const }, { title: `${peer} ÷ Bulkhead`, align: 'right' as const }]),
    ...peers.filter((peer) => peer !== 'native').map((peer) => ({ title: `${peer} ÷ Bulkhead, first round`, align: 'right' as const })),
  ];
  const rows: string[][] = [];
  for (const [group, tests] of Object.entries(GROUPS)) {
    const present = tests.filter((test) => time('Bulkhead', test) !== undefined);
    if (present.length === 0) continue;
    for (const test of present) {
      rows.push([
        test, figure(time('Bulkhead', test)), figure(time('Bulkhead', test, 'cold')),
        ...peers.flatMap((peer) => [figure(time(peer, test)), figure(faster(peer, test, 'warm'), '×')]),
        ...peers.filter((peer) => peer !== 'native').map((peer) => figure(faster(peer, test, 'cold'), '×')),
      ]);
    }
    const mean = (peer: Emulator, which: 'cold' | 'warm'): string => {
      const ratios = present.map((test) => faster(peer, test, which)).filter((ratio) => ratio !== undefined);
      return ratios.length === 0 ? '–' : `**${figure(geomean(ratios), '×')}**`;
    };
    rows.push([
      `**geomean, ${group}**`, '', '', ...peers.flatMap((peer) => ['', mean(peer, 'warm')]),
      ...peers.filter((peer) => peer !== 'native').map((peer) => mean(peer, 'cold')),
    ]);
  }
  return `### ${system}: processor milliseconds, warm\n\n${markdownTable(columns, rows)}`;
}

function bootTable(configurations: readonly Configuration[]): string {
  const rows = configurations
    .filter(({ emulator }) => emulator !== 'native')
    .map(({ system, emulator, runs }) => [
      system,
      emulator,
      figure(Math.min(...runs.map(({ records }) => (records.boot?.wallMs ?? Number.NaN) / 1000))),
      figure(Math.min(...runs.map(({ records }) => (records.boot?.cpuMs ?? Number.NaN) / 1000))),
      figure(Math.max(...runs.map(({ peakRssMiB }) => peakRssMiB))),
    ]);
  const right = ['boot, seconds', 'boot, CPU seconds', 'peak RSS after the suite, MiB'].map((title) => ({ title, align: 'right' as const }));
  return `### From process start to the first line of user space, and memory\n\n${markdownTable([{ title: 'guest' }, { title: 'emulator' }, ...right], rows)}`;
}

/** Tests whose checksums are not the same in all configurations of a kind (floating point differs by format between i386 and x86-64). */
function disagreements(configurations: readonly Configuration[]): string[] {
  const sums = new Map<string, Map<string, string>>();
  for (const { system, emulator, runs } of configurations) {
    for (const { records } of runs) {
      for (const { test, sum } of records.tests) {
        const key = `${system === 'Linux x86-64' ? 'x86-64' : 'i386'} ${test}`;
        const known = sums.get(key) ?? new Map<string, string>();
        known.set(sum, `${system}, ${emulator}`);
        sums.set(key, known);
      }
    }
  }
  return [...sums].filter(([, known]) => known.size > 1).map(([test, known]) => `${test}: ${[...known].map(([sum, who]) => `${sum} (${who})`).join(', ')}`);
}

/** The guest's clock must not flatter us: how far its measure of a test is from the host's. */
function clockRatios(configurations: readonly Configuration[]): string {
  const told = configurations
    .filter(({ emulator }) => emulator !== 'native')
    .flatMap(({ system, emulator, runs }) => {
      const ratios = runs.flatMap(({ records }) => records.tests.flatMap(({ guestMs, wallMs }) => (guestMs === undefined || wallMs < 50 ? [] : [guestMs / wallMs])));
      return ratios.length === 0 ? [] : [`${system}, ${emulator} ${figure(geomean(ratios))}`];
    });
  return told.length === 0 ? '' : ` Time by the guest's clock over time by the host's: ${told.join('; ')}.`;
}

const scratch = mkdtempSync(join(tmpdir(), 'bulkhead-bench-'));
try {
  const configurations = await configurationsOf(await buildSuite(rounds), scratch);
  for (let round = 1; round <= repeat; round++) {
    for (const configuration of configurations) {
      const started = performance.now();
      configuration.runs.push(await run(configuration));
      const seconds = (performance.now() - started) / 1000;
      console.error(`${round}/${repeat}: ${configuration.system}, ${configuration.emulator}: ${seconds.toFixed(0)} s`);
    }
  }
  const wrong = disagreements(configurations);
  const versions = [outputOf('qemu-system-x86_64', '--version')?.split('\n')[0], `v86 ${v86Version()}`, outputOf('gcc', '--version')?.split('\n')[0]];
  const text = `## The guest suite

\`npm run bench:guests -- --rounds ${rounds} --repeat ${repeat}\`. ${conditions(versions.filter((one) => one !== undefined))}. Configurations follow each
other in one run, each ${options['no-pin'] ? 'on all processors' : 'on one processor'}; processor time of all its threads, natively the program's own. ${MEMORY_MIB} MiB, \`mitigations=off\`.
Bulkhead runs as its command starts it, the others as they come. Shown is the least that was measured (of memory the most), first rounds apart. Above 1× Bulkhead is faster. ${wrong.length === 0 ? 'All checksums agree.' : `**Checksums differ**: ${wrong.join('; ')}.`}
Bulkhead's guests live in virtual time and run as fast as they go (\`--pace free --speed ${SPEED}\`).${clockRatios(configurations)}

${(['Linux i386', 'Linux x86-64', 'bare metal'] as const).map((system) => tableOf(system, configurations)).filter((table) => table !== '').join('\n')}
${bootTable(configurations)}`;
  console.log(text);
  if (!options.dry) console.log(`\nwritten to ${keep('bench:guests', text)}`);
  if (wrong.length > 0) process.exitCode = 1;
} finally {
  rmSync(scratch, { recursive: true });
}

function v86Version(): string {
  return (JSON.parse(readFileSync(join(import.meta.dirname, '../node_modules/v86/package.json'), 'utf8')) as { readonly version: string }).version;
}
