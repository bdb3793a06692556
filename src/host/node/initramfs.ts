/** The small Linux system that guests start with: one static busybox and guests/linux/init, as a cpio archive. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type CpioEntry, writeCpio } from '../../boot/index.ts';
import { cacheFolder, writeAtomically } from './cache.ts';
import { type PackageArchitecture, packageFile, type ProgressListener } from './packages.ts';

const INIT = join(import.meta.dirname, '../../../guests/linux/init');
/** A program of our own for memory shared with other partitions (guests/channel/linux). */
const CHANNEL = join(import.meta.dirname, '../../../guests/channel/linux/images/channel');
const KERNELS: Readonly<Record<PackageArchitecture, string>> = { amd64: 'linux-image-cloud-amd64', i386: 'linux-image-686-pae' };
const FOLDERS = ['bin', 'dev', 'proc', 'root', 'sys', 'tmp', 'usr', 'usr/bin', 'usr/sbin', 'sbin'];

export interface LinuxImages {
  readonly kernel: string;
  readonly initrd: string;
}

/**
 * Paths of Debian's stock kernel (amd64: cloud, i386: 686-pae) and of an initramfs for it, fetched and built on the first call.
 * Throws BH610 to BH615 as `packageFile` does.
 */
export async function linuxImages(architecture: PackageArchitecture, progress?: ProgressListener): Promise<LinuxImages> {
  const kernel = await packageFile(KERNELS[architecture], architecture, 'boot/vmlinuz-*', progress);
  const busybox = await packageFile('busybox-static', architecture, '{bin,usr/bin}/busybox', progress);
  const initrd = join(cacheFolder(), 'images', `initramfs-${architecture}.cpio`);
  const programs = architecture === 'amd64' ? { channel: await readFile(CHANNEL) } : {};
  await writeAtomically(initrd, buildInitramfs(await readFile(busybox), await readFile(INIT), programs));
  return { kernel, initrd };
}

/** `programs` go to /bin, by name. Uncompressed, because the guest would pay for the decompression. The same inputs give the same bytes. */
export function buildInitramfs(busybox: Uint8Array, init: Uint8Array, programs: Readonly<Record<string, Uint8Array>> = {}): Uint8Array {
  const entries: CpioEntry[] = [
    ...FOLDERS.map((path): CpioEntry => ({ kind: 'directory', path, permissions: 0o755 })),
    // The kernel opens it for /init before anything is mounted (Linux Documentation/admin-guide/devices.txt: character 5:1).
    { kind: 'character', path: 'dev/console', permissions: 0o600, major: 5, minor: 1 },
    { kind: 'file', path: 'bin/busybox', permissions: 0o755, data: busybox },
    { kind: 'symlink', path: 'bin/sh', permissions: 0o777, target: 'busybox' },
    ...Object.entries(programs).map(([name, data]): CpioEntry => ({ kind: 'file', path: `bin/${name}`, permissions: 0o755, data })),
    { kind: 'file', path: 'init', permissions: 0o755, data: init },
  ];
  return writeCpio(entries);
}
