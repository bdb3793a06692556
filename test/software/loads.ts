/** Real programs as loads for a guest: which Debian packages make the root file system, and which script runs in it. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { MiB } from '../../src/base/index.ts';
import type { CpioEntry } from '../../src/boot/index.ts';
import { type PackageArchitecture, packagesWithDependencies, type ProgressListener } from '../../src/host/node/packages.ts';
import { asFolder, asInitramfs, rootFileSystem } from '../../src/host/node/root-file-system.ts';

const SCRIPTS = join(import.meta.dirname, '../../guests/linux/software');
/** What every root file system starts from: a shell, its tools, and the program that sets the guest up. */
const FOUNDATION = ['busybox-static', 'coreutils', 'dash', 'diffutils', 'findutils', 'grep', 'sed'];

export interface Load {
  readonly name: string;
  /** Beside the foundation; with their dependencies. */
  readonly packages: readonly string[];
  /** A file of guests/linux/software/, given to `sh`. */
  readonly script: string;
  /** RAM of the guest, in bytes: the file system lies in it twice while it starts. */
  readonly memory: number;
  /** Folders of the packages to leave out. */
  readonly without?: readonly string[];
  /** Further files, from wherever they come. */
  readonly files?: () => Promise<readonly CpioEntry[]>;
}

export interface PreparedLoad {
  readonly load: Load;
  readonly architecture: PackageArchitecture;
  /** `name version` of every package in it. */
  readonly packages: readonly string[];
  /** Path of the archive for the guest. */
  readonly initramfs: string;
  /** The same files as a folder, for the host. */
  readonly folder: string;
}

const script = (name: string): Uint8Array => readFileSync(join(SCRIPTS, name));
const file = (path: string, data: Uint8Array | string, permissions = 0o644): CpioEntry => ({
  kind: 'file',
  path,
  permissions,
  data: typeof data === 'string' ? Buffer.from(data) : data,
});

/** Fetches what is missing and builds the root file system. Throws BH610 to BH615 as `packageFile` does. */
export async function prepare(load: Load, architecture: PackageArchitecture, progress?: ProgressListener): Promise<PreparedLoad> {
  const packages = await packagesWithDependencies([...FOUNDATION, ...load.packages], architecture, progress);
  const additions = [
    file('init', script('init'), 0o755),
    file('software/run', script('run'), 0o755),
    file('software/load', script(load.script)),
    file('etc/passwd', 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n'),
    file('etc/group', 'root:x:0:\nnogroup:x:65534:\n'),
    file('etc/hosts', '127.0.0.1 localhost\n'),
    ...((await load.files?.()) ?? []),
  ];
  const entries = await rootFileSystem({ packages, additions, ...(load.without === undefined ? {} : { without: load.without }) });
  const name = `software-${load.name}-${architecture}`;
  return {
    load,
    architecture,
    packages: packages.map(({ name, version }) => `${name} ${version}`),
    initramfs: await asInitramfs(name, entries),
    folder: await asFolder(name, entries),
  };
}

export const OPENSSL: Load = { name: 'openssl', packages: ['openssl'], script: 'openssl.sh', memory: 256 * MiB };
