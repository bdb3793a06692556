// A short run of what `node test/disk-kill/run.ts` does hundreds of times.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { ifAvailable } from '../support/packages.ts';
import { FORMATS, KilledMachine, killImages, killTools } from './disk-kill.ts';
import { KilledWriter } from './killed-writer.ts';

const KILLS = Number(process.env['BULKHEAD_KILLS'] ?? 1);
const seed = Number(process.env['BULKHEAD_FUZZ_SEED'] ?? 20_261_122);

const folder = mkdtempSync(join(tmpdir(), 'bulkhead-disk-kill-'));
const tools = await ifAvailable('qemu-img', killTools);
const images = tools === undefined ? undefined : await ifAvailable("Debian's cloud kernel", () => killImages(folder));

let state = seed >>> 0;
const random = (): number => {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return state / 2 ** 32;
};
afterAll(() => rmSync(folder, { recursive: true, force: true }));

it.skipIf(tools === undefined || images === undefined)(`a guest that writes loses nothing that is safe in ${KILLS} kills (seed ${seed})`, { timeout: KILLS * 600_000 }, async () => {
  const machine = new KilledMachine(join(folder, 'machine'), images!, tools!, random);
  let records = 0;
  for (let kill = 0; kill < KILLS; kill++) records += (await machine.kill()).records;
  console.log(`${KILLS} kills: ${records} records of a guest acknowledged, all there`);
  expect(records).toBeGreaterThan(0);
});

it.skipIf(tools === undefined).each(FORMATS)(`the storage path alone loses nothing that is safe on %s in ${4 * KILLS} kills (seed ${seed})`, { timeout: KILLS * 240_000 }, async (format) => {
  const writer = new KilledWriter(join(folder, `path-${format}`), format, tools!.qemuImg, random);
  let records = 0;
  for (let kill = 0; kill < 4 * KILLS; kill++) records += (await writer.kill()).records;
  console.log(`${4 * KILLS} kills of ${format}: ${records} records acknowledged, all there`);
  expect(records).toBeGreaterThan(0);
});
