/**
 * Files that are no images, or no longer: whatever is given as kernel or initrd, `bulkhead check` and `bulkhead run` answer in words, with
 * a code, in time, and never with a stack of our own.
 *
 * What a header shows is refused as a manifest that is wrong (status 3). `check` reads no further than headers: damage deep inside shows
 * when the image is taken apart to be started, and then the partition cannot start (status 5), with the loader's code.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { exitStatus } from '../src/cli/exit-codes.ts';
import { main } from '../src/cli/main.ts';
import { linuxImages } from '../src/host/node/initramfs.ts';
import { ifAvailable } from './support/packages.ts';

const TIMEOUT = 120_000;
/** For a guest that runs in spite of it all. What cannot start ends long before, if the host has a moment for it. */
const RUN_AT_MOST = '20s';
const guest = (path: string): Buffer => readFileSync(fileURLToPath(new URL(`../guests/${path}`, import.meta.url)));

const ELF32 = guest('rtos/images/control.elf');
const ELF64 = guest('rtos/images/vision.elf');
const PAYLOAD = guest('payloads/images/hello.elf');
const debian = await ifAvailable('Debian for amd64', () => linuxImages('amd64'));

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'bulkhead-images-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

interface Outcome {
  readonly status: number;
  readonly text: string;
}

async function bulkhead(...args: string[]): Promise<Outcome> {
  let text = '';
  const sink = { write: (more: string) => void (text += more), isTTY: false };
  const status = await main(args, { out: sink, err: sink, environment: {} });
  return { status, text };
}

interface Files {
  readonly kernel: Uint8Array;
  readonly initrd?: Uint8Array;
}

/** `check` on the manifest that `run` makes of the files, and `run` itself. */
async function offer({ kernel, initrd }: Files): Promise<{ readonly check: Outcome; readonly run: Outcome }> {
  writeFileSync(join(folder, 'kernel'), kernel);
  if (initrd !== undefined) writeFileSync(join(folder, 'initrd'), initrd);
  const files = ['--kernel', join(folder, 'kernel'), ...(initrd === undefined ? [] : ['--initrd', join(folder, 'initrd')])];
  const manifest = await bulkhead('run', ...files, '--memory', '128MiB', '--dump-manifest');
  expect(manifest.status).toBe(exitStatus('ok'));
  writeFileSync(join(folder, 'machine.yaml'), manifest.text);
  const outcome = {
    check: await bulkhead('check', join(folder, 'machine.yaml')),
    run: await bulkhead('run', ...files, '--memory', '128MiB', '--timeout', RUN_AT_MOST, '--pace', 'free', '--log-dir', join(folder, 'logs')),
  };
  for (const { text } of [outcome.check, outcome.run]) expect(text).not.toMatch(/^\s+at .*:\d+:\d+/m);
  return outcome;
}

/** Both refuse, pointing at the key in the manifest; the rest of the message is for people. */
async function expectRefused(files: Files, code: string): Promise<void> {
  const { check, run } = await offer(files);
  for (const { status, text } of [check, run]) {
    expect(text).toMatch(new RegExp(`:\\d+:\\d+: error ${code}: `));
    expect(text).toMatch(/= help: \S/);
    expect(status).toBe(exitStatus('manifestInvalid'));
  }
}

/** The headers are fine; the loader finds what is not. */
async function expectCannotStart(files: Files, code: RegExp): Promise<void> {
  const { check, run } = await offer(files);
  expect(check.status).toBe(exitStatus('ok'));
  expect(run.text).toMatch(new RegExp(`cannot start: ${code.source}: .`));
  expect(run.status).toBe(exitStatus('partitionCrashed'));
}

/** Numbers that look random and are the same in every run (Numerical Recipes' linear congruential generator). */
function* noise(seed: number): Generator<number, never> {
  for (let state = seed >>> 0; ; ) {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    yield state >>> 8;
  }
}

function randomBytes(length: number, seed: number): Buffer {
  const numbers = noise(seed);
  return Buffer.from(Array.from({ length }, () => numbers.next().value & 0xff));
}

const cut = (image: Buffer, length: number): Buffer => image.subarray(0, length);
const behind = (magic: readonly number[], length: number): Buffer => Buffer.concat([Buffer.from(magic), randomBytes(length, magic[0] as number)]);
function changed(image: Buffer, change: (copy: Buffer) => void): Buffer {
  const copy = Buffer.from(image);
  change(copy);
  return copy;
}

describe('a kernel that is no image', () => {
  it.each([0, 1, 3, 16, 511, 512, 513, 4096, 70_000])('%i random bytes', { timeout: TIMEOUT }, async (length) => {
    await expectRefused({ kernel: randomBytes(length, length + 1) }, 'BH252');
  });

  it.each([
    ['text', Buffer.from('#!/bin/sh\necho I am no kernel\n')],
    ['zeros', Buffer.alloc(100_000)],
    ['an initramfs', Buffer.from('070701'.padEnd(400, '0'))],
  ])('%s', { timeout: TIMEOUT }, async (_, kernel) => {
    await expectRefused({ kernel }, 'BH252');
  });
});

describe('noise behind the magic number of something', () => {
  it.each([
    ['ELF, 32 bits', [0x7f, 0x45, 0x4c, 0x46, 1, 1, 1]],
    ['ELF, 64 bits', [0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]],
    ['gzip', [0x1f, 0x8b, 8, 0]],
    ['XZ', [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0]],
    ['Zstandard', [0x28, 0xb5, 0x2f, 0xfd]],
    ['LZ4', [0x04, 0x22, 0x4d, 0x18]],
    ['LZ4, legacy', [0x02, 0x21, 0x4c, 0x18]],
    ['bzip2', [0x42, 0x5a, 0x68, 0x39]],
  ])('%s', { timeout: TIMEOUT }, async (_, magic) => {
    await expectRefused({ kernel: behind(magic, 5000) }, 'BH252');
  });

  it('a boot sector with the setup header of Linux', { timeout: TIMEOUT }, async () => {
    const kernel = changed(randomBytes(5000, 7), (copy) => {
      copy.writeUInt16LE(0xaa55, 0x1fe);
      copy.write('HdrS', 0x202);
    });
    await expectRefused({ kernel }, 'BH252');
  });

  it('a compressed file that is a megabyte of zeros', { timeout: TIMEOUT }, async () => {
    await expectRefused({ kernel: gzipSync(Buffer.alloc(1 << 20)) }, 'BH252');
  });
});

describe('an ELF file', () => {
  // Field offsets: System V ABI, "ELF header".
  it.each<[string, Buffer]>([
    ['cut inside its identification', cut(ELF64, 10)],
    ['cut inside its header', cut(ELF64, 0x30)],
    ['cut behind its header', cut(ELF64, 0x40)],
    ['for another machine', changed(ELF64, (copy) => copy.writeUInt16LE(0xb7, 0x12))],
    ['of another byte order', changed(ELF64, (copy) => copy.writeUInt8(2, 5))],
    ['of an unknown class', changed(ELF64, (copy) => copy.writeUInt8(3, 4))],
    ['that is a relocatable object', changed(ELF64, (copy) => copy.writeUInt16LE(1, 0x10))],
    ['with program headers far outside', changed(ELF64, (copy) => copy.writeBigUInt64LE(0xffff_ffff_ffff_ff00n, 0x20))],
    ['without program headers', changed(ELF64, (copy) => copy.writeUInt16LE(0, 0x38))],
    ['with more program headers than it has bytes', changed(ELF64, (copy) => copy.writeUInt16LE(0xffff, 0x38))],
  ])('%s', { timeout: TIMEOUT }, async (_, kernel) => {
    await expectRefused({ kernel }, 'BH252');
  });

  it.each<[string, Buffer, RegExp]>([
    ['for multiboot, cut behind its multiboot header', cut(ELF32, ELF32.length >> 1), /BH303/],
    ['for multiboot, cut in its last segment', cut(PAYLOAD, 0x1100), /BH303/],
    ['with a segment beyond all RAM', changed(ELF32, (copy) => copy.writeUInt32LE(0xf000_0000, copy.readUInt32LE(0x1c) + 0x0c)), /BH320/],
    ['with a segment of 4 GiB', changed(ELF32, (copy) => copy.writeUInt32LE(0xffff_fff0, copy.readUInt32LE(0x1c) + 0x14)), /BH320/],
  ])('%s', { timeout: TIMEOUT }, async (_, kernel, code) => {
    await expectCannotStart({ kernel }, code);
  });

  it.each(Array.from({ length: 10 }, (_, seed) => seed))('with its first page damaged at random (%i)', { timeout: TIMEOUT }, async (seed) => {
    const numbers = noise(seed);
    const kernel = changed(seed % 2 ? ELF32 : ELF64, (copy) => {
      for (let i = 0; i < 12; i++) copy[numbers.next().value % 0x200] = numbers.next().value & 0xff;
    });
    const { check, run } = await offer({ kernel });
    // Some damage is harmless, and some is for the guest to die of. What is ours to find has a code.
    expect([exitStatus('ok'), exitStatus('manifestInvalid')]).toContain(check.status);
    if (check.status !== exitStatus('ok')) expect(check.text).toMatch(/error BH\d{3}: /);
    if (check.status !== exitStatus('ok')) expect(run.status).toBe(check.status);
    else if (run.text.includes('cannot start')) expect(run.text).toMatch(/cannot start: BH3\d\d: /);
    else expect([exitStatus('ok'), exitStatus('partitionCrashed'), exitStatus('timeout')]).toContain(run.status);
  });
});

describe.skipIf(debian === undefined)("Debian's kernel and initramfs", () => {
  const kernel = debian === undefined ? Buffer.alloc(0) : readFileSync(debian.kernel);
  const initrd = debian === undefined ? Buffer.alloc(0) : readFileSync(debian.initrd);

  it.each([0x100, 0x1f0, 0x210, 0x400, 0x1_0000, 0x10_0000])('the kernel, cut at byte %i', { timeout: TIMEOUT }, async (length) => {
    await expectRefused({ kernel: cut(kernel, length) }, 'BH252');
  });

  it.each<[string, (copy: Buffer) => void]>([
    ['of a boot protocol from before 2.06', (copy) => copy.writeUInt16LE(0x0203, 0x206)],
    ['with a payload beyond its end', (copy) => copy.writeUInt32LE(0x7fff_ffff, 0x24c)],
    ['with a payload at no place at all', (copy) => copy.writeUInt32LE(0xffff_fff0, 0x248)],
  ])('the kernel, %s', { timeout: TIMEOUT }, async (_, change) => {
    await expectRefused({ kernel: changed(kernel, change) }, 'BH252');
  });

  it('the kernel, with damage deep in its compressed payload', { timeout: TIMEOUT }, async () => {
    const damaged = changed(kernel, (copy) => void copy.fill(0xaa, 0x20_0000, 0x21_0000));
    await expectCannotStart({ kernel: damaged }, /BH310/);
  });

  it.each<[string, Buffer]>([
    ['empty', Buffer.alloc(0)],
    ['random', randomBytes(50_000, 3)],
    ['the kernel a second time', kernel],
    ['without its beginning', initrd.subarray(1)],
  ])('an initrd that is %s', { timeout: TIMEOUT }, async (_, bytes) => {
    await expectRefused({ kernel, initrd: bytes }, 'BH256');
  });

  it('an initrd that does not fit beside it', { timeout: TIMEOUT }, async () => {
    await expectRefused({ kernel, initrd: Buffer.concat([initrd, Buffer.alloc(120 << 20)]) }, 'BH254');
  });
});

describe('a file that is none', () => {
  it.each([
    ['there is no such file', 'nowhere'],
    ['a folder', '.'],
  ])('%s', { timeout: TIMEOUT }, async (_, path) => {
    for (const option of ['--kernel', '--initrd']) {
      writeFileSync(join(folder, 'good'), PAYLOAD);
      const files = option === '--kernel' ? ['--kernel', join(folder, path)] : ['--kernel', join(folder, 'good'), '--initrd', join(folder, path)];
      const { status, text } = await bulkhead('run', ...files, '--timeout', RUN_AT_MOST, '--log-dir', join(folder, 'logs'));
      expect(text).toMatch(/error BH250: /);
      expect(status).toBe(exitStatus('manifestInvalid'));
    }
  });
});
