/** PCI in a whole partition: interrupts reach both pairs of controllers, and the tables say where. */
import { beforeEach, describe, expect, it } from 'vitest';
import type { CpuidModel, DeviceSlot, PciFunctionDescription, PciFunctionPort } from '../../contracts/index.ts';
import { AttachedChip } from '../attached-chip.ts';
import type { DeviceModel } from '../catalogue.ts';
import { createPhysicalMemory, pcRamRegions } from '../memory.ts';
import { createPlatform, type Platform, type PlatformOptions } from '../platform.ts';
import { FakePower, ManualClock, silent } from '../testing.ts';

const MiB = 1 << 20;
const cpuid: CpuidModel = { lookup: (_, __, out) => out.fill(0) };
const identity = { vendor: 0x1234, device: 0x1111, classCode: 0x02_0000 };

let ports: PciFunctionPort[];
let power: FakePower;
let platform: Platform;
let memory: ReturnType<typeof createPhysicalMemory>;

function build(description: Partial<PciFunctionDescription>, changes: Partial<PlatformOptions> = {}, cards = 1): void {
  ports = [];
  power = new FakePower();
  memory = createPhysicalMemory(pcRamRegions(2 * MiB), 0, MiB);
  const model: DeviceModel = {
    title: 'a card',
    places: [{ ranges: [], irqs: [] }],
    relocatable: false,
    console: false,
    options: {},
    create: (spec) =>
      new AttachedChip(spec, (slot: DeviceSlot) => {
        ports.push(slot.pci({ identity, bars: [], ...description }));
        return { chip: {}, handlers: [] };
      }),
  };
  platform = createPlatform({
    partition: 'test',
    vcpus: 1,
    devices: Array.from({ length: cards }, (_, i) => ({ name: `card${i}`, model: 'card', ranges: [], irqs: [], options: {} })),
    models: { card: model },
    memory,
    clock: new ManualClock(),
    log: silent,
    power,
    character: () => ({ output: () => undefined, input: () => undefined }),
    cpuid,
    wallTime: 0,
    ...changes,
  });
  for (const { gpa, data } of platform.firmware) memory.write(gpa, data);
}

const out = (port: number, size: 1 | 2 | 4, value: number) => platform.bus.write('pio', port, size, value);
const inp = (port: number, size: 1 | 2 | 4) => platform.bus.read('pio', port, size);
function config(device: number, register: number, size: 1 | 2 | 4 = 4): number {
  out(0xcf8, 4, (0x8000_0000 | (device << 11) | (register & 0xfc)) >>> 0);
  return inp(0xcfc + (register & 3), size);
}
const ioApic = (register: number, value?: number): number => {
  platform.bus.write('mmio', 0xfec0_0000, 4, register);
  if (value !== undefined) platform.bus.write('mmio', 0xfec0_0010, 4, value);
  return platform.bus.read('mmio', 0xfec0_0010, 4);
};

beforeEach(() => build({ interruptPin: true }));

describe('INTA# of the card in slot 2', () => {
  it('reaches the 8259 on the line its configuration space names, level-triggered', () => {
    expect([config(2, 0x3c, 1), config(2, 0x3d, 1), config(1, 0x60)]).toEqual([11, 1, 0x8080_0b80]);
    expect(inp(0x4d1, 1)).toBe(1 << 3);
    ports[0]?.setInterrupt(true);
    out(0xa0, 1, 0x0a); // OCW3: read IRR
    expect(inp(0xa0, 1)).toBe(1 << 3);
    ports[0]?.setInterrupt(false);
    expect(inp(0xa0, 1)).toBe(0);
  });

  it('reaches pin 17 of the I/O APIC, active low and level-triggered as PCI is', () => {
    platform.enterVirtualWire(); // turns the local APIC on
    ioApic(0x10 + 2 * 17, 0x0000_a041); // vector 0x41, active low, level, not masked
    ports[0]?.setInterrupt(true);
    expect(ioApic(0x10 + 2 * 17) & 0x4000).toBe(0x4000); // remote IRR: a processor took it
  });

  it('does the same after every reset', () => {
    platform.reset('warm');
    expect([config(2, 0x3c, 1), config(1, 0x61, 1), inp(0x4d1, 1)]).toEqual([11, 11, 8]);
  });

  it('keeps off the lines of the partition’s ISA devices', () => {
    build({ interruptPin: true }, { devices: [
      { name: 'com', model: 'uart16550', ranges: [{ space: 'pio', base: 0x3f8, size: 8 }], irqs: [11], options: {} },
      { name: 'card', model: 'card', ranges: [], irqs: [], options: {} },
    ] });
    expect(config(2, 0x3c, 1)).toBe(5);
  });
});

it('cannot share its pin of the I/O APIC with a device that was given that line', () => {
  const clash = () =>
    build({ interruptPin: true }, { devices: [
      { name: 'com', model: 'uart16550', ranges: [{ space: 'pio', base: 0x3f8, size: 8 }], irqs: [17], options: {} },
      { name: 'card', model: 'card', ranges: [], irqs: [], options: {} },
    ] });
  expect(clash).toThrow(expect.objectContaining({ code: 'BH211', message: 'pci drives interrupt line 17, which belongs to com' }));
});

describe('firmware tables', () => {
  const bytes = () => memory.read(0xe0000, 0x20000) as Uint8Array;
  const find = (pattern: readonly number[]) => {
    const all = bytes();
    for (let at = 0; at + pattern.length < all.length; at++) if (pattern.every((byte, i) => all[at + i] === byte)) return at;
    return -1;
  };
  const ascii = (text: string) => [...text].map((c) => c.charCodeAt(0));

  it('route each device in _PRT, for either pair of controllers (ACPI 6.5 §6.2.13)', () => {
    build({ interruptPin: true }, {}, 2);
    // Package of packages: address of slot 2 (any function), pin 0, no source, line 17; slot 3, line 18.
    const apic = [
      0x08, ...ascii('PRTA'), 0x12, 0x1a, 2,
      0x12, 0x0b, 4, 0x0c, 0xff, 0xff, 0x02, 0x00, 0x00, 0x00, 0x0a, 17,
      0x12, 0x0b, 4, 0x0c, 0xff, 0xff, 0x03, 0x00, 0x00, 0x00, 0x0a, 18,
    ];
    expect(find(apic)).toBeGreaterThan(0);
    expect(find([0x08, ...ascii('PRTP')])).toBeGreaterThan(0);
    // Method (_PRT) { If (PICF) { Return (PRTA) } Return (PRTP) }
    expect(find([0x14, 0x17, ...ascii('_PRT'), 0, 0xa0, 0x0b, 0x5c, ...ascii('PICF'), 0xa4, ...ascii('PRTA'), 0xa4, ...ascii('PRTP')])).toBeGreaterThan(0);
    expect(find([0x14, 0x0e, 0x5c, ...ascii('_PIC'), 1, 0x70, 0x68, 0x5c, ...ascii('PICF')])).toBeGreaterThan(0);
  });

  it('have an entry for each device in the MP table (MP 1.4 table 4-11)', () => {
    const ioApicId = 1;
    expect(find([3, 0, 0, 0, 0, 2 << 2, ioApicId, 17])).toBeGreaterThan(0);
  });

  it('say nothing of routing where no device interrupts', () => {
    build({});
    expect(find(ascii('_PRT'))).toBe(-1);
    expect(config(2, 0x3c, 2)).toBe(0);
  });
});

it('has no ISA bridge where nothing is on PCI', () => {
  build({}, { devices: [] });
  expect([config(0, 0), config(1, 0)]).toEqual([0x1237_8086, 0xffff_ffff]);
});

it('leaves everything to firmware where there is some', () => {
  build({ interruptPin: true, bars: [{ kind: 'pio', size: 16, handler: { read: () => 0, write: () => undefined } }] }, { rom: { image: new Uint8Array(0x1_0000), order: [] } });
  expect([config(2, 0x10), config(2, 4, 2), config(2, 0x3c, 1), config(1, 0x60), inp(0x4d1, 1)]).toEqual([1, 0, 0, 0x8080_8080, 0]);
});

it('ends the partition on a stray access where that is its policy', () => {
  build({}, { dmaViolations: 'stop' });
  out(0xcf8, 4, 0x8000_1004);
  out(0xcfc, 2, 4);
  expect(ports[0]?.dma.write32(0x20_0000, 1)).toBe(false);
  expect(power.requests).toEqual(['fail: card0 tried to write 4 bytes at 0x200000, outside the RAM of its partition, by DMA']);
  expect(platform.dma.violations).toBe(1);
});

it('lists what functions answer, by device', () => {
  build({ bars: [{ kind: 'mmio', size: 4096, handler: { read: () => 0, write: () => undefined } }] });
  expect([...platform.bus.ranges()].filter(({ owner }) => owner === 'card0')).toEqual([
    { space: 'mmio', base: 0xc000_0000, size: 4096, owner: 'card0' },
  ]);
});
