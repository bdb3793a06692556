/**
 * Guest images from Debian packages, by package name. The machine's own apt decides where they come from; nothing is installed, and
 * nobody needs to be root: a package is downloaded, unpacked into the cache folder, and found there ever after, without a network.
 *
 * Packages for the machine's own architecture are looked up in the lists it has. For another architecture, or where the lists lack the
 * package, a private set of lists is kept in the cache: only the base suite, because updates of old architectures may be incomplete.
 */
import { execFile } from 'node:child_process';
import { globSync } from 'node:fs';
import { mkdir, readdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BulkheadError } from '../../base/index.ts';
import { cacheFolder, withScratchFolder, writeAtomically } from './cache.ts';

export type PackageArchitecture = 'amd64' | 'i386';

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

interface Candidate {
  readonly name: string;
  readonly version: string;
  readonly size: number;
}

/** Options that point apt at its lists: the machine's, or a private set. */
type AptOptions = readonly string[];

const INDEX = 'packages/index.json';
const DEBIAN_KEYS = '/usr/share/keyrings/debian-archive-keyring.gpg';
const DOWNLOAD_POLL_MS = 250;
/** A slow mirror may take its time, but not for ever. */
const COMMAND_TIMEOUT_MS = 30 * 60_000;
const OUTPUT_MAX = 16 * 1024 * 1024;

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
  const cached = (await readIndex())[key];
  if (cached !== undefined) {
    const folder = join(cacheFolder(), cached.folder);
    if (await exists(folder)) return folder;
  }
  const report: Report = (step, detail, sizes) => progress({ package: name, architecture, step, detail, ...sizes });
  const fetched = await fetchPackage(name, architecture, report);
  await writeAtomically(join(cacheFolder(), INDEX), `${JSON.stringify({ ...(await readIndex()), [key]: fetched }, undefined, 2)}\n`);
  report('ready', `${fetched.name} ${fetched.version}`);
  return join(cacheFolder(), fetched.folder);
}

type Report = (step: PackageProgress['step'], detail: string, sizes?: Pick<PackageProgress, 'bytes' | 'totalBytes'>) => void;

/** Lists grow old: what they name may be gone from the mirror. So the machine's lists are tried, then ours, then ours made anew. */
async function fetchPackage(name: string, architecture: PackageArchitecture, report: Report): Promise<CachedPackage> {
  let failure = new BulkheadError('BH611', `there is no package ${name} for ${architecture} in the package lists`, {
    hint: otherwise(name),
  });
  for (const lists of (await nativeArchitecture(name)) === architecture ? ['machine', 'private', 'renewed'] : ['private', 'renewed']) {
    const options = lists === 'machine' ? [] : await privateLists(architecture, lists === 'renewed', report);
    const candidate = await resolve(name, options);
    if (candidate === undefined) continue;
    try {
      return await obtain(candidate, architecture, options, report);
    } catch (error) {
      if (!(error instanceof BulkheadError) || error.code !== 'BH612') throw error;
      failure = error;
    }
  }
  throw failure;
}

/** Downloads and unpacks, unless the very version is there already. */
async function obtain(
  candidate: Candidate,
  architecture: PackageArchitecture,
  options: AptOptions,
  report: Report,
): Promise<CachedPackage> {
  const { name, version } = candidate;
  const relative = join('packages', architecture, `${name}_${version.replaceAll(/[^\w.+~-]/g, '_')}`);
  const folder = join(cacheFolder(), relative);
  if (!(await exists(folder))) {
    await withScratchFolder(async (scratch) => {
      const archive = await download(candidate, options, scratch, (bytes) =>
        report('download', `${name} ${version}`, { bytes, totalBytes: candidate.size }),
      );
      report('unpack', `${name} ${version}`);
      await unpack(archive, join(scratch, 'root'), name);
      await mkdir(join(folder, '..'), { recursive: true });
      // Somebody else may have been faster: then theirs is as good.
      await rename(join(scratch, 'root'), folder).catch(async (cause) => {
        if (!(await exists(folder)))
          throw new BulkheadError('BH615', `${folder} cannot be written: ${(cause as Error).message}`, { cause });
      });
    });
  }
  return { name, version, folder: relative };
}

async function readIndex(): Promise<Partial<Record<string, CachedPackage>>> {
  const text = await readFile(join(cacheFolder(), INDEX), 'utf8').catch(() => '{}');
  try {
    return JSON.parse(text) as Partial<Record<string, CachedPackage>>;
  } catch {
    return {}; // a damaged index costs a download, nothing else
  }
}

/** Throws BH610 where there is no apt. */
async function nativeArchitecture(name: string): Promise<string> {
  for (const tool of [
    ['apt-get', '--version'],
    ['apt-cache', '--version'],
    ['dpkg-deb', '--version'],
  ] as const) {
    const result = await run(tool[0], [tool[1]]);
    if (!result.ok) {
      throw new BulkheadError('BH610', `${tool[0]} is not available here, so the package ${name} cannot be fetched`, {
        hint: otherwise(name),
      });
    }
  }
  return (await run('dpkg', ['--print-architecture'])).output.trim();
}

/** The package, or the kernel that a kernel meta package depends on; undefined when the lists have no such package. */
async function resolve(name: string, options: AptOptions): Promise<Candidate | undefined> {
  const meta = await show(name, options);
  if (meta === undefined) return undefined;
  if (!name.startsWith('linux-image-')) return toCandidate(meta);
  const kernel = /(?:^|[\s,])(linux-image-\d[^\s,(|]*)/.exec(meta.get('Depends') ?? '')?.[1];
  if (kernel === undefined) return toCandidate(meta);
  // Signed and unsigned packages hold the same kernel; the signed one may lag behind.
  const real = (await show(kernel, options)) ?? (await show(`${kernel}-unsigned`, options));
  return real === undefined ? undefined : toCandidate(real);
}

/** The fields of the candidate version's first record. */
async function show(name: string, options: AptOptions): Promise<ReadonlyMap<string, string> | undefined> {
  const result = await run('apt-cache', [...options, 'show', '--no-all-versions', name]);
  if (!result.ok) return undefined;
  const fields = new Map<string, string>();
  for (const line of (result.output.split('\n\n')[0] ?? '').split('\n')) {
    const [, field, value] = /^([\w-]+): (.*)$/.exec(line) ?? [];
    if (field !== undefined && value !== undefined) fields.set(field, value);
  }
  return fields.has('Package') ? fields : undefined;
}

function toCandidate(fields: ReadonlyMap<string, string>): Candidate {
  return { name: fields.get('Package') ?? '', version: fields.get('Version') ?? '', size: Number(fields.get('Size') ?? 0) };
}

/** Package lists of our own for `architecture`, made from the sources that the machine's apt is configured with. */
async function privateLists(architecture: PackageArchitecture, renew: boolean, report: Report): Promise<AptOptions> {
  const root = join(cacheFolder(), 'apt', architecture);
  const options = [
    '-o',
    `APT::Architecture=${architecture}`,
    '-o',
    `APT::Architectures::=${architecture}`,
    '-o',
    `Dir::State::lists=${join(root, 'lists')}`,
    '-o',
    `Dir::State::status=${join(root, 'status')}`,
    '-o',
    `Dir::Cache=${join(root, 'cache')}`,
    '-o',
    'Dir::Etc::sourcelist=/dev/null',
    '-o',
    `Dir::Etc::sourceparts=${join(root, 'sources')}`,
    '-o',
    'Acquire::Languages=none',
  ];
  const lists = join(root, 'lists');
  const updated = (await readdir(lists).catch(() => [])).some((file) => file.includes('_Packages'));
  if (updated && !renew) return options;

  const sources = await baseSuites();
  if (sources.length === 0) {
    throw new BulkheadError('BH612', 'apt on this machine has no package sources configured', {
      hint: 'Configure a Debian mirror in /etc/apt, or give files of your own in `kernel:` and `initrd:`.',
    });
  }
  report('lists', `package lists for ${architecture}`);
  for (const folder of [join(lists, 'partial'), join(root, 'cache/archives/partial'), join(root, 'sources')])
    await mkdir(folder, { recursive: true });
  await writeFile(join(root, 'status'), '');
  await writeFile(join(root, 'sources/base.list'), `${sources.join('\n')}\n`);
  const result = await run('apt-get', [...options, ...asOurselves(), '-q', 'update']);
  const complete = (await readdir(lists)).some((file) => file.includes('_Packages'));
  if (!complete) {
    throw new BulkheadError('BH612', `the package lists for ${architecture} cannot be fetched: ${lastLine(result.output)}`, {
      hint: 'Connect the machine to its Debian mirror for the first run, or give files of your own in `kernel:` and `initrd:`.',
    });
  }
  return options;
}

/** One line for sources.list per base suite of Debian (no updates, security or backports) that apt is configured with. */
async function baseSuites(): Promise<string[]> {
  const result = await run('apt-get', [
    'indextargets',
    '--format',
    '$(ORIGIN)|$(REPO_URI)|$(RELEASE)',
    'Created-By: Packages',
    'Component: main',
  ]);
  const signedBy = (await exists(DEBIAN_KEYS)) ? `[signed-by=${DEBIAN_KEYS}] ` : '';
  const lines = result.output.split('\n').flatMap((line) => {
    const [origin, uri = '', release = ''] = line.split('|');
    // The origin is known only where lists were fetched before; the path is the convention of all mirrors.
    const debian = origin === 'Debian' || /\/debian\/?$/.test(uri);
    return debian && /^[a-z]+$/.test(release) ? [`deb ${signedBy}${uri} ${release} main`] : [];
  });
  return [...new Set(lines)];
}

async function download(candidate: Candidate, options: AptOptions, folder: string, report: (bytes: number) => void): Promise<string> {
  const downloaded = async (): Promise<string | undefined> => (await readdir(folder)).find((file) => file.endsWith('.deb'));
  report(0);
  const poll = setInterval(async () => {
    const file = await downloaded().catch(() => undefined);
    const size = file === undefined ? undefined : await stat(join(folder, file)).catch(() => undefined);
    if (size !== undefined) report(size.size);
  }, DOWNLOAD_POLL_MS);
  try {
    const result = await run('apt-get', [...options, ...asOurselves(), '-q', 'download', `${candidate.name}=${candidate.version}`], folder);
    const file = await downloaded();
    if (result.ok && file !== undefined) return join(folder, file);
    throw new BulkheadError(
      'BH612',
      `the package ${candidate.name} ${candidate.version} cannot be downloaded: ${lastLine(result.output)}`,
      {
        hint: `Run \`apt-get update\` (the lists may be old) or connect the machine to its Debian mirror. ${otherwise(candidate.name)}`,
      },
    );
  } finally {
    clearInterval(poll);
  }
}

async function unpack(archive: string, target: string, name: string): Promise<void> {
  const result = await run('dpkg-deb', ['-x', archive, target]);
  if (!result.ok) {
    throw new BulkheadError('BH613', `the package ${name} cannot be unpacked: ${lastLine(result.output)}`, {
      hint: 'Check the free space of the cache folder; BULKHEAD_CACHE puts it elsewhere.',
    });
  }
}

/** As root, apt would download as the user _apt, who may not write into our folders. */
function asOurselves(): readonly string[] {
  return process.getuid?.() === 0 ? ['-o', 'APT::Sandbox::User=root'] : [];
}

/** What to give by hand in place of a package. */
function otherwise(name: string): string {
  if (name.startsWith('linux-image-'))
    return 'Give a Linux kernel of your own (bzImage or vmlinux, for example /boot/vmlinuz) in `kernel:`.';
  if (name.startsWith('busybox')) return 'Give an initramfs of your own (a cpio archive, it may be compressed) in `initrd:`.';
  if (name.startsWith('memtest86')) return 'Give a memtest86+ 6 image (memtest86+ia32.bin or memtest86+x64.bin) in `kernel:`.';
  return 'Give files of your own in `kernel:` and `initrd:`.';
}

interface CommandResult {
  readonly ok: boolean;
  /** Standard output, or standard error where that failed. */
  readonly output: string;
}

function run(command: string, argumentList: readonly string[], cwd?: string): Promise<CommandResult> {
  return new Promise((done) => {
    const settings = { cwd, timeout: COMMAND_TIMEOUT_MS, maxBuffer: OUTPUT_MAX, env: { ...process.env, LC_ALL: 'C.UTF-8' } };
    execFile(command, argumentList, settings, (error, stdout, stderr) => {
      done({ ok: error === null, output: error === null ? stdout : stderr || error.message });
    });
  });
}

function lastLine(text: string): string {
  return text.trim().split('\n').at(-1)?.trim() ?? '';
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
