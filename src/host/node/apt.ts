/**
 * The machine's own apt and dpkg as a source of packages that are not installed: look-ups, downloads, unpacking. Nothing here needs root.
 *
 * Packages for the machine's own architecture are looked up in the lists it has. For another architecture or suite, or where the lists
 * lack the package, a private set of lists is kept in the cache: only the base suite, because updates of old architectures may be
 * incomplete.
 */
import { execFile } from 'node:child_process';
import { mkdir, readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BulkheadError } from '../../base/index.ts';
import { cacheFolder } from './cache.ts';

export type PackageArchitecture = 'amd64' | 'i386';

/** A package that apt can download. */
export interface Candidate {
  readonly name: string;
  readonly version: string;
  /** Of the archive; 0 where the lists do not say. */
  readonly size: number;
}

/** A name as apt takes it, `name` or `name/suite`, in its parts. */
export interface PackageRequest {
  readonly name: string;
  /** Absent: the base suite that the machine is configured with. */
  readonly suite?: string;
}

/** Options that point apt at its lists: the machine's, or a private set. */
export type AptOptions = readonly string[];

export const MACHINE_LISTS: AptOptions = [];

const DEBIAN_KEYS = '/usr/share/keyrings/debian-archive-keyring.gpg';
const DOWNLOAD_POLL_MS = 250;
/** A slow mirror may take its time, but not for ever. */
const COMMAND_TIMEOUT_MS = 30 * 60_000;
const OUTPUT_MAX = 16 * 1024 * 1024;

export function parseRequest(text: string): PackageRequest {
  const [name = '', suite] = text.split('/');
  return suite === undefined ? { name } : { name, suite };
}

/** The machine's own architecture. Throws BH610, naming `wanted`, where there is no apt. */
export async function nativeArchitecture(wanted: string): Promise<string> {
  for (const tool of ['apt-get', 'apt-cache', 'dpkg-deb']) {
    const result = await run(tool, ['--version']);
    if (!result.ok) {
      throw new BulkheadError('BH610', `${tool} is not available here, so the package ${wanted} cannot be fetched`, {
        hint: otherwise(wanted),
      });
    }
  }
  return (await run('dpkg', ['--print-architecture'])).output.trim();
}

/** The package, or the kernel that a kernel meta package depends on; undefined when the lists have no such package. */
export async function findPackage({ name, suite }: PackageRequest, options: AptOptions): Promise<Candidate | undefined> {
  const meta = await show(suite === undefined ? name : `${name}/${suite}`, options);
  if (meta === undefined) return undefined;
  if (!name.startsWith('linux-image-')) return toCandidate(meta);
  const kernel = /(?:^|[\s,])(linux-image-\d[^\s,(|]*)/.exec(meta.get('Depends') ?? '')?.[1];
  if (kernel === undefined) return toCandidate(meta);
  // Signed and unsigned packages hold the same kernel; the signed one may lag behind.
  const real = (await show(kernel, options)) ?? (await show(`${kernel}-unsigned`, options));
  return real === undefined ? undefined : toCandidate(real);
}

/**
 * `names` and everything they depend on, as apt would install them on a machine that has nothing: without what is only recommended.
 * Sorted by name. Undefined when the lists lack one of them, or they do not go together.
 */
export async function findWithDependencies(names: readonly string[], options: AptOptions): Promise<Candidate[] | undefined> {
  const result = await run('apt-get', [...options, '-q', '--simulate', '--no-install-recommends', 'install', ...names]);
  if (!result.ok) return undefined;
  const candidates = result.output.split('\n').flatMap((line): Candidate[] => {
    const [, name, version] = /^Inst (\S+) \((\S+) /.exec(line) ?? [];
    return name === undefined || version === undefined ? [] : [{ name, version, size: 0 }];
  });
  return candidates.sort((a, b) => (a.name < b.name ? -1 : 1));
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

export interface PrivateLists {
  readonly architecture: PackageArchitecture;
  /** A suite of the same mirror to look into beside the base suite: `bookworm-backports`. */
  readonly suite?: string | undefined;
  /** Fetch them again although they are there. */
  readonly renew?: boolean;
  /** Called before lists are fetched, which takes a while. */
  readonly fetching: (what: string) => void;
}

/** Package lists of our own, made from the sources that the machine's apt is configured with. Throws BH612. */
export async function privateLists({ architecture, suite, renew = false, fetching }: PrivateLists): Promise<AptOptions> {
  const name = suite === undefined ? architecture : `${architecture}-${suite}`;
  const sources = (): Promise<string[]> => baseSuites('deb', suite);
  return listsOf({ name, architecture, kind: 'Packages', sources, renew, fetching });
}

/** Lists of source packages. Throws BH612. */
export async function sourceLists(fetching: PrivateLists['fetching']): Promise<AptOptions> {
  const sources = (): Promise<string[]> => baseSuites('deb-src', undefined);
  return listsOf({ name: 'source', architecture: 'amd64', kind: 'Sources', sources, renew: false, fetching });
}

interface Lists extends Required<Pick<PrivateLists, 'architecture' | 'renew' | 'fetching'>> {
  readonly name: string;
  readonly kind: 'Packages' | 'Sources';
  readonly sources: () => Promise<string[]>;
}

async function listsOf({ name, architecture, kind, sources, renew, fetching }: Lists): Promise<AptOptions> {
  const root = join(cacheFolder(), 'apt', name);
  const lists = join(root, 'lists');
  const settings = [
    `APT::Architecture=${architecture}`,
    `APT::Architectures::=${architecture}`,
    `Dir::State::lists=${lists}`,
    `Dir::State::status=${join(root, 'status')}`,
    `Dir::Cache=${join(root, 'cache')}`,
    'Dir::Etc::sourcelist=/dev/null',
    `Dir::Etc::sourceparts=${join(root, 'sources')}`,
    'Acquire::Languages=none',
  ];
  const options = settings.flatMap((setting) => ['-o', setting]);
  const complete = async (): Promise<boolean> => (await readdir(lists).catch(() => [])).some((file) => file.includes(`_${kind}`));
  if ((await complete()) && !renew) return options;

  const lines = await sources();
  if (lines.length === 0) {
    throw new BulkheadError('BH612', 'apt on this machine has no package sources configured', {
      hint: 'Configure a Debian mirror in /etc/apt, or give files of your own in `kernel:` and `initrd:`.',
    });
  }
  fetching(`package lists for ${name}`);
  for (const folder of [join(lists, 'partial'), join(root, 'cache/archives/partial'), join(root, 'sources')])
    await mkdir(folder, { recursive: true });
  await writeFile(join(root, 'status'), '');
  await writeFile(join(root, 'sources/base.list'), `${lines.join('\n')}\n`);
  const result = await run('apt-get', [...options, ...asOurselves(), '-q', 'update']);
  if (!(await complete())) {
    throw new BulkheadError('BH612', `the package lists for ${name} cannot be fetched: ${lastLine(result.output)}`, {
      hint: 'Connect the machine to its Debian mirror for the first run, or give files of your own in `kernel:` and `initrd:`.',
    });
  }
  return options;
}

/** Lines for sources.list: each base suite of Debian (no updates or security) that apt is configured with, and `suite` beside it. */
async function baseSuites(type: 'deb' | 'deb-src', suite: string | undefined): Promise<string[]> {
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
    if (!debian || !/^[a-z]+$/.test(release)) return [];
    return [release, ...(suite === undefined ? [] : [suite])].map((each) => `${type} ${signedBy}${uri} ${each} main`);
  });
  return [...new Set(lines)];
}

/** Downloads into `folder`, with the bytes so far to `report`. Returns the archives' paths, sorted. Throws BH612. */
export async function download(
  candidates: readonly Candidate[],
  options: AptOptions,
  folder: string,
  report: (bytes: number) => void,
): Promise<string[]> {
  const downloaded = async (): Promise<string[]> => (await readdir(folder)).filter((file) => file.endsWith('.deb')).sort();
  report(0);
  const poll = setInterval(async () => {
    const files = await downloaded().catch(() => []);
    const sizes = await Promise.all(files.map((file) => stat(join(folder, file)).then((one) => one.size, () => 0)));
    if (files.length > 0) report(sizes.reduce((sum, size) => sum + size, 0));
  }, DOWNLOAD_POLL_MS);
  try {
    const requests = candidates.map(({ name, version }) => `${name}=${version}`);
    const result = await run('apt-get', [...options, ...asOurselves(), '-q', 'download', ...requests], folder);
    const files = await downloaded();
    if (result.ok && files.length === candidates.length) return files.map((file) => join(folder, file));
    const [first] = candidates;
    const what = candidates.length === 1 ? `package ${first?.name} ${first?.version}` : `${candidates.length} packages`;
    throw new BulkheadError('BH612', `the ${what} cannot be downloaded: ${lastLine(result.output)}`, {
      hint: `Run \`apt-get update\` (the lists may be old) or connect the machine to its Debian mirror. ${otherwise(first?.name ?? '')}`,
    });
  } finally {
    clearInterval(poll);
  }
}

/** Downloads the archives of a source package as its authors published them. Returns their paths. Throws BH612. */
export async function downloadSource(name: string, options: AptOptions, folder: string): Promise<string[]> {
  const result = await run('apt-get', [...options, ...asOurselves(), '-q', 'source', '--download-only', name], folder);
  const archives = (await readdir(folder)).filter((file) => file.includes('.orig.tar.') && !file.endsWith('.asc')).sort();
  if (result.ok && archives.length > 0) return archives.map((file) => join(folder, file));
  throw new BulkheadError('BH612', `the sources of ${name} cannot be downloaded: ${lastLine(result.output)}`, {
    hint: 'Connect the machine to its Debian mirror, or do without.',
  });
}

/** Leaves out the one folder that everything in a source archive lies in. Throws BH613. */
export async function unpackTar(archive: string, target: string, name: string): Promise<void> {
  const result = await run('tar', ['-xf', archive, '-C', target, '--strip-components=1']);
  if (!result.ok) throw unpackingFailed(name, result);
}

/** Throws BH613. */
export async function unpack(archive: string, target: string, name: string): Promise<void> {
  const result = await run('dpkg-deb', ['-x', archive, target]);
  if (!result.ok) throw unpackingFailed(name, result);
}

function unpackingFailed(name: string, { output }: CommandResult): BulkheadError {
  return new BulkheadError('BH613', `the package ${name} cannot be unpacked: ${lastLine(output)}`, {
    hint: 'Check the free space of the cache folder; BULKHEAD_CACHE puts it elsewhere.',
  });
}

/** As root, apt would download as the user _apt, who may not write into our folders. */
function asOurselves(): readonly string[] {
  return process.getuid?.() === 0 ? ['-o', 'APT::Sandbox::User=root'] : [];
}

/** What to give by hand in place of a package. */
export function otherwise(name: string): string {
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

export async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
