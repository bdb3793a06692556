/**
 * `npm run bench:soak -- [--minutes N] [--machine FILE] [--every SECONDS] [--growth MIB]`: the packaging cell on the wall clock, for as
 * long as is asked. Samples memory, time and the telemetry of the real-time partitions, and fails when
 *
 * - one of them misses a deadline, in guest time;
 * - one stands still between two samples, crashes or ends;
 * - the process has grown after its warm-up: the median of the last third of the samples is more than `--growth` MiB above that of the
 *   first third. Medians, because V8 gives memory back when it likes.
 */
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { MiB, s } from '../src/base/index.ts';
import { compileFile, readManifest } from '../src/cli/manifest-file.ts';
import { nodeHost } from '../src/cli/node-host.ts';
import { fetchPackagedImages } from '../src/cli/packaged-images.ts';
import type { PartitionStatus } from '../src/contracts/index.ts';
import { RunningMachine } from '../src/hypervisor/index.ts';
import { packageReferences } from '../src/manifest/index.ts';
import { conditions, markdownTable, median } from './report.ts';

/** Linux boots and compiled code is optimised: that takes memory that is not lost. */
const WARM_UP_SECONDS = 60;
const DRAIN_MS = 50;

const { values: options } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    every: { type: 'string', default: '10' },
    growth: { type: 'string', default: '32' },
    machine: { type: 'string', default: resolve(import.meta.dirname, '../machines/packaging-cell.yaml') },
  },
});
const minutes = Number(options.minutes);
const every = Number(options.every);
const growth = Number(options.growth);
if (!(minutes > 0) || !(every > 0) || !(growth > 0)) throw new Error('--minutes, --every and --growth want numbers above 0');
const warmUp = Math.min(WARM_UP_SECONDS, (minutes * 60) / 3);

interface Sample {
  /** Since the start, on the wall clock. */
  readonly seconds: number;
  readonly rssMiB: number;
  readonly partitions: readonly PartitionStatus[];
}

await fetchPackagedImages(packageReferences(readManifest(options.machine)), ({ step, detail }) => console.error(`  ${step}: ${detail}`));
const { machine, findings } = compileFile(options.machine);
if (machine === undefined) throw new Error(findings.map(({ code, message }) => `${code}: ${message}`).join('\n'));
const realTime = machine.partitions.filter(({ role }) => role === 'rtos').map(({ name }) => name);

const failures: string[] = [];
await using running = new RunningMachine(machine, nodeHost(), { pace: 'host' });
running.on((event) => {
  if (event.kind === 'crashed') failures.push(`${event.partition} crashed: ${event.report.cause}`);
  if (event.kind === 'halted' && event.end.reason !== 'stopped') failures.push(`${event.partition} ended: ${event.end.reason}`);
});
const started = performance.now();
running.startAll();

// As at a terminal: somebody reads what the guests write.
const consoles = machine.partitions.flatMap(({ name }) => running.consoles(name));
const piece = new Uint8Array(16 * 1024);
const drain = setInterval(() => {
  for (const console of consoles) while (console.read(piece) > 0);
}, DRAIN_MS);

const samples: Sample[] = [];
function sample(): void {
  const current: Sample = {
    seconds: (performance.now() - started) / 1000,
    rssMiB: process.memoryUsage().rss / MiB,
    partitions: running.status(),
  };
  for (const name of realTime) {
    const [before, after] = [samples.at(-1), current].map((one) => one?.partitions.find((status) => status.name === name));
    if (after?.periods === undefined) failures.push(`${name} has no telemetry`);
    else if (before?.periods !== undefined && after.periods <= before.periods) failures.push(`${name} stands still after ${current.seconds.toFixed(0)} s`);
  }
  samples.push(current);
  console.error(`  ${current.seconds.toFixed(0)} s of ${(minutes * 60).toFixed(0)} s, ${current.rssMiB.toFixed(0)} MiB`);
}

for (let next = Math.min(every, minutes * 60); next <= minutes * 60 && failures.length === 0; next += every) {
  const wait = next * 1000 - (performance.now() - started);
  await new Promise((done) => setTimeout(done, wait));
  sample();
}
const worst = realTime.map((name) => `${name} ${((running.worstLatency(name) ?? 0) / 1000).toFixed(1)} µs`);
const misses = realTime.map((name) => [name, samples.at(-1)?.partitions.find((status) => status.name === name)?.deadlineMisses ?? 0] as const);
clearInterval(drain);
await running.stopAll();

for (const [name, count] of misses) if (count > 0) failures.push(`${name} missed ${count} deadlines in guest time`);
const warm = samples.filter(({ seconds }) => seconds >= warmUp).map(({ rssMiB }) => rssMiB);
const third = Math.max(1, Math.floor(warm.length / 3));
const grown = warm.length < 2 ? undefined : median(warm.slice(-third)) - median(warm.slice(0, third));
if (grown === undefined) failures.push('too few samples after the warm-up: give it more minutes, or more samples with --every');
else if (grown > growth) failures.push(`the process has grown by ${grown.toFixed(0)} MiB, and ${growth} MiB is the bound`);

console.log(`${machine.name}, ${minutes} min on the wall clock. ${conditions()}.\n`);
const rows = samples.map(({ seconds, rssMiB, partitions }) => [
  seconds.toFixed(0),
  rssMiB.toFixed(0),
  ...partitions.flatMap(({ name, guestTime, retired, periods, deadlineMisses }) => [
    (guestTime / s).toFixed(1),
    (retired / 1e6).toFixed(0),
    ...(realTime.includes(name) ? [`${periods ?? '–'}`, `${deadlineMisses ?? '–'}`] : []),
  ]),
]);
const columns = [
  'wall s',
  'RSS MiB',
  ...machine.partitions.flatMap(({ name }) => [`${name}: guest s`, 'Minstr', ...(realTime.includes(name) ? ['periods', 'misses'] : [])]),
];
console.log(markdownTable(columns.map((title) => ({ title, align: 'right' })), rows));
console.log(`worst release latency in guest time: ${worst.join(', ')}`);
if (grown !== undefined) console.log(`memory: ${grown >= 0 ? '+' : ''}${grown.toFixed(1)} MiB from the first to the last third after ${warmUp.toFixed(0)} s of warm-up (bound: ${growth} MiB)`);
console.log(failures.length === 0 ? 'passed' : `failed:\n${failures.map((failure) => `- ${failure}`).join('\n')}`);
process.exitCode = failures.length === 0 ? 0 : 1;
