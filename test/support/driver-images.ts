/** Debian's generic kernel, which has a driver for everything as a module, and an initial RAM disk with the modules and programs a test wants. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type CpioEntry, writeCpio } from '../../src/boot/index.ts';
import { cacheFolder, writeAtomically } from '../../src/host/node/cache.ts';
import { buildInitramfs, type LinuxImages } from '../../src/host/node/initramfs.ts';
import { packageFile } from '../../src/host/node/packages.ts';

/** A file of a package, and where the guest finds it. */
export interface PackagedProgram {
  readonly package: string;
  /** A glob relative to the package's root. */
  readonly file: string;
  readonly path: string;
}

/** A file of this project, and where the guest finds it. */
export interface OwnProgram {
  /** From the root of the checkout. */
  readonly own: string;
  readonly path: string;
}

/** Memory shared with other partitions, from user space. */
export const CHANNEL: OwnProgram = { own: 'guests/channel/linux/images/channel', path: 'bin/channel' };

const ROOT = join(import.meta.dirname, '../..');
const KERNEL = 'linux-image-amd64';
const INIT = join(import.meta.dirname, '../../guests/linux/init');
const LIBRARIES = 'lib/x86_64-linux-gnu';

/** util-linux's program for watchdogs, with what it is linked against. */
export const WDCTL: readonly PackagedProgram[] = [
  { package: 'util-linux', file: '{bin,usr/bin}/wdctl', path: 'bin/wdctl' },
  { package: 'libsmartcols1', file: `usr/${LIBRARIES}/libsmartcols.so.1`, path: `${LIBRARIES}/libsmartcols.so.1` },
  { package: 'libc6', file: `{lib,usr/lib}/x86_64-linux-gnu/libc.so.6`, path: `${LIBRARIES}/libc.so.6` },
  { package: 'libc6', file: `{lib,usr/lib}/x86_64-linux-gnu/ld-linux-x86-64.so.2`, path: 'lib64/ld-linux-x86-64.so.2' },
];

/**
 * `modules` are paths below `kernel/drivers/` of the module folder, without `.ko`; they lie in /modules of the guest, under their last
 * name. `name` names the RAM disk in the cache. Throws BH610 to BH615 as `packageFile` does.
 */
export async function driverImages(name: string, modules: readonly string[], programs: readonly (PackagedProgram | OwnProgram)[] = []): Promise<LinuxImages> {
  const kernel = await packageFile(KERNEL, 'amd64', 'boot/vmlinuz-*');
  const busybox = await packageFile('busybox-static', 'amd64', '{bin,usr/bin}/busybox');
  const file = async (path: string, source: string, permissions: number): Promise<CpioEntry> => ({ kind: 'file', path, permissions, data: await readFile(source) });
  const folders = ['modules', 'lib', LIBRARIES, 'lib64'].map((path): CpioEntry => ({ kind: 'directory', path, permissions: 0o755 }));
  const entries = [...folders];
  for (const module of modules) {
    const source = await packageFile(KERNEL, 'amd64', `lib/modules/*/kernel/drivers/${module}.ko`);
    entries.push(await file(`modules/${module.split('/').at(-1)}.ko`, source, 0o644));
  }
  for (const program of programs) {
    const source = 'own' in program ? join(ROOT, program.own) : await packageFile(program.package, 'amd64', program.file);
    entries.push(await file(program.path, source, 0o755));
  }
  const system = buildInitramfs(await readFile(busybox), await readFile(INIT));
  const initrd = join(cacheFolder(), 'images', `drivers-${name}-amd64.cpio`);
  // Linux unpacks one archive after the other (Documentation/driver-api/early-userspace/buffer-format.rst).
  await writeAtomically(initrd, Buffer.concat([system, writeCpio(entries)]));
  return { kernel, initrd };
}
