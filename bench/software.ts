/**
 * `npm run bench:software -- [--load NAME]… [--kernel NAME]… [--cpus N] [--speed N] [--limit GIGA] [--translation none]
 * [--results FILE] [--list] [--dry] [--rewrite]`: real software in guests.
 *
 * Runs each load on each kernel, one after another, and puts a row for each into docs/software.md; rows of earlier runs stay. A load with
 * the host as its oracle runs there first, out of the same files; its output has to be the same byte for byte. In all of them the kernel's
 * own log must be free of complaints. Without options it runs what PLAN says, which takes hours; `--list` shows it.
 *
 * `--speed` is the speed of the modelled core in instructions per microsecond: with 100, ten minutes of guest time are at most 60 thousand
 * million instructions. `--limit` ends a run after so many thousand million. `--translation none` interprets everything. `--results` names
 * another table than docs/software.md: that of another checkout, so that runs of hours have one of their own that nobody edits. `--rewrite` runs nothing and
 * writes the table as it is now: what is no load any more loses its row.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { s } from '../src/base/index.ts';
import { createSoftEngine } from '../src/soft/index.ts';
import { packageFile, type ProgressListener } from '../src/host/node/packages.ts';
import { type Kernel, KERNELS, kernelNamed } from '../test/software/kernels.ts';
import { type Load, LOADS, loadNamed, prepare } from '../test/software/loads.ts';
import { type GuestOutcome, type Outcome, runInGuest, runNatively, whyNotNative } from '../test/software/run.ts';
import { faultsOf } from '../test/software/verdict.ts';
import { conditions, markdownTable, outputOf } from './report.ts';

const DOCUMENT = fileURLToPath(new URL('../docs/software.md', import.meta.url));
const REPORT_EVERY_MS = 10_000;
const GIGA = 1e9;

/** What is run without options. Compilers and interpreters care for the processor, not the kernel; the rest is a test of both. */
const PLAN: readonly { readonly load: string; readonly kernels: readonly string[]; readonly cpus: number; readonly speed: number }[] = [
  { load: 'openssl', kernels: ['6.1 cloud-amd64', '6.1 686-pae'], cpus: 1, speed: 1000 },
  ...LOADS.filter(({ name }) => name.startsWith('perl-')).map(({ name }) => ({ load: name, kernels: ['6.1 cloud-amd64', '6.1 686-pae'], cpus: 1, speed: 1000 })),
  { load: 'python-numbers', kernels: ['6.1 cloud-amd64', '6.1 686-pae'], cpus: 1, speed: 1000 },
  { load: 'python-system', kernels: ['6.1 cloud-amd64', '6.1 686-pae'], cpus: 1, speed: 1000 },
  { load: 'gcc', kernels: ['6.1 cloud-amd64', '6.1 686-pae'], cpus: 1, speed: 1000 },
  { load: 'gcc-lua', kernels: ['6.1 cloud-amd64'], cpus: 1, speed: 1000 },
  { load: 'hackbench', kernels: ['6.1 cloud-amd64', '6.1 686-pae'], cpus: 2, speed: 200 },
  { load: 'cyclictest', kernels: ['6.1 rt-amd64', '6.12 rt-amd64', '6.1 rt-686-pae'], cpus: 2, speed: 200 },
  { load: 'mixed', kernels: KERNELS.map(({ name }) => name), cpus: 2, speed: 100 },
];

/** At the start: what is loaded then is what runs. With + there are changes on top, in what makes the machine and the load. */
const CHANGED = outputOf('git', 'status', '--porcelain', '--', ':/src', ':/guests/linux', ':/test/software', ':/test/support');
const COMMIT = `${outputOf('git', 'rev-parse', '--short', 'HEAD') ?? 'unknown'}${CHANGED ? '+' : ''}`;

interface Run {
  readonly load: Load;
  readonly kernel: Kernel;
  readonly cpus: number;
  readonly speed: number;
}

interface Result {
  readonly run: Run;
  readonly verdict: string;
  readonly outcome?: GuestOutcome;
}

/** Of the table of runs; the first three name a row. */
const COLUMNS = [
  { title: 'load' },
  { title: 'kernel' },
  { title: 'vCPUs', align: 'right' },
  { title: 'instr/µs', align: 'right' },
  { title: 'result' },
  { title: 'Ginstr', align: 'right' },
  { title: 'guest s', align: 'right' },
  { title: 'host s', align: 'right' },
  { title: 'when (UTC)' },
  { title: 'engine' },
  { title: 'commit' },
] as const;

const { values: options } = parseArgs({
  options: {
    load: { type: 'string', multiple: true, default: [] },
    kernel: { type: 'string', multiple: true, default: [] },
    cpus: { type: 'string' },
    speed: { type: 'string' },
    limit: { type: 'string', default: '500' },
    translation: { type: 'string', default: 'immediate' },
    results: { type: 'string', default: DOCUMENT },
    list: { type: 'boolean', default: false },
    dry: { type: 'boolean', default: false },
    rewrite: { type: 'boolean', default: false },
  },
});

const translation = options.translation === 'none' ? 'none' : 'immediate';
if (options.translation !== translation) throw new Error('--translation: none or immediate');
const limit = number('--limit', options.limit) * GIGA;
const runs = chosenRuns();
if (options.list) {
  for (const { load, kernel, cpus, speed } of runs) {
    console.log(`${load.name} on ${kernel.name}, ${cpus} vCPU, ${speed} instructions per µs: ${load.what}`);
  }
} else if (options.rewrite) {
  writeFileSync(options.results, documentOf(readRows()));
} else {
  const results: Result[] = [];
  for (const run of runs) {
    const result = await carryOut(run);
    results.push(result);
    if (!options.dry) keep(result);
    console.log(`${run.load.name} on ${run.kernel.name}: ${result.verdict}`);
  }
  const failed = results.filter(({ verdict }) => verdict.startsWith('FAILED'));
  console.log(`${results.length - failed.length} of ${results.length} passed${options.dry ? '' : `; written to ${options.results}`}`);
  process.exitCode = failed.length === 0 ? 0 : 1;
}

function number(option: string, text: string): number {
  const value = Number(text);
  if (!(value > 0)) throw new Error(`${option} wants a number above 0`);
  return value;
}

function chosenRuns(): Run[] {
  const loads = options.load.map((name) => loadNamed(name).name);
  const kernels = options.kernel.map((name) => kernelNamed(name).name);
  const plan = PLAN.filter(({ load }) => loads.length === 0 || loads.includes(load));
  // A load that is not in the plan runs on the kernel that is asked for.
  const unplanned = loads.filter((load) => !PLAN.some((entry) => entry.load === load));
  const extra = unplanned.map((load) => ({ load, kernels: [], cpus: 1, speed: 1000 }));
  return [...plan, ...extra].flatMap((entry) =>
    (kernels.length > 0 ? kernels : entry.kernels).map((kernel) => ({
      load: loadNamed(entry.load),
      kernel: kernelNamed(kernel),
      cpus: options.cpus === undefined ? entry.cpus : number('--cpus', options.cpus),
      speed: options.speed === undefined ? entry.speed : number('--speed', options.speed),
    })),
  );
}

async function carryOut(run: Run): Promise<Result> {
  const { load, kernel, cpus, speed } = run;
  console.log(`${load.name} on ${kernel.name}`);
  const report: ProgressListener = ({ step, detail }) => console.error(`  ${step}: ${detail}`);
  const prepared = await prepare(load, kernel.architecture, report);
  const image = await packageFile(kernel.package, kernel.architecture, 'boot/vmlinuz-*', report);
  let expected: Outcome | undefined;
  if (load.oracle === 'native') {
    const refusal = whyNotNative(prepared);
    if (refusal !== undefined) return { run, verdict: `FAILED: the host cannot run it for comparison: ${refusal}` };
    expected = await runNatively(prepared);
    console.error(`  host: status ${expected.status}, ${expected.output.split('\n').length - 1} lines`);
  }
  let reported = performance.now();
  const started = reported;
  try {
    const outcome = runInGuest(prepared, {
      kernel: image,
      cpus,
      instructionsPerMicrosecond: speed,
      instructions: limit,
      engine: createSoftEngine({ translation }),
      progress: ({ partition, console: text }) => {
        const now = performance.now();
        if (now - reported < REPORT_EVERY_MS) return;
        reported = now;
        const last = text.trimEnd().split('\n').at(-1) ?? '';
        const seconds = (now - started) / 1000;
        const figures = `${(partition.retired / GIGA).toFixed(1)} Ginstr, ${(partition.clock.now() / s).toFixed(1)} guest s`;
        console.error(`  ${seconds.toFixed(0)} s, ${figures}: ${last.slice(0, 80)}`);
      },
    });
    const faults = faultsOf(outcome, expected);
    for (const line of load.oracle === 'itself' ? outcome.output.trimEnd().split('\n') : faults) console.error(`  ${line}`);
    return { run, outcome, verdict: faults.length > 0 ? `FAILED: ${faults[0]}` : verdictOf(load, outcome) };
  } catch (error) {
    console.error(error);
    return { run, verdict: `FAILED: ${(error as Error).message.split('\n')[0]}` };
  }
}

function verdictOf(load: Load, { output }: GuestOutcome): string {
  const lines = output.trimEnd().split('\n');
  return load.oracle === 'native' ? `the host's ${lines.length} lines, byte for byte` : (load.summary?.(lines) ?? `${lines.length} lines`);
}

/** Puts the row of a result into the table, in place of an earlier one of the same load, kernel and number of vCPUs. */
function keep({ run, verdict, outcome }: Result): void {
  const figure = (value: number | undefined, digits: number): string => (value === undefined ? '–' : value.toFixed(digits));
  const row = [
    run.load.name,
    run.kernel.name,
    `${run.cpus}`,
    `${run.speed}`,
    verdict.replaceAll('|', '/'),
    figure(outcome && outcome.retired / GIGA, 2),
    figure(outcome && outcome.guestTime / s, 1),
    figure(outcome?.hostSeconds, 0),
    new Date().toISOString().slice(0, 16).replace('T', ' '),
    translation === 'none' ? 'interpreter' : 'translator',
    COMMIT,
  ];
  const key = (cells: readonly string[]): string => cells.slice(0, 3).join('|');
  const rows = [...readRows().filter((each) => key(each) !== key(row)), row].sort((a, b) => order(a) - order(b));
  writeFileSync(options.results, documentOf(rows));
}

function readRows(): string[][] {
  if (!existsSync(options.results)) return [];
  const table = readFileSync(options.results, 'utf8').split('\n');
  // The table of loads begins alike.
  const from = table.findIndex((line) => COLUMNS.every(({ title }) => line.includes(`| ${title} `) || line.includes(` ${title} |`)));
  if (from < 0) return [];
  const rows = table.slice(from + 2).flatMap((line) => (line.startsWith('| ') ? [line.slice(1, -1).split('|').map((cell) => cell.trim())] : []));
  // What is no load any more has no row.
  return rows.filter(([load]) => LOADS.some(({ name }) => name === load));
}

/** As the tables of loads and kernels have it. */
function order([load, kernel, cpus]: readonly string[]): number {
  const at = LOADS.findIndex(({ name }) => name === load) * KERNELS.length + KERNELS.findIndex(({ name }) => name === kernel);
  return at * 100 + Number(cpus);
}

function documentOf(rows: readonly (readonly string[])[]): string {
  const loads = LOADS.map(({ name, what, oracle }) => [name, what, oracle === 'native' ? 'the same files on the host' : 'the load itself']);
  return `# Real software

Debian's programs on Debian's kernels, in guests of the software engine. Written by \`npm run bench:software\`; nothing here is edited by hand.
Each load is a root file system made of packages, in an initramfs: \`test/software/loads.ts\` says which,
\`guests/linux/software/\` has the scripts. A run passes when what it prints is right by its oracle, its status is right, and the kernel's log holds no oops, warning, stall or lockup.
A load without a row has not been run on that kernel.

The kernels are those of Debian 12, 6.1, and 6.12 from its backports. There is no 6.12 for i386: Debian has no kernel package for that
architecture later than 6.1.

${markdownTable([{ title: 'load' }, { title: 'what it does' }, { title: 'oracle' }], loads)}
## Runs

\`instr/µs\` is the speed of the modelled core: guest time is retired instructions at that speed, and idle time. A commit with + had
changes on top. Last written on:
${conditions()}. The host had other work at the same time unless somebody took care that it had not: host seconds are an upper bound.

${markdownTable(COLUMNS, rows)}`;
}
