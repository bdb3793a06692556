/**
 * Whatever a guest does to a block device's registers, queues and requests, over either transport, and whatever an image file holds: nothing
 * throws or hangs, nothing outside the granted window is read or changed, and what is kept stays bounded. BULKHEAD_FUZZ_OPERATIONS and
 * BULKHEAD_FUZZ_SEED choose other runs.
 */
import { describe, expect, it } from 'vitest';
import { BulkheadError } from '../../base/index.ts';
import type { AccessSize } from '../../contracts/index.ts';
import { fakeSlot } from '../../board/index.ts';
import { TRANSPORTS, VirtioDriver } from '../virtio/testing.ts';
import { VirtioPci } from '../virtio/virtio-pci.ts';
import { VirtioMmio } from '../virtio/virtio-mmio.ts';
import { openImage } from './open-disk.ts';
import { createQcow2 } from './qcow2-header.ts';
import { MemoryImageFiles, TestDisk } from './testing.ts';
import { VirtioBlk } from './virtio-blk.ts';

const operations = Number(process.env['BULKHEAD_FUZZ_OPERATIONS'] ?? 20_000);
const seed = Number(process.env['BULKHEAD_FUZZ_SEED'] ?? 20_261_122);
const SECRET = 0xa5;
const WINDOW = { offset: 0x4_0000, size: 0x4_0000 };

function randomNumbers(from: number): (below: number) => number {
  let state = from >>> 0;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** Numbers that guests like: small, large, almost right. */
function value(random: (below: number) => number): number {
  const choice = random(8);
  if (choice < 3) return random(16);
  if (choice === 3) return 1 << random(31);
  if (choice === 4) return 0xffff_ffff - random(16);
  if (choice === 5) return random(0x10_0000);
  return random(2 ** 32);
}

function diskWithSecrets(): TestDisk {
  const files = new MemoryImageFiles();
  files.put('disk.raw', new Uint8Array(1 << 20).fill(SECRET));
  files.contents.get('disk.raw')!.fill(0, WINDOW.offset, WINDOW.offset + WINDOW.size);
  return new TestDisk([{ window: WINDOW, depth: 8 }], { files });
}

function assertSecretsKept(disk: TestDisk): void {
  const bytes = disk.files.contents.get('disk.raw')!;
  for (let at = 0; at < bytes.length; at += 64) {
    if (at >= WINDOW.offset && at < WINDOW.offset + WINDOW.size) continue;
    if (bytes[at] !== SECRET) throw new Error(`byte ${at}, outside the window, was written`);
  }
}

describe(`seed ${seed}`, () => {
  it.each(TRANSPORTS)(`a block device over %s survives ${operations} operations on queues and requests`, { timeout: 3_600_000 }, (_, over) => {
    const random = randomNumbers(seed);
    const disk = diskWithSecrets();
    const device = new VirtioBlk(disk.ends[0]!, 2);
    const driver = VirtioDriver.on(device, over);
    const features = [0n, 1n << 9n, (1n << 9n) | (1n << 28n), (1n << 29n) | (1n << 9n) | (1n << 11n)];
    driver.start(features[3], 16);
    const ram = driver.slot.memory;
    let answered = 0;
    for (let operation = 0; operation < operations; operation++) {
      const queue = driver.queues[random(driver.queues.length)]!;
      switch (random(16)) {
        case 0:
          driver.start(features[random(features.length)], 1 << random(9));
          break;
        case 1:
          driver.access.setStatus(value(random) & 0xff);
          break;
        case 2:
          queue.describe(random(queue.size), value(random), value(random), random(8), random(queue.size * 2));
          queue.offer(random(queue.size + 1));
          break;
        case 3:
          driver.write16(queue.available + 2 * random(queue.size + 3), value(random) & 0xffff);
          break;
        case 4:
          ram.write(random(1 << 20), Uint8Array.of(value(random) & 0xff, value(random) & 0xff));
          break;
        case 5:
        case 6:
          disk.round();
          break;
        case 7:
          disk.ends[0]!.admit();
          break;
        case 8:
          disk.now += random(2e9);
          disk.serve();
          answered += queue.take().length;
          break;
        case 9:
          driver.access.writeConfig(random(64), [1, 2, 4][random(3)] as AccessSize, value(random));
          break;
        case 10:
          if (random(50) === 0) driver.access.transport.restore(JSON.parse(JSON.stringify(driver.access.transport.save())));
          break;
        default: {
          const header = new Uint8Array(random(20) === 0 ? random(20) : 16);
          header[0] = [0, 1, 4, 8, 11, 13, random(256)][random(7)] as number;
          if (header.length === 16) {
            header[8] = random(256);
            header[9] = random(4);
            if (random(30) === 0) header.fill(value(random) & 0xff, 8);
          }
          const data = new Uint8Array(512 * random(20) + (random(20) === 0 ? random(512) : 0)).fill(random(256));
          if (header[0] === 11 || header[0] === 13) for (let at = 0; at + 16 <= data.length; at += 16) data.set([random(256), random(3), 0, 0, 0, 0, 0, 0, random(64), random(2), 0, 0, random(3), 0, 0, 0], at);
          const request = header[0] === 0 ? { readable: [header], writable: [data.length, 1].filter((size) => size > 0) } : { readable: [header, data], writable: [1] };
          queue.add(request);
          if (random(3) > 0) driver.access.notify(random(3));
        }
      }
      expect(disk.ends[0]!.slots.inFlight).toBeLessThanOrEqual(8);
    }
    assertSecretsKept(disk);
    // It still works.
    driver.start(1n << 9n, 16);
    disk.now += 10e9;
    disk.serve();
    driver.queue(0).send({ readable: [new Uint8Array(16)], writable: [512, 1] });
    disk.serve();
    expect(driver.queue(0).take()).toMatchObject([{ written: 513 }]);
    expect(answered).toBeGreaterThan(0);
  });

  it(`registers and configuration space of both transports survive ${operations} accesses`, { timeout: 3_600_000 }, () => {
    const random = randomNumbers(seed + 1);
    const disk = new TestDisk([{ window: WINDOW }, { window: { offset: 0, size: 0x1_0000 } }]);
    const slot = fakeSlot();
    const pci = new VirtioPci({ name: 'pci', device: new VirtioBlk(disk.ends[0]!, 3), log: slot.log, pci: (description) => slot.pci(description) });
    const mmio = new VirtioMmio({ name: 'mmio', device: new VirtioBlk(disk.ends[1]!, 1), dma: slot.dma, log: slot.log, line: slot.irq(23) });
    const [port] = slot.functions;
    for (let operation = 0; operation < operations; operation++) {
      const size = [1, 2, 4][random(3)] as AccessSize;
      const limit = 2 ** (8 * size);
      const written = value(random) % limit;
      let read: number;
      switch (random(6)) {
        case 0:
          pci.registers.write(random(0x60), size, written);
          read = pci.registers.read(random(0x60), size);
          break;
        case 1:
          pci.registers.write(random(0x4000), size, written);
          read = pci.registers.read(random(0x4000), size);
          break;
        case 2: {
          const register = random(256) & ~(size - 1);
          // Bus mastering and decoding stay mostly on: otherwise there is little to do.
          if (register > 6 || random(20) === 0) port!.writeConfig(register, size, written);
          else port!.writeConfig(4, 2, 6);
          read = port!.readConfig(random(256) & ~(size - 1), size);
          break;
        }
        case 3:
          mmio.write(random(0x200), size, written);
          read = mmio.read(random(0x200), size);
          break;
        case 4:
          mmio.write([0x14, 0x20, 0x24, 0x30, 0x38, 0x44, 0x50, 0x64, 0x70, 0x80, 0x84, 0x90, 0xa0][random(13)]!, 4, value(random));
          read = mmio.read(random(0x80) * 4, 4);
          break;
        default:
          slot.memory.write(random(1 << 20), Uint8Array.of(written & 0xff));
          if (random(8) === 0) disk.serve();
          read = 0;
      }
      if (!(read >= 0 && read < limit && Number.isInteger(read)) && !(size < 4 && read < 2 ** 32)) throw new Error(`${read} was read, by ${size} bytes`);
      if (random(500) === 0) pci.reset();
      if (random(500) === 0) mmio.reset();
    }
    expect(slot.messages.length).toBeLessThan(operations);
  });

  it(`image files survive ${operations} operations after bytes of their header and tables were changed`, { timeout: 3_600_000 }, () => {
    const random = randomNumbers(seed + 2);
    const good = new MemoryImageFiles();
    good.put('/base', new Uint8Array(1 << 20).fill(SECRET));
    createQcow2(good.create('/x'), 1 << 21, { reference: '/base', format: 'raw' });
    {
      using disk = openImage(good, '/x', 'rw');
      for (let cluster = 0; cluster < 16; cluster += 2) disk.write(cluster * 65_536, new Uint8Array(1024).fill(cluster));
    }
    const bytes = good.contents.get('/x')!;
    let opened = 0;
    for (let operation = 0; operation < operations; ) {
      const copy = bytes.slice();
      const view = new DataView(copy.buffer);
      for (let change = random(4); change >= 0; change--) {
        // The header, the refcount table, a block, the L1 table, an L2 table.
        const where = [random(112), 65_536 + random(16), 131_072 + random(64), 196_608 + random(16), 262_144 + random(256)][random(5)]!;
        if (random(2) === 0) copy[where] = random(256);
        else view.setUint32(where & ~3, [0, 1, 0x8000_0000, 0xffff_ffff, 65_536 * random(12), random(2 ** 32)][random(6)]!);
      }
      const files = new MemoryImageFiles();
      files.put('/base', good.contents.get('/base')!);
      files.put('/x', copy);
      operation++;
      try {
        using disk = openImage(files, '/x', random(4) === 0 ? 'ro' : 'rw');
        opened++;
        for (let step = 0; step < 20; step++, operation++) {
          const size = 512 * (1 + random(64));
          const offset = 512 * random(Math.max(1, Math.min(disk.size, 1 << 21) / 512 - 64));
          if (offset + size > disk.size) continue;
          const what = random(5);
          if (what === 0) disk.read(offset, new Uint8Array(size));
          else if (what === 1) disk.write(offset, new Uint8Array(size));
          else if (what === 2) disk.zero(offset, size, random(2) === 0);
          else if (what === 3) disk.discard(offset, size);
          else disk.flush();
        }
      } catch (error) {
        if (!(error instanceof BulkheadError)) throw error;
      }
      expect(files.contents.get('/x')!.length).toBeLessThanOrEqual(1 << 28);
    }
    expect(opened).toBeGreaterThan(0);
    expect(good.contents.get('/base')!.every((byte) => byte === SECRET)).toBe(true);
  });
});
