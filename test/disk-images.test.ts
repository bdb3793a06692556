// Our qcow2 against QEMU's: images of each other's making are read and written by both, and QEMU's own check finds nothing.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hostImageFiles } from '../src/host/node/image-file.ts';
import { openDisk, openImage } from '../src/shared/index.ts';
import { qemuImg, runTool } from './support/qemu-img.ts';

const TIMEOUT = 300_000;
const SIZE = 12 << 20;
const SESSIONS = 2;
const OPERATIONS = 250;
const tool = await qemuImg();
const files = hostImageFiles();

const options = (text: string) => ['create', '-f', 'qcow2', '-o', text];
/** How an image is made: by `qemu-img create`, or from the base in another way. */
const VARIANTS: readonly (readonly [string, readonly string[]])[] = [
  ['version 3', options('compat=1.1')],
  ['version 2', options('compat=0.10')],
  ['clusters of 512 bytes', options('cluster_size=512')],
  ['clusters of 2 MiB', options('cluster_size=2M')],
  ['refcounts of 1 bit', options('refcount_bits=1')],
  ['refcounts of 8 bits, clusters of 1 KiB', options('refcount_bits=8,cluster_size=1k')],
  ['refcounts of 64 bits, clusters of 4 KiB', options('refcount_bits=64,cluster_size=4k')],
  ['lazy refcounts, closed in order', options('lazy_refcounts=on')],
  ['preallocated metadata', options('preallocation=metadata')],
];

let state = 20_261_122;
function random(below: number): number {
  state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
  return Math.floor((state / 2 ** 32) * below);
}

describe.skipIf(tool === undefined)('disk images', () => {
  let folder: string;
  let base: string;
  const image = (): string => join(folder, 'disk.qcow2');
  const qemu = (...args: readonly string[]): string => {
    const { status, output } = runTool(tool!, args);
    if (status !== 0) throw new Error(`qemu-img ${args.join(' ')}: ${status}: ${output}`);
    return output;
  };

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'bulkhead-images-'));
    base = join(folder, 'base.raw');
    const bytes = new Uint8Array(SIZE);
    for (let at = 0; at < SIZE; at++) bytes[at] = (at * 7) ^ (at >> 9);
    writeFileSync(base, bytes);
  }, TIMEOUT);
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  /** Reads and writes at random through us, and lets QEMU judge after each session. `model` is what the disk should hold. */
  function exercise(model: Uint8Array): void {
    for (let session = 0; session < SESSIONS; session++) {
      {
        using disk = openImage(files, image(), 'rw');
        for (let operation = 0; operation < OPERATIONS; operation++) step(disk, model);
      }
      expect(qemu('check', image())).toMatch(/No errors were found/);
      const expected = join(folder, 'model.raw');
      writeFileSync(expected, model);
      expect(qemu('compare', '-f', 'raw', '-F', 'qcow2', expected, image())).toMatch(/identical/);
    }
  }

  function step(disk: ReturnType<typeof openImage>, model: Uint8Array): void {
    const size = 512 * (1 + random(128));
    const offset = 512 * random((disk.size - size) / 512);
    const part = model.subarray(offset, offset + size);
    const what = random(10);
    if (what < 5) {
      const bytes = new Uint8Array(size).fill(1 + random(255));
      expect(disk.write(offset, bytes)).toBe(true);
      part.set(bytes);
    } else if (what < 8) {
      const bytes = new Uint8Array(size);
      expect(disk.read(offset, bytes)).toBe(true);
      expect(Buffer.compare(bytes, part)).toBe(0);
    } else if (what === 8) {
      expect(disk.zero(offset, size, random(2) === 0)).toBe(true);
      part.fill(0);
    } else {
      expect(random(4) === 0 ? disk.flush() : disk.discard(offset, size)).toBe(true);
      expect(disk.read(offset, part)).toBe(true);
    }
  }

  it.each(VARIANTS)('of QEMU with %s', { timeout: TIMEOUT }, (_, create) => {
    rmSync(image(), { force: true });
    qemu(...create, image(), String(SIZE));
    exercise(new Uint8Array(SIZE));
  });

  it.each([['version 3', '1.1'], ['version 2', '0.10']])('of QEMU on a backing file, %s', { timeout: TIMEOUT }, (_, compatibility) => {
    rmSync(image(), { force: true });
    qemu(...options(`compat=${compatibility}`), '-b', base, '-F', 'raw', image());
    exercise(new Uint8Array(readFileSync(base)));
  });

  it.each(['zlib', 'zstd'])('of QEMU, compressed by %s', { timeout: TIMEOUT }, (compression) => {
    rmSync(image(), { force: true });
    qemu('convert', '-c', '-f', 'raw', '-O', 'qcow2', '-o', `compression_type=${compression}`, base, image());
    exercise(new Uint8Array(readFileSync(base)));
  });

  it('of QEMU with a snapshot, which stays as it was', { timeout: TIMEOUT }, () => {
    rmSync(image(), { force: true });
    qemu('convert', '-f', 'raw', '-O', 'qcow2', base, image());
    qemu('snapshot', '-c', 'before', image());
    exercise(new Uint8Array(readFileSync(base)));
    qemu('snapshot', '-a', 'before', image());
    expect(qemu('compare', '-f', 'raw', '-F', 'qcow2', base, image())).toMatch(/identical/);
    expect(qemu('check', image())).toMatch(/No errors were found/);
  });

  it('of ours, an overlay', { timeout: TIMEOUT }, () => {
    rmSync(image(), { force: true });
    openDisk(files, { image: base, overlay: image() }, 'rw')[Symbol.dispose]();
    expect(qemu('info', image())).toMatch(/backing file format: raw/);
    exercise(new Uint8Array(readFileSync(base)));
  });
});
