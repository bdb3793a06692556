/**
 * `npm run bench:io -- [--rounds N] [--count N] [--only DEVICE]… [--dry]`: the same device owned and shared.
 *
 * A disk, a network controller, a serial line and a timer, each once exclusive (served in the partition's own thread) and once shared
 * (through a broker), alone and beside a neighbour that uses its own as hard as it can. A small guest of ours (guests/rtos/apps/io) makes
 * round trips, one after the other; a stopwatch beside its device takes their time by the host's clock. Rounds are interleaved. The table
 * and the plot go to docs/performance.md; `--dry` leaves it alone.
 */
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { program } from '../scripts/program.mjs';
import { machineEnvironment } from '../scripts/setup.mjs';
import { MiB } from '../src/base/index.ts';
import { hostInterface } from '../test/support/host-interface.ts';
import { lineEcho } from '../test/support/line-echo.ts';
import { DEVICES, manifestOf, type MeasuredDevice, type Surroundings, type Way } from './io/manifests.ts';
import { drawLatencies } from './io/plot.ts';
import { conditions, keep, markdownTable, median } from './report.ts';

const MAIN = program(process.execPath);
const PLOT = fileURLToPath(new URL('../docs/pictures/io-latency.svg', import.meta.url));
const LIMIT_SECONDS = 120;
const DISK_BYTES = 128 * MiB;

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    count: { type: 'string', default: '1000' },
    only: { type: 'string', multiple: true, default: [] },
    dry: { type: 'boolean', default: false },
  },
});
const rounds = Number(options.rounds);
const count = Number(options.count);
if (!(rounds >= 1) || !(count >= 4)) throw new Error('--rounds wants a number from 1 on, --count one from 4 on');

/** What one run of a guest said; times in nanoseconds. */
interface Result {
  readonly median: number;
  readonly p99: number;
  readonly worst: number;
  readonly bytesPerSecond: number | undefined;
}

export interface Measured {
  readonly device: MeasuredDevice;
  readonly way: Way;
  readonly isNoisy: boolean;
  readonly results: Result[];
}

const WHAT: Readonly<Record<MeasuredDevice, string>> = {
  disk: 'disk (virtio-blk, raw image): 4 KiB read at random; stream: 64 KiB reads in order',
  ethernet: "Ethernet (e1000, the host's TAP): a question by ARP, which the host's kernel answers; stream: frames of 1514 bytes",
  line: 'serial line (16550A, a pseudo-terminal): one byte to a program of the host and back; stream: 8 bytes on their way at a time',
  timer: 'timer (HPET): one-shot, due in 1 ms; what is shown is how far from that it comes, early or late, by the clock of the host',
};

async function measure({ device, way, isNoisy }: Measured, surroundings: Surroundings): Promise<Result> {
  const manifest = join(surroundings.folder, 'machine.yaml');
  writeFileSync(manifest, manifestOf(device, way, isNoisy, surroundings));
  const child = spawn(process.execPath, [MAIN, 'run', manifest, '--quiet', '--log-dir', join(surroundings.folder, 'logs')], { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...machineEnvironment() } });
  let text = '';
  let errors = '';
  child.stderr.on('data', (data: Buffer) => {
    errors += data.toString();
  });
  using _echo = device === 'line' ? lineEcho(join(surroundings.folder, 'line0')) : undefined;
  const limit = setTimeout(() => child.kill('SIGKILL'), LIMIT_SECONDS * 1000);
  await new Promise<void>((resolve) => {
    child.stdout.on('data', (data: Buffer) => {
      text += data.toString();
      if (/meter.*\b(done|fail)\b/.test(text)) child.kill('SIGTERM');
    });
    child.on('close', () => resolve());
  });
  clearTimeout(limit);
  const latency = /latency count (\d+) median (\d+) p99 (\d+) worst (\d+)/.exec(text);
  if (latency === null) throw new Error(`${device}, ${way}${isNoisy ? ', noisy' : ''}: no result\n${text.slice(-1000)}\n${errors.slice(-2000)}`);
  const [, , middle, p99, worst] = latency.map(Number) as [number, number, number, number, number];
  const stream = /stream bytes (\d+) us (\d+)/.exec(text);
  return {
    median: middle, p99, worst,
    bytesPerSecond: stream === null ? undefined : (Number(stream[1]) / Number(stream[2])) * 1e6,
  };
}

const microseconds = (nanos: number): string => (nanos / 1000).toFixed(nanos < 1e5 ? 1 : 0);

function report(measured: readonly Measured[]): string {
  const columns = [
    { title: 'device' }, { title: 'neighbour' }, { title: 'way' },
    ...['median, µs', '99 %, µs', 'worst, µs', 'stream, MB/s'].map((title) => ({ title, align: 'right' as const })),
  ];
  const rows = measured.map(({ device, way, isNoisy, results }) => {
    const of = (pick: (result: Result) => number): number => median(results.map(pick));
    const stream = of(({ bytesPerSecond }) => bytesPerSecond ?? Number.NaN) / 1e6;
    return [device, isNoisy ? 'noisy' : 'idle', way, microseconds(of((r) => r.median)), microseconds(of((r) => r.p99)), microseconds(of((r) => r.worst)),
      Number.isNaN(stream) ? '–' : stream.toPrecision(3)];
  });
  const prices = DEVICES.flatMap((device) => {
    const of = (way: Way, isNoisy: boolean, pick: (result: Result) => number): number => {
      const found = measured.find((other) => other.device === device && other.way === way && other.isNoisy === isNoisy);
      return found === undefined ? Number.NaN : median(found.results.map(pick));
    };
    if (Number.isNaN(of('shared', true, (r) => r.p99)) || Number.isNaN(of('exclusive', true, (r) => r.p99))) return [];
    const ratio = (isNoisy: boolean, pick: (result: Result) => number): string => `${(of('shared', isNoisy, pick) / of('exclusive', isNoisy, pick)).toPrecision(2)}×`;
    return [`- ${device}: shared takes ${ratio(false, (r) => r.median)} the time of exclusive in the median, ${ratio(false, (r) => r.p99)} in the 99th percentile; beside the noisy neighbour ${ratio(true, (r) => r.median)} and ${ratio(true, (r) => r.p99)}.`];
  });
  return `## The same device, owned and shared

\`npm run bench:io -- --rounds ${rounds} --count ${count}\`. ${conditions()}.
${count} round trips, one after the other, after ${count / 4} that do not count; the median of ${rounds} interleaved runs each. Times are the host's, from the
guest's first instruction to its last. One partition measures; its neighbour, where there is one, does the same without end on its own device, or
on the same shared one. The host has two processors: beside a noisy neighbour the threads of a broker and of the partition compete for one of them,
which is part of what is seen here and would be less on a machine with a core for each. One word in the manifest makes the difference:
\`exclusive: disk0\` or \`shared: disk0\`.

${DEVICES.map((device) => `- ${WHAT[device]}`).join('\n')}

${markdownTable(columns, rows)}
${prices.join('\n')}

![Latency of each device, exclusive and shared, idle and beside a noisy neighbour](pictures/io-latency.svg)`;
}

const folder = mkdtempSync(join(tmpdir(), 'bulkhead-io-'));
const taps = [2, 3].map((use) => hostInterface(use, "Ethernet, which needs an interface of the host")).filter((tap) => tap !== undefined);
try {
  for (const name of ['shared', 'own0', 'own1']) writeFileSync(join(folder, `${name}.img`), Buffer.alloc(DISK_BYTES, 0xa5));
  const chosen = DEVICES.filter((device) => (options.only.length === 0 || options.only.includes(device)) && (device !== 'ethernet' || taps.length === 2));
  const measured = chosen.flatMap((device) =>
    [false, true].flatMap((isNoisy) => (['exclusive', 'shared'] as const).map((way): Measured => ({ device, way, isNoisy, results: [] }))));
  for (let round = 0; round < rounds; round++) {
    for (const one of measured) {
      process.stderr.write(`round ${round + 1} of ${rounds}: ${one.device}, ${one.way}, ${one.isNoisy ? 'noisy neighbour' : 'alone'}: `);
      const result = await measure(one, { folder, taps, count });
      one.results.push(result);
      process.stderr.write(`median ${microseconds(result.median)} µs, 99 % ${microseconds(result.p99)} µs, worst ${microseconds(result.worst)} µs\n`);
    }
  }
  const text = report(measured);
  if (options.dry) console.log(text);
  else {
    writeFileSync(PLOT, drawLatencies(measured));
    console.log(`written to ${keep('bench:io', text)} and ${PLOT}`);
  }
} finally {
  for (const tap of taps) tap[Symbol.dispose]();
  rmSync(folder, { recursive: true, force: true });
}
