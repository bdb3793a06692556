// The board's devices under drivers of our own, in the RTOS: what its image `devices.elf` checks, seen from the host's side as well.
import { describe, expect, it } from 'vitest';
import { device as encoderCard } from '../examples/devices/encoder-card.ts';
import { MiB } from '../src/base/index.ts';
import { MemoryDisk } from '../src/board/storage/memory-disk.ts';
import { linuxCmdline } from '../src/boot/index.ts';
import { SECTOR_BYTES } from '../src/contracts/index.ts';
import { driverImages } from './support/driver-images.ts';
import { deviceOf, Guest } from './support/guest.ts';
import { SHELL_PROMPT } from './support/linux.ts';
import { LiveMachine, machineOf } from './support/live-machine.ts';
import { ifAvailable } from './support/packages.ts';

const IMAGE = 'guests/rtos/images/devices.elf';
/** Ten million are enough for all checks; keys and the watchdog take a little more. */
const INSTRUCTIONS = 2e8;
const TIMEOUT = 120_000;
const MODELS = ['hpet', 'i6300esb', 'pci1710', 'i8042', 'stdvga', 'e1000'];
const DISK_SECTORS = (4 * MiB) / SECTOR_BYTES;

function rtos(cmdline: string, disk = new MemoryDisk(DISK_SECTORS)): Guest {
  const file = { option: 'disk', path: 'disk', access: 'rw', identity: 'disk' } as const;
  return new Guest(IMAGE, {
    cmdline,
    models: MODELS,
    own: { encoder: encoderCard },
    devices: [{ ...deviceOf('ahci', 'ahci'), files: [file] }],
    block: () => disk,
    instructionsPerMicrosecond: 100,
  });
}

/** What it found, in order: `ok NAME`, `fail NAME …`, `absent NAME`. The shell's prompt may stand before the first. */
const results = (console: string): string[] => console.match(/\b(?:ok|fail|absent) [a-z].*$/gm) ?? [];

/** What `storage.c` writes into a sector. */
const sectorOf = (sector: number): Uint8Array => Uint8Array.from({ length: SECTOR_BYTES }, (_, byte) => sector * 7 + byte);

describe('the RTOS and its drivers', () => {
  it('find every device in order, by polling, interrupts and DMA', { timeout: TIMEOUT }, () => {
    const guest = rtos('');
    guest.run({ instructions: INSTRUCTIONS });
    expect(results(guest.console).filter((line) => !line.startsWith('ok'))).toEqual([]);
    const checked = new Set(results(guest.console).map((line) => /^ok ([a-z0-9]+)-/.exec(line)?.[1]));
    expect([...checked]).toEqual(['hpet', 'disk', 'card', 'encoder', 'screen', 'keyboard', 'ethernet', 'watchdog']);
    expect(guest.partition.end).toMatchObject({ state: 'halted', reason: 'debug-exit', code: 33 });
    expect(guest.log).toEqual([]);
  });

  it('leave on the disk and on the screen what they say', { timeout: TIMEOUT }, () => {
    const disk = new MemoryDisk(DISK_SECTORS);
    const guest = rtos('', disk);
    guest.run({ instructions: INSTRUCTIONS });
    const sector = (number: number): Uint8Array => disk.bytes.subarray(number * SECTOR_BYTES, (number + 1) * SECTOR_BYTES);
    for (const number of [1, 64, 73, 77, 191, DISK_SECTORS - 1]) expect(sector(number), `sector ${number}`).toEqual(sectorOf(number));
    for (const number of [74, 75, 76]) expect(sector(number)).toEqual(new Uint8Array(SECTOR_BYTES).fill(0xa5));
    for (const number of [0, 2, 63, 192, DISK_SECTORS - 2]) expect(sector(number)).toEqual(new Uint8Array(SECTOR_BYTES));

    const { width, height, pixels } = guest.picture('stdvga');
    expect([width, height]).toEqual([640, 480]);
    for (const [x, y] of [[0, 0], [1, 2], [300, 200], [639, 479]] as const) {
      const at = (y * width + x) * 4;
      expect([...pixels.subarray(at, at + 3)], `${x}, ${y}`).toEqual([x & 0xff, y & 0xff, (x ^ y) & 0xff]);
    }
  });

  it('see each key go down and up', { timeout: TIMEOUT }, () => {
    const guest = rtos('keys=6');
    expect(guest.run({ instructions: INSTRUCTIONS, until: ({ console }) => console.includes('waiting for 6 scan codes') })).toBe(true);
    guest.keys('i8042', 'aB');
    guest.run({ instructions: INSTRUCTIONS });
    // Set 1: A is 1E, left Shift 2A, B 30; released with bit 7.
    expect(guest.console.match(/(?<=note code )[0-9a-f]{2}/g)).toEqual(['1e', '9e', '2a', '30', 'b0', 'aa']);
    expect(guest.console).toContain('ok keyboard-delivers-every-code');
  });

  it('are reset by a watchdog that is left alone, and know it in their next life', { timeout: TIMEOUT }, () => {
    const guest = rtos('bite=1');
    const hasTwoLives = guest.run({ instructions: INSTRUCTIONS, until: ({ partition, console }) => partition.resets === 1 && console.includes('the last reset was its doing') });
    expect(hasTwoLives).toBe(true);
    expect(guest.console).toContain('the last reset was not its doing');
    expect(results(guest.console).filter((line) => !line.startsWith('ok'))).toEqual([]);
    expect(guest.log.filter((line) => line.includes('watchdog'))).toHaveLength(1);
  });
});

const images = await ifAvailable('Debian’s generic kernel and its e1000 driver', () => driverImages('network', ['net/ethernet/intel/e1000/e1000']));

const manifest = (partitions: string): string => `
version: 1
machine: pair
board: { cores: 2, memory: 1GiB }
wires: { field: {} }
partitions:${partitions}`;

const partition = (name: string, core: number, options: string): string => `
  ${name}:
    role: rtos
    cores: [${core}]
    memory: 16MiB
    boot: { kernel: ${IMAGE}, cmdline: 'only=network stay=1 ${options}' }
    devices:
      com1: { model: uart16550 }
      eth0: { model: e1000, wire: field }
    console: com1`;

const done = (live: LiveMachine, name: string) => () => /\bdone$/m.test(live.console(name));

describe('the RTOS on a wire', () => {
  it('and a second one answer each other’s pings', { timeout: TIMEOUT }, async () => {
    const pinging = [partition('left', 0, 'address=10.0.0.1 ping=10.0.0.2 count=20'), partition('right', 1, 'address=10.0.0.2 ping=10.0.0.1 count=20')];
    await using live = new LiveMachine(machineOf(manifest(pinging.join(''))), 'host');
    live.running.startAll();
    for (const name of ['left', 'right']) {
      await live.until(`${name} has sent its pings`, done(live, name));
      expect(results(live.console(name))).toEqual(['ok ethernet-has-a-station-address-of-its-own', 'ok ethernet-pings-come-back']);
      expect(live.console(name)).toMatch(/note 20 of 20 pings came back/);
    }
  });

  it.skipIf(images === undefined)('and Linux answer each other’s pings', { timeout: TIMEOUT }, async () => {
    const linux = `
  linux:
    role: gpos
    cores: [0]
    memory: 256MiB
    boot: { kernel: ${images!.kernel}, initrd: ${images!.initrd}, cmdline: '${linuxCmdline()}' }
    devices:
      com1: { model: uart16550 }
      eth0: { model: e1000, wire: field }
    console: com1`;
    await using live = new LiveMachine(machineOf(manifest(`${linux}${partition('control', 1, 'address=10.0.0.2 ping=10.0.0.1 count=5')}`)), 'host');
    live.running.startAll();
    await live.until('Linux has a shell', () => live.console('linux').includes(SHELL_PROMPT));
    live.type('linux', 'insmod /modules/e1000.ko && ip addr add 10.0.0.1/24 dev eth0 && ip link set eth0 up; sleep 3; ping -c 3 -i 0.2 10.0.0.2; echo E\\ND\r');
    await live.until('the RTOS has sent its pings', done(live, 'control'));
    expect(live.console('control')).toMatch(/note 5 of 5 pings came back/);
    await live.until('Linux has sent its pings', () => live.console('linux').includes('\nEND'));
    expect(live.console('linux')).toMatch(/3 packets transmitted, 3 packets received/);
  });
});
