/**
 * qcow2 images of our own making, in memory: what is written is read, whatever was there before; and at every moment at which a process can
 * be killed or the power can fail, the file is an image in order. What QEMU makes of them, and we of QEMU's, is in test/disk-images.test.ts.
 */
import { describe, expect, it } from 'vitest';
import { MemoryImageFiles } from './testing.ts';
import { openDisk, openImage } from './open-disk.ts';
import { createQcow2 } from './qcow2-header.ts';

const CLUSTER = 65_536;
const SIZE = 40 * CLUSTER;

function randomNumbers(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** Files with a raw base of recognisable bytes and an empty overlay on it. */
function withOverlay(size = SIZE): MemoryImageFiles {
  const files = new MemoryImageFiles();
  files.put('/base.raw', Uint8Array.from({ length: size }, (_, index) => (index >> 9) ^ index));
  openDisk(files, { image: '/base.raw', overlay: '/over.qcow2' }, 'rw')[Symbol.dispose]();
  return files;
}

/** What an image's tables say: how often each cluster is used, against how often it is counted. */
function verdict(bytes: Uint8Array): { readonly missing: number; readonly leaked: number } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const at = (offset: number): number => (offset + 8 <= bytes.length ? (view.getUint32(offset) & 0x00ff_ffff) * 2 ** 32 + (view.getUint32(offset + 4) & 0xffff_fe00) : 0);
  const clusters = Math.ceil(bytes.length / CLUSTER) + 64;
  const used = new Uint32Array(clusters);
  const use = (offset: number): void => {
    const cluster = Math.floor(offset / CLUSTER);
    if (cluster < clusters) used[cluster] = (used[cluster] as number) + 1;
  };
  const l1Entries = view.getUint32(36);
  const l1 = at(40);
  const table = at(48);
  use(0);
  for (let offset = 0; offset < l1Entries * 8; offset += CLUSTER) use(l1 + offset);
  for (let offset = 0; offset < view.getUint32(56) * CLUSTER; offset += CLUSTER) use(table + offset);
  for (let index = 0; index < l1Entries; index++) {
    const l2 = at(l1 + index * 8);
    if (l2 === 0) continue;
    use(l2);
    for (let entry = 0; entry < CLUSTER; entry += 8) if (at(l2 + entry) !== 0) use(at(l2 + entry));
  }
  const counted = new Uint32Array(clusters);
  for (let entry = 0; entry < (view.getUint32(56) * CLUSTER) / 8; entry++) {
    const block = at(table + entry * 8);
    if (block === 0) continue;
    use(block);
    for (let index = 0; index < CLUSTER / 2 && entry * (CLUSTER / 2) + index < clusters; index++) {
      counted[entry * (CLUSTER / 2) + index] = block + index * 2 + 2 <= bytes.length ? view.getUint16(block + index * 2) : 0;
    }
  }
  let [missing, leaked] = [0, 0];
  for (let cluster = 0; cluster < clusters; cluster++) {
    missing += Math.max(0, (used[cluster] as number) - (counted[cluster] as number));
    leaked += Math.max(0, (counted[cluster] as number) - (used[cluster] as number));
  }
  return { missing, leaked };
}

describe('an overlay', () => {
  it('shows the image behind it, takes what is written, and leaves that image as it is', () => {
    const files = withOverlay();
    const before = files.contents.get('/base.raw')?.slice();
    {
      using disk = openDisk(files, { image: '/base.raw', overlay: '/over.qcow2' }, 'rw');
      const bytes = new Uint8Array(1024);
      expect(disk.read(5000 * 512, bytes)).toBe(true);
      expect(bytes).toEqual(before?.subarray(5000 * 512, 5000 * 512 + 1024));
      expect(disk.write(5000 * 512, new Uint8Array(512).fill(1))).toBe(true);
      disk.read(5000 * 512, bytes);
      expect([bytes[0], bytes[511], bytes[512]]).toEqual([1, 1, before?.[5001 * 512]]);
    }
    expect(files.contents.get('/base.raw')).toEqual(before);
  });

  it('of another image is refused', () => {
    const files = withOverlay();
    files.put('/other.raw', new Uint8Array(SIZE));
    expect(() => openDisk(files, { image: '/other.raw', overlay: '/over.qcow2' }, 'rw')).toThrow(expect.objectContaining({ code: 'BH675' }));
    expect(() => openDisk(files, { image: '/base.raw', overlay: '/other.raw' }, 'rw')).toThrow(expect.objectContaining({ code: 'BH675' }));
  });

  it('keeps what was written, cleared and discarded, through all its lives', () => {
    const files = withOverlay();
    const model = files.contents.get('/base.raw')!.slice();
    const random = randomNumbers(7);
    for (let life = 0; life < 3; life++) {
      using disk = openDisk(files, { image: '/base.raw', overlay: '/over.qcow2' }, 'rw');
      for (let step = 0; step < 150; step++) {
        const size = 512 * (1 + random(256));
        const offset = 512 * random((SIZE - size) / 512);
        const what = random(6);
        if (what < 3) {
          const bytes = new Uint8Array(size).fill(1 + random(255));
          expect(disk.write(offset, bytes)).toBe(true);
          model.set(bytes, offset);
        } else if (what === 3) {
          expect(disk.zero(offset, size, random(2) === 1)).toBe(true);
          model.fill(0, offset, offset + size);
        } else if (what === 4) {
          expect(disk.discard(offset, size)).toBe(true);
          disk.read(offset, model.subarray(offset, offset + size));
        } else {
          const bytes = new Uint8Array(size);
          expect(disk.read(offset, bytes)).toBe(true);
          expect(Buffer.compare(bytes, model.subarray(offset, offset + size))).toBe(0);
        }
        if (random(20) === 0) expect(disk.flush()).toBe(true);
      }
    }
    using disk = openDisk(files, { image: '/base.raw', overlay: '/over.qcow2' }, 'ro');
    const all = new Uint8Array(SIZE);
    disk.read(0, all);
    expect(Buffer.compare(all, model)).toBe(0);
    expect(verdict(files.contents.get('/over.qcow2')!)).toEqual({ missing: 0, leaked: 0 });
  });

  it('that was discarded never shows what lies behind it', () => {
    const files = withOverlay();
    using disk = openDisk(files, { image: '/base.raw', overlay: '/over.qcow2' }, 'rw');
    disk.discard(CLUSTER, CLUSTER);
    const bytes = new Uint8Array(CLUSTER).fill(9);
    disk.read(CLUSTER, bytes);
    expect(bytes.every((byte) => byte === 0)).toBe(true);
  });
});

describe('whenever the process is killed', () => {
  it('the file is an image in order, and has everything that was flushed', () => {
    const files = withOverlay();
    const base = files.contents.get('/base.raw')!;
    const start = files.contents.get('/over.qcow2')!.slice();
    files.events.length = 0;
    const random = randomNumbers(11);
    const model = base.slice();
    /** The disk as it was when a flush returned: after how many events. */
    const flushed = [{ after: 0, model: model.slice() }];
    {
      using disk = openDisk(files, { image: '/base.raw', overlay: '/over.qcow2' }, 'rw');
      for (let step = 0; step < 60; step++) {
        const size = 512 * (1 + random(64));
        const offset = 512 * random((SIZE - size) / 512);
        if (random(5) === 0) {
          disk.zero(offset, size, true);
          model.fill(0, offset, offset + size);
        } else {
          const bytes = new Uint8Array(size).fill(1 + random(255));
          disk.write(offset, bytes);
          model.set(bytes, offset);
        }
        if (random(6) === 0) {
          disk.flush();
          flushed.push({ after: files.events.length, model: model.slice() });
        }
      }
    }
    const events = files.events.slice();
    let replayed: Uint8Array<ArrayBuffer> = start.slice();
    let worstLeak = 0;
    for (const [index, event] of events.entries()) {
      if (event.kind !== 'write') continue;
      if (event.offset + event.bytes.length > replayed.length) {
        const longer = new Uint8Array(event.offset + event.bytes.length);
        longer.set(replayed);
        replayed = longer;
      }
      replayed.set(event.bytes, event.offset);
      const { missing, leaked } = verdict(replayed);
      expect(missing).toBe(0);
      worstLeak = Math.max(worstLeak, leaked);
      if (index % 40 !== 0) continue;
      // What was flushed by then, and not written again since, is there.
      const last = flushed.findLast(({ after }) => after <= index + 1)!;
      const next = flushed.find(({ after }) => after > index + 1)?.model ?? model;
      files.put('/over.qcow2', replayed.slice());
      using disk = openDisk(files, { image: '/base.raw', overlay: '/over.qcow2' }, 'ro');
      const sector = new Uint8Array(512);
      for (let offset = 0; offset < SIZE; offset += 37 * 512) {
        const [was, will] = [last.model.subarray(offset, offset + 512), next.subarray(offset, offset + 512)];
        if (Buffer.compare(was, will) !== 0) continue;
        disk.read(offset, sector);
        expect(Buffer.compare(sector, was)).toBe(0);
      }
    }
    expect(worstLeak).toBeGreaterThanOrEqual(0);
  });

  it('nothing refers to a cluster before data and count of it are on the medium', () => {
    const files = withOverlay();
    files.events.length = 0;
    using disk = openDisk(files, { image: '/base.raw', overlay: '/over.qcow2' }, 'rw');
    disk.write(0, new Uint8Array(512).fill(1));
    disk.flush();
    // features; data; refcounts; medium; L2 table; medium; L1 table; medium
    expect(files.events.map((event) => (event.kind === 'flush' ? 'flush' : event.offset < 8 * CLUSTER ? `${Math.floor(event.offset / CLUSTER)}` : 'data'))).toEqual([
      '0', '5', '2', 'flush', '4', 'flush', '3', 'flush',
    ]);
  });
});

describe('a host that fails', () => {
  it('is told to whoever writes or flushes, and what comes after it is right again', () => {
    const files = withOverlay();
    using disk = openDisk(files, { image: '/base.raw', overlay: '/over.qcow2' }, 'rw');
    disk.write(0, new Uint8Array(512).fill(1));
    files.failing = true;
    expect(disk.flush()).toBe(false);
    expect(disk.write(SIZE / 2, new Uint8Array(512).fill(2))).toBe(false);
    files.failing = false;
    expect(disk.flush()).toBe(true);
    const bytes = new Uint8Array(512);
    disk.read(0, bytes);
    expect(bytes[0]).toBe(1);
    disk.read(SIZE / 2, bytes);
    expect(bytes).toEqual(files.contents.get('/base.raw')?.subarray(SIZE / 2, SIZE / 2 + 512));
  });
});

describe('an image from anywhere', () => {
  const image = (change: (view: DataView) => void) => {
    const files = new MemoryImageFiles();
    createQcow2(files.create('/x.qcow2'), SIZE);
    const bytes = files.contents.get('/x.qcow2')!;
    change(new DataView(bytes.buffer, bytes.byteOffset));
    return files;
  };

  it.each([
    ['of another version', (view: DataView) => view.setUint32(4, 4)],
    ['with clusters of no size', (view: DataView) => view.setUint32(20, 3)],
    ['with clusters that fill memory', (view: DataView) => view.setUint32(20, 40)],
    ['that is encrypted', (view: DataView) => view.setUint32(32, 1)],
    ['larger than any disk', (view: DataView) => view.setUint32(24, 0x7fff_ffff)],
    ['with an L1 table that is too small', (view: DataView) => view.setUint32(36, 0)],
    ['with an L1 table that fills memory', (view: DataView) => view.setUint32(36, 0xffff_ffff)],
    ['with an L1 table that is nowhere', (view: DataView) => view.setUint32(40, 0x1000)],
    ['without a refcount table', (view: DataView) => view.setUint32(56, 0)],
    ['with a refcount table that fills memory', (view: DataView) => view.setUint32(56, 0x1000_0000)],
    ['with a refcount table in the middle of a cluster', (view: DataView) => view.setUint32(52, 0x1_0200)],
    ['with refcounts of 128 bits', (view: DataView) => view.setUint32(96, 7)],
    ['with a header of no length', (view: DataView) => view.setUint32(100, 0)],
    ['with features that nobody knows', (view: DataView) => view.setUint32(76, 0x20)],
    ['with its data elsewhere', (view: DataView) => view.setUint32(76, 4)],
    ['with extended L2 entries', (view: DataView) => view.setUint32(76, 16)],
    ['with a backing file whose name is no name', (view: DataView) => {
      view.setUint32(12, 0x200);
      view.setUint32(16, 0xffff);
    }],
  ])('%s is refused, with words', (_, change) => {
    expect(() => openImage(image(change), '/x.qcow2', 'ro')).toThrow(expect.objectContaining({ code: 'BH673' }));
  });

  it.each([['dirty', 1], ['corrupt', 2]])('that is marked %s can only be read', (_, bit) => {
    const files = image((view) => view.setUint32(76, bit));
    expect(() => openImage(files, '/x.qcow2', 'rw')).toThrow(expect.objectContaining({ code: 'BH674' }));
    openImage(files, '/x.qcow2', 'ro')[Symbol.dispose]();
  });

  it('on itself is refused', () => {
    const files = new MemoryImageFiles();
    createQcow2(files.create('/a'), SIZE, { reference: '/b', format: 'qcow2' });
    createQcow2(files.create('/b'), SIZE, { reference: '/a', format: 'qcow2' });
    expect(() => openImage(files, '/a', 'ro')).toThrow(/does not end: \/a → \/b → \/a/);
  });

  it('whose guest data lies in its own tables is marked corrupt before anything is written there', () => {
    const files = image(() => undefined);
    {
      using disk = openImage(files, '/x.qcow2', 'rw');
      disk.write(0, new Uint8Array(512).fill(1));
    }
    const bytes = files.contents.get('/x.qcow2')!;
    const view = new DataView(bytes.buffer);
    const l2 = view.getUint32(3 * CLUSTER + 4);
    for (const place of [0, CLUSTER, 2 * CLUSTER, 3 * CLUSTER, l2, 1 << 27]) {
      const changed = new MemoryImageFiles();
      const copy = bytes.slice();
      new DataView(copy.buffer).setUint32(l2 + 4, place);
      changed.put('/x.qcow2', copy);
      const before = copy.slice();
      using disk = openImage(changed, '/x.qcow2', 'rw');
      if (place === 0) continue; // an entry without an offset is a cluster that was never written
      expect(disk.write(0, new Uint8Array(512).fill(2))).toBe(false);
      expect(disk.write(SIZE / 2, new Uint8Array(512).fill(2))).toBe(false);
      const after = changed.contents.get('/x.qcow2')!;
      expect(after[79]).toBe(2);
      expect(Buffer.compare(after.subarray(CLUSTER, before.length), before.subarray(CLUSTER))).toBe(0);
    }
  });

  it('with an end that is missing reads as zeros there', () => {
    const files = image(() => undefined);
    {
      using disk = openImage(files, '/x.qcow2', 'rw');
      disk.write(0, new Uint8Array(CLUSTER).fill(1));
    }
    files.put('/x.qcow2', files.contents.get('/x.qcow2')!.slice(0, 4 * CLUSTER + 1000));
    using disk = openImage(files, '/x.qcow2', 'ro');
    const bytes = new Uint8Array(512);
    expect(disk.read(8 * 512, bytes)).toBe(true);
  });
});
