/** Debian's kernel with its busybox system as a guest in the test's own thread, and its shell as something to call. */
import { MiB } from '../../src/base/index.ts';
import { linuxCmdline } from '../../src/boot/index.ts';
import type { LinuxImages } from '../../src/host/node/initramfs.ts';
import { Guest, type GuestOptions } from './guest.ts';

/** What guests/linux/init leaves on the console when somebody can type. */
export const SHELL_PROMPT = '/root # ';

/** Three times what a boot takes: who needs more does not arrive at all. */
const BOOT_INSTRUCTIONS = 3e9;
const COMMAND_INSTRUCTIONS = 1e9;

/** In a manifest: a partition that boots Linux to a shell on its serial port, with further devices, a line each. */
export function linuxPartition({ kernel, initrd }: LinuxImages, name: string, core: number, memory: string, devices: readonly string[]): string {
  return `
  ${name}:
    role: gpos
    cores: [${core}]
    memory: ${memory}
    boot: { kernel: ${kernel}, initrd: ${initrd}, cmdline: '${linuxCmdline()}' }
    devices:
${['com1: { model: uart16550 }', ...devices].map((device) => `      ${device}\n`).join('')}    console: com1`;
}

export class Linux {
  readonly guest: Guest;
  /** At the moment the shell asked for its first command. */
  readonly boot: { readonly console: string; readonly retired: number };

  /** Boots to the shell. Throws, with what the console shows, when it does not come to that. */
  constructor(images: LinuxImages, cpus: number, options: GuestOptions = {}) {
    this.guest = new Guest(images.kernel, { initrd: images.initrd, cpus, memory: 256 * MiB, cmdline: linuxCmdline(), ...options });
    const arrived = this.guest.run({ instructions: BOOT_INSTRUCTIONS, until: ({ console }) => console.includes(SHELL_PROMPT) });
    if (!arrived) throw new Error(`no shell after ${this.guest.partition.retired} instructions:\n${this.guest.console.slice(-2000)}`);
    this.boot = { console: this.guest.console, retired: this.guest.partition.retired };
  }

  /** Types `command` and returns what it printed. Throws when it fails or does not end. */
  shell(command: string): string {
    const from = this.guest.console.length;
    // The shell echoes what is typed: only what printf makes of it frames the output.
    this.guest.type(`printf '\\2'; ${command}; printf '\\3%d\\4' $?\r`);
    const reply = (): RegExpExecArray | null => /\x02([\s\S]*)\x03(\d+)\x04/.exec(this.guest.console.slice(from));
    this.guest.run({ instructions: COMMAND_INSTRUCTIONS, until: () => reply() !== null });
    const [, output, status] = reply() ?? [];
    if (status !== '0') throw new Error(`${command}: status ${status ?? 'unknown'}\n${this.guest.console.slice(from)}`);
    return output as string;
  }
}
