/**
 * What a PC's firmware leaves in memory for the system it starts.
 *
 *     0x00400  BIOS data area          0xE0000  ACPI tables, RSDP first
 *     0x9FC00  extended BDA (1 KiB)    0xF0000  MP floating pointer and table
 *                                      0xFFFF0  reset vector: resets the partition through port 0xCF9
 *
 * Spec: ACPI 6.5 §15 (memory map), §5.2.5.1 (where the RSDP is looked for); MP 1.4 §4; IBM PC/AT Technical Reference (BDA).
 * Not modelled: BIOS services. Loaders enter systems directly.
 */
import type { Gpa, LoadSegment, MemoryMapEntry, PhysicalMemory } from '../../contracts/index.ts';
import { type AcpiTables, acpiTables } from './acpi-tables.ts';
import { u16 } from './bytes.ts';
import { mpTable } from './mp-table.ts';
import { type FirmwareShape, RESET_PORT, RESET_VALUE } from './shape.ts';

const BDA = 0x400;
const EBDA = 0x9fc00;
const EBDA_BYTES = 0x400;
const BASE_MEMORY_KIB = EBDA / 1024;
const FIRMWARE_BASE = 0xe0000;
const MP_BASE = 0xf0000;
const RESET_VECTOR = 0xffff0;
const FIRMWARE_END = 0x100000;

export interface Firmware {
  readonly segments: readonly LoadSegment[];
  readonly memoryMap: readonly MemoryMapEntry[];
  /** Undefined where RAM is too small to hold tables. */
  readonly rsdp: Gpa | undefined;
  readonly acpi: AcpiTables | undefined;
}

/** A partition without RAM up to 1 MiB gets a memory map and no tables: nothing that small looks for them. */
export function createFirmware(shape: FirmwareShape, memory: PhysicalMemory): Firmware {
  if (memory.offsetOf(FIRMWARE_BASE, FIRMWARE_END - FIRMWARE_BASE) < 0 || memory.offsetOf(EBDA, EBDA_BYTES) < 0) {
    return { segments: [], memoryMap: memoryMap(memory, []), rsdp: undefined, acpi: undefined };
  }
  const acpi = acpiTables(shape, FIRMWARE_BASE);
  const reserved = [
    { base: EBDA, end: EBDA + EBDA_BYTES },
    { base: FIRMWARE_BASE, end: FIRMWARE_END },
  ];
  return {
    segments: [
      { gpa: BDA, data: biosDataArea(shape), name: 'BIOS data area' },
      { gpa: EBDA, data: new Uint8Array([EBDA_BYTES / 1024]), name: 'extended BIOS data area' },
      { gpa: FIRMWARE_BASE, data: acpi.bytes, name: 'ACPI tables' },
      { gpa: MP_BASE, data: mpTable(shape, MP_BASE), name: 'MP table' },
      { gpa: RESET_VECTOR, data: resetVector(), name: 'reset vector' },
    ],
    memoryMap: memoryMap(memory, reserved),
    rsdp: acpi.rsdp,
    acpi,
  };
}

/** RAM with the reserved ranges cut out, in address order. `reserved` is ordered and each lies within one region. */
function memoryMap(memory: PhysicalMemory, reserved: readonly { readonly base: Gpa; readonly end: Gpa }[]): MemoryMapEntry[] {
  const entries: MemoryMapEntry[] = [];
  for (const region of memory.regions) {
    const end = region.base + region.size;
    let at = region.base;
    for (const hole of reserved) {
      if (hole.base < at || hole.end > end) continue;
      if (hole.base > at) entries.push({ base: at, size: hole.base - at, kind: 'ram' });
      entries.push({ base: hole.base, size: hole.end - hole.base, kind: 'reserved' });
      at = hole.end;
    }
    if (at < end) entries.push({ base: at, size: end - at, kind: region.access === 'rw' ? 'ram' : 'reserved' });
  }
  return entries;
}

/** The words that systems still read: serial ports, EBDA, base memory, video mode, keyboard buffer. */
function biosDataArea(shape: FirmwareShape): Uint8Array {
  const bda = new Uint8Array(256);
  const serialPorts = shape.devices.filter(({ model }) => model === 'uart16550').slice(0, 4);
  for (const [index, { ports }] of serialPorts.entries()) bda.set(u16(ports[0]?.base ?? 0), index * 2);
  bda.set(u16(EBDA >> 4), 0x0e);
  bda.set(u16(0x0026 | (serialPorts.length << 9)), 0x10); // equipment: coprocessor, pointing device, 80×25 colour, serial ports
  bda.set(u16(BASE_MEMORY_KIB), 0x13);
  bda.set([...u16(0x1e), ...u16(0x1e)], 0x1a); // keyboard buffer: head and tail
  bda[0x49] = 3; // video mode
  bda.set([...u16(80), ...u16(0x1000)], 0x4a); // columns, page size
  bda.set(u16(0x3d4), 0x63); // CRTC
  bda.set([...u16(0x1e), ...u16(0x3e)], 0x80); // keyboard buffer: bounds
  bda[0x84] = 24; // rows - 1
  bda[0x85] = 16; // character height
  return bda;
}

/** MOV AL,6; MOV DX,0xCF9; OUT DX,AL; HLT; JMP $-1; and the AT's model byte at 0xFFFFE. */
function resetVector(): Uint8Array {
  const code = [0xb0, RESET_VALUE, 0xba, ...u16(RESET_PORT), 0xee, 0xf4, 0xeb, 0xfd];
  const bytes = new Uint8Array(16);
  bytes.set(code);
  bytes[14] = 0xfc;
  return bytes;
}
