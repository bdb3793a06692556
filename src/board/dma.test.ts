import { beforeEach, describe, expect, it } from 'vitest';
import { DmaGate } from './dma.ts';
import { createPhysicalMemory, type GuestMemory } from './memory.ts';

const KiB = 1024;
let memory: GuestMemory;
let log: string[];
let stops: string[];

beforeEach(() => {
  memory = createPhysicalMemory(
    [
      { base: 0, size: 64 * KiB, access: 'rw' },
      { base: 64 * KiB, size: 64 * KiB, access: 'ro' },
      { base: 256 * KiB, size: 64 * KiB, access: 'rw' },
    ],
    0,
    64 * KiB,
  );
  log = [];
  stops = [];
});

const gate = (stop = false) =>
  new DmaGate({ memory, log: { log: (severity, message) => log.push(`${severity} ${message}`) }, stop: stop ? (cause) => stops.push(cause) : undefined });

describe('DMA within the owner’s RAM', () => {
  it('moves bytes and little-endian numbers', () => {
    const dma = gate().port({ name: 'nic' });
    expect(dma.write(0x100, Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8))).toBe(true);
    expect([dma.read16(0x100), dma.read32(0x101), dma.read64(0x100)]).toEqual([0x0201, 0x0504_0302, 0x0807_0605_0403_0201n]);
    expect([dma.write16(0x200, 0xabcd), dma.write32(0x203, 0x1234_5678), dma.write64(0x209, 0xffff_ffff_ffff_fffen)]).toEqual([true, true, true]);
    const target = new Uint8Array(4);
    expect([dma.read(0x203, target), [...target]]).toEqual([true, [0x78, 0x56, 0x34, 0x12]]);
    expect([dma.read64(0x209), dma.violations]).toEqual([0xffff_ffff_ffff_fffen, 0]);
  });

  it('moves a part of what it is given', () => {
    const dma = gate().port({ name: 'nic' });
    expect(dma.write(0x100, Uint8Array.of(1, 2, 3, 4, 5), 1, 3)).toBe(true);
    const target = new Uint8Array(6);
    expect([dma.read(0x100, target, 2, 4), [...target]]).toEqual([true, [0, 0, 2, 3, 4, 0]]);
  });

  it('lends the bytes themselves', () => {
    const dma = gate().port({ name: 'nic' });
    const window = dma.window(0x40000, 16) as Uint8Array;
    window.fill(7);
    expect([memory.read(0x40000, 2), window.length]).toEqual([Uint8Array.of(7, 7), 16]);
  });

  it('tells the engine before it changes bytes that may be code', () => {
    const told: [number, number][] = [];
    memory.observe({ memoryChanged: (gpa, size) => told.push([gpa, size]), memoryMapChanged: () => undefined });
    const dma = gate().port({ name: 'nic' });
    dma.write(0x100, new Uint8Array(5));
    dma.write16(0x10, 1);
    dma.write32(0x20, 1);
    dma.write64(0x30, 1n);
    dma.written(0x400, 100);
    dma.written(0x9_0000_0000, 100);
    dma.read32(0x20);
    expect(told).toEqual([[0x100, 5], [0x10, 2], [0x20, 4], [0x30, 8], [0x400, 100]]);
  });
});

describe('DMA elsewhere', () => {
  it('is refused whole: holes, the end of RAM, addresses that are none', () => {
    const dma = gate().port({ name: 'nic' });
    for (const address of [0x2_0000, 0x3_ffff, 0x4_fffd, 0xfee0_0000, 2 ** 52, 2 ** 64, -4, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(dma.write32(address, 1)).toBe(false);
      expect(dma.read32(address)).toBeUndefined();
      expect(dma.window(address, 4)).toBeUndefined();
      expect(dma.write(address, new Uint8Array(4))).toBe(false);
      expect(dma.read(address, new Uint8Array(4))).toBe(false);
    }
    expect(dma.violations).toBe(9 * 5);
    expect(memory.read(0x4_fffc, 4)).toEqual(new Uint8Array(4));
  });

  it('cannot reach bytes beside RAM, even where the guest sees them', () => {
    const offset = memory.reserve(4096, 'frames');
    memory.overlay(0x8_0000, 4096, offset, 'rw');
    expect(gate().port({ name: 'nic' }).write32(0x8_0000, 1)).toBe(false);
  });

  it('reads ROM and does not write it', () => {
    const dma = gate().port({ name: 'nic' });
    expect([dma.read32(0x1_0000), dma.write32(0x1_fffc, 1), dma.window(0xf000, 0x2000), dma.violations]).toEqual([0, false, undefined, 2]);
  });

  it('is counted for each device and reported with its address', () => {
    const checked = gate();
    checked.port({ name: 'nic' }).read32(0xdead_0000);
    const disk = checked.port({ name: 'disk' });
    disk.write(0x2_0000, new Uint8Array(512));
    disk.write16(0x2_0000, 1);
    checked.port({ name: 'quiet' }).read32(0);
    expect(log[0]).toBe('warn nic: DMA read of 4 bytes at 0xdead0000 outside the RAM of its partition was refused (1 so far)');
    expect([checked.violations, checked.violators()]).toEqual([3, [{ device: 'nic', violations: 1 }, { device: 'disk', violations: 2 }]]);
  });

  it('cannot flood the log: the first few are reported, then each doubling', () => {
    const dma = gate().port({ name: 'nic' });
    for (let i = 0; i < 100_000; i++) dma.read32(0xf000_0000);
    expect([dma.violations, log.length]).toEqual([100_000, 4 + 14]); // 8, 16 … 65,536
  });

  it('ends the partition where that is its policy, but not because bus mastering is off', () => {
    let enabled = false;
    const dma = gate(true).port({ name: 'nic', enabled: () => enabled });
    dma.read32(0);
    expect([stops, dma.violations]).toEqual([[], 1]);
    enabled = true;
    dma.read32(0);
    dma.write(0x2_0000, new Uint8Array(64));
    expect(stops).toEqual(['nic tried to write 64 bytes at 0x20000, outside the RAM of its partition, by DMA']);
  });
});
