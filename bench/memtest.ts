/**
 * `npm run bench:memtest -- [--width 64-bit|32-bit] [--memory MIB] [--cpus N]`: one full pass of memtest86+ 6, all of its tests, on the
 * modelled memory and screen. Fails when it finds an error, or does not come to the end of its pass.
 */
import { parseArgs } from 'node:util';
import { MiB } from '../src/base/index.ts';
import { MEMTEST_IMAGES, Memtest, memtestImages, type MemtestWidth } from '../test/support/memtest.ts';
import { markdownTable } from './report.ts';

/** A pass takes about 1.4 billion instructions per MiB with either image; who needs three times that does not arrive. */
const INSTRUCTIONS_PER_MIB = 4e9;
/** It moves to above 4 MiB to test what lies below, and there must be something to move to. */
const MEMORY_MIN_MIB = 8;

const { values: options } = parseArgs({
  options: {
    width: { type: 'string', multiple: true, default: Object.keys(MEMTEST_IMAGES) },
    memory: { type: 'string', default: '8' },
    cpus: { type: 'string', default: '1' },
  },
});
const memoryMiB = Number(options.memory);
const cpus = Number(options.cpus);
if (!(memoryMiB >= MEMORY_MIN_MIB) || !(cpus >= 1)) throw new Error(`--memory wants MiB from ${MEMORY_MIN_MIB} on, --cpus a number from 1 on`);
const widths = options.width.map((width) => {
  if (!Object.hasOwn(MEMTEST_IMAGES, width)) throw new Error(`--width: one of ${Object.keys(MEMTEST_IMAGES).join(', ')}`);
  return width as MemtestWidth;
});

interface Stage {
  readonly test: number;
  readonly name: string;
  readonly retired: number;
  readonly time: number;
}

/** Prints what each test has cost; false when memory was found to be bad, or the pass has no end. */
function fullPass(width: MemtestWidth, image: string): boolean {
  // The bit fade test waits for minutes: on so slow a core they are a few hundred million instructions.
  const memtest = new Memtest(image, { memory: memoryMiB * MiB, cpus, instructionsPerMicrosecond: 2 });
  const { partition } = memtest.guest;
  const stages: Stage[] = [];
  memtest.guest.run({
    instructions: memoryMiB * INSTRUCTIONS_PER_MIB,
    until: () => {
      const { test } = memtest;
      if (memtest.passes === 0 && test !== undefined && test !== stages.at(-1)?.test) {
        const name = /\[(.+?)\]/.exec(memtest.screen[3] ?? '')?.[1] ?? '';
        stages.push({ test, name, retired: partition.retired, time: performance.now() });
        console.error(`  test ${test}: ${name}`);
      }
      return (memtest.passes ?? 0) > 0;
    },
  });
  const ends = [...stages.slice(1), { retired: partition.retired, time: performance.now() }];
  const rows = stages.map(({ test, name, retired, time }, i) => {
    const instructions = ((ends[i]?.retired ?? retired) - retired) / 1e6;
    const seconds = ((ends[i]?.time ?? time) - time) / 1000;
    return [`${test}`, name, instructions.toFixed(0), seconds.toFixed(1), (instructions / Math.max(seconds, 0.001)).toFixed(0)];
  });
  const right = ['Minstr', 'seconds', 'MIPS'].map((title) => ({ title, align: 'right' as const }));
  console.log(`memtest86+, ${width}, ${memoryMiB} MiB, ${cpus} vCPU${cpus > 1 ? 's' : ''}: ${memtest.passes} pass, ${memtest.errors} errors`);
  console.log(markdownTable([{ title: 'test' }, { title: 'what it does' }, ...right], rows));
  const good = memtest.passes === 1 && memtest.errors === 0;
  if (!good) console.log(memtest.screen.join('\n'));
  return good;
}

const images = await memtestImages();
const results = widths.map((width) => fullPass(width, images[width]));
process.exitCode = results.every((good) => good) ? 0 : 1;
