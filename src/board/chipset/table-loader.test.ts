import { describe, expect, it } from 'vitest';
import { acpiTables } from '../firmware/acpi-tables.ts';
import type { FirmwareShape } from '../firmware/shape.ts';
import { acpiFiles } from './table-loader.ts';

const SHAPE: FirmwareShape = {
  vcpus: 3,
  ioApicId: 3,
  topOfRam: 64 << 20,
  pciInterrupts: [],
  processorSignature: 0x6f0,
  processorFeatures: 0x0781abff,
  devices: [{ model: 'uart16550', ports: [{ base: 0x3f8, size: 8 }], irqs: [4], mouse: false }],
};
const RSDP_BYTES = 36;

/** As firmware does it: every file gets memory at an address, and the script puts the addresses in. */
function carryOut(files: ReturnType<typeof acpiFiles>, addresses: Readonly<Record<string, number>>): ReadonlyMap<string, Uint8Array> {
  const loaded = new Map(files.map(({ name, data }) => [name, data.slice()]));
  const script = new DataView(files.find(({ name }) => name === 'etc/table-loader')!.data.slice().buffer);
  const textAt = (at: number) => {
    const bytes = Array.from({ length: 56 }, (_, i) => script.getUint8(at + i));
    return String.fromCharCode(...bytes.slice(0, bytes.indexOf(0)));
  };
  const allocated = new Set<string>();
  for (let at = 0; at < script.byteLength; at += 128) {
    const file = textAt(at + 4);
    const bytes = loaded.get(file)!;
    const view = new DataView(bytes.buffer);
    switch (script.getUint32(at, true)) {
      case 1: {
        expect(addresses[file]! % script.getUint32(at + 60, true)).toBe(0);
        expect(script.getUint8(at + 64)).toBe(addresses[file]! < 0x10_0000 ? 2 : 1);
        allocated.add(file);
        break;
      }
      case 2: {
        const target = textAt(at + 60);
        expect(allocated).toContain(target);
        const offset = script.getUint32(at + 116, true);
        if (script.getUint8(at + 120) === 8) view.setBigUint64(offset, view.getBigUint64(offset, true) + BigInt(addresses[target]!), true);
        else view.setUint32(offset, view.getUint32(offset, true) + addresses[target]!, true);
        break;
      }
      case 3: {
        const [where, start, length] = [60, 64, 68].map((field) => script.getUint32(at + field, true)) as [number, number, number];
        // Two ways to do it are in use, and agree only where nothing is there before.
        expect(bytes[where]).toBe(0);
        bytes[where] = -bytes.subarray(start, start + length).reduce((total, byte) => total + byte, 0);
        break;
      }
      default:
        throw new Error(`unknown command at ${at}`);
    }
  }
  return loaded;
}

describe('ACPI tables for firmware to place', () => {
  const loaded = carryOut(acpiFiles(acpiTables(SHAPE, 0)), { 'etc/acpi/tables': 0x3fe_0000, 'etc/acpi/rsdp': 0xf_5000 });
  const direct = acpiTables(SHAPE, 0x3fe_0000);

  it('come out as if they had been made for the place that firmware chose', () => {
    expect([...loaded.get('etc/acpi/tables')!.subarray(RSDP_BYTES)]).toEqual([...direct.bytes.subarray(RSDP_BYTES)]);
  });

  it('have an RSDP of their own that leads to them, with both checksums right', () => {
    expect([...loaded.get('etc/acpi/rsdp')!]).toEqual([...direct.bytes.subarray(0, RSDP_BYTES)]);
  });

  it('have no second RSDP among them', () => {
    expect(
      loaded
        .get('etc/acpi/tables')!
        .subarray(0, RSDP_BYTES)
        .every((byte) => byte === 0),
    ).toBe(true);
  });
});
