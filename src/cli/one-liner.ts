/** `bulkhead run --kernel K …`: the manifest of a machine with one partition, as text, so that it can be shown, kept and edited. */
import { basename } from 'node:path';
import { linuxCmdline } from '../boot/index.ts';
import { packagedName } from './packaged-images.ts';

export interface OneLiner {
  /** A path, relative to the working directory, or `package:NAME`. */
  readonly kernel: string;
  readonly initrd?: string;
  /** Left out: what suits Linux on this engine, for a Linux kernel; nothing for others. */
  readonly cmdline?: string;
  /** With its unit. */
  readonly memory: string;
  readonly cpus: number;
}

/** The one partition's name. */
export const ONE_LINER_PARTITION = 'guest';

/** The manifest. `isLinux`: the kernel is a Linux image. */
export function oneLinerManifest({ kernel, initrd, cmdline, memory, cpus }: OneLiner, isLinux: boolean): string {
  const line = cmdline ?? (isLinux ? linuxCmdline() : '');
  const cores = Array.from({ length: cpus }, (_, core) => core).join(', ');
  const boot = [`      kernel: ${quoted(kernel)}`, ...(initrd === undefined ? [] : [`      initrd: ${quoted(initrd)}`])];
  if (line !== '') boot.push(`      cmdline: ${quoted(line)}`);
  return `# One partition on a board of its own: ${basename(kernel)}
version: 1
machine: ${nameFor(kernel)}
board:
  cores: ${cpus}
  memory: ${memory}
partitions:
  ${ONE_LINER_PARTITION}:
    role: gpos
    cores: [${cores}]
    memory: ${memory}
    boot:
${boot.join('\n')}
    devices:
      com1: { model: uart16550 }
      keyboard: { model: i8042 }
      screen: { model: vga-text }
      exit: { model: debug-exit }
      telemetry: { model: telemetry }
    console: com1
    on-crash: halt
`;
}

/** A name the manifest accepts: lower-case letters, digits and hyphens, beginning with a letter, up to 31 characters. */
function nameFor(kernel: string): string {
  const base = (packagedName(kernel) ?? basename(kernel)).toLowerCase().replaceAll(/[^a-z0-9]+/g, '-');
  return base.replace(/^[^a-z]+/, '').slice(0, 31).replace(/-+$/, '') || 'machine';
}

/** YAML's double-quoted style takes JSON's. */
function quoted(text: string): string {
  return JSON.stringify(text);
}
