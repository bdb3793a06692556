/**
 * `npm run bench:boot -- [--rounds N] [--guest NAME]… [--limit SECONDS] [--dry]`: Debian's kernels to the shell prompt, on Bulkhead and on
 * QEMU's TCG, side by side in one run.
 *
 * Each emulator is a process of its own, and the clock runs from its start to the prompt: loading, decompressing and compiling count. All
 * get the same initramfs, command line, memory and number of processors, and the same kernel in two forms: the bzImage as packaged, and
 * the vmlinux inside it, which spares QEMU's guest the decompression that Bulkhead does on the host in both cases. The runs of a round
 * follow each other, so that a slow spell of the host hits all of them. `--dry` leaves docs/performance.md alone.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { parseArgs } from 'node:util';
import { program } from '../scripts/program.mjs';
import { machineEnvironment } from '../scripts/setup.mjs';
import { MiB } from '../src/base/index.ts';
import { decompress, linuxCmdline } from '../src/boot/index.ts';
import { type LinuxImages, linuxImages } from '../src/host/node/initramfs.ts';
import { SHELL_PROMPT } from '../test/support/linux.ts';
import { EmulatorProcess, type Usage } from './emulator-process.ts';
import { conditions, keep, markdownTable, median, outputOf, spread } from './report.ts';

const MAIN = program(process.execPath);
const MEMORY_MIB = 256;

const GUESTS = [
  { name: 'amd64 cloud, 1 vCPU', architecture: 'amd64', cpus: 1, qemu: 'qemu-system-x86_64' },
  { name: 'amd64 cloud, 2 vCPUs', architecture: 'amd64', cpus: 2, qemu: 'qemu-system-x86_64' },
  { name: 'i386 686-pae, 1 vCPU', architecture: 'i386', cpus: 1, qemu: 'qemu-system-i386' },
] as const;
type BootGuest = (typeof GUESTS)[number];

interface Boot extends Usage {
  /** Undefined where nobody counts. */
  readonly retired?: number;
}

interface Configuration {
  readonly guest: BootGuest;
  readonly emulator: 'Bulkhead' | 'QEMU TCG';
  readonly image: 'bzImage' | 'vmlinux';
  readonly boots: Boot[];
  boot(): Promise<Boot>;
}

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    guest: { type: 'string', multiple: true, default: [] },
    limit: { type: 'string', default: '120' },
    dry: { type: 'boolean', default: false },
  },
});
const rounds = Number(options.rounds);
const limit = Number(options.limit);
if (!(rounds >= 1) || !(limit >= 1)) throw new Error('--rounds and --limit want numbers from 1 on');
const guests = GUESTS.filter(({ name }) => options.guest.length === 0 || options.guest.some((part) => name.includes(part)));
if (guests.length === 0) throw new Error(`--guest: one of ${GUESTS.map(({ name }) => `"${name}"`).join(', ')}`);

/** The ELF file that a bzImage unpacks (Linux Documentation/x86/boot.rst: setup_sects, payload_offset and payload_length). */
function vmlinuxOf(bzImage: Uint8Array, name: string): Uint8Array {
  const view = new DataView(bzImage.buffer, bzImage.byteOffset, bzImage.length);
  const setupSectors = view.getUint8(0x1f1) || 4;
  const from = (setupSectors + 1) * 512 + view.getUint32(0x248, true);
  return decompress(bzImage.subarray(from, from + view.getUint32(0x24c, true)), name, 256 * MiB).data;
}

async function bootBulkhead(guest: BootGuest, kernel: string, initrd: string, logs: string): Promise<Boot> {
  const emulator = new EmulatorProcess(process.execPath, [
    MAIN, 'run', '--kernel', kernel, '--initrd', initrd, '--cmdline', linuxCmdline(), '--memory', `${MEMORY_MIB}MiB`, '--cpus', `${guest.cpus}`,
    '--json', '--log-dir', logs,
  ], machineEnvironment());
  const usage = await emulator.usageAt(SHELL_PROMPT, limit);
  await emulator.stop('SIGTERM');
  const report = JSON.parse(emulator.stderr.trim().split('\n').at(-1) ?? '') as { readonly retired: number };
  return { ...usage, retired: report.retired };
}

async function bootQemu(guest: BootGuest, kernel: string, initrd: string): Promise<Boot> {
  const emulator = new EmulatorProcess(guest.qemu, [
    '-accel', 'tcg', '-M', 'pc', '-m', `${MEMORY_MIB}`, '-smp', `${guest.cpus}`, '-nodefaults', '-display', 'none', '-serial', 'stdio', '-no-reboot',
    '-kernel', kernel, '-initrd', initrd, '-append', linuxCmdline(),
  ]);
  const usage = await emulator.usageAt(SHELL_PROMPT, limit);
  await emulator.stop('SIGKILL');
  return usage;
}

function tableOf(configurations: readonly Configuration[]): string {
  const optional = (values: readonly (number | undefined)[], digits: number): string => {
    const known = values.filter((value) => value !== undefined);
    return known.length === 0 ? '–' : spread(known, digits);
  };
  const rows = configurations.map(({ guest, emulator, image, boots }) => [
    guest.name,
    emulator,
    image,
    optional(boots.map(({ seconds }) => seconds), 1),
    optional(boots.map(({ cpuSeconds }) => cpuSeconds), 1),
    optional(boots.map(({ retired }) => (retired === undefined ? undefined : retired / 1e6)), 0),
    optional(boots.map(({ retired, seconds }) => (retired === undefined ? undefined : retired / 1e6 / seconds)), 1),
    optional(boots.map(({ peakRssMiB }) => peakRssMiB), 0),
  ]);
  const right = ['seconds to the prompt', 'CPU seconds', 'Minstr', 'MIPS', 'peak RSS, MiB'].map((title) => ({ title, align: 'right' as const }));
  return markdownTable([{ title: 'guest' }, { title: 'emulator' }, { title: 'kernel as' }, ...right], rows);
}

/** How the two compare, guest by guest, in words. */
function comparison(configurations: readonly Configuration[]): string {
  return guests
    .flatMap((guest) => {
      const seconds = (emulator: string, image: string): number | undefined => {
        const boots = configurations.find((one) => one.guest === guest && one.emulator === emulator && one.image === image)?.boots ?? [];
        return boots.length === 0 ? undefined : median(boots.map((boot) => boot.seconds));
      };
      return (['bzImage', 'vmlinux'] as const).flatMap((image) => {
        const [ours, theirs] = [seconds('Bulkhead', image), seconds('QEMU TCG', image)];
        return ours === undefined || theirs === undefined ? [] : [`- ${guest.name}, ${image}: Bulkhead takes ${(ours / theirs).toFixed(2)}× the time of QEMU TCG.`];
      });
    })
    .join('\n');
}

const scratch = mkdtempSync(join(tmpdir(), 'bulkhead-bench-'));
try {
  const configurations: Configuration[] = [];
  const kernels = new Set<string>();
  const qemus = new Set<string>();
  const vmlinux = new Map<string, string>();
  for (const guest of guests) {
    const { kernel, initrd }: LinuxImages = await linuxImages(guest.architecture);
    kernels.add(basename(kernel));
    const unpacked = vmlinux.get(kernel) ?? join(scratch, `vmlinux-${guest.architecture}`);
    if (!vmlinux.has(kernel)) writeFileSync(unpacked, vmlinuxOf(readFileSync(kernel), kernel));
    vmlinux.set(kernel, unpacked);
    const qemu = outputOf(guest.qemu, '--version')?.split('\n')[0];
    if (qemu === undefined) console.warn(`skipped: ${guest.name} on QEMU: ${guest.qemu} is not installed`);
    else qemus.add(qemu);
    for (const [image, path] of [['bzImage', kernel], ['vmlinux', unpacked]] as const) {
      configurations.push({ guest, emulator: 'Bulkhead', image, boots: [], boot: () => bootBulkhead(guest, path, initrd, join(scratch, 'logs')) });
      if (qemu !== undefined) configurations.push({ guest, emulator: 'QEMU TCG', image, boots: [], boot: () => bootQemu(guest, path, initrd) });
    }
  }
  for (let round = 1; round <= rounds; round++) {
    for (const configuration of configurations) {
      const { guest, emulator, image } = configuration;
      const boot = await configuration.boot();
      configuration.boots.push(boot);
      console.log(`round ${round}/${rounds}: ${guest.name}, ${emulator}, ${image}: ${boot.seconds.toFixed(1)} s`);
    }
  }
  const text = `## From process start to a shell prompt

\`npm run bench:boot -- --rounds ${rounds}\`. ${rounds === 1 ? 'One round' : `${rounds} interleaved rounds: median (least–greatest)`}. ${conditions([...qemus, ...kernels])}.
Both emulators get the same kernel, initramfs, command line and ${MEMORY_MIB} MiB. Bulkhead decompresses a bzImage on the host, QEMU lets the guest do
it; a vmlinux is entered at once by both. QEMU does not count instructions without slowing down.

${tableOf(configurations)}
${comparison(configurations)}`;
  console.log(`\n${text}`);
  if (!options.dry) console.log(`\nwritten to ${keep('bench:boot', text)}`);
} finally {
  rmSync(scratch, { recursive: true });
}
