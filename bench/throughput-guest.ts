/** The guests of bench/throughput.ts: Debian's generic kernel, its virtio drivers, fio and iperf3, and scripts that say on the console where a test begins and ends. */
import { writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { KiB, MiB } from '../src/base/index.ts';
import { type CpioEntry, linuxCmdline, writeCpio } from '../src/boot/index.ts';
import { driverImages } from '../test/support/driver-images.ts';
import { FIO, fioDisc } from '../test/support/fio.ts';
import { IPERF3, VIRTIO_PCI_MODULES } from '../test/support/network-programs.ts';

export type DiskFormat = 'raw' | 'qcow2';
export const FORMATS = ['raw', 'qcow2'] as const satisfies readonly DiskFormat[];
/** By this name, the serial number of a disk, guests know the one with fio on it. */
export const TOOLS = 'tools';

/** One job of fio. */
export interface DiskTest {
  readonly name: string;
  readonly title: string;
  readonly format: DiskFormat;
  readonly blockBytes: number;
  /** What it moves in all. */
  readonly bytes: number;
  /** It writes every byte of a fresh disk. */
  readonly fills: boolean;
  /** Lines of its section in the job file. */
  readonly job: readonly string[];
}

export interface Sizes {
  /** Of each disk, and of what is moved in sequence. */
  readonly mebibytes: number;
  /** Blocks at random places. */
  readonly operations: number;
}

/** As little of a test as this comes before it without being measured. */
const WARM_UP_PART = 4;

const ENGINE: Readonly<Record<number, string>> = { 1: 'psync', 16: 'libaio' };

/** In the order in which they run: the first one writes every byte of a fresh disk, so that a growing image grows in it and in no other. */
export function diskTests(format: DiskFormat, { mebibytes, operations }: Sizes): readonly DiskTest[] {
  const test = (rw: string, title: string, blockBytes: number, depth: 1 | 16, pattern: number): DiskTest => {
    const bytes = blockBytes === MiB ? mebibytes * MiB : operations * blockBytes;
    const isWrite = rw.endsWith('write');
    return {
      name: `${format}-${rw}-${depth}`,
      title: `${title}, ${depth} at a time`,
      format,
      blockBytes,
      bytes,
      fills: rw === 'write' && depth === 1,
      job: [
        `rw=${rw}`, `bs=${blockBytes}`, `ioengine=${ENGINE[depth]}`, `iodepth=${depth}`, `buffer_pattern=0x${pattern.toString(16)}`,
        ...(isWrite ? ['end_fsync=1'] : []),
      ],
    };
  };
  return ([1, 16] as const).flatMap((depth) => [
    test('write', 'write in sequence, 1 MiB', MiB, depth, 0xa0 + depth),
    test('read', 'read in sequence, 1 MiB', MiB, depth, 0),
    test('randwrite', 'write at random, 4 KiB', 4 * KiB, depth, 0xc0 + depth),
    test('randread', 'read at random, 4 KiB', 4 * KiB, depth, 0),
  ]);
}

/** Lines on the console, by which the host knows what its clock is to measure. */
export const began = (test: string): string => `@S ${test};`;
export const ended = (test: string): string => `@E ${test};`;
export const DONE = '@DONE;';
/** `@SUM name sum;`: the MD5 sum of what a guest has read. */
export const SUM: RegExp = /@SUM (\S+) ([0-9a-f]{32});/g;

const MARK = `#!/bin/sh\necho "@$*;" > /dev/console\n`;

/** Patterns stay the same in each test, and what is random has a seed: every disk ends with the same bytes, in whatever order they went there. */
const FIO_GLOBAL = ['thread=1', 'direct=1', 'gtod_reduce=1', 'randseed=7', 'allrandrepeat=1', 'scramble_buffers=0'];

/**
 * Every test is run twice: first some of each, on the raw disk, so that code is translated by then, as it is in a guest that has been at
 * work for a while. Writing everything in sequence, which comes first of what is measured, leaves nothing of that on the disk.
 */
function jobFile(tests: readonly DiskTest[], mebibytes: number): string {
  const section = (name: string, format: DiskFormat, job: readonly string[]): string => [`[${name}]`, 'stonewall', `filename=/tmp/${format}`, `size=${mebibytes}M`, ...job].join('\n');
  const warmUps = tests
    .filter(({ format }) => format === FORMATS[0])
    .map(({ name, job, bytes }) => section(`warm-${name}`, FORMATS[0], [...job, `io_size=${Math.ceil(bytes / WARM_UP_PART / MiB) * MiB}`]));
  const measured = tests.map(({ name, format, job, bytes }) => section(name, format, [...job, `io_size=${bytes}`, `exec_prerun=/bin/mark S ${name}`, `exec_postrun=/bin/mark E ${name}`]));
  return `[global]\n${FIO_GLOBAL.join('\n')}\n\n${[...warmUps, ...measured].join('\n\n')}\n`;
}

const load = (modules: readonly string[]): string => modules.map((path) => `insmod /modules/${path.split('/').at(-1)}.ko || exit 1`).join('\n');

const DISK_MODULES = [...VIRTIO_PCI_MODULES, 'block/virtio_blk', 'cdrom/cdrom', '../fs/isofs/isofs'];
const NETWORK_MODULES = [...VIRTIO_PCI_MODULES, '../net/core/failover', 'net/net_failover', 'net/virtio_net'];

/** Each disk is known by its serial number; links with these names keep the job file free of what a kernel calls them. */
function diskScript(mebibytes: number): string {
  return `#!/bin/sh
${load(DISK_MODULES)}
cd /tmp
for name in ${[...FORMATS, TOOLS].join(' ')}; do
  until disk=$(grep -lx $name /sys/block/vd*/serial); do sleep 0.1; done
  ln -s /dev/$(echo $disk | cut -d/ -f4) $name
done
mkdir -p /cd && mount -t iso9660 -o ro /tmp/${TOOLS} /cd || exit 1
${FIO} --output-format=terse /bin/throughput.fio > report 2>&1 || { cat report; exit 1; }
for name in ${FORMATS.join(' ')}; do
  /bin/mark SUM $name $(dd if=/tmp/$name bs=1M count=${mebibytes} iflag=direct 2>/dev/null | md5sum | cut -d' ' -f1)
done
/bin/mark DONE
`;
}

const SERVER = '10.1.0.1';
const CLIENT = '10.1.0.2';
const COPY_PORT = 7000;

const network = (address: string): string => `#!/bin/sh
${load(NETWORK_MODULES)}
ip addr add ${address}/24 dev eth0 && ip link set eth0 up || exit 1
`;

const serverScript = `${network(SERVER)}
iperf3 -s -D
/bin/mark SUM received $(nc -l -p ${COPY_PORT} | md5sum | cut -d' ' -f1)
# The client ends the run.
while :; do sleep 60; done
`;

const clientScript = (bytes: number): string => `${network(CLIENT)}
until ping -c 1 -W 1 ${SERVER} > /dev/null; do :; done
sleep 1
# A program that both guests have is sent to be compared.
until nc -w 60 ${SERVER} ${COPY_PORT} < /bin/busybox; do sleep 0.2; done
/bin/mark SUM sent $(md5sum < /bin/busybox | cut -d' ' -f1)
# Once without being measured: the kernels' own code is translated by then, and the congestion window is open.
iperf3 -c ${SERVER} -n ${Math.ceil(bytes / WARM_UP_PART)} > /tmp/report 2>&1 || { cat /tmp/report; exit 1; }
/bin/mark S tcp
iperf3 -c ${SERVER} -n ${bytes} > /tmp/report 2>&1 || { cat /tmp/report; exit 1; }
/bin/mark E tcp
/bin/mark DONE
`;

export type GuestRole = 'disk' | 'server' | 'client';

export interface ThroughputImages {
  readonly kernel: string;
  readonly initrd: string;
  /** An ISO image with fio. */
  readonly tools: string;
}

/** Throws BH610 to BH615 when a package cannot be had. */
export async function throughputImages(folder: string, tests: readonly DiskTest[], mebibytes: number, tcpBytes: number): Promise<ThroughputImages> {
  const modules = [...new Set([...DISK_MODULES, ...NETWORK_MODULES])];
  const { kernel, initrd } = await driverImages('throughput', modules, IPERF3);
  const scripts: Readonly<Record<string, string>> = {
    'bin/mark': MARK,
    'bin/throughput-disk': diskScript(mebibytes),
    'bin/throughput-server': serverScript,
    'bin/throughput-client': clientScript(tcpBytes),
    'bin/throughput.fio': jobFile(tests, mebibytes),
  };
  const entries = Object.entries(scripts).map(([path, text]): CpioEntry => ({ kind: 'file', path, permissions: 0o755, data: new TextEncoder().encode(text) }));
  const whole = join(folder, 'initrd.cpio');
  // Linux unpacks one archive after the other (Documentation/driver-api/early-userspace/buffer-format.rst).
  writeFileSync(whole, Buffer.concat([await readFile(initrd), writeCpio(entries)]));
  return { kernel, initrd: whole, tools: await fioDisc() };
}

/** `no_timer_check`: on a busy host the kernel finds a timer that QEMU had no time for, and looks for another one. */
export function throughputCmdline(role: GuestRole): string {
  return linuxCmdline('no_timer_check', `bulkhead.exec=/bin/throughput-${role}`);
}
