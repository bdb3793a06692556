// What a PC's firmware offers to 16-bit software, called the way DOS, boot loaders and memory managers call it: guests/bios on SeaBIOS.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { MiB } from '../src/base/index.ts';
import { MemoryDisk } from '../src/board/storage/memory-disk.ts';
import { SECTOR_BYTES } from '../src/contracts/index.ts';
import { packageFile } from '../src/host/node/packages.ts';
import { deviceOf, Guest } from './support/guest.ts';
import { ifAvailable } from './support/packages.ts';

/** Ten times what all of it takes. */
const INSTRUCTIONS = 3e8;
const TIMEOUT = 240_000;
const IMAGE = fileURLToPath(new URL('../guests/bios/images/services.img', import.meta.url));

const images = await ifAvailable('SeaBIOS and its video BIOS', async () => ({
  bios: await packageFile('seabios', 'amd64', 'usr/share/seabios/bios-256k.bin'),
  video: await packageFile('seabios', 'amd64', 'usr/share/seabios/vgabios-stdvga.bin'),
}));

function pc(controller: 'ide' | 'ahci'): Guest {
  const disk = new MemoryDisk((16 * MiB) / SECTOR_BYTES);
  disk.bytes.set(readFileSync(IMAGE));
  return new Guest(images!.bios, {
    order: ['disk'],
    models: ['i8042', 'stdvga'],
    roms: { stdvga: readFileSync(images!.video) },
    devices: [{ ...deviceOf(controller, controller), files: [{ option: 'disk', path: 'disk', access: 'rw', identity: 'disk' }] }],
    block: () => disk,
    // Loops that wait for the clock are over sooner than on a fast processor.
    instructionsPerMicrosecond: 20,
  });
}

describe.skipIf(images === undefined)('the services of a PC’s firmware', () => {
  it.each([
    ['ide', []],
    // Nothing has the legacy ports: what writes to its configuration, and reads a sector in V86 mode, leaves that out.
    ['ahci', ['absent ide-controller']],
  ] as const)('answer 16-bit software as on a PC, with a disk on %s', (controller, absent) => {
    const guest = pc(controller);
    expect(guest.run({ instructions: INSTRUCTIONS, until: ({ console }) => console.includes('note type-q') })).toBe(true);
    guest.keys('i8042', 'q');
    guest.run({ instructions: INSTRUCTIONS });
    // The firmware draws on the serial port as well, so lines of ours may begin behind its escape sequences.
    const results = guest.console.match(/\b(?:ok|fail|absent) [a-z0-9]+-.*$/gm) ?? [];
    expect(results.filter((line) => !line.startsWith('ok'))).toEqual(absent);
    expect(results.length).toBeGreaterThan(95);
    expect(guest.partition.end).toMatchObject({ state: 'halted', reason: 'debug-exit', code: 33 });
    expect(guest.log).toEqual([]);
  }, TIMEOUT);
});
