import { describe, expect, it } from 'vitest';
import type { PciFunctionDescription } from '../../contracts/index.ts';
import { SystemBus } from '../bus.ts';
import { DmaGate } from '../dma.ts';
import { createPhysicalMemory } from '../memory.ts';
import { RecordingLine } from '../testing.ts';
import { assignAddresses, pciMemoryBase } from './address-assignment.ts';
import type { AddressRequest } from './base-addresses.ts';
import { ConfigurationMechanism1 } from './configuration-mechanism-1.ts';
import { PciBus } from './pci-bus.ts';
import { chooseRoutes, Piix3, pirqOfSlot } from './piix3.ts';

const MiB = 1 << 20;
const IDENTITY = { vendor: 0x1234, device: 1, classCode: 0 };
const handler = { read: () => 0x5a, write: () => undefined };

function board() {
  const bus = new SystemBus();
  const memory = createPhysicalMemory([{ base: 0, size: MiB, access: 'rw' }], 0, 4 * MiB);
  const log: string[] = [];
  const lines = new Map<string, RecordingLine>();
  const line = (name: string) => {
    const known = lines.get(name) ?? new RecordingLine();
    lines.set(name, known);
    return known;
  };
  const piix3 = new Piix3({ pin: (pirq) => line(`pirq ${pirq}`), isa: (irq) => line(`isa ${irq}`) });
  const configuration = new ConfigurationMechanism1({ resetControl: { read: () => 0, write: () => undefined } });
  bus.claim({ space: 'pio', base: 0xcf8, size: 8 }, 'pci', configuration);
  const logger = { log: (_: string, message: string) => log.push(message) };
  const dma = new DmaGate({ memory, log: logger });
  const msi = { send: () => undefined };
  const pci = new PciBus({ bus, memory, configuration, dma, msi, log: logger, interrupt: (slot) => piix3.wire(slot) });
  pci.plugChipset({ device: 1, function: 0 }, piix3);
  const read = (device: number, fn: number, register: number) => {
    bus.write('pio', 0xcf8, 4, (0x8000_0000 | (device << 11) | (fn << 8) | register) >>> 0);
    return bus.read('pio', 0xcfc, 4);
  };
  const write = (device: number, register: number, size: 1 | 2 | 4, value: number) => {
    bus.write('pio', 0xcf8, 4, (0x8000_0000 | (device << 11) | (register & 0xfc)) >>> 0);
    bus.write('pio', 0xcfc + (register & 3), size, value);
  };
  return { bus, memory, pci, piix3, log, line, read, write };
}

const card = (more: Partial<PciFunctionDescription> = {}): PciFunctionDescription => ({ identity: IDENTITY, bars: [], ...more });

describe('slots', () => {
  it('go to functions in order, from 2 on', () => {
    const { pci, read } = board();
    const places = ['a', 'b', 'a'].map((device) => pci.plug(device, card()).place);
    expect(places).toEqual([2, 3, 4].map((device) => ({ device, function: 0 })));
    expect(pci.functions.map(({ name }) => name)).toEqual(['a', 'b', 'a.1']);
    expect([read(2, 0, 0), read(4, 0, 0), read(5, 0, 0)]).toEqual([0x0001_1234, 0x0001_1234, 0xffff_ffff]);
  });

  it('can be asked for; siblings are announced in the header of function 0 (PCI 3.0 §6.2.1)', () => {
    const { pci, read } = board();
    expect((read(1, 0, 0x0c) >>> 16) & 0x80).toBe(0);
    pci.plug('ide', card({ place: { device: 1, function: 1 } }));
    expect((read(1, 0, 0x0c) >>> 16) & 0x80).toBe(0x80);
    expect(read(1, 1, 0)).toBe(0x0001_1234);
    expect(pci.plug('nic', card()).place.device).toBe(2);
  });

  it('are refused twice, and when there are none left', () => {
    const { pci } = board();
    expect(() => pci.plug('x', card({ place: { device: 1, function: 0 } }))).toThrow(expect.objectContaining({ code: 'BH216' }));
    for (let i = 2; i < 32; i++) pci.plug(`d${i}`, card());
    expect(() => pci.plug('late', card())).toThrow(expect.objectContaining({ code: 'BH216' }));
  });
});

describe('what firmware leaves behind', () => {
  it('is an address for every range, decoding on, bus mastering off, and the interrupt line noted', () => {
    const { pci, bus, read } = board();
    const nic = pci.plug('nic', card({ interruptPin: true, bars: [{ kind: 'mmio', size: 0x2_0000, handler }, { kind: 'pio', size: 64, handler }] }));
    const vga = pci.plug('vga', card({ bars: [{ kind: 'memory', size: MiB, name: 'frames' }], rom: new Uint8Array(4096) }));
    pci.post((slot) => 8 + slot);
    expect([nic.barAddress(0), nic.barAddress(1), vga.barAddress(0)]).toEqual([0xc010_0000, 0xc000, 0xc000_0000]);
    expect([read(2, 0, 4) & 7, read(3, 0, 4) & 7, read(2, 0, 0x3c) & 0xff]).toEqual([3, 2, 10]);
    expect(read(3, 0, 0x30)).toBe(0xc012_0000); // placed, not enabled: the ROM is software's to turn on
    expect(bus.read('pio', 0xc010, 1)).toBe(0x5a);
  });

  it('is the same after every reset', () => {
    const { pci } = board();
    const ranges = () => pci.functions.map((one) => [one.barAddress(0), one.barAddress(1)]);
    for (const size of [16, 4096, 256, 65536]) pci.plug('d', card({ bars: [{ kind: 'mmio', size, handler }, { kind: 'pio', size: 16, handler }] }));
    pci.post(() => 0);
    const first = ranges();
    pci.functions[1]?.writeConfig(0x10, 4, 0xd000_0000);
    pci.reset();
    pci.post(() => 0);
    expect(ranges()).toEqual(first);
  });

  it('says so when there is no room', () => {
    const { pci, log } = board();
    for (let i = 0; i < 9; i++) pci.plug(`d${i}`, card({ bars: [{ kind: 'mmio', size: 0x1000_0000, handler }] }));
    pci.post(() => 0);
    expect(log).toHaveLength(6); // of the GiB below 4 GiB, three aligned pieces of 256 MiB are left under the I/O APIC
    expect(log[0]).toContain('no address is left for its 268435456 bytes of memory');
  });
});

describe('address assignment', () => {
  const request = (space: 'pio' | 'mmio', size: number): AddressRequest => ({ register: 0x10, space, size, wide: false });

  it('keeps clear of what the board answers, and of RAM', () => {
    const wanted = request('mmio', 0x1000);
    const ports = request('pio', 32);
    const claimed = [
      { space: 'mmio', base: 0xc000_0800, size: 0x100 } as const,
      { space: 'pio', base: 0xc000, size: 1 } as const,
    ];
    expect([...assignAddresses([wanted, ports], MiB, claimed).values()]).toEqual([0xc020, 0xc000_1000]);
    expect([pciMemoryBase(MiB), pciMemoryBase(0xc000_0000), pciMemoryBase(0xc000_1000)]).toEqual([0xc000_0000, 0xc000_0000, 0xd000_0000]);
  });

  it('aligns everything to its own size, without overlap', () => {
    const requests = [0x1000, 0x10, 0x100_0000, 0x20_0000, 0x10, 0x8000].map((size) => request('mmio', size));
    const given = [...assignAddresses(requests, MiB, [])].sort((a, b) => a[1] - b[1]);
    expect(given).toHaveLength(6);
    for (const [index, [{ size }, base]] of given.entries()) {
      expect(base % size).toBe(0);
      const next = given[index + 1];
      if (next !== undefined) expect(base + size).toBeLessThanOrEqual(next[1]);
    }
  });
});

describe('PIIX3 interrupt routing (order 290550-002, §2.2.8)', () => {
  it('swizzles slots over four lines', () => {
    expect([1, 2, 3, 4, 5].map((slot) => pirqOfSlot(slot))).toEqual([0, 1, 2, 3, 0]);
  });

  it('drives the pin of the I/O APIC always, and the ISA line while one is routed', () => {
    const { pci, line, write } = board();
    const nic = pci.plug('nic', card({ interruptPin: true })); // slot 2: PIRQ B
    nic.setInterrupt(true);
    expect([line('pirq 1').level, line('isa 11').level]).toEqual([true, false]);
    write(1, 0x61, 1, 11);
    expect(line('isa 11').level).toBe(true);
    write(1, 0x61, 1, 10);
    expect([line('isa 11').level, line('isa 10').level]).toEqual([false, true]);
    write(1, 0x61, 1, 0x8a);
    expect([line('isa 10').level, line('pirq 1').level]).toEqual([false, true]);
    nic.setInterrupt(false);
    expect(line('pirq 1').level).toBe(false);
  });

  it('routes to no line that the chip cannot reach', () => {
    const { pci, line, write, piix3 } = board();
    pci.plug('nic', card({ interruptPin: true })).setInterrupt(true);
    for (const reserved of [0, 1, 2, 8, 13]) {
      write(1, 0x61, 1, reserved);
      expect([piix3.route(1), line(`isa ${reserved}`).level]).toEqual([undefined, false]);
    }
  });

  it('holds a line as long as one function does, whichever PIRQs share it', () => {
    const { pci, line, write } = board();
    const cards = ['a', 'b', 'c', 'd', 'e'].map((name) => pci.plug(name, card({ interruptPin: true })));
    for (let pirq = 0; pirq < 4; pirq++) write(1, 0x60 + pirq, 1, 5);
    for (const one of cards) one.setInterrupt(true);
    for (const one of cards.slice(1)) one.setInterrupt(false);
    expect([line('isa 5').level, line('isa 5').edges]).toEqual([true, 1]);
    cards[0]?.setInterrupt(false);
    expect(line('isa 5').level).toBe(false);
  });

  it('comes out of a reset with nothing routed', () => {
    const { pci, write, read, line } = board();
    pci.plug('nic', card({ interruptPin: true })).setInterrupt(true);
    write(1, 0x61, 1, 11);
    pci.reset();
    expect([read(1, 0, 0x60), line('isa 11').level, line('pirq 1').level]).toEqual([0x8080_8080, false, false]);
  });

  it('is chosen for a system without firmware among the lines that are free', () => {
    expect(chooseRoutes([0, 8, 9])).toEqual([10, 11, 5, 15]);
    expect(chooseRoutes([10, 5, 15, 14, 12, 7, 6, 4])).toEqual([11, 3, 11, 3]);
    expect(chooseRoutes([3, 4, 5, 6, 7, 10, 11, 12, 14, 15])).toEqual([9, 9, 9, 9]);
  });
});

it('brings functions and routing back from a saved state', () => {
  const one = board();
  one.pci.plug('nic', card({ interruptPin: true, bars: [{ kind: 'pio', size: 16, handler }] })).setInterrupt(true);
  one.pci.post(() => 11);
  one.write(1, 0x61, 1, 11);
  const other = board();
  const nic = other.pci.plug('nic', card({ interruptPin: true, bars: [{ kind: 'pio', size: 16, handler }] }));
  other.piix3.restore(structuredClone(one.piix3.save()));
  other.pci.restore(structuredClone(one.pci.save()));
  expect([nic.barAddress(0), other.line('isa 11').level, other.pci.save()]).toEqual([0xc000, true, one.pci.save()]);
});
