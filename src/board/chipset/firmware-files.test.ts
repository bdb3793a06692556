// QEMU docs/specs/fw_cfg.rst and SeaBIOS docs/Runtime_config.md: what firmware finds, file by file.
import { describe, expect, it } from 'vitest';
import type { FirmwareShape } from '../firmware/shape.ts';
import { createPhysicalMemory, pcRamRegions } from '../memory.ts';
import { bootOrderCmos, firmwareFiles } from './firmware-files.ts';

const MiB = 1 << 20;
const shape: FirmwareShape = {
  vcpus: 2,
  ioApicId: 2,
  topOfRam: 64 * MiB,
  processorSignature: 0,
  processorFeatures: 0,
  devices: [],
  pciInterrupts: [],
};
const memory = createPhysicalMemory(pcRamRegions(64 * MiB), 0);

function read(serialConsole?: number): {
  readonly text: (name: string) => string;
  readonly names: readonly string[];
  readonly items: ReadonlyMap<number, Uint8Array>;
} {
  const { files, items = new Map() } = firmwareFiles({ shape, memory, serialConsole });
  return {
    names: files.map(({ name }) => name),
    items,
    text: (name) =>
      Array.from(files.find((file) => file.name === name)?.data ?? [], (byte) => byte.toString(16).padStart(2, '0')).join(' '),
  };
}

describe('what firmware is told', () => {
  it('has all RAM as one piece from 0: what lies below 1 MiB is its own to divide', () => {
    expect(read().text('etc/e820')).toBe('00 00 00 00 00 00 00 00 00 00 00 04 00 00 00 00 01 00 00 00');
  });

  it('has the ACPI tables and the script that places them', () => {
    expect(read().names).toEqual(expect.arrayContaining(['etc/acpi/tables', 'etc/acpi/rsdp', 'etc/table-loader']));
  });

  it('has the number of processors under both keys', () => {
    expect([5, 0xf].map((key) => [...(read().items.get(key) ?? [])])).toEqual([
      [2, 0],
      [2, 0],
    ]);
  });

  it('has the port of a serial console where there is one', () => {
    expect(read().names).not.toContain('etc/sercon-port');
    expect(read(0x3f8).text('etc/sercon-port')).toBe('f8 03');
  });

  it('stays at a failure', () => {
    expect(read().text('etc/boot-fail-wait')).toBe('ff ff ff ff');
  });
});

describe('the boot order in CMOS', () => {
  it('has three places: two in one byte, the third in the high half of another', () => {
    expect(new Map(bootOrderCmos(['disk', 'cdrom', 'floppy', 'network']))).toEqual(new Map([[0x3d, 0x32], [0x38, 0x10]]));
    expect(new Map(bootOrderCmos(['cdrom']))).toEqual(new Map([[0x3d, 0x03], [0x38, 0]]));
  });
});
