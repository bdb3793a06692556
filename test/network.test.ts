// Exclusive Ethernet, timers, watchdog and data acquisition under the drivers that Debian's kernel has for them.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DEVICE_CATALOGUE } from '../src/board/index.ts';
import { linuxCmdline } from '../src/boot/index.ts';
import type { AttachedWire, Clock, DeviceSpec } from '../src/contracts/index.ts';
import type { LinuxImages } from '../src/host/node/initramfs.ts';
import { packageFile } from '../src/host/node/packages.ts';
import { PcapReader, PcapWriter } from '../src/host/node/pcap.ts';
import { CapturedWire, PlayedWire } from '../src/host/node/recorded-wire.ts';
import { driverImages, WDCTL } from './support/driver-images.ts';
import { hostInterface } from './support/host-interface.ts';
import { Linux, linuxPartition, SHELL_PROMPT } from './support/linux.ts';
import { LiveMachine, machineOf } from './support/live-machine.ts';
import { ifAvailable } from './support/packages.ts';

/** Each takes seconds; this allows for a machine that has other things to do. */
const TIMEOUT = 400_000;
const MEBIBYTES = 2;

const folder = mkdtempSync(join(tmpdir(), 'bulkhead-network-'));
const recording = join(folder, 'field.pcap');
afterAll(() => rmSync(folder, { recursive: true }));

/** Two partitions on a recorded wire; `left` has a second controller, on an interface of the host where there is one. */
function machine(images: LinuxImages, tap: string | undefined): LiveMachine {
  const partition = (name: string, core: number, further: readonly string[] = []): string =>
    linuxPartition(images, name, core, '256MiB', ['eth0: { model: e1000, wire: field }', ...further]);
  return new LiveMachine(
    machineOf(`
version: 1
machine: pair
board: { cores: 2, memory: 1GiB }
wires:
  field: { capture: ${recording} }${tap === undefined ? '' : `\n  office: { tap: ${tap} }`}
partitions:${partition('left', 0, [`eth1: { model: e1000${tap === undefined ? '' : ', wire: office'} }`])}${partition('right', 1)}
`),
    'host',
  );
}

/** Types `command` and resolves to what it printed, once it has ended. */
async function shell(live: LiveMachine | undefined, name: string, command: string): Promise<string> {
  if (live === undefined) throw new Error('the machine did not start');
  const from = live.console(name).length;
  // The shell echoes what is typed: only what printf makes of it frames the output.
  live.type(name, `printf '\\2'; ${command}; printf '\\3%d\\4' $?\r`);
  const reply = (): RegExpExecArray | null => /\x02([\s\S]*)\x03(\d+)\x04/.exec(live.console(name).slice(from));
  await eventually(`${name}: ${command}`, () => reply() !== null, () => live.console(name).slice(from));
  const [, output = '', status] = reply() ?? [];
  if (status !== '0') throw new Error(`${name}: ${command}: status ${status}\n${output}`);
  return output;
}

async function eventually(what: string, holds: () => boolean, context: () => string): Promise<void> {
  const last = performance.now() + TIMEOUT * 0.9;
  while (!holds()) {
    if (performance.now() > last) throw new Error(`never: ${what}\n${context().slice(-2000)}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

const network = await ifAvailable('Debian’s generic kernel and its e1000 driver', () => driverImages('network', ['net/ethernet/intel/e1000/e1000']));

const tap = network === undefined ? undefined : hostInterface(0, 'a partition on an interface of the host');
afterAll(() => tap?.[Symbol.dispose]());

/** tcpdump out of its package, with what it is linked against. */
const tcpdump = await ifAvailable('tcpdump, to read our recordings', async () => {
  const program = await packageFile('tcpdump', 'amd64', 'usr/bin/tcpdump');
  const libraries = await Promise.all([packageFile('libpcap0.8', 'amd64', 'usr/lib/*/libpcap.so.0.8'), packageFile('libdbus-1-3', 'amd64', '{lib,usr/lib}/*/libdbus-1.so.3')]);
  const environment = { ...process.env, LD_LIBRARY_PATH: libraries.map((path) => dirname(path)).join(':') };
  return { program, environment, options: process.getuid?.() === 0 ? ['-Z', 'root'] : [] };
});

describe.skipIf(network === undefined)('two partitions with an e1000 each, on one wire', () => {
  let live: LiveMachine | undefined;

  beforeAll(async () => {
    const started = machine(network!, tap?.name);
    live = started;
    started.running.startAll();
    for (const name of ['left', 'right']) {
      await eventually(`${name} has a shell`, () => started.console(name).includes(SHELL_PROMPT), () => started.console(name));
    }
    for (const [name, host] of [['left', 1], ['right', 2]] as const) {
      await shell(live, name, `insmod /modules/e1000.ko && ip addr add 10.0.0.${host}/24 dev eth0 && ip link set eth0 up`);
    }
  }, TIMEOUT);
  afterAll(async () => {
    await live?.[Symbol.asyncDispose]();
  }, TIMEOUT);

  it('see a link of 1 Gb/s', { timeout: TIMEOUT }, async () => {
    for (const name of ['left', 'right']) {
      expect(await shell(live, name, 'sleep 3; dmesg')).toMatch(/eth0 NIC Link is Up 1000 Mbps Full Duplex/);
      expect(await shell(live, name, 'cat /sys/class/net/eth0/carrier')).toBe('1\n');
    }
  });

  it('answer each other’s pings', { timeout: TIMEOUT }, async () => {
    expect(await shell(live, 'left', 'ping -c 3 -i 0.2 10.0.0.2')).toMatch(/3 packets transmitted, 3 packets received/);
    expect(await shell(live, 'right', 'ping -c 3 -i 0.2 10.0.0.1')).toMatch(/3 packets transmitted, 3 packets received/);
  });

  it(`carry ${MEBIBYTES} MiB by TCP, segmented by the controller, unchanged`, { timeout: TIMEOUT }, async () => {
    const sum = shell(live, 'right', 'nc -l -p 5000 | md5sum');
    const sent = await shell(live, 'left', `dd if=/dev/urandom of=/tmp/file bs=1M count=${MEBIBYTES} 2>/dev/null; sleep 0.5; md5sum < /tmp/file; nc 10.0.0.2 5000 < /tmp/file`);
    expect(await sum).toBe(sent);
    const statistics = await shell(live, 'right', 'cat /sys/class/net/eth0/statistics/rx_bytes /sys/class/net/eth0/statistics/rx_crc_errors');
    const [bytes, errors] = statistics.split('\n').map(Number);
    expect(bytes).toBeGreaterThan(MEBIBYTES * 1024 * 1024);
    expect(errors).toBe(0);
  });

  it.skipIf(tap === undefined)('reach the host through a second controller on one of its interfaces', { timeout: TIMEOUT }, async () => {
    await shell(live, 'left', `ip addr add ${tap?.guest}/24 dev eth1 && ip link set eth1 up`);
    // The host takes a second to see that somebody has opened its interface.
    await shell(live, 'left', `until ping -c 1 -W 1 ${tap?.host}; do sleep 1; done`);
    expect(await shell(live, 'left', `ping -c 3 -i 0.2 ${tap?.host}`)).toMatch(/3 packets transmitted, 3 packets received/);
  });

  it('see the link go down when the other one stops', { timeout: TIMEOUT }, async () => {
    await live?.running.stop('right');
    expect(live?.status('right').state).toBe('stopped');
    // The driver looks every two seconds.
    expect(await shell(live, 'left', 'sleep 3; cat /sys/class/net/eth0/carrier; dmesg')).toMatch(/^0\n[\s\S]*eth0 NIC Link is Down/);
  });

  it('leave a recording of both directions, which others can read', { timeout: TIMEOUT }, () => {
    using reader = new PcapReader(recording);
    const kinds = new Map<string, number>();
    for (let next = reader.next(); next !== undefined; next = reader.next()) {
      const { frame } = next;
      // Ethernet type, IP protocol and, for ICMP, its type: 8 asks, 0 answers.
      const kind = frame[12] === 8 && frame[13] === 0 ? `ip ${frame[23]}${frame[23] === 1 ? ` ${frame[34]} from ${frame[29]}` : ''}` : 'other';
      kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
    }
    for (const kind of ['ip 1 8 from 1', 'ip 1 0 from 2', 'ip 1 8 from 2', 'ip 1 0 from 1']) expect(kinds.get(kind)).toBeGreaterThanOrEqual(3);
    expect(kinds.get('ip 6')).toBeGreaterThan((MEBIBYTES * 1024 * 1024) / 1500);
    if (tcpdump === undefined) return;
    const lines = execFileSync(tcpdump.program, ['-nn', '-vv', '-r', recording, 'tcp', ...tcpdump.options], { encoding: 'utf8', env: tcpdump.environment, stdio: ['ignore', 'pipe', 'ignore'], maxBuffer: 1 << 26 });
    // Every checksum that the controller computed is right.
    expect(lines.match(/cksum 0x[0-9a-f]{4} \(correct\)/g)?.length).toBe(kinds.get('ip 6'));
  });
});

const MODULES = [
  'net/ethernet/intel/e1000/e1000',
  'watchdog/watchdog',
  'watchdog/i6300esb',
  'comedi/comedi',
  'comedi/comedi_pci',
  'comedi/drivers/comedi_8254',
  'comedi/drivers/adv_pci1710',
];

/** A recording that asks once a second who has 10.9.9.2 (RFC 826). */
function recordQuestions(path: string, seconds: number): void {
  using writer = new PcapWriter(path, 'new');
  const station = [2, 0, 0, 0, 0, 1];
  const question = Uint8Array.of(...new Array(6).fill(0xff), ...station, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1, ...station, 10, 9, 9, 1, 0, 0, 0, 0, 0, 0, 10, 9, 9, 2);
  for (let second = 0; second < seconds; second++) writer.write(second, 0, question);
}

/** Beside the first one, which every guest of these tests has. */
const SERIAL_PORTS: readonly DeviceSpec[] = DEVICE_CATALOGUE['uart16550']!.places.slice(1).map(({ ranges, irqs }, index) => ({
  name: `com${index + 2}`,
  model: 'uart16550',
  ranges,
  irqs,
  options: {},
}));

const timers = await ifAvailable('Debian’s drivers for watchdogs and measuring cards, and wdctl', () => driverImages('timers', MODULES, WDCTL));

const questions = join(folder, 'questions.pcap');
const answers = join(folder, 'answers.pcap');

describe.skipIf(timers === undefined)('a partition with HPET, watchdog and data acquisition card', () => {
  let linux: Linux;
  beforeAll(() => {
    recordQuestions(questions, 600);
    const wires = (clock: Clock): ReadonlyMap<string, AttachedWire> =>
      new Map([['e1000', new CapturedWire(new PlayedWire(questions, clock), { path: answers, mode: 'new', clock, epoch: 0, log: { log: () => undefined } })]]);
    const models = ['e1000', 'hpet', 'i6300esb', 'pci1710'];
    // Drivers wait in busy loops: at 100 MIPS a microsecond costs a hundred instructions.
    linux = new Linux(timers!, 1, { models, devices: SERIAL_PORTS, wires, cmdline: linuxCmdline('clocksource=hpet'), instructionsPerMicrosecond: 100 });
  }, TIMEOUT);

  it('keeps time by the HPET', { timeout: TIMEOUT }, () => {
    expect(linux.shell('dmesg')).toMatch(/hpet0: 3 comparators, 64-bit 100\.000000 MHz counter/);
    expect(linux.shell('cat /sys/devices/system/clocksource/clocksource0/current_clocksource')).toBe('hpet\n');
    const before = linux.guest.partition.clock.now();
    const [from, to] = linux.shell('cut -d" " -f1 /proc/uptime; sleep 2; cut -d" " -f1 /proc/uptime').split('\n').map(Number) as [number, number];
    const passed = (linux.guest.partition.clock.now() - before) / 1e9;
    expect(to - from).toBeGreaterThanOrEqual(2);
    expect(to - from).toBeLessThanOrEqual(passed + 0.02);
  });

  it('answers what a recording asks, at the time it asks', { timeout: TIMEOUT }, () => {
    linux.shell('insmod /modules/e1000.ko && ip addr add 10.9.9.2/24 dev eth0 && ip link set eth0 up; sleep 3; ip link set eth0 down');
    linux.guest.partition.admitInput();
    using reader = new PcapReader(answers);
    const asked: number[] = [];
    const answered: number[] = [];
    for (let next = reader.next(); next !== undefined; next = reader.next()) {
      const { frame, time } = next;
      if (frame[12] !== 8 || frame[13] !== 6) continue;
      (frame[21] === 1 ? asked : answered).push(time);
    }
    expect(answered.length).toBeGreaterThanOrEqual(2);
    // Each follows its question, by milliseconds at most.
    for (const time of answered) expect(asked.some((question) => time > question && time - question < 10e6)).toBe(true);
  });

  it('finds four serial ports, each on a line of its own', { timeout: TIMEOUT }, () => {
    const ports = linux.shell('for i in 1 2 3; do echo hello > /dev/ttyS$i; done; cat /proc/tty/driver/serial').match(/^[0-3]: uart:16550A port:[0-9A-F]+ irq:\d+ tx:\d+/gm);
    expect(ports?.map((line) => line.replace(/^(\d): uart:16550A port:0+(\w+) irq:(\d+) tx:.*/, '$1 $2 $3'))).toEqual(['0 3F8 4', '1 2F8 3', '2 3E8 5', '3 2E8 7']);
    expect(ports?.slice(1).every((line) => / tx:7$/.test(line))).toBe(true);
  });

  it('finds the card and its subdevices', { timeout: TIMEOUT }, () => {
    linux.shell('for module in comedi comedi_pci comedi_8254 adv_pci1710; do insmod /modules/$module.ko; done');
    expect(linux.shell('dmesg')).toMatch(/driver 'adv_pci1710' has successfully auto-configured 'pci1710'/);
    expect(linux.shell('ls /dev/comedi0')).toBe('/dev/comedi0\n');
  });

  it('is reset by the watchdog it does not feed, and knows it afterwards', { timeout: TIMEOUT }, () => {
    linux.shell('insmod /modules/watchdog.ko; insmod /modules/i6300esb.ko heartbeat=20');
    expect(linux.shell('wdctl')).toMatch(/Identity: +i6300ESB timer[\s\S]*Timeout: +20 seconds/);
    // Fed for a minute, it keeps still.
    linux.shell('watchdog -t 5 -T 20 -F /dev/watchdog & pid=$!; sleep 60; kill $pid; sleep 30; true');
    expect(linux.guest.partition.resets).toBe(0);
    const { guest } = linux;
    const start = guest.partition.clock.now();
    const shown = guest.console.length;
    guest.type('exec 3>/dev/watchdog; sleep 1000\r');
    const again = guest.run({ instructions: 4e9, until: ({ partition, console }) => partition.resets === 1 && console.slice(shown).includes(SHELL_PROMPT) });
    expect(again).toBe(true);
    expect((guest.partition.clock.now() - start) / 1e9).toBeGreaterThan(20);
    expect((guest.partition.clock.now() - start) / 1e9).toBeLessThan(30);
    expect(guest.log.filter((line) => line.includes('watchdog'))).toHaveLength(1);
    expect(linux.shell('insmod /modules/watchdog.ko; insmod /modules/i6300esb.ko; wdctl')).toMatch(/CARDRESET +Card previously reset the CPU +1 +1/);
  });
});
