// Memory, random numbers and consoles that Debian's guests share: Linux's own drivers, and words that several partitions store to at once.
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { LinuxImages } from '../src/host/node/initramfs.ts';
import { CHANNEL, driverImages } from './support/driver-images.ts';
import { linuxPartition, SHELL_PROMPT } from './support/linux.ts';
import { LiveMachine, machineOf } from './support/live-machine.ts';
import { VIRTIO_PCI_MODULES } from './support/network-programs.ts';
import { ifAvailable } from './support/packages.ts';
import { eventually, shell } from './support/shell.ts';

/** Each takes seconds; this allows for a machine that has other things to do. */
const TIMEOUT = 400_000;
const MODULES = [...VIRTIO_PCI_MODULES, 'char/virtio_console', 'char/hw_random/virtio-rng', 'uio/uio', 'uio/uio_pci_generic'];
const LOAD = MODULES.map((path) => `insmod /modules/${path.split('/').at(-1)}.ko`).join(' && ');
const TIMES = 10_000;

function machine(images: LinuxImages): LiveMachine {
  const partition = (name: string, core: number, further: readonly string[]): string =>
    linuxPartition(images, name, core, '128MiB', ['mem: { shared: mem, options: { vectors: 0 } }', ...further]);
  return new LiveMachine(
    machineOf(`
version: 1
machine: pair
board: { cores: 2, memory: 1GiB }
shared:
  mem: { kind: memory, size: 64KiB, grants: { left: {}, right: {} } }
  look: { kind: memory, size: 4KiB, grants: { left: {}, right: { access: ro } } }
  random: { kind: entropy, grants: { left: { rate: { bytes-per-second: 64KiB } } } }
partitions:${partition('left', 0, ['look: { shared: look }', 'rng: { shared: random }', 'vcon: { model: virtio-console, options: { ports: org.cell.log } }'])}${partition('right', 1, ['look: { shared: look }'])}
`),
    'host',
  );
}

const images = await ifAvailable("Debian's virtio and UIO drivers", () => driverImages('channels', MODULES, [CHANNEL]));

describe.skipIf(images === undefined)('two Debian guests', () => {
  let live: LiveMachine | undefined;
  const on = (name: string, command: string): Promise<string> => shell(live as LiveMachine, name, command, TIMEOUT * 0.8);
  const slots: Record<string, number> = {};

  beforeAll(async () => {
    live = machine(images!);
    live.running.startAll();
    for (const name of ['left', 'right']) {
      await eventually(`${name} asks for a command`, () => live!.console(name).includes(SHELL_PROMPT), () => live!.console(name), TIMEOUT * 0.8);
      const list = await on(name, 'channel list');
      for (const [, slot, bytes] of list.matchAll(/slot (\d+): (\d+) bytes/g)) slots[`${name} ${bytes}`] = Number(slot);
    }
    await on('left', LOAD);
  }, TIMEOUT);
  afterAll(async () => live?.[Symbol.asyncDispose]());

  const mem = (name: string): number => slots[`${name} 65536`] as number;
  const look = (name: string): number => slots[`${name} 4096`] as number;

  it('see the shared memory as a PCI device, and know their place', { timeout: TIMEOUT }, async () => {
    expect(await on('left', 'channel list')).toMatch(/65536 bytes, position 0/);
    expect(await on('right', 'channel list')).toMatch(/65536 bytes, position 1/);
    const folder = `/sys/bus/pci/devices/0000:00:0${mem('left')}.0`;
    expect((await on('left', `cat ${folder}/class ${folder}/revision`)).split(/\s+/).slice(0, 2)).toEqual(['0x050000', '0x01']);
  });

  it('see what the other one wrote', { timeout: TIMEOUT }, async () => {
    await on('left', `channel set ${mem('left')} 0x100 0xcafe1234`);
    expect(await on('right', `channel show ${mem('right')} 0x100 1`)).toContain('cafe1234');
  });

  it('cannot write what was granted to be read', { timeout: TIMEOUT }, async () => {
    await on('left', `channel set ${look('left')} 0x10 7`);
    await on('right', `channel set ${look('right')} 0x10 9; channel add ${look('right')} 0x10 5`);
    expect(await on('left', `channel show ${look('left')} 0x10 1`)).toContain('00000007');
  });

  it(`lose none of ${2 * TIMES} additions with LOCK, nor of those under a spin lock`, { timeout: TIMEOUT }, async () => {
    await Promise.all(['left', 'right'].map((name) => on(name, `channel add ${mem(name)} 0x200 ${TIMES}`)));
    expect(Number.parseInt(await on('left', `channel show ${mem('left')} 0x200 1`), 16)).toBe(2 * TIMES);
    await Promise.all(['left', 'right'].map((name) => on(name, `channel spin ${mem(name)} 0x300 ${TIMES}`)));
    expect(await on('right', `channel show ${mem('right')} 0x300 2`)).toContain(`00000000 ${(2 * TIMES).toString(16).padStart(8, '0')}`);
  });

  it('ring a doorbell that wakes a process in the other', { timeout: TIMEOUT }, async () => {
    await on('left', `echo 1af4 1110 > /sys/bus/pci/drivers/uio_pci_generic/new_id; (channel wait ${mem('left')} > /tmp/rang) & sleep 1`);
    expect(await on('left', 'cat /tmp/rang')).toBe('');
    await on('right', `channel ring ${mem('right')} 0 0`);
    expect(await on('left', 'while [ ! -s /tmp/rang ]; do sleep 0.1; done; cat /tmp/rang; grep uio /proc/interrupts')).toMatch(/rang, status 1[\s\S]*uio_pci_generic/);
  });

  it('read random numbers through hw_random, as fast as was granted', { timeout: TIMEOUT }, async () => {
    expect(await on('left', 'cat /sys/class/misc/hw_random/rng_current')).toContain('virtio_rng');
    const digest = () => on('left', 'dd if=/dev/hwrng bs=64 count=4 2>/dev/null | md5sum');
    expect(await digest()).not.toBe(await digest());
    const took = await on('left', 'start=$(cut -d " " -f 1 /proc/uptime); dd if=/dev/hwrng bs=4096 count=40 iflag=fullblock 2>/dev/null | wc -c; echo $start $(cut -d " " -f 1 /proc/uptime)');
    const [bytes = 0, start = 0, end = 0] = took.match(/[\d.]+/g)?.map(Number) ?? [];
    expect(bytes).toBe(163_840);
    // 64 KiB a second, and what was saved up before: a quarter of a second's worth.
    expect(end - start).toBeGreaterThan(1.8);
  });

  it('print and read on hvc0, and on a port by its name', { timeout: TIMEOUT }, async () => {
    const consoles = live!.running.consoles('left');
    const [hvc, port] = ['vcon', 'vcon.org.cell.log'].map((device) => consoles.find((end) => end.device === device)!);
    const text = (end: typeof hvc): string => {
      const bytes = new Uint8Array(4096);
      return Buffer.from(bytes.subarray(0, end!.read(bytes))).toString('latin1');
    };
    expect(await on('left', 'ls /dev/hvc0 /dev/vport*; cat /sys/class/virtio-ports/vport*p1/name')).toMatch(/org\.cell\.log/);
    await on('left', 'port=$(ls /dev/vport*p1); echo to hvc0 > /dev/hvc0; echo to the port > $port');
    expect([text(hvc), text(port)]).toEqual(['to hvc0\r\n', 'to the port\n']);
    port!.write(Buffer.from('typed to the port\n'));
    expect(await on('left', 'head -n 1 $port')).toContain('typed to the port');
    hvc!.write(Buffer.from('typed to hvc0\r'));
    expect(await on('left', 'head -n 1 /dev/hvc0')).toContain('typed to hvc0');
    hvc!.resize({ columns: 132, rows: 43 });
    expect(await on('left', 'sleep 0.5; stty -F /dev/hvc0 size')).toContain('43 132');
  });
});
