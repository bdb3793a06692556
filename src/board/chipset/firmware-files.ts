/**
 * What the board tells its firmware: RAM, processors, ACPI tables, and how to look for a system.
 *
 * Spec: QEMU docs/specs/fw_cfg.rst and SeaBIOS docs/Runtime_config.md (the names and formats of the files).
 */
import { GiB } from '../../base/index.ts';
import type { BootMedium, PhysicalMemory } from '../../contracts/index.ts';
import type { ConfigurationFile, FwCfgOptions } from '../chips/fw-cfg.ts';
import { acpiTables } from '../firmware/acpi-tables.ts';
import { u16, u32, u64 } from '../firmware/bytes.ts';
import type { FirmwareShape } from '../firmware/shape.ts';
import { acpiFiles } from './table-loader.ts';

/** Numbers of items that have no name (QEMU include/standard-headers/linux/qemu_fw_cfg.h; x86: hw/i386/fw_cfg.h). */
const KEY_PROCESSORS = 0x0005;
const KEY_MOST_PROCESSORS = 0x000f;
const KEY_TIMER_ON_PIN_2 = 0x8002;

/** ISA lines of PIRQ A to D, as SeaBIOS routes them: what the ACPI tables say of machines that do not use the I/O APIC. */
export const FIRMWARE_PIRQ_ROUTES: readonly number[] = [10, 10, 11, 11];

const E820_RAM = 1;
/** Milliseconds: stay at "No bootable device" instead of starting over, which would hide it. */
const NEVER = 0xffff_ffff;

export interface FirmwareSettings {
  readonly shape: FirmwareShape;
  readonly memory: PhysicalMemory;
  /** Port of the serial line that is keyboard and screen to firmware and boot loaders, beside those there are. */
  readonly serialConsole: number | undefined;
}

export function firmwareFiles({ shape, memory, serialConsole }: FirmwareSettings): Pick<FwCfgOptions, 'files' | 'items'> {
  const files: ConfigurationFile[] = [
    { name: 'etc/e820', data: ramMap(memory) },
    { name: 'etc/boot-fail-wait', data: Uint8Array.from(u32(NEVER)) },
    ...acpiFiles(acpiTables({ ...shape, pciMemoryBase: pciMemoryBase(shape.topOfRam) }, 0)),
  ];
  if (serialConsole !== undefined) files.push({ name: 'etc/sercon-port', data: Uint8Array.from(u16(serialConsole)) });
  return {
    files,
    items: new Map([
      [KEY_PROCESSORS, Uint8Array.from(u16(shape.vcpus))],
      [KEY_MOST_PROCESSORS, Uint8Array.from(u16(shape.vcpus))],
      [KEY_TIMER_ON_PIN_2, Uint8Array.of(1)],
    ]),
  };
}

/** Where SeaBIOS begins to place memory of PCI functions: at 2 GiB, or at 3 GiB where RAM reaches further. */
function pciMemoryBase(topOfRam: number): number {
  return topOfRam <= 2 * GiB ? 2 * GiB : 3 * GiB;
}

/** Address, size and type of each piece. The area below 1 MiB is the firmware's to divide. */
function ramMap(memory: PhysicalMemory): Uint8Array {
  const top = memory.regions.reduce((end, { base, size }) => Math.max(end, base + size), 0);
  return Uint8Array.from([...u64(0), ...u64(top), ...u32(E820_RAM)]);
}

// CMOS (SeaBIOS docs/Runtime_config.md: the boot order where no `bootorder` file names devices)
const CMOS_MEDIA: Readonly<Record<BootMedium, number>> = { floppy: 1, disk: 2, cdrom: 3, network: 4 };
/** Also says not to look at a floppy's signature: bit 0. */
const CMOS_THIRD_MEDIUM = 0x38;
const CMOS_FIRST_MEDIA = 0x3d;

/** CMOS bytes that say where to look for a system: at most three places. */
export function bootOrderCmos(order: readonly BootMedium[]): ReadonlyMap<number, number> {
  const [first = 0, second = 0, third = 0] = order.map((medium) => CMOS_MEDIA[medium]);
  return new Map([
    [CMOS_FIRST_MEDIA, first | (second << 4)],
    [CMOS_THIRD_MEDIUM, third << 4],
  ]);
}
