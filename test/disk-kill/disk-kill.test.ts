// A short run of what `node test/disk-kill/run.ts` does hundreds of times.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { ifAvailable } from '../support/packages.ts';
import { KilledMachine, killImages, killTools } from './disk-kill.ts';

const KILLS = Number(process.env['BULKHEAD_KILLS'] ?? 2);
const seed = Number(process.env['BULKHEAD_FUZZ_SEED'] ?? 20_261_122);

const folder = mkdtempSync(join(tmpdir(), 'bulkhead-disk-kill-'));
const tools = await ifAvailable('qemu-img', killTools);
const images = tools === undefined ? undefined : await ifAvailable("Debian's cloud kernel", () => killImages(folder));

it.skipIf(tools === undefined || images === undefined)(`nothing that is safe is lost in ${KILLS} kills (seed ${seed})`, { timeout: KILLS * 300_000 }, async () => {
  let state = seed >>> 0;
  const random = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  try {
    const machine = new KilledMachine(join(folder, 'machine'), images!, tools!, random);
    let records = 0;
    for (let kill = 0; kill < KILLS; kill++) records += (await machine.kill()).records;
    console.log(`${KILLS} kills: ${records} records acknowledged, all there`);
    expect(records).toBeGreaterThanOrEqual(0);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
