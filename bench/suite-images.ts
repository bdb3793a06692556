/** Builds the guest suite from bench/suite with the host's gcc: programs, bare-metal image and initramfs, in the cache. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type CpioEntry, writeCpio } from '../src/boot/index.ts';
import { cacheFolder } from '../src/host/node/cache.ts';
import { packageFile } from '../src/host/node/packages.ts';
import { outputOf } from './report.ts';

const SUITE = join(import.meta.dirname, 'suite');
const COMMON = ['-O2', '-fno-tree-vectorize', '-fno-strict-aliasing', '-Wall', '-Wextra'];
const I386 = [...COMMON, '-m32', '-march=i686'];
const BARE = ['-mfpmath=387', '-ffreestanding', '-fno-pic', '-fno-stack-protector', '-fno-asynchronous-unwind-tables', '-nostdlib', '-static', '-no-pie'];

export interface SuiteImages {
  readonly native64: string;
  readonly native32: string;
  readonly native32Sse2: string;
  readonly bare: string;
  readonly initrd64: string;
  readonly initrd32: string;
  readonly busybox64: string;
  readonly busybox32: string;
  readonly text: string;
}

/** Debian packages that the suite and its peers come from. */
const NEEDED = ['gcc', 'gcc-multilib', 'qemu-system-x86'];

function requirePackages(): void {
  if (outputOf('dpkg-query', '--version') === undefined) return; // gcc and the shell will say it
  const missing = NEEDED.filter((name) => outputOf('dpkg-query', '-s', name)?.includes('install ok installed') !== true);
  if (missing.length > 0) throw new Error(`not installed: ${missing.join(', ')}. apt-get install ${missing.join(' ')}`);
}

/** Throws, with what gcc said, when it cannot be built, and says which packages are missing; BH610 to BH615 when a package cannot be had. */
export async function buildSuite(rounds: number): Promise<SuiteImages> {
  requirePackages();
  const folder = join(cacheFolder(), 'bench');
  mkdirSync(folder, { recursive: true });
  const compile = (name: string, ...args: string[]): string => {
    const output = join(folder, name);
    run('gcc', ...args, '-o', output);
    return output;
  };
  const sources = [join(SUITE, 'bench.c'), join(SUITE, 'kernels.c')];
  const native64 = compile('bench64', ...COMMON, '-m64', '-static', '-s', ...sources);
  const native32 = compile('bench32', ...I386, '-mfpmath=387', '-static', '-s', ...sources);
  const native32Sse2 = compile('bench32-sse2', ...I386, '-msse2', '-mfpmath=sse', '-static', '-s', ...sources);
  const bare = compile(
    'bare.elf', ...I386, ...BARE, `-DROUNDS=${rounds}`, `-Wl,-T,${join(SUITE, 'bare/link.ld')}`, '-Wl,--build-id=none', '-Wl,-z,noexecstack',
    '-Wl,--no-warn-rwx-segments', join(SUITE, 'bare/start.S'), join(SUITE, 'bare/main.c'), join(SUITE, 'kernels.c'), '-lgcc',
  );
  const busybox64 = await packageFile('busybox-static', 'amd64', '{bin,usr/bin}/busybox');
  const busybox32 = await packageFile('busybox-static', 'i386', '{bin,usr/bin}/busybox');
  const text = join(folder, 'text');
  writeFileSync(text, run(busybox64, 'awk', '-f', join(SUITE, 'mktext.awk')));
  const archive = (name: string, programs: Readonly<Record<string, string>>): string => {
    const path = join(folder, name);
    writeFileSync(path, writeCpio(entries(programs, text)));
    return path;
  };
  return {
    native64, native32, native32Sse2, bare, busybox64, busybox32, text,
    initrd64: archive('initrd64.cpio', { busybox: busybox64, bench: native64 }),
    initrd32: archive('initrd32.cpio', { busybox: busybox32, bench: native32, 'bench-sse2': native32Sse2 }),
  };
}

function entries(programs: Readonly<Record<string, string>>, text: string): CpioEntry[] {
  const file = (path: string, from: string, permissions: number): CpioEntry => ({ kind: 'file', path, permissions, data: readFileSync(from) });
  return [
    ...['bin', 'dev', 'proc', 'sys', 'tmp', 'share'].map((path): CpioEntry => ({ kind: 'directory', path, permissions: 0o755 })),
    { kind: 'character', path: 'dev/console', permissions: 0o600, major: 5, minor: 1 },
    { kind: 'character', path: 'dev/null', permissions: 0o666, major: 1, minor: 3 },
    ...Object.entries(programs).map(([name, from]) => file(`bin/${name}`, from, 0o755)),
    file('share/words.awk', join(SUITE, 'words.awk'), 0o644),
    file('share/loop.sh', join(SUITE, 'loop.sh'), 0o644),
    file('share/text', text, 0o644),
    file('init', join(SUITE, 'init'), 0o755),
  ];
}

function run(program: string, ...args: string[]): Buffer {
  const { status, stdout, stderr, error } = spawnSync(program, args, { maxBuffer: 1 << 26 });
  if (error !== undefined || status !== 0) throw new Error(`${program} ${args.join(' ')}: ${error?.message ?? stderr.toString()}`);
  return stdout;
}
