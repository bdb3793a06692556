/**
 * Many kills, several at a time: `node test/disk-kill/run.ts --kills 300 --parallel 4 --seed 1 [--folder /tmp/disk-kill] [--without-guest]`.
 * Prints a line for each, and in the end what was found; status 1 when anything was lost. Without a guest it is the storage path alone
 * that is killed, which comes up in a second.
 */
import { mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { FORMATS, KilledMachine, killImages, killTools } from './disk-kill.ts';
import { KilledWriter } from './killed-writer.ts';

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '300' },
    parallel: { type: 'string', default: '2' },
    seed: { type: 'string', default: '1' },
    'without-guest': { type: 'boolean', default: false },
    folder: { type: 'string', default: join(tmpdir(), 'bulkhead-disk-kill') },
  },
});
const wanted = Number(values.kills);
let state = Number(values.seed) >>> 0;
const random = (): number => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return state / 2 ** 32;
};

mkdirSync(values.folder, { recursive: true });
const tools = await killTools();
if (tools === undefined) process.exit(2);
const totals = { kills: 0, records: 0, pieces: 0, leaked: 0, lost: 0 };
const started = Date.now();

async function workWithoutGuest(number: number): Promise<void> {
  const format = FORMATS[number % FORMATS.length] ?? 'raw';
  let writer = new KilledWriter(join(values.folder, `${number}`), format, tools!.qemuImg, random);
  while (totals.kills < wanted) {
    const kill = ++totals.kills;
    try {
      const { records, leaked } = await writer.kill();
      totals.records += records;
      totals.leaked = Math.max(totals.leaked, leaked);
      console.log(`kill ${kill}: ${format}: ${records} records, all there; ${leaked} clusters leaked`);
    } catch (error) {
      totals.lost++;
      console.log(`kill ${kill}: ${format}: LOST: ${(error as Error).message}`);
      writer = new KilledWriter(join(values.folder, `${number}-after-${totals.lost}`), format, tools!.qemuImg, random);
    }
  }
}

async function work(number: number): Promise<void> {
  const images = await killImages(values.folder);
  let machine = new KilledMachine(join(values.folder, `${number}`), images, tools!, random);
  while (totals.kills < wanted) {
    const kill = ++totals.kills;
    try {
      const { records, pieces, leaked } = await machine.kill();
      totals.records += records;
      totals.pieces += pieces;
      totals.leaked = Math.max(totals.leaked, leaked);
      console.log(`kill ${kill}: machine ${number}: ${records} records and ${pieces} pieces on three disks, all there; ${leaked} clusters leaked`);
    } catch (error) {
      totals.lost++;
      console.log(`kill ${kill}: machine ${number}: LOST: ${(error as Error).message}`);
      machine = new KilledMachine(join(values.folder, `${number}-after-${totals.lost}`), images, tools!, random);
    }
  }
}

await Promise.all(Array.from({ length: Number(values.parallel) }, (_, number) => (values['without-guest'] ? workWithoutGuest(number) : work(number))));
const minutes = ((Date.now() - started) / 60_000).toFixed(1);
console.log(`${totals.kills} kills in ${minutes} minutes (seed ${values.seed}): ${totals.records} records and ${totals.pieces} pieces acknowledged, ${totals.lost} kills lost something; at most ${totals.leaked} clusters leaked`);
process.exitCode = totals.lost === 0 ? 0 : 1;
