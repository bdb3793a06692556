/** Real programs as loads for a guest: which Debian packages make the root file system, and which script runs in it. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { MiB } from '../../src/base/index.ts';
import type { CpioEntry } from '../../src/boot/index.ts';
import {
  type PackageArchitecture,
  packageSource,
  packagesWithDependencies,
  type ProgressListener,
  type UnpackedPackage,
} from '../../src/host/node/packages.ts';
import { folderEntries, type RootImages, rootFileSystem, rootImages } from '../../src/host/node/root-file-system.ts';

const SCRIPTS = join(import.meta.dirname, '../../guests/linux/software');
/** What every root file system starts from: a shell, its tools, and the program that sets the guest up. */
const FOUNDATION = ['busybox-static', 'coreutils', 'dash', 'diffutils', 'findutils', 'grep', 'sed'];

/** rt-tests has a program in it that the loads do not use. */
const PYTHON = ['usr/lib/python3', 'usr/lib/python3.11'];

const GCC = ['gcc', 'libc6-dev'];

export interface Load {
  readonly name: string;
  /** For people. */
  readonly what: string;
  /** Beside the foundation; with their dependencies. */
  readonly packages: readonly string[];
  /** A file of guests/linux/software/, given to `sh`. */
  readonly script: string;
  /** What tells whether the output is right: the same load on the host, or what the load checks itself. */
  readonly oracle: 'native' | 'itself';
  /** For a load that is its own oracle: what is worth knowing of its output. */
  readonly summary?: (lines: readonly string[]) => string;
  /** RAM of the guest, in bytes: the file system lies in it twice while it starts. */
  readonly memory: number;
  /** Folders of the packages to leave out. */
  readonly without?: readonly string[];
  /** Further files, from wherever they come. */
  readonly files?: (packages: readonly UnpackedPackage[]) => Promise<readonly CpioEntry[]>;
}

export interface PreparedLoad extends RootImages {
  readonly load: Load;
  readonly architecture: PackageArchitecture;
  /** `name version` of every package in it. */
  readonly packages: readonly string[];
}

const script = (name: string): Buffer => readFileSync(join(SCRIPTS, name));
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
    ...((await load.files?.(packages)) ?? []),
  ];
  const without = load.without === undefined ? {} : { without: load.without };
  const images = await rootImages(`software-${load.name}-${architecture}`, { packages, additions, ...without });
  return { load, architecture, packages: packages.map(({ name, version }) => `${name} ${version}`), ...images };
}

/** Sources lie in the root file system as they were published; a load copies what it changes. */
async function sources(name: string, path: string, wanted: (path: string) => boolean): Promise<CpioEntry[]> {
  return folderEntries(await packageSource(name), path, wanted);
}

/** Lines of a file of guests/linux/software/. */
const lines = (name: string): string[] => script(name).toString().trimEnd().split('\n');

/** Perl's tests, and those among them to run. */
async function perlTests(list: readonly string[], packages: readonly UnpackedPackage[]): Promise<CpioEntry[]> {
  const tests = new Set(list.map((path) => `t/${path}`));
  return [
    file('software/perl.sh', script('perl.sh')),
    file('software/perl-tests.pl', script('perl-tests.pl')),
    file('software/perl-tests', `${list.join('\n')}\n`),
    ...(await sources('perl', 'software/perl', (path) => /^t(\/lib\/|\/[^/]*$|\/.*(?<!\.t)$|$)/.test(path) || tests.has(path))),
    ...(await perlModules(packages)),
  ];
}

/** The tests want all modules in one folder, where Debian has three: links to where they are. */
async function perlModules(packages: readonly UnpackedPackage[]): Promise<CpioEntry[]> {
  const links = new Map<string, CpioEntry>();
  for (const { path, kind } of await rootFileSystem({ packages: packages.filter(({ name }) => name.includes('perl')) })) {
    const module = /^usr\/(?:share\/perl|lib\/[^/]+\/perl)(?:\/5[.\d]+|-base)\/(.+)$/.exec(path)?.[1];
    if (module === undefined || kind !== 'file' || links.has(module)) continue;
    links.set(module, { kind: 'symlink', path: `software/perl/lib/${module}`, permissions: 0o777, target: `/${path}` });
  }
  return [...links.values()];
}

/** Perl's tests are an hour's work in a guest: in parts, none of which is so long that losing one hurts. */
const PERL_PARTS = 4;

function perlLoad(part: number): Load {
  const tests = lines('perl-tests');
  const first = (n: number): number => Math.round((tests.length * n) / PERL_PARTS);
  return {
    name: `perl-${part + 1}`,
    what: `perl's own tests, part ${part + 1} of ${PERL_PARTS}`,
    packages: ['perl'],
    script: 'perl.sh',
    memory: 512 * MiB,
    oracle: 'native',
    files: (packages) => perlTests(tests.slice(first(part), first(part + 1)), packages),
  };
}

/** Python's tests are many hours' work; these two have what exercises a processor, each from the list of its name. */
function pythonLoad(name: string, what: string): Load {
  return {
    name,
    what,
    packages: ['python3.11', 'libpython3.11-testsuite'],
    script: 'python.sh',
    memory: 768 * MiB,
    oracle: 'native',
    files: async () => [file('software/python-tests.py', script('python-tests.py')), file('software/python-tests', script(name))],
  };
}

export const LOADS: readonly Load[] = [
  {
    name: 'openssl',
    what: 'every digest and cipher, key derivation, signatures, TLS over loopback',
    packages: ['openssl'],
    script: 'openssl.sh',
    memory: 256 * MiB,
    oracle: 'native',
  },
  ...Array.from({ length: PERL_PARTS }, (_, part) => perlLoad(part)),
  {
    name: 'slice',
    what: 'a little of OpenSSL and of perl',
    packages: ['openssl', 'perl'],
    script: 'slice.sh',
    memory: 512 * MiB,
    oracle: 'native',
    files: (packages) => perlTests(lines('perl-slice'), packages),
  },
  pythonLoad('python-numbers', "Python's own tests of numbers, their text, foreign functions"),
  pythonLoad('python-system', "Python's own tests of threads, signals, files, containers"),
  {
    name: 'gcc',
    what: 'GCC compiles and links bzip2, which then passes its own tests',
    packages: GCC,
    script: 'gcc.sh',
    memory: 1024 * MiB,
    oracle: 'native',
    files: () => sources('bzip2', 'software/bzip2', (path) => /^[^/]*\.([ch]|ref|bz2)$/.test(path)),
  },
  {
    name: 'gcc-lua',
    what: 'GCC compiles and links Lua, which then runs',
    packages: GCC,
    script: 'gcc-lua.sh',
    memory: 1024 * MiB,
    oracle: 'native',
    files: async () => [
      file('software/check.lua', script('check.lua')),
      ...(await sources('lua5.4', 'software/lua', (path) => /^src\/.*\.[ch]$/.test(path))).map((entry) => ({
        ...entry,
        path: entry.path.replace('lua/src/', 'lua/'),
      })),
    ],
  },
  {
    name: 'hackbench',
    what: 'hackbench: processes and threads, sockets and pipes',
    packages: ['rt-tests'],
    without: PYTHON,
    script: 'hackbench.sh',
    memory: 256 * MiB,
    oracle: 'native',
  },
  {
    name: 'cyclictest',
    what: 'cyclictest, alone and beside hackbench',
    packages: ['rt-tests'],
    without: PYTHON,
    script: 'cyclictest.sh',
    memory: 256 * MiB,
    oracle: 'itself',
    summary: (lines) => {
      const figures = lines.flatMap((line) => /Avg: *\d+ Max: *\d+/.exec(line)?.[0].replaceAll(/: +/g, ' ') ?? []);
      return `latency in µs, each vCPU alone and under load: ${figures.join('; ')}`;
    },
  },
  {
    name: 'mixed',
    what: 'processes, threads, signals, pipes, sockets, files, arithmetic, encryption, timers, for ten minutes',
    packages: ['gzip', 'openssl', 'perl-base', 'rt-tests'],
    without: PYTHON,
    script: 'mixed.sh',
    memory: 256 * MiB,
    oracle: 'itself',
    summary: (lines) => `${lines[0]?.split(' ').slice(1, 2).join('')}: ${lines.at(-1)}, all alike, nothing in the log`,
    files: async () => [file('software/seconds', '600\n')],
  },
];

export function loadNamed(name: string): Load {
  const load = LOADS.find((each) => each.name === name);
  if (load === undefined) throw new Error(`there is no load ${name}: ${LOADS.map((each) => each.name).join(', ')}`);
  return load;
}
