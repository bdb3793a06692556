import { describe, expect, it } from 'vitest';
import { createPhysicalMemory, pcRamRegions } from '../memory.ts';
import { busNumbers, eisaId, integer, path, scope } from './aml.ts';
import { createFirmware } from './firmware.ts';
import { mpTable } from './mp-table.ts';
import type { FirmwareShape } from './shape.ts';

const MiB = 1 << 20;

const shape: FirmwareShape = {
  vcpus: 2,
  ioApicId: 2,
  topOfRam: 64 * MiB,
  pciInterrupts: [],
  processorSignature: 0x6f0,
  processorFeatures: 0x0781abff,
  devices: [
    { model: 'uart16550', ports: [{ base: 0x3f8, size: 8 }], irqs: [4], mouse: false },
    {
      model: 'i8042',
      ports: [
        { base: 0x60, size: 1 },
        { base: 0x64, size: 1 },
      ],
      irqs: [1, 12],
      mouse: false,
    },
  ],
};

const memory = createPhysicalMemory(pcRamRegions(64 * MiB), 0);
const firmware = createFirmware(shape, memory);
for (const { gpa, data } of firmware.segments) memory.write(gpa, data);

const bytesAt = (gpa: number, size: number) => memory.read(gpa, size) ?? new Uint8Array();
const view = (gpa: number, size: number) => new DataView(bytesAt(gpa, size).buffer);
const u32 = (gpa: number) => view(gpa, 4).getUint32(0, true);
const u16 = (gpa: number) => view(gpa, 2).getUint16(0, true);
const u8 = (gpa: number) => view(gpa, 1).getUint8(0);
const text = (gpa: number, size: number) => String.fromCharCode(...bytesAt(gpa, size));
const sum = (gpa: number, size: number) => bytesAt(gpa, size).reduce((total, byte) => (total + byte) & 0xff, 0);

/** From the RSDP through the XSDT, as a system does it. */
function findTable(signature: string): number {
  const rsdp = firmware.rsdp ?? 0;
  const xsdt = u32(rsdp + 24);
  for (let at = xsdt + 36; at < xsdt + u32(xsdt + 4); at += 8) if (text(u32(at), 4) === signature) return u32(at);
  throw new Error(`no ${signature}`);
}

describe('ACPI tables', () => {
  it('are found by signature on a 16-byte boundary, with both checksums right', () => {
    let found = -1;
    for (let at = 0xe0000; at < 0x100000 && found < 0; at += 16) if (text(at, 8) === 'RSD PTR ') found = at;
    expect([found, sum(found, 20), sum(found, 36)]).toEqual([firmware.rsdp, 0, 0]);
  });

  it('are reached the same way through RSDT and XSDT, and sum to zero', () => {
    const rsdp = firmware.rsdp ?? 0;
    const rsdt = u32(rsdp + 16);
    const xsdt = u32(rsdp + 24);
    const entries = (u32(rsdt + 4) - 36) / 4;
    expect(Array.from({ length: entries }, (_, i) => u32(rsdt + 36 + 4 * i))).toEqual(
      Array.from({ length: entries }, (_, i) => u32(xsdt + 36 + 8 * i)),
    );
    for (const table of [rsdt, xsdt, findTable('FACP'), findTable('APIC'), u32(findTable('FACP') + 40)])
      expect(sum(table, u32(table + 4))).toBe(0);
  });

  it('describe full hardware: SCI, PM timer, SMI command, reset register, FACS', () => {
    const fadt = findTable('FACP');
    expect([u32(fadt + 4), u16(fadt + 46), u32(fadt + 48), u32(fadt + 56), u32(fadt + 64), u32(fadt + 76)]).toEqual([
      276, 9, 0xb2, 0x600, 0x604, 0x608,
    ]);
    expect([u8(fadt + 116), u32(fadt + 120), u8(fadt + 128)]).toEqual([1, 0xcf9, 0x06]);
    expect(u32(fadt + 112) & (1 << 20)).toBe(0); // not hardware-reduced
    const facs = u32(fadt + 36);
    expect([text(facs, 4), facs % 64]).toEqual(['FACS', 0]);
  });

  it('announce the keyboard controller and the display only when they are there', () => {
    const flags = (devices: FirmwareShape['devices']) => {
      const { acpi } = createFirmware({ ...shape, devices }, memory);
      const fadt = (acpi?.tables.get('FACP')?.address ?? 0) - 0xe0000;
      return (acpi?.bytes[fadt + 109] ?? 0) & 0x07;
    };
    expect([flags(shape.devices), flags([])]).toEqual([0b111, 0b101]);
  });

  it('list processors, I/O APIC, overrides and NMI in the MADT', () => {
    const madt = findTable('APIC');
    const entries: number[][] = [];
    for (let at = madt + 44; at < madt + u32(madt + 4); at += u8(at + 1)) entries.push([...bytesAt(at, u8(at + 1))]);
    expect(entries).toEqual([
      [0, 8, 0, 0, 1, 0, 0, 0],
      [0, 8, 1, 1, 1, 0, 0, 0],
      [1, 12, 2, 0, 0, 0, 0xc0, 0xfe, 0, 0, 0, 0],
      [2, 10, 0, 0, 2, 0, 0, 0, 0, 0],
      [2, 10, 0, 9, 9, 0, 0, 0, 0x0d, 0],
      [4, 6, 0xff, 0, 0, 1],
    ]);
  });
});

describe('AML', () => {
  it('encodes integers as short as they go', () => {
    expect([0, 1, 2, 0x100, 0x10000].map((value) => integer(value))).toEqual([[0], [1], [0x0a, 2], [0x0b, 0, 1], [0x0c, 0, 0, 1, 0]]);
  });

  it('encodes paths of one, two and three segments', () => {
    expect(String.fromCharCode(...path('\\_SB'))).toBe('\\_SB_');
    expect(String.fromCharCode(...path('_SB.PCI0'))).toBe('._SB_PCI0');
    expect(String.fromCharCode(...path('A.B.C'))).toBe('/\u0003A___B___C___');
  });

  it('counts the bytes of a length in it', () => {
    expect(scope('X', new Array<number>(58).fill(0)).slice(0, 2)).toEqual([0x10, 63]);
    const two = scope('X', new Array<number>(59).fill(0));
    expect([two.slice(0, 3), two.length - 1]).toEqual([[0x10, 0x41, 0x04], 0x41]);
    const three = scope('X', new Array<number>(5000).fill(0));
    expect((three[1] ?? 0) >> 6).toBe(2);
    expect(((three[1] ?? 0) & 15) | ((three[2] ?? 0) << 4) | ((three[3] ?? 0) << 12)).toBe(three.length - 1);
  });

  it('packs EISA identifiers big-endian', () => {
    expect(eisaId('PNP0501')).toEqual([0x0c, 0x41, 0xd0, 0x05, 0x01]);
  });

  it('writes windows as granularity, minimum, maximum, offset and length', () => {
    expect(busNumbers(0, 255)).toEqual([0x88, 13, 0, 2, 0x0c, 0, 0, 0, 0, 0, 255, 0, 0, 0, 0, 1]);
  });

  it('names soft off, the root bridge and the devices of the partition, no others', () => {
    const dsdt = u32(findTable('FACP') + 40);
    const body = text(dsdt, u32(dsdt + 4));
    for (const name of ['\\_S5_', 'PCI0', 'C000', 'C001', 'COM1', 'KBD_', 'RTC_']) expect(body).toContain(name);
    for (const name of ['COM2', 'MOU_', 'C002']) expect(body).not.toContain(name);
  });
});

describe('MP table', () => {
  it('is found by its floating pointer and sums to zero', () => {
    expect([text(0xf0000, 4), sum(0xf0000, 16), u32(0xf0004)]).toEqual(['_MP_', 0, 0xf0010]);
    expect([text(0xf0010, 4), sum(0xf0010, u16(0xf0014))]).toEqual(['PCMP', 0]);
  });

  it('has as many entries as it says, processors first', () => {
    const table = mpTable(shape, 0xf0000).subarray(16);
    const count = (table[34] ?? 0) | ((table[35] ?? 0) << 8);
    const types: number[] = [];
    for (let at = 44; at < table.length; at += table[at] === 0 ? 20 : 8) types.push(table[at] ?? -1);
    expect(types).toHaveLength(count);
    expect(types.slice(0, 5)).toEqual([0, 0, 1, 1, 2]);
    expect(types.filter((type) => type === 3)).toHaveLength(15);
    expect(table[44 + 3]).toBe(3); // enabled, bootstrap
    expect(table[64 + 3]).toBe(1);
  });
});

describe('memory map', () => {
  it('reserves the EBDA and the firmware, leaves the display out, and covers the rest', () => {
    expect(firmware.memoryMap).toEqual([
      { base: 0, size: 0x9fc00, kind: 'ram' },
      { base: 0x9fc00, size: 0x400, kind: 'reserved' },
      { base: 0xc0000, size: 0x20000, kind: 'ram' },
      { base: 0xe0000, size: 0x20000, kind: 'reserved' },
      { base: 0x100000, size: 63 * MiB, kind: 'ram' },
    ]);
  });

  it('is all there is for a partition too small for tables', () => {
    const small = createPhysicalMemory(pcRamRegions(0x80000), 0);
    expect(createFirmware(shape, small)).toEqual({
      segments: [],
      memoryMap: [{ base: 0, size: 0x80000, kind: 'ram' }],
      rsdp: undefined,
      acpi: undefined,
    });
  });
});

it('leaves a BIOS data area that points to the EBDA and the serial port', () => {
  expect([u16(0x400), u16(0x40e), u16(0x413), u8(0x9fc00)]).toEqual([0x3f8, 0x9fc0, 639, 1]);
});
