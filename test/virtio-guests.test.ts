// Debian's own virtio drivers in two partitions. `left` has no console but a virtio one (hvc0) and everything on PCI; `right` has disk and
// network behind memory-mapped registers. What the machine counts at their ports is what they did, to the request and to the byte.
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { KiB, MiB } from '../src/base/index.ts';
import { linuxCmdline } from '../src/boot/index.ts';
import { runControlCommand, type StatusAnswer } from '../src/cli/control/control-commands.ts';
import { portTable } from '../src/cli/port-view.ts';
import { driverImages, type OwnProgram } from './support/driver-images.ts';
import { SHELL_PROMPT } from './support/linux.ts';
import { LiveMachine, machineOf } from './support/live-machine.ts';
import { VIRTIO_PCI_MODULES } from './support/network-programs.ts';
import { ifAvailable } from './support/packages.ts';
import { eventually, shell } from './support/shell.ts';

/** Each takes seconds; this allows for a machine that has other things to do. */
const TIMEOUT = 400_000;
const DRIVERS = ['virtio/virtio_mmio', 'block/virtio_blk', '../net/core/failover', 'net/net_failover', 'net/virtio_net'];
const MODULES = [...VIRTIO_PCI_MODULES, 'char/virtio_console', ...DRIVERS];
const INIT: OwnProgram = { own: 'guests/linux/virtio-console-init', path: 'virtio-console-init' };
const NAMES = ['left', 'right'] as const;
type Name = (typeof NAMES)[number];
const ADDRESSES: Readonly<Record<Name, string>> = { left: '10.1.0.1', right: '10.1.0.2' };

const nameOf = (path: string): string => path.split('/').at(-1)!;
const loading = (modules: readonly string[]): string => modules.map((path) => `insmod /modules/${nameOf(path)}.ko`).join(' && ');

const images = await ifAvailable("Debian's generic kernel with its virtio drivers", () => driverImages('virtio-guests', MODULES, [INIT]));

describe.skipIf(images === undefined)('two Debian guests with virtio devices', () => {
  const folder = mkdtempSync(join(tmpdir(), 'bulkhead-virtio-guests-'));
  const image = join(folder, 'disk.raw');
  let live: LiveMachine;
  const run = (name: Name, command: string): Promise<string> => shell(live, name, command, TIMEOUT * 0.9);
  const ports = async (): Promise<StatusAnswer['ports']> =>
    ((await runControlCommand(live.running, { command: 'status' })) as StatusAnswer).ports;
  /** What was counted at a port while `work` was done; what is now, of things that come and go. */
  const counted = async (name: Name, device: string, work: () => Promise<unknown>): Promise<Record<string, number>> => {
    const look = async () => (await ports()).find((port) => port.partition === name && port.device === device)!.counters;
    const before = await look();
    await work();
    return Object.fromEntries(Object.entries(await look()).map(([counter, value]) => [counter, value - before[counter]!]));
  };

  beforeAll(async () => {
    writeFileSync(image, '');
    truncateSync(image, 16 * MiB);
    const { kernel, initrd } = images!;
    const hvc = linuxCmdline('rdinit=/virtio-console-init').replace('console=ttyS0', 'console=hvc0').replace(' quiet', '');
    live = new LiveMachine(
      machineOf(`
version: 1
machine: virtio
board: { cores: 2, memory: 1GiB }
shared:
  disk0: { kind: disk, image: ${image}, grants: { left: { window: { offset: 0, size: 8MiB } }, right: { window: { offset: 8MiB, size: 8MiB } } } }
  lan: { kind: ethernet, grants: { left: {}, right: {} } }
partitions:
  left:
    role: gpos
    cores: [0]
    memory: 192MiB
    boot: { kernel: ${kernel}, initrd: ${initrd}, cmdline: '${hvc}' }
    devices: { vcon: { model: virtio-console }, vda: { shared: disk0 }, eth0: { shared: lan } }
    console: vcon
  right:
    role: gpos
    cores: [1]
    memory: 192MiB
    boot: { kernel: ${kernel}, initrd: ${initrd}, cmdline: '${linuxCmdline()}' }
    devices: { com1: { model: uart16550 }, vda: { shared: disk0, transport: mmio }, eth0: { shared: lan, transport: mmio } }
    console: com1
`),
      'host',
    );
    live.running.startAll();
    for (const name of NAMES) {
      await eventually(
        `${name} has a shell`,
        () => live.console(name).includes(SHELL_PROMPT),
        () => live.console(name),
        TIMEOUT * 0.9,
      );
    }
  }, TIMEOUT);
  afterAll(async () => {
    await live?.[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true, force: true });
  }, TIMEOUT);

  it('of which one has its kernel’s messages and its shell on hvc0, its only console', { timeout: TIMEOUT }, async () => {
    expect(live.console('left')).toMatch(/Linux 6\.\S+ on x86_64/);
    expect(await run('left', 'cat /sys/class/tty/console/active; tty')).toBe('hvc0\n/dev/hvc0\n');
    expect(await run('left', 'cat /proc/consoles')).toMatch(/^hvc0 +-W- \(EC/);
    await run('left', 'echo "<3>told by the kernel" > /dev/kmsg');
    expect(live.console('left')).toMatch(/\[ +\d+\.\d+\] told by the kernel/);
    // A line is edited by the guest: a character that is taken back does not arrive.
    live.type('left', 'echo one twx\x7fo > /tmp/typed\r');
    expect(await run('left', 'cat /tmp/typed')).toBe('one two\n');
  });

  it('find their disks and networks, over PCI and over memory-mapped registers', { timeout: TIMEOUT }, async () => {
    await run('left', loading(DRIVERS));
    await run('right', loading(MODULES.filter((path) => !path.includes('pci') && !path.includes('console'))));
    for (const name of NAMES) {
      await run(
        name,
        `until [ -b /dev/vda ]; do sleep 0.1; done; for f in /proc/sys/net/ipv6/conf/*/disable_ipv6; do echo 1 > $f; done; ip addr add ${ADDRESSES[name]}/24 dev eth0 && ip link set eth0 up`,
      );
    }
    expect(await run('left', 'readlink -f /sys/class/net/eth0/device/..')).toMatch(/0000:00:/);
    for (const device of ['class/net/eth0', 'block/vda'])
      expect(await run('right', `readlink -f /sys/${device}/device/..`)).toMatch(/LNRO0005:0[01]/);
    expect(await run('right', 'cat /proc/interrupts')).toMatch(/virtio\d/);
  });

  it('ping each other, PCI at one end and memory-mapped registers at the other', { timeout: TIMEOUT }, async () => {
    for (const [name, peer] of [
      ['left', 'right'],
      ['right', 'left'],
    ] as const) {
      expect(await run(name, `ping -c 200 -A -q -s 1400 ${ADDRESSES[peer]}`)).toMatch(/200 packets transmitted, 200 packets received/);
    }
  });

  it.each(NAMES)('are counted: what %s writes and reads on its disk', { timeout: TIMEOUT }, async (name) => {
    const written = await counted(name, 'vda', () => run(name, 'dd if=/dev/urandom of=/dev/vda bs=64k count=16 oflag=direct 2>/dev/null'));
    // One request of the guest is one of the broker's as long as it fits a slot. A guest that closes its disk may flush it.
    expect(written).toMatchObject({
      bytesIn: MiB,
      bytesOut: 0,
      refusedAccess: 0,
      refusedWindow: 0,
      refusedByDevice: 0,
      failed: 0,
      dropped: 0,
      waiting: 0,
    });
    expect(written['served']).toBeGreaterThanOrEqual(16);
    expect(written['served']).toBeLessThanOrEqual(18);
    const read = await counted(name, 'vda', () => run(name, 'dd if=/dev/vda of=/dev/null bs=4k count=100 iflag=direct 2>/dev/null'));
    expect(read).toMatchObject({ served: 100, bytesIn: 0, bytesOut: 400 * KiB });
  });

  it('are counted: their frames, at either port, and those that are refused', { timeout: TIMEOUT }, async () => {
    // Neighbour entries that do not age: no frames but those of the test.
    const stations = { left: '', right: '' };
    for (const name of NAMES) stations[name] = (await run(name, 'cat /sys/class/net/eth0/address')).trim();
    await run('left', `arp -s ${ADDRESSES.right} ${stations.right}`);
    await run('right', `arp -s ${ADDRESSES.left} ${stations.left}`);
    const frameBytes = 1000 + 8 + 20 + 14;
    const echoes = {
      framesIn: 50,
      bytesIn: 50 * frameBytes,
      framesOut: 50,
      bytesOut: 50 * frameBytes,
      spoofed: 0,
      lost: 0,
      missed: 0,
      dropped: 0,
      waiting: 0,
    };
    const right = counted('right', 'eth0', async () => {
      expect(await counted('left', 'eth0', () => run('left', `ping -c 50 -A -q -s 1000 ${ADDRESSES.right}`))).toMatchObject(echoes);
    });
    expect(await right).toMatchObject(echoes);
    // The driver is told of another address and believes it; the switch does not.
    const spoofed = await counted('left', 'eth0', () =>
      run(
        'left',
        `ip link set eth0 address 02:00:00:00:00:99 && arp -s ${ADDRESSES.right} ${stations.right} && ping -c 3 -i 0.2 -W 1 -q ${ADDRESSES.right}; true`,
      ),
    );
    expect(spoofed).toMatchObject({ framesIn: 3, spoofed: 3, framesOut: 0 });
    const table = portTable(await ports());
    expect(table).toMatch(/^lan +left\.eth0 .* 3 +- +0 /m);
    expect(table).toMatch(/^lan, left\.eth0: 3 with another’s address as source$/m);
  });
});
