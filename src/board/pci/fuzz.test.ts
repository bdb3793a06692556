/**
 * Whatever a guest writes into configuration space, message tables and the ranges it places: nothing throws, values stay in their width,
 * RAM is reached by DMA only, and what the board owns stays where it is. BULKHEAD_FUZZ_OPERATIONS and BULKHEAD_FUZZ_SEED choose other runs.
 */
import { expect, it } from 'vitest';
import type { AccessSize, CpuidModel, DeviceSlot, PciFunctionPort } from '../../contracts/index.ts';
import { AttachedChip } from '../attached-chip.ts';
import type { DeviceModel } from '../catalogue.ts';
import { createPhysicalMemory, pcRamRegions } from '../memory.ts';
import { createPlatform } from '../platform.ts';
import { FakePower, ManualClock } from '../testing.ts';

const MiB = 1 << 20;
const operations = Number(process.env['BULKHEAD_FUZZ_OPERATIONS'] ?? 50_000);
const seed = Number(process.env['BULKHEAD_FUZZ_SEED'] ?? 20_261_122);

const cpuid: CpuidModel = { lookup: (_, __, out) => out.fill(0) };
const identity = { vendor: 0x1234, device: 0x1111, classCode: 0x03_0000 };

it(`survives ${operations} accesses (seed ${seed})`, () => {
  let state = seed >>> 0;
  const random = (below: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  const ports: PciFunctionPort[] = [];
  const registers = { read: (_: number, size: AccessSize) => random(2 ** (8 * size)), write: () => undefined };
  const model: DeviceModel = {
    title: 'three functions with everything there is',
    places: [{ ranges: [], irqs: [] }],
    relocatable: false,
    console: false,
    options: {},
    create: (spec) =>
      new AttachedChip(spec, (slot: DeviceSlot) => {
        ports.push(
          slot.pci({
            identity,
            interruptPin: true,
            msi: 32,
            bars: [{ kind: 'memory', size: MiB, name: 'frames' }, undefined, { kind: 'mmio', size: 4096, handler: registers }],
            rom: new Uint8Array(3000),
          }),
          slot.pci({
            identity,
            interruptPin: true,
            msix: { vectors: 100, bar: 1 },
            bars: [{ kind: 'pio', size: 64, handler: registers }],
            capabilities: [{ id: 9, body: new Uint8Array(20), writable: new Uint8Array(20).fill(0xff) }],
          }),
          slot.pci({
            identity,
            interruptPin: true,
            place: { device: 1, function: 1 },
            msi: 1,
            msix: { vectors: 3, bar: 5 },
            bars: [{ kind: 'mmio', size: 0x1_0000, handler: registers, wide: true }, undefined, { kind: 'memory', size: 4096, name: 'more' }],
          }),
        );
        return { chip: {}, handlers: [] };
      }),
  };
  const memory = createPhysicalMemory(pcRamRegions(2 * MiB), 0, 4 * MiB);
  const log: string[] = [];
  const platform = createPlatform({
    partition: 'fuzzed',
    vcpus: 1,
    devices: [{ name: 'card', model: 'card', ranges: [], irqs: [], options: {} }],
    models: { card: model },
    memory,
    clock: new ManualClock(),
    log: { log: (_, message) => log.push(message) },
    power: new FakePower(),
    character: () => ({ output: () => undefined, input: () => undefined }),
    cpuid,
    wallTime: 0,
  });
  const { io } = platform.wiring(0);
  const fixed = [...platform.bus.ranges()].filter(({ owner }) => !owner.startsWith('card'));
  const interesting = [0, 1, 4, 0x10, 0xfffff, 0xa0000, 0x10_0000, 0xc000_0000, 0xfec0_0000, 0xfee0_0000, 0xffff_f000, 0xffff_ffff, 0xe000_0001];
  const value = () => (random(3) === 0 ? (interesting[random(interesting.length)] as number) : random(2 ** 32));
  const sizes = [1, 2, 4] as const;
  const devfns = [0x00, 0x08, 0x09, 0x10, 0x18];
  const access = (space: 'pio' | 'mmio', address: number) => {
    const size = sizes[random(3)] as AccessSize;
    if (random(2) === 0) io.write(space, address, size, value() % 2 ** (8 * size));
    else {
      const read = io.read(space, address, size);
      expect(Number.isInteger(read) && read >= 0 && read < 2 ** (8 * size)).toBe(true);
    }
  };
  for (let i = 0; i < operations; i++) {
    const port = ports[random(ports.length)] as PciFunctionPort;
    const bar = port.barAddress(random(6));
    switch (random(8)) {
      case 0:
      case 1:
      case 2:
      case 3:
        io.write('pio', 0xcf8, 4, (0x8000_0000 | ((devfns[random(devfns.length)] as number) << 8) | (random(64) << 2)) >>> 0);
        access('pio', 0xcfc + random(4));
        break;
      case 4:
      case 5:
        if (bar !== undefined) access(bar < 0x1_0000 ? 'pio' : 'mmio', bar + random(4096));
        break;
      case 6:
        port.setInterrupt(random(2) === 0);
        port.signal(random(40));
        break;
      default:
        port.dma.write(value(), new Uint8Array(random(64)));
        if (random(50) === 0) platform.reset(random(2) === 0 ? 'cold' : 'warm');
    }
    // RAM is always there, whole, with nothing in front of it.
    if (i % 64 === 0) {
      const low = memory.map.filter(({ base }) => base < 2 * MiB);
      expect(low.map(({ base, end }) => [base, end])).toEqual([[0, 0xa0000], [0xc0000, 2 * MiB]]);
      expect(fixed.every((range) => platform.bus.claims(range))).toBe(true);
    }
  }
  platform.restore(structuredClone(platform.save()));
  expect(log.length).toBeLessThan(200);
  expect([...platform.bus.ranges()].length).toBeLessThanOrEqual(fixed.length + 16);
  platform.reset('cold');
  expect(ports.map((port) => port.barAddress(0))).toEqual([0xc000_0000, 0xc000, expect.any(Number)]);
});
