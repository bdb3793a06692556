/**
 * `npm run bench:throughput -- [--rounds N] [--mib N] [--operations N] [--tcp-mib N] [--pace host|free] [--only disk|tcp] [--limit SECONDS]
 * [--dry]`: shared disks and a shared network on Bulkhead, beside the same guests on QEMU's TCG, interleaved in one run.
 *
 * Guests keep time in different ways, so the host's clock counts, between two lines that a guest writes on its serial console: one before
 * a test and one behind it. What was written is read back by the guest and by the host, and must be the same on both. `--dry` leaves
 * docs/performance.md alone.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
import { program } from '../scripts/program.mjs';
import { machineEnvironment } from '../scripts/setup.mjs';
import { MiB } from '../src/base/index.ts';
import { hostImageFiles } from '../src/host/node/image-file.ts';
import { openDisk } from '../src/shared/index.ts';
import { qemuImg, runTool } from '../test/support/qemu-img.ts';
import { EmulatorProcess, type Usage } from './emulator-process.ts';
import { conditions, keep, markdownTable, median, outputOf } from './report.ts';
import { began, type DiskFormat, type DiskTest, DONE, diskTests, ended, FORMATS, type GuestRole, SUM, throughputCmdline, throughputImages, TOOLS } from './throughput-guest.ts';

const MAIN = program(process.execPath);
const QEMU = 'qemu-system-x86_64';
const MEMORY_MIB = 512;
/**
 * More than a guest gets of the software engine for long: its time does not run ahead of the wall clock's, so that it does not wait for that
 * one. Not much more, or guests that busy themselves until some of their time has passed (for entropy) take ages.
 */
const SPEED = '1000MIPS';

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '2' },
    mib: { type: 'string', default: '512' },
    operations: { type: 'string', default: '20000' },
    'tcp-mib': { type: 'string', default: '512' },
    pace: { type: 'string', default: 'host' },
    only: { type: 'string', default: '' },
    limit: { type: 'string', default: '300' },
    dry: { type: 'boolean', default: false },
  },
});
const [rounds, mebibytes, operations, tcpMebibytes, limit] = (['rounds', 'mib', 'operations', 'tcp-mib', 'limit'] as const).map((name) => {
  const value = Number(options[name]);
  if (!(value >= 1)) throw new Error(`--${name} wants a number from 1 on`);
  return value;
}) as [number, number, number, number, number];

/** What a test took, of the host's time and of the processors'. */
interface Sample {
  readonly seconds: number;
  readonly cpuSeconds: number;
  readonly threads: ReadonlyMap<string, number>;
}

type Emulator = 'Bulkhead' | 'QEMU TCG';
const EMULATORS: readonly Emulator[] = ['Bulkhead', 'QEMU TCG'];

/** By test, and by emulator, the rounds. */
const samples = new Map<string, Map<Emulator, Sample[]>>();
const sums = new Map<string, Map<string, string[]>>();

function record(test: string, emulator: Emulator, sample: Sample): void {
  const of = samples.get(test) ?? new Map<Emulator, Sample[]>();
  samples.set(test, of.set(emulator, [...(of.get(emulator) ?? []), sample]));
}

/** `who` has read `what`, and this is the sum of it. */
function recordSum(what: string, sum: string, who: string): void {
  const of = sums.get(what) ?? new Map<string, string[]>();
  sums.set(what, of.set(sum, [...(of.get(sum) ?? []), who]));
}

/** What all processes of a test used between its two lines, which the first of them writes. `begins` is called at the first. */
async function sampled(processes: readonly EmulatorProcess[], test: string, begins: () => void = () => {}): Promise<Sample> {
  const [first, ...others] = processes as readonly [EmulatorProcess, ...EmulatorProcess[]];
  const all = async (line: string): Promise<readonly Usage[]> => [await first.usageAt(line, limit), ...(await Promise.all(others.map((other) => other.usageAt('', limit))))];
  const from = await all(began(test));
  begins();
  const to = await all(ended(test));
  const threads = new Map<string, number>();
  for (const [index, usage] of to.entries()) {
    for (const [name, seconds] of usage.threads) threads.set(name, (threads.get(name) ?? 0) + seconds - (from[index]?.threads.get(name) ?? 0));
  }
  const cpuOf = (usages: readonly Usage[]): number => usages.reduce((sum, { cpuSeconds }) => sum + (cpuSeconds ?? Number.NaN), 0);
  return { seconds: (to[0] as Usage).seconds - (from[0] as Usage).seconds, cpuSeconds: cpuOf(to) - cpuOf(from), threads };
}

/** A machine as the command line runs it; what it shares is the caller's. */
function bulkhead(folder: string, shared: object, partitions: Readonly<Record<string, { readonly role: GuestRole; readonly devices: object }>>): EmulatorProcess {
  const names = Object.keys(partitions);
  const manifest = join(folder, 'machine.json');
  const partition = (name: string, core: number) => ({
    role: 'gpos',
    cores: [core],
    memory: `${MEMORY_MIB}MiB`,
    speed: SPEED,
    boot: { kernel: images.kernel, initrd: images.initrd, cmdline: throughputCmdline((partitions[name] as { role: GuestRole }).role) },
    console: 'com1',
    devices: { com1: { model: 'uart16550' }, ...partitions[name]?.devices },
  });
  const machine = {
    version: 1,
    machine: `throughput-${process.pid}`,
    board: { cores: names.length, memory: `${(names.length + 1) * MEMORY_MIB}MiB` },
    shared,
    partitions: Object.fromEntries(names.map((name, core) => [name, partition(name, core)])),
  };
  writeFileSync(manifest, JSON.stringify(machine));
  return new EmulatorProcess(process.execPath, [MAIN, 'run', manifest, '--pace', options.pace, '--quiet', '--log-dir', join(folder, 'logs')], machineEnvironment());
}

function qemu(role: GuestRole, devices: readonly string[]): EmulatorProcess {
  return new EmulatorProcess(QEMU, [
    '-accel', 'tcg', '-M', 'pc', '-m', `${MEMORY_MIB}`, '-smp', '1', '-nodefaults', '-display', 'none', '-monitor', 'none', '-serial', 'stdio', '-no-reboot',
    '-kernel', images.kernel, '-initrd', images.initrd, '-append', throughputCmdline(role), ...devices,
  ]);
}

/** Until the last line; the sums among those before are kept. */
async function finish(processes: readonly EmulatorProcess[], who: string, nameOf: (sum: string) => string): Promise<void> {
  await processes[0]?.usageAt(DONE, limit);
  for (const { stdout } of processes) for (const [, name = '', sum = ''] of stdout.matchAll(SUM)) recordSum(nameOf(name), sum, who);
}

/** However a test comes out, nobody is left behind. */
function running(processes: readonly EmulatorProcess[]): AsyncDisposable & { readonly processes: readonly EmulatorProcess[] } {
  return { processes, [Symbol.asyncDispose]: async () => void (await Promise.all(processes.map((process) => process.stop('SIGTERM')))) };
}

// ── disks ──

function diskEmulator(emulator: Emulator, folder: string, disks: Readonly<Record<DiskFormat, string>>): EmulatorProcess {
  if (emulator === 'Bulkhead') {
    const files: readonly (readonly [string, string, 'rw' | 'ro'])[] = [...FORMATS.map((format) => [format, disks[format], 'rw'] as const), [TOOLS, images.tools, 'ro']];
    const shared = Object.fromEntries(files.map(([name, image, access]) => [name, { kind: 'disk', image, grants: { guest: { access } } }]));
    const devices = Object.fromEntries(files.map(([name]) => [`disk-${name}`, { shared: name }]));
    return bulkhead(folder, shared, { guest: { role: 'disk', devices } });
  }
  const drive = (name: string, file: string, format: DiskFormat, readOnly: 'on' | 'off'): string[] =>
    ['-drive', `file=${file},if=none,id=${name},format=${format},cache=writeback,readonly=${readOnly}`, '-device', `virtio-blk-pci,drive=${name},serial=${name}`];
  return qemu('disk', [...FORMATS.flatMap((format) => drive(format, disks[format], format, 'off')), ...drive(TOOLS, images.tools, 'raw', 'on')]);
}

/**
 * A file that is written first takes memory from the host's kernel, and where that is a virtual machine's, memory that was free for some
 * seconds has to be got back first: a second for each 300 MiB on ours, more than the writing itself. So as much as such a test needs is kept in
 * use until it begins.
 */
async function runDisks(emulator: Emulator, folder: string, tool: string): Promise<void> {
  const disks = { raw: join(folder, 'disk.raw'), qcow2: join(folder, 'disk.qcow2') };
  writeFileSync(disks.raw, '');
  truncateSync(disks.raw, mebibytes * MiB);
  execFileSync(tool, ['create', '-q', '-f', 'qcow2', disks.qcow2, `${mebibytes}M`], { stdio: 'pipe' });
  await using guest = running([diskEmulator(emulator, folder, disks)]);
  const ballast = tests.filter(({ fills }) => fills).map(({ bytes }) => new Uint8Array(1.25 * bytes).fill(1));
  for (const { name, fills } of tests) record(name, emulator, await sampled(guest.processes, name, () => {
    if (fills) giveBack(ballast.pop());
  }));
  await finish(guest.processes, `${emulator}’s guest`, (format) => `the ${format} disk`);
  await guest[Symbol.asyncDispose]();
  for (const format of FORMATS) recordSum(`the ${format} disk`, sumOf(disks[format]), `the host, of ${emulator}’s image`);
  const check = runTool(tool, ['check', disks.qcow2]);
  if (check.status !== 0) throw new Error(`${emulator} leaves a damaged image: ${check.output}`);
}

/** At once, and not when it is collected: what is transferred is the caller's no more, and what it becomes has no bytes. */
function giveBack(memory: Uint8Array<ArrayBuffer> | undefined): void {
  (memory?.buffer as (ArrayBuffer & { transfer(size: number): ArrayBuffer }) | undefined)?.transfer(0);
}

/** Of what a disk's image holds. */
function sumOf(image: string): string {
  using disk = openDisk(hostImageFiles(), { image }, 'ro');
  const hash = createHash('md5');
  const piece = new Uint8Array(MiB);
  for (let offset = 0; offset < disk.size; offset += piece.length) {
    if (!disk.read(offset, piece)) throw new Error(`${image} cannot be read at ${offset}`);
    hash.update(piece);
  }
  return hash.digest('hex');
}

// ── TCP ──

const TCP = 'tcp';

function tcpEmulators(emulator: Emulator, folder: string): readonly EmulatorProcess[] {
  if (emulator === 'Bulkhead') {
    const devices = { lan: { shared: 'lan' } };
    const shared = { lan: { kind: 'ethernet', grants: { client: {}, server: {} } } };
    return [bulkhead(folder, shared, { client: { role: 'client', devices }, server: { role: 'server', devices } })];
  }
  const socket = join(folder, 'wire');
  const card = (mac: string, end: string): string[] =>
    ['-netdev', `stream,id=lan,addr.type=unix,addr.path=${socket},${end}`, '-device', `virtio-net-pci,netdev=lan,mac=52:54:00:00:00:${mac},romfile=`];
  const server = qemu('server', card('01', 'server=on'));
  // The socket must be there for the other one to find it.
  execFileSync('sh', ['-c', `until [ -S ${socket} ]; do sleep 0.1; done`], { timeout: 10_000 });
  return [qemu('client', card('02', 'server=off')), server];
}

async function runTcp(emulator: Emulator, folder: string): Promise<void> {
  await using guests = running(tcpEmulators(emulator, folder));
  record(TCP, emulator, await sampled(guests.processes, TCP));
  await finish(guests.processes, emulator, () => 'what TCP carried');
}

// ── the report ──

const figure = (value: number): string => (value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2));

function medianOf(test: string, emulator: Emulator, value: (sample: Sample) => number): number {
  const of = samples.get(test)?.get(emulator) ?? [];
  return of.length === 0 ? Number.NaN : median(of.map(value));
}

/** Threads of an emulator that took some part in a test, and their processor time as a share of the wall clock's. */
function threadShares(test: string, emulator: Emulator): string {
  const names = new Set((samples.get(test)?.get(emulator) ?? []).flatMap(({ threads }) => [...threads.keys()]));
  const shares = [...names].map((name) => [name, medianOf(test, emulator, ({ threads, seconds }) => (threads.get(name) ?? 0) / seconds)] as const);
  return shares
    .filter(([, share]) => share >= 0.02)
    .toSorted(([, a], [, b]) => b - a)
    .map(([name, share]) => `${name} ${(100 * share).toFixed(0)} %`)
    .join(', ');
}

/** How the two compare by kind of work, in words. */
function summary(rows: readonly Row[]): string {
  const of = (unit: Row['unit'], isTcp: boolean): number[] => rows.filter((row) => row.unit === unit && (row.name === TCP) === isTcp).map(ratioOf);
  const mean = (ratios: readonly number[]): string => `${Math.exp(ratios.reduce((sum, ratio) => sum + Math.log(ratio), 0) / ratios.length).toFixed(2)}×`;
  const kinds = [['disks in sequence', of('MB/s', false)], ['disks at random', of('op/s', false)], ['TCP', of('MB/s', true)]] as const;
  const told = kinds.filter(([, ratios]) => ratios.length > 0).map(([kind, ratios]) => `${kind} ${mean(ratios)} (${Math.min(...ratios).toFixed(2)}–${Math.max(...ratios).toFixed(2)})`);
  return `Bulkhead ÷ QEMU, geometric mean (least–greatest): ${told.join('; ')}.`;
}

function verdict(wrong: readonly string[]): string {
  if (wrong.length > 0) return `**What was read differs**: ${wrong.join('; ')}.`;
  const images = options.only === TCP ? '' : ', and `qemu-img check` finds the qcow2 images in order';
  return `What was written and sent reads the same everywhere${images}.`;
}

interface Row {
  readonly name: string;
  readonly title: string;
  readonly unit: 'MB/s' | 'op/s';
  /** In that unit, for one second. */
  readonly amount: number;
}

const rateOf = ({ name, amount }: Row, emulator: Emulator): number => medianOf(name, emulator, ({ seconds }) => amount / seconds);
const ratioOf = (row: Row): number => rateOf(row, 'Bulkhead') / rateOf(row, 'QEMU TCG');

function tableOf(rows: readonly Row[]): string {
  const right = [...EMULATORS, 'ratio', ...EMULATORS.map((emulator) => `CPU s, ${emulator}`)].map((title) => ({ title, align: 'right' as const }));
  return markdownTable([{ title: 'test' }, { title: 'unit' }, ...right], rows.map((row) => [
    row.title,
    row.unit,
    ...EMULATORS.map((emulator) => figure(rateOf(row, emulator))),
    `${ratioOf(row).toFixed(2)}×`,
    ...EMULATORS.map((emulator) => medianOf(row.name, emulator, ({ cpuSeconds }) => cpuSeconds).toFixed(2)),
  ]));
}

function threadTable(rows: readonly Row[]): string {
  return markdownTable([{ title: 'test' }, ...EMULATORS.map((title) => ({ title }))], rows.map(({ name, title }) => [title, ...EMULATORS.map((emulator) => threadShares(name, emulator))]));
}

function diskRow({ name, format, title, blockBytes, bytes }: DiskTest): Row {
  const isSequence = blockBytes === MiB;
  return { name, title: `${format}: ${title}`, unit: isSequence ? 'MB/s' : 'op/s', amount: isSequence ? bytes / 1e6 : bytes / blockBytes };
}

// ── the run ──

if (options.only !== '' && options.only !== 'disk' && options.only !== 'tcp') throw new Error('--only: disk or tcp');
const version = outputOf(QEMU, '--version')?.split('\n')[0];
const tool = await qemuImg();
if (version === undefined || tool === undefined) throw new Error(`without ${version === undefined ? QEMU : 'qemu-img'} there is nothing to compare with`);
const tests = FORMATS.flatMap((format) => diskTests(format, { mebibytes, operations }));
const scratch = mkdtempSync(join(tmpdir(), 'bulkhead-throughput-'));
const images = await throughputImages(scratch, tests, mebibytes, tcpMebibytes * MiB);
try {
  for (let round = 1; round <= rounds; round++) {
    for (const part of ['disk', 'tcp'] as const) {
      if (options.only !== '' && options.only !== part) continue;
      // A host that is a virtual machine itself waits long for memory that it has not had for a while, and whoever is first pays for both.
      for (const emulator of round % 2 === 1 ? EMULATORS : EMULATORS.toReversed()) {
        const folder = join(scratch, `${round}-${part}-${EMULATORS.indexOf(emulator)}`);
        mkdirSync(folder);
        const started = performance.now();
        if (part === 'disk') await runDisks(emulator, folder, tool);
        else await runTcp(emulator, folder);
        rmSync(folder, { recursive: true });
        console.error(`round ${round}/${rounds}: ${part} on ${emulator}: ${((performance.now() - started) / 1000).toFixed(0)} s`);
      }
    }
  }
  const rows = [...tests.map(diskRow), { name: TCP, title: 'TCP, one stream between two guests', unit: 'MB/s' as const, amount: (tcpMebibytes * MiB) / 1e6 }].filter(({ name }) => samples.has(name));
  const wrong = [...sums].filter(([, of]) => of.size !== 1).map(([what, of]) => `${what}: ${[...of].map(([sum, who]) => `${sum} (${who.join(', ')})`).join('; ')}`);
  const text = `## Shared disks and networks

\`npm run bench:throughput -- --rounds ${rounds} --mib ${mebibytes} --operations ${operations} --tcp-mib ${tcpMebibytes} --pace ${options.pace}\`. ${rounds === 1 ? 'One round' : `The median of ${rounds} interleaved rounds`}. ${conditions([version, basename(images.kernel)])}.
The same kernel, initramfs, command line and ${MEMORY_MIB} MiB on both, one vCPU, all host processors for either. Host time between two lines on the serial
console; above 1× Bulkhead is faster. ${verdict(wrong)}

Disks: fio, \`direct=1\`, engine psync one at a time and libaio 16 at a time, ${mebibytes} MiB in sequence or ${operations} blocks at random, an \`fsync\` at the end of all
writing; a quarter of each test goes before, unmeasured. Who is first changes with the round. Bulkhead: virtio-blk at a shared disk, one broker thread for each image. QEMU:
\`virtio-blk-pci\`, \`cache=writeback\`. Both read and write through the host's page cache, and a flush is an \`fdatasync\`. TCP: iperf3 sends ${tcpMebibytes} MiB after a quarter of
that, its start included. Bulkhead: two partitions of one machine at a shared network. QEMU: two processes, \`virtio-net-pci\` on \`-netdev stream\` over a Unix
socket, which carries no checksum or segmentation offload.

${tableOf(rows)}
Threads that took 2 % of the time or more, in processor time per wall-clock time (\`V8Worker\`: V8 optimises translated code; two processes of QEMU count together):

${threadTable(rows)}
${summary(rows)}`;
  console.log(`\n${text}`);
  if (wrong.length > 0) {
    console.error(`what was read differs: ${wrong.join('\n')}`);
    process.exitCode = 1;
  } else if (!options.dry) console.log(`\nwritten to ${keep('bench:throughput', text)}`);
} finally {
  rmSync(scratch, { recursive: true });
}
