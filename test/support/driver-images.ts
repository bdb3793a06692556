/** Debian's generic kernel, which has a driver for everything as a module, and an initial RAM disk with the modules a test wants. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type CpioEntry, writeCpio } from '../../src/boot/index.ts';
import { cacheFolder, writeAtomically } from '../../src/host/node/cache.ts';
import { buildInitramfs } from '../../src/host/node/initramfs.ts';
import { packageFile } from '../../src/host/node/packages.ts';

export interface DriverImages {
  readonly kernel: string;
  readonly initrd: string;
}

const KERNEL = 'linux-image-amd64';
const INIT = join(import.meta.dirname, '../../guests/linux/init');

/**
 * `modules` are paths below `kernel/` of the module folder, without `.ko`; they lie in /modules of the guest, under their last name.
 * `name` names the RAM disk in the cache. Throws BH610 to BH615 as `packageFile` does.
 */
export async function driverImages(name: string, modules: readonly string[]): Promise<DriverImages> {
  const kernel = await packageFile(KERNEL, 'amd64', 'boot/vmlinuz-*');
  const busybox = await packageFile('busybox-static', 'amd64', '{bin,usr/bin}/busybox');
  const files = await Promise.all(
    modules.map(async (module): Promise<CpioEntry> => {
      const path = await packageFile(KERNEL, 'amd64', `lib/modules/*/kernel/${module}.ko`);
      return { kind: 'file', path: `modules/${module.split('/').at(-1)}.ko`, permissions: 0o644, data: await readFile(path) };
    }),
  );
  const initrd = join(cacheFolder(), 'images', `drivers-${name}-amd64.cpio`);
  const system = buildInitramfs(await readFile(busybox), await readFile(INIT));
  // Linux unpacks one archive after the other (Documentation/driver-api/early-userspace/buffer-format.rst).
  await writeAtomically(initrd, Buffer.concat([system, writeCpio([{ kind: 'directory', path: 'modules', permissions: 0o755 }, ...files])]));
  return { kernel, initrd };
}
