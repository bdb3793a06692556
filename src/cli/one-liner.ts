/** `bulkhead run --kernel K …` or `--cdrom C …`: the manifest of a machine with one partition, as text, so that it can be shown, kept and edited. */
import { basename } from 'node:path';
import { linuxCmdline } from '../boot/index.ts';
import { packagedName } from './packaged-images.ts';

export interface OneLiner {
  /** A path, relative to the working directory, or `package:NAME`. Left out: a PC that starts from `firmware`. */
  readonly kernel?: string;
  /** `seabios` when left out; `ovmf`, or a path. */
  readonly firmware?: string;
  /** Images for an IDE disk and a CD-ROM drive: paths. */
  readonly disk?: string;
  readonly cdrom?: string;
  readonly initrd?: string;
  /** Left out: what suits Linux on this engine, for a Linux kernel; nothing for others. */
  readonly cmdline?: string;
  /** With its unit. */
  readonly memory: string;
  readonly cpus: number;
  /** With its unit; left out: the manifest's default. */
  readonly speed?: string;
}

/** The one partition's name. */
export const ONE_LINER_PARTITION = 'guest';

/** The manifest. `isLinux`: the kernel is a Linux image. */
export function oneLinerManifest(oneLiner: OneLiner, isLinux: boolean): string {
  const { kernel, firmware = 'seabios', disk, cdrom, memory, cpus, speed } = oneLiner;
  const cores = Array.from({ length: cpus }, (_, core) => core).join(', ');
  const what = kernel ?? disk ?? cdrom ?? firmware;
  const boot = kernel === undefined ? [`firmware: ${quoted(firmware)}`] : kernelLines(kernel, oneLiner, isLinux);
  const drives = Object.entries({ disk, cdrom }).flatMap(([drive, file]) => (file === undefined ? [] : [`${drive}: ${quoted(file)}`]));
  const devices = [...(kernel === undefined ? PC_DEVICES : KERNEL_DEVICES)];
  if (drives.length > 0) devices.push(`drives: { model: ide, options: { ${drives.join(', ')} } }`);
  return `# One partition on a board of its own: ${basename(what)}
version: 1
machine: ${nameFor(what)}
board:
  cores: ${cpus}
  memory: ${memory}
partitions:
  ${ONE_LINER_PARTITION}:
    role: gpos
    cores: [${cores}]
    memory: ${memory}
${speed === undefined ? '' : `    speed: ${speed}\n`}    boot:
${indented(boot)}
    devices:
${indented(devices)}
    console: com1
    on-crash: halt
`;
}

const KERNEL_DEVICES: readonly string[] = [
  'com1: { model: uart16550 }',
  'keyboard: { model: i8042 }',
  'screen: { model: vga-text }',
  'exit: { model: debug-exit }',
  'telemetry: { model: telemetry }',
];
/** What systems expect of a PC that was sold with a screen and a mouse. */
const PC_DEVICES: readonly string[] = [
  'com1: { model: uart16550 }',
  'keyboard: { model: i8042, options: { mouse: true } }',
  'screen: { model: stdvga }',
];

function kernelLines(kernel: string, { initrd, cmdline }: OneLiner, isLinux: boolean): string[] {
  const line = cmdline ?? (isLinux ? linuxCmdline() : '');
  return [
    `kernel: ${quoted(kernel)}`,
    ...(initrd === undefined ? [] : [`initrd: ${quoted(initrd)}`]),
    ...(line === '' ? [] : [`cmdline: ${quoted(line)}`]),
  ];
}

const indented = (lines: readonly string[]): string => lines.map((line) => `      ${line}`).join('\n');

/** A name the manifest accepts: lower-case letters, digits and hyphens, beginning with a letter, up to 31 characters. */
function nameFor(kernel: string): string {
  const base = (packagedName(kernel) ?? basename(kernel)).toLowerCase().replaceAll(/[^a-z0-9]+/g, '-');
  return (
    base
      .replace(/^[^a-z]+/, '')
      .slice(0, 31)
      .replace(/-+$/, '') || 'machine'
  );
}

/** YAML's double-quoted style takes JSON's. */
function quoted(text: string): string {
  return JSON.stringify(text);
}
