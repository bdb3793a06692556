/** A CD with Debian's fio and all it is linked against: a guest that has a CD-ROM drive needs no RAM for it. */
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, globSync, lstatSync, mkdirSync, mkdtempSync, readFileSync, readlinkSync, realpathSync, rmSync } from 'node:fs';
import { rename } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { cacheFolder } from '../../src/host/node/cache.ts';
import { packageFile, packagesWithDependencies } from '../../src/host/node/packages.ts';

const LIBRARIES = '{lib,usr/lib}/x86_64-linux-gnu/**/*.so*';
const LOADER = 'ld-linux-x86-64.so.2';

/** What the guest runs, once the disc is mounted at /cd. */
export const FIO = `/cd/${LOADER} --library-path /cd /cd/fio`;

/** The path of the disc's image, which the cache keeps. Throws BH610 to BH615 as `packagesWithDependencies` does. */
export async function fioDisc(): Promise<string> {
  const packages = await packagesWithDependencies(['fio'], 'amd64');
  const fio = packages.find(({ name }) => name === 'fio');
  if (fio === undefined) throw new Error('the package fio is not among its own dependencies');
  const image = join(cacheFolder(), 'images', `fio-${fio.version.replaceAll(/[^\w.-]/g, '_')}-amd64.iso`);
  if (existsSync(image)) return image;
  const genisoimage = await packageFile('genisoimage', 'amd64', 'usr/bin/genisoimage');
  const scratch = mkdtempSync(join(tmpdir(), 'bulkhead-fio-'));
  try {
    const tree = join(scratch, 'tree');
    mkdirSync(tree);
    const libraries = librariesOf(packages.map(({ folder }) => folder));
    copyFileSync(join(fio.folder, 'usr/bin/fio'), join(tree, 'fio'));
    for (const [name, path] of closure(join(fio.folder, 'usr/bin/fio'), libraries)) copyFileSync(path, join(tree, name));
    mkdirSync(dirname(image), { recursive: true });
    const draft = `${image}.${process.pid}`;
    execFileSync(genisoimage, ['-quiet', '-R', '-l', '-V', 'FIO', '-o', draft, tree]);
    await rename(draft, image);
    return image;
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** Every shared library of the packages, by the name that programs ask for. */
function librariesOf(folders: readonly string[]): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const folder of folders) {
    for (const path of globSync(`{${LIBRARIES},lib64/${LOADER},lib/x86_64-linux-gnu/${LOADER}}`, { cwd: folder })) {
      const full = join(folder, path);
      // Links lead to files of the same folder, or, in another package's world, nowhere.
      const target = lstatSync(full).isSymbolicLink() ? join(dirname(full), readlinkSync(full)) : full;
      if (existsSync(target) && lstatSync(realpathSync(target)).isFile()) found.set(basename(path), realpathSync(target));
    }
  }
  return found;
}

/** `program`'s libraries, and theirs, by name, with the loader. */
function closure(program: string, libraries: ReadonlyMap<string, string>): ReadonlyMap<string, string> {
  const wanted = new Map<string, string>();
  const open = [LOADER, ...neededBy(program)];
  for (let name = open.pop(); name !== undefined; name = open.pop()) {
    const path = libraries.get(name);
    if (path === undefined) throw new Error(`no package has ${name}`);
    if (wanted.has(name)) continue;
    wanted.set(name, path);
    open.push(...neededBy(path));
  }
  return wanted;
}

// ELF64 (System V ABI, chapters 4 and 5)
const SECTION_TABLE = 0x28;
const SECTION_ENTRY_BYTES = 64;
const SECTION_COUNT = 0x3c;
const TYPE_DYNAMIC = 6;
const TAG_NEEDED = 1n;

/** The names in its DT_NEEDED entries. */
function neededBy(path: string): string[] {
  const file = readFileSync(path);
  const sections = Number(file.readBigUInt64LE(SECTION_TABLE));
  const section = (index: number) => {
    const at = sections + index * SECTION_ENTRY_BYTES;
    return { type: file.readUInt32LE(at + 4), offset: Number(file.readBigUInt64LE(at + 24)), size: Number(file.readBigUInt64LE(at + 32)), link: file.readUInt32LE(at + 40) };
  };
  for (let index = 0; index < file.readUInt16LE(SECTION_COUNT); index++) {
    const dynamic = section(index);
    if (dynamic.type !== TYPE_DYNAMIC) continue;
    const strings = section(dynamic.link).offset;
    const names: string[] = [];
    for (let at = dynamic.offset; at < dynamic.offset + dynamic.size; at += 16) {
      if (file.readBigUInt64LE(at) !== TAG_NEEDED) continue;
      const name = strings + Number(file.readBigUInt64LE(at + 8));
      names.push(file.toString('latin1', name, file.indexOf(0, name)));
    }
    return names;
  }
  return [];
}
