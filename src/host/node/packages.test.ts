import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type PackageProgress, packageFile, packageSource, packagesWithDependencies } from './packages.ts';

/** A folder with programs that play apt and dpkg: `records` is what the lists say, `calls` what was asked of them. */
let root: string;
const saved = { PATH: process.env['PATH'], BULKHEAD_CACHE: process.env['BULKHEAD_CACHE'] };

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'bulkhead-packages-'));
  mkdirSync(join(root, 'bin'));
  process.env['PATH'] = `${join(root, 'bin')}:/usr/bin:/bin`;
  process.env['BULKHEAD_CACHE'] = join(root, 'cache');
  program('dpkg', 'echo amd64');
  program('dpkg-deb', 'test "$1" = --version && exit; mkdir -p "$3/boot" && cp "$2" "$3/boot/vmlinuz-1"');
  program(
    'apt-get',
    `
    echo "apt-get $*" >> ${root}/calls
    for last; do :; done
    case "$*" in
      --version) ;;
      indextargets*) echo 'Debian|http://mirror.invalid/debian|stable'; echo 'Debian|http://mirror.invalid/debian|stable-updates' ;;
      *update) case "$*" in *apt/source/*) touch ${root}/cache/apt/source/lists/x_Sources; exit ;; esac
        test -e ${root}/offline && { echo 'E: no network' >&2; exit 100; }
        for option; do case $option in Dir::State::lists=*) touch "\${option#*=}/x_Packages" ;; esac; done ;;
      *'--simulate'*) cat ${root}/simulation 2>/dev/null || exit 100 ;;
      *'source --download-only'*) mkdir -p tool-1 && echo text > tool-1/main.c && tar -cf tool_1.orig.tar.gz tool-1 ;;
      *download*' liba=1 libb=2') for name in libb liba; do echo $name > "$name"_1_amd64.deb; done ;;
      *download*) test -e ${root}/offline && { echo 'E: no network' >&2; exit 100; }; echo kernel > "\${last%%=*}.deb" ;;
    esac`,
  );
  program(
    'apt-cache',
    `
    test "$1" = --version && exit
    for last; do :; done
    cat "${root}/records/$last" 2>/dev/null || exit 100`,
  );
  mkdirSync(join(root, 'records'));
});

afterEach(() => {
  for (const [name, value] of Object.entries(saved)) {
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  }
  rmSync(root, { recursive: true, force: true });
});

function program(name: string, script: string): void {
  const path = join(root, 'bin', name);
  writeFileSync(path, `#!/bin/sh\n${script}\n`);
  chmodSync(path, 0o755);
}

function record(name: string, fields = ''): void {
  writeFileSync(join(root, 'records', name), `Package: ${name}\nVersion: 1:2.0-1\nSize: 7\n${fields}`);
}

const calls = (): string => readFileSync(join(root, 'calls'), 'utf8');

describe('packageFile', () => {
  it('follows a kernel meta package, downloads and unpacks the kernel, and tells how it goes', async () => {
    record('linux-image-amd64', 'Depends: linux-image-6.1.0-1-amd64 (= 2.0)\n');
    record('linux-image-6.1.0-1-amd64');
    const steps: PackageProgress[] = [];
    const path = await packageFile('linux-image-amd64', 'amd64', 'boot/vmlinuz-*', (progress) => steps.push(progress));
    expect(path).toBe(join(root, 'cache/packages/amd64/linux-image-6.1.0-1-amd64_1_2.0-1/boot/vmlinuz-1'));
    expect(readFileSync(path, 'utf8')).toBe('kernel\n');
    expect(calls()).toContain('download linux-image-6.1.0-1-amd64=1:2.0-1');
    expect([...new Set(steps.map(({ step }) => step))]).toEqual(['download', 'unpack', 'ready']);
    expect(steps[0]).toMatchObject({ package: 'linux-image-amd64', detail: 'linux-image-6.1.0-1-amd64 1:2.0-1', totalBytes: 7 });
  });

  it('needs neither apt nor a network the second time', async () => {
    record('busybox-static');
    const first = await packageFile('busybox-static', 'amd64', 'boot/*');
    process.env['PATH'] = '/nonexistent';
    expect(await packageFile('busybox-static', 'amd64', 'boot/*')).toBe(first);
  });

  it('takes the unsigned kernel where there is no signed one', async () => {
    record('linux-image-amd64', 'Depends: linux-image-6.1.0-1-amd64\n');
    record('linux-image-6.1.0-1-amd64-unsigned');
    expect(await packageFile('linux-image-amd64', 'amd64', 'boot/vmlinuz-*')).toContain('/linux-image-6.1.0-1-amd64-unsigned_');
  });

  it('keeps lists of its own for another architecture, of the base suite only', async () => {
    record('busybox-static');
    await packageFile('busybox-static', 'i386', 'boot/*');
    const sources = readFileSync(join(root, 'cache/apt/i386/sources/base.list'), 'utf8');
    expect(sources).toMatch(/^deb .*http:\/\/mirror\.invalid\/debian stable main\n$/);
    expect(calls()).toMatch(/-o APT::Architecture=i386 .*update\n/);
  });

  it('says what to give by hand where there is no apt', async () => {
    process.env['PATH'] = '/nonexistent';
    await expect(packageFile('linux-image-amd64', 'amd64', 'boot/*')).rejects.toMatchObject({
      code: 'BH610',
      hint: expect.stringContaining('`kernel:`'),
    });
    await expect(packageFile('busybox-static', 'amd64', 'bin/*')).rejects.toMatchObject({
      code: 'BH610',
      hint: expect.stringContaining('`initrd:`'),
    });
  });

  it('reports a package that no list knows', async () => {
    await expect(packageFile('nonsense', 'amd64', '*')).rejects.toMatchObject({
      code: 'BH611',
      message: expect.stringContaining('nonsense for amd64'),
    });
  });

  it('reports a missing network with what apt said', async () => {
    writeFileSync(join(root, 'offline'), '');
    record('busybox-static');
    await expect(packageFile('busybox-static', 'i386', '*')).rejects.toMatchObject({
      code: 'BH612',
      message: expect.stringContaining('E: no network'),
    });
  });

  it('reports a file that the package does not have', async () => {
    record('busybox-static');
    await expect(packageFile('busybox-static', 'amd64', 'bin/busybox')).rejects.toMatchObject({ code: 'BH614' });
  });

  it('leaves nothing half-done behind when unpacking fails', async () => {
    record('busybox-static');
    program('dpkg-deb', 'test "$1" = --version && exit; mkdir -p "$3"; echo "no space" >&2; exit 2');
    await expect(packageFile('busybox-static', 'amd64', '*')).rejects.toMatchObject({
      code: 'BH613',
      message: expect.stringContaining('no space'),
    });
    program('dpkg-deb', 'test "$1" = --version && exit; mkdir -p "$3/bin" && cp "$2" "$3/bin/busybox"');
    expect(await packageFile('busybox-static', 'amd64', 'bin/busybox')).toContain('/bin/busybox');
  });

  it('reports a cache that cannot be written', async () => {
    record('busybox-static');
    process.env['BULKHEAD_CACHE'] = join(root, 'bin/dpkg/cache'); // below a file
    await expect(packageFile('busybox-static', 'amd64', '*')).rejects.toMatchObject({
      code: 'BH615',
      hint: expect.stringContaining('BULKHEAD_CACHE'),
    });
  });
});

describe('a package of another suite', () => {
  it('is looked up in lists of both suites, and asked for as apt has it', async () => {
    mkdirSync(join(root, 'records/linux-image-amd64'), { recursive: true });
    record('linux-image-amd64/stable-backports', 'Depends: linux-image-6.12-amd64 (= 1)\n');
    record('linux-image-6.12-amd64');
    const path = await packageFile('linux-image-amd64/stable-backports', 'amd64', 'boot/vmlinuz-*');
    expect(path).toContain('/linux-image-6.12-amd64_');
    const sources = readFileSync(join(root, 'cache/apt/amd64-stable-backports/sources/base.list'), 'utf8');
    expect(sources.match(/ stable(-backports)? main$/gm)).toEqual([' stable main', ' stable-backports main']);
  });
});

describe('packagesWithDependencies', () => {
  it('has everything that apt would install where nothing is, each unpacked, sorted by name', async () => {
    writeFileSync(join(root, 'simulation'), 'NOTE: only simulated\nInst libb (2 Debian:12/stable [amd64])\nInst liba (1 Debian:12/stable [all])\nConf liba (1)\n');
    program('dpkg-deb', 'test "$1" = --version && exit; mkdir -p "$3" && cp "$2" "$3/file"');
    const packages = await packagesWithDependencies(['libb'], 'amd64');
    expect(packages.map(({ name, version }) => `${name} ${version}`)).toEqual(['liba 1', 'libb 2']);
    expect(packages.map(({ name, folder }) => readFileSync(join(folder, 'file'), 'utf8') === `${name}\n`)).toEqual([true, true]);
    // Packages of the machine itself do not count.
    expect(calls()).toMatch(/-o Dir::State::status=\S+ .*--simulate --no-install-recommends install libb/);
  });

  it('needs neither apt nor a network the second time', async () => {
    writeFileSync(join(root, 'simulation'), 'Inst liba (1 Debian:12/stable [all])\n');
    const first = await packagesWithDependencies(['liba'], 'amd64');
    process.env['PATH'] = '/nonexistent';
    expect(await packagesWithDependencies(['liba'], 'amd64')).toEqual(first);
  });

  it('reports packages that the lists do not have', async () => {
    await expect(packagesWithDependencies(['nonsense'], 'i386')).rejects.toMatchObject({ code: 'BH611' });
  });
});

describe('packageSource', () => {
  it('is the folder that the sources unpack to', async () => {
    const folder = await packageSource('tool');
    expect(readFileSync(join(folder, 'main.c'), 'utf8')).toBe('text\n');
    expect(readFileSync(join(root, 'cache/apt/source/sources/base.list'), 'utf8')).toMatch(/^deb-src .* stable main\n$/);
  });
});
