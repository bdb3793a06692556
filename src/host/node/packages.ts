/**
 * Guest images and guest software from Debian packages, by package name. The machine's own apt decides where they come from; nothing is
 * installed, and nobody needs to be root: a package is downloaded, unpacked into the cache folder, and found there ever after, without a
 * network.
 *
 * A name is what apt takes: `busybox-static`, or `linux-image-amd64/bookworm-backports` for another suite of the same mirror.
 */
import { globSync } from 'node:fs';
import { mkdir, readFile, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { BulkheadError } from '../../base/index.ts';
import {
  type AptOptions,
  type Candidate,
  download,
  downloadSource,
  exists,
  findPackage,
  findWithDependencies,
  MACHINE_LISTS,
  nativeArchitecture,
  otherwise,
  type PackageArchitecture,
  parseRequest,
  privateLists,
  sourceLists,
  unpack,
  unpackTar,
} from './apt.ts';
import { cacheFolder, withScratchFolder, writeAtomically } from './cache.ts';

export type { PackageArchitecture } from './apt.ts';

export interface PackageProgress {
  /** The name that was asked for. */
  readonly package: string;
  readonly architecture: PackageArchitecture;
  readonly step: 'lists' | 'download' | 'unpack' | 'ready';
  /** For people: `linux-image-6.1.0-50-686-pae 6.1.176-1`. */
  readonly detail: string;
  /** While downloading. */
  readonly bytes?: number;
  readonly totalBytes?: number;
}

export type ProgressListener = (progress: PackageProgress) => void;

/** A package as the index of the cache knows it. */
interface CachedPackage {
  /** The real package behind a meta package. */
  readonly name: string;
  readonly version: string;
  /** Relative to the cache folder. */
  readonly folder: string;
}

/** A package that lies unpacked in the cache. */
export interface UnpackedPackage {
  readonly name: string;
  readonly version: string;
  /** What the package would put into the root folder. */
  readonly folder: string;
}

const INDEX = 'packages/index.json';
const SETS = 'packages/sets.json';

/**
 * The path of a file of a package; fetches the package when the cache does not have it. `pattern` is a glob relative to the
 * package's root: `boot/vmlinuz-*`. Meta packages of kernels are followed to the kernel.
 *
 * Throws BH610 (no apt here), BH611 (no such package), BH612 (cannot be downloaded), BH613 (cannot be unpacked), BH614 (no such
 * file in the package), BH615 (the cache cannot be written).
 */
export async function packageFile(
  name: string,
  architecture: PackageArchitecture,
  pattern: string,
  progress: ProgressListener = () => {},
): Promise<string> {
  const folder = await packageFolder(name, architecture, progress);
  const [found] = globSync(pattern, { cwd: folder }).sort();
  if (found === undefined) {
    throw new BulkheadError('BH614', `the package ${name} (${architecture}) has no file ${pattern}`, {
      hint: `Look what it has in ${folder}.`,
    });
  }
  return join(folder, found);
}

/** The folder a package is unpacked in; see {@link packageFile}. */
export async function packageFolder(
  name: string,
  architecture: PackageArchitecture,
  progress: ProgressListener = () => {},
): Promise<string> {
  const key = `${architecture}/${name}`;
  const cached = (await readIndex<CachedPackage>(INDEX))[key];
  if (cached !== undefined) {
    const folder = join(cacheFolder(), cached.folder);
    if (await exists(folder)) return folder;
  }
  const report = reporter(name, architecture, progress);
  const fetched = await fetchPackage(name, architecture, report);
  await addToIndex(INDEX, key, fetched);
  report('ready', `${fetched.name} ${fetched.version}`);
  return join(cacheFolder(), fetched.folder);
}

/**
 * `names` and every package they depend on, unpacked each in a folder of its own, sorted by name: what a system needs on which nothing is
 * installed yet. Their maintainer scripts have not run. Throws as {@link packageFile} does.
 */
export async function packagesWithDependencies(
  names: readonly string[],
  architecture: PackageArchitecture,
  progress: ProgressListener = () => {},
): Promise<UnpackedPackage[]> {
  const what = names.toSorted().join(' ');
  const key = `${architecture}/${what}`;
  const absolute = ({ name, version, folder }: CachedPackage): UnpackedPackage => ({ name, version, folder: join(cacheFolder(), folder) });
  const cached = (await readIndex<readonly CachedPackage[]>(SETS))[key]?.map(absolute) ?? [];
  const there = await Promise.all(cached.map(({ folder }) => exists(folder)));
  if (cached.length > 0 && there.every(Boolean)) return cached;
  const report = reporter(what, architecture, progress);
  const fetched = await fetchSet(names, architecture, report);
  await addToIndex(SETS, key, fetched);
  report('ready', `${fetched.length} packages`);
  return fetched.map(absolute);
}

/**
 * The upstream sources of a Debian source package, without Debian's changes: the folder they unpack to. Throws as {@link packageFile}
 * does.
 */
export async function packageSource(name: string, progress: ProgressListener = () => {}): Promise<string> {
  const folder = join(cacheFolder(), 'packages/source', name);
  if (await exists(folder)) return folder;
  await nativeArchitecture(name);
  const report = reporter(name, 'amd64', progress);
  const options = await sourceLists((detail) => report('lists', detail));
  await withScratchFolder(async (scratch) => {
    report('download', `sources of ${name}`);
    const archives = await downloadSource(name, options, scratch);
    report('unpack', `sources of ${name}`);
    await mkdir(join(scratch, 'source'));
    for (const archive of archives) await unpackTar(archive, join(scratch, 'source'), name);
    await moveIntoPlace(join(scratch, 'source'), folder);
  });
  report('ready', `sources of ${name}`);
  return folder;
}

type Report = (step: PackageProgress['step'], detail: string, sizes?: Pick<PackageProgress, 'bytes' | 'totalBytes'>) => void;

function reporter(name: string, architecture: PackageArchitecture, progress: ProgressListener): Report {
  return (step, detail, sizes) => progress({ package: name, architecture, step, detail, ...sizes });
}

/** Lists grow old: what they name may be gone from the mirror. So the machine's lists are tried, then ours, then ours made anew. */
async function fetchPackage(name: string, architecture: PackageArchitecture, report: Report): Promise<CachedPackage> {
  const request = parseRequest(name);
  const machine = (await nativeArchitecture(name)) === architecture && request.suite === undefined;
  return fromLists(name, architecture, machine ? ['machine', 'private', 'renewed'] : ['private', 'renewed'], report, async (options) => {
    const candidate = await findPackage(request, options);
    if (candidate === undefined) return undefined;
    await obtain([candidate], architecture, options, report);
    return cachedAs(candidate, architecture);
  });
}

/** What is installed here must not count, so the machine's own lists are no help. */
async function fetchSet(names: readonly string[], architecture: PackageArchitecture, report: Report): Promise<CachedPackage[]> {
  const what = names.join(' ');
  await nativeArchitecture(what);
  return fromLists(what, architecture, ['private', 'renewed'], report, async (options) => {
    const candidates = await findWithDependencies(names, options);
    if (candidates === undefined) return undefined;
    await obtain(candidates, architecture, options, report);
    return candidates.map((candidate) => cachedAs(candidate, architecture));
  });
}

/** The first result that a set of lists leads to. */
async function fromLists<T>(
  what: string,
  architecture: PackageArchitecture,
  order: readonly ('machine' | 'private' | 'renewed')[],
  report: Report,
  fetch: (options: AptOptions) => Promise<T | undefined>,
): Promise<T> {
  let failure = new BulkheadError('BH611', `there is no package ${what} for ${architecture} in the package lists`, {
    hint: otherwise(what),
  });
  const suite = what
    .split(' ')
    .map((name) => parseRequest(name).suite)
    .find((each) => each !== undefined);
  for (const lists of order) {
    const fetching = (detail: string): void => report('lists', detail);
    const options = lists === 'machine' ? MACHINE_LISTS : await privateLists({ architecture, suite, renew: lists === 'renewed', fetching });
    try {
      const result = await fetch(options);
      if (result !== undefined) return result;
    } catch (error) {
      if (!(error instanceof BulkheadError) || error.code !== 'BH612') throw error;
      failure = error;
    }
  }
  throw failure;
}

function cachedAs({ name, version }: Candidate, architecture: PackageArchitecture): CachedPackage {
  return { name, version, folder: join('packages', architecture, `${name}_${version.replaceAll(/[^\w.+~-]/g, '_')}`) };
}

/** Downloads and unpacks those whose very version is not there already. */
async function obtain(
  candidates: readonly Candidate[],
  architecture: PackageArchitecture,
  options: AptOptions,
  report: Report,
): Promise<void> {
  const folderOf = (candidate: Candidate): string => join(cacheFolder(), cachedAs(candidate, architecture).folder);
  const there = await Promise.all(candidates.map((candidate) => exists(folderOf(candidate))));
  const missing = candidates.filter((_, i) => !there[i]);
  const [first] = missing;
  if (first === undefined) return;
  const detail = missing.length === 1 ? `${first.name} ${first.version}` : `${missing.length} packages`;
  const totalBytes = missing.reduce((sum, { size }) => sum + size, 0);
  await withScratchFolder(async (scratch) => {
    const archives = await download(missing, options, scratch, (bytes) =>
      report('download', detail, { bytes, ...(totalBytes > 0 ? { totalBytes } : {}) }),
    );
    report('unpack', detail);
    for (const candidate of missing) {
      const archive = archives.length === 1 ? archives[0] : archives.find((path) => path.includes(`/${candidate.name}_`));
      const root = join(scratch, `root-${candidate.name}`);
      await unpack(archive ?? join(scratch, candidate.name), root, candidate.name);
      await moveIntoPlace(root, folderOf(candidate));
    }
  });
}

/** Somebody else may have been faster: then theirs is as good. Throws BH615. */
async function moveIntoPlace(from: string, folder: string): Promise<void> {
  await mkdir(join(folder, '..'), { recursive: true });
  await rename(from, folder).catch(async (cause) => {
    if (!(await exists(folder))) throw new BulkheadError('BH615', `${folder} cannot be written: ${(cause as Error).message}`, { cause });
  });
}

async function readIndex<T>(file: string): Promise<Partial<Record<string, T>>> {
  const text = await readFile(join(cacheFolder(), file), 'utf8').catch(() => '{}');
  try {
    return JSON.parse(text) as Partial<Record<string, T>>;
  } catch {
    return {}; // a damaged index costs a download, nothing else
  }
}

async function addToIndex<T>(file: string, key: string, entry: T): Promise<void> {
  await writeAtomically(join(cacheFolder(), file), `${JSON.stringify({ ...(await readIndex<T>(file)), [key]: entry }, undefined, 2)}\n`);
}
