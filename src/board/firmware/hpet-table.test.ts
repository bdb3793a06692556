// IA-PC HPET Specification 1.0a §3.2.4: how the system is told of the timers.
import { expect, it } from 'vitest';
import { acpiTables } from './acpi-tables.ts';
import { type FirmwareShape, HPET_BASE } from './shape.ts';

const BASE = 0xe_0000;

function tables(...models: readonly string[]) {
  const shape: FirmwareShape = {
    vcpus: 1,
    ioApicId: 1,
    topOfRam: 64 << 20,
    pciInterrupts: [],
    processorSignature: 0x6f0,
    processorFeatures: 0x0781_abff,
    devices: models.map((model) => ({ model, ports: [], irqs: [], mouse: false })),
  };
  return acpiTables(shape, BASE);
}

it('is a table of its own where the partition has an HPET, and none where it has not', () => {
  expect(tables('uart16550').tables.has('HPET')).toBe(false);
  const { bytes, tables: placed } = tables('uart16550', 'hpet');
  const { address, size } = placed.get('HPET')!;
  const table = bytes.subarray(address - BASE, address - BASE + size);
  const view = new DataView(table.buffer, table.byteOffset, size);
  expect([size, view.getUint32(4, true)]).toEqual([56, 56]);
  expect(table.reduce((sum, byte) => sum + byte, 0) & 0xff).toBe(0);
  expect(view.getUint32(36, true)).toBe(0x8086_a201);
  expect([view.getUint8(40), view.getUint8(41), view.getBigUint64(44, true)]).toEqual([0, 64, BigInt(HPET_BASE)]);
  expect(view.getUint16(53, true)).toBe(100);
});

it('is listed by both roots', () => {
  const { bytes, tables: placed } = tables('hpet');
  const { address } = placed.get('HPET')!;
  for (const [root, width] of [['RSDT', 4], ['XSDT', 8]] as const) {
    const { address: at, size } = placed.get(root)!;
    const view = new DataView(bytes.buffer, bytes.byteOffset + at - BASE, size);
    const entries = Array.from({ length: (size - 36) / width }, (_, i) => view.getUint32(36 + i * width, true));
    expect(entries, root).toContain(address);
  }
});
