/**
 * A root file system from Debian packages: what their files make together, as the entries of a cpio archive. The same packages give the
 * same bytes.
 *
 * Maintainer scripts do not run, so what they would make (accounts, alternatives, caches) is not there unless `additions` brings it.
 * /bin, /sbin and /lib are links into /usr, as on every Debian since 12 (base-files(5), "usrmerge"), although packages still ship files
 * under both names.
 *
 * Not modelled: dpkg's diversions and conffiles, owners other than root.
 */
import { createHash } from 'node:crypto';
import type { Stats } from 'node:fs';
import { chmod, lstat, mkdir, readdir, readFile, readlink, rename, symlink, utimes, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { BulkheadError } from '../../base/index.ts';
import { type CpioEntry, writeCpio } from '../../boot/index.ts';
import { cacheFolder, withScratchFolder, writeAtomically } from './cache.ts';
import { exists } from './apt.ts';
import type { UnpackedPackage } from './packages.ts';

/** Top-level folders that are links since the merge of / and /usr. */
const MERGED = ['bin', 'lib', 'lib32', 'lib64', 'libx32', 'sbin'];
/** What nothing that runs needs; and in a RAM disk everything costs RAM. */
const FOR_PEOPLE = ['usr/share/doc', 'usr/share/info', 'usr/share/lintian', 'usr/share/locale', 'usr/share/man', 'usr/share/bug'];
/** Mount points and scratch space that no package ships. */
const FOLDERS = ['dev', 'etc', 'proc', 'root', 'run', 'sys', 'tmp'];
const PERMISSIONS = 0o7777;
/** Counts what this file makes of the same packages: one more for each change of that. */
const LAYOUT = 1;

export interface RootFileSystemOptions {
  readonly packages: readonly UnpackedPackage[];
  /** Files beside those of the packages; they win over a package's. */
  readonly additions?: readonly CpioEntry[];
  /** Folders to leave out, relative to the root. */
  readonly without?: readonly string[];
}

/** Parents before children. Throws BH613 when a package holds what cannot be. */
export async function rootFileSystem({ packages, additions = [], without = [] }: RootFileSystemOptions): Promise<CpioEntry[]> {
  const entries = new Map<string, CpioEntry>();
  const left = [...FOR_PEOPLE, ...without];
  for (const folder of FOLDERS) entries.set(folder, { kind: 'directory', path: folder, permissions: folder === 'tmp' ? 0o1777 : 0o755 });
  for (const { folder, name } of packages) await addFolder(entries, folder, '', left, name);
  for (const name of MERGED) {
    if (entries.has(`usr/${name}`)) entries.set(name, { kind: 'symlink', path: name, permissions: 0o777, target: `usr/${name}` });
  }
  // The kernel opens it for /init before anything is mounted (Linux Documentation/admin-guide/devices.txt: character 5:1).
  entries.set('dev/console', { kind: 'character', path: 'dev/console', permissions: 0o600, major: 5, minor: 1 });
  for (const entry of additions) entries.set(entry.path, entry);
  for (const path of [...entries.keys()]) addParents(entries, path);
  return [...entries.values()].sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** `bin/sh` → `usr/bin/sh`. */
function merged(path: string): string {
  const slash = path.indexOf('/');
  return MERGED.includes(slash < 0 ? path : path.slice(0, slash)) ? `usr/${path}` : path;
}

async function addFolder(
  entries: Map<string, CpioEntry>,
  root: string,
  folder: string,
  without: readonly string[],
  name: string,
): Promise<void> {
  for (const child of (await readdir(join(root, folder))).sort()) {
    const source = folder === '' ? child : `${folder}/${child}`;
    const path = merged(source);
    if (without.includes(path)) continue;
    const status = await lstat(join(root, source));
    if (status.isDirectory()) {
      if (entries.get(path)?.kind !== 'symlink') entries.set(path, { kind: 'directory', path, permissions: status.mode & PERMISSIONS });
      await addFolder(entries, root, source, without, name);
    } else {
      entries.set(path, await entryOf(join(root, source), path, status, name));
    }
  }
}

async function entryOf(file: string, path: string, status: Stats, name: string): Promise<CpioEntry> {
  if (status.isSymbolicLink()) return { kind: 'symlink', path, permissions: 0o777, target: await readlink(file) };
  if (status.isFile()) return { kind: 'file', path, permissions: status.mode & PERMISSIONS, data: await readFile(file) };
  throw new BulkheadError('BH613', `the package ${name} holds ${path}, which is neither file, folder nor link`, {
    hint: 'Leave the folder it lies in out of the root file system.',
  });
}

function addParents(entries: Map<string, CpioEntry>, path: string): void {
  for (let parent = dirname(path); parent !== '.' && !entries.has(parent); parent = dirname(parent)) {
    entries.set(parent, { kind: 'directory', path: parent, permissions: 0o755 });
  }
}

/** The files below `folder` of the host, to be found below `path` in the root. Sorted. */
export async function folderEntries(folder: string, path: string, wanted: (path: string) => boolean = () => true): Promise<CpioEntry[]> {
  const entries = new Map<string, CpioEntry>();
  await addFolder(entries, folder, '', [], folder);
  return [...entries.values()].filter((entry) => wanted(entry.path)).map((entry) => ({ ...entry, path: `${path}/${entry.path}` }));
}

/** One root file system in two forms. Paths. */
export interface RootImages {
  /** An uncompressed archive for a kernel: the guest would pay for the decompression. */
  readonly initramfs: string;
  /** For chroot(2) on the host: the same files with the same permissions and times, without device nodes. */
  readonly folder: string;
}

/** Builds what the cache does not have. `name` is for people who look into it. Throws BH613 and BH615. */
export async function rootImages(name: string, options: RootFileSystemOptions): Promise<RootImages> {
  const unique = `${name}-${digestOf(options)}`;
  const initramfs = join(cacheFolder(), 'images', `${unique}.cpio`);
  const folder = join(cacheFolder(), 'roots', unique);
  if ((await exists(initramfs)) && (await exists(folder))) return { initramfs, folder };
  const entries = await rootFileSystem(options);
  await writeAtomically(initramfs, writeCpio(entries));
  await writeFolder(folder, entries);
  return { initramfs, folder };
}

/** Replaces nothing: what is there under this name is the same. Throws BH615. */
async function writeFolder(folder: string, entries: readonly CpioEntry[]): Promise<void> {
  if (await exists(folder)) return;
  await withScratchFolder(async (scratch) => {
    const root = join(scratch, 'root');
    await mkdir(root);
    for (const entry of entries) await place(entry, join(root, entry.path));
    // A folder is as old as what was put into it last.
    for (const { kind, path } of entries.toReversed()) if (kind === 'directory') await utimes(join(root, path), 0, 0);
    await mkdir(dirname(folder), { recursive: true });
    await rename(root, folder).catch(async (cause) => {
      if (!(await exists(folder))) throw new BulkheadError('BH615', `${folder} cannot be written: ${(cause as Error).message}`, { cause });
    });
  });
}

async function place(entry: CpioEntry, path: string): Promise<void> {
  switch (entry.kind) {
    case 'directory':
      await mkdir(path);
      return chmod(path, entry.permissions);
    case 'symlink':
      return symlink(entry.target, path);
    case 'file':
      await writeFile(path, entry.data);
      await chmod(path, entry.permissions);
      return utimes(path, 0, 0);
  }
}

/** Of everything that decides about the result. A package is known by its version: its folder in the cache does not change. */
function digestOf({ packages, additions = [], without = [] }: RootFileSystemOptions): string {
  const hash = createHash('sha256').update(JSON.stringify([LAYOUT, packages.map(({ folder }) => basename(folder)), without]));
  for (const entry of additions) {
    const { data, ...rest } = { data: new Uint8Array(), ...entry };
    hash.update(JSON.stringify(rest)).update(data);
  }
  return hash.digest('hex').slice(0, 16);
}
