/**
 * ACPI tables for firmware to place: the tables as one file whose pointers count from its start, the RSDP as another, and a script
 * that says which file goes where, which fields are pointers into which file, and which bytes make a checksum come out.
 *
 * Spec: QEMU include/hw/acpi/bios-linker-loader.h and docs of its commands, as SeaBIOS and OVMF carry them out; where tables keep
 * their pointers: ACPI 6.5 §5.2.5.3 (RSDP), §5.2.7 (RSDT), §5.2.8 (XSDT), §5.2.9 (FADT).
 */
import type { AcpiTables } from '../firmware/acpi-tables.ts';
import type { ConfigurationFile } from '../chips/fw-cfg.ts';

const TABLES_FILE = 'etc/acpi/tables';
const RSDP_FILE = 'etc/acpi/rsdp';
const LOADER_FILE = 'etc/table-loader';

// One entry of the script
const ENTRY_BYTES = 128;
const NAME_BYTES = 56;
const ALLOCATE = 1;
const ADD_POINTER = 2;
const ADD_CHECKSUM = 3;
const ZONE_HIGH = 1;
const ZONE_LOW_MEGABYTE = 2;

const HEADER_BYTES = 36;
const LENGTH_AT = 4;
const CHECKSUM_AT = 9;
/** The FACS wants this (ACPI 6.5 §5.2.10). */
const TABLES_ALIGNMENT = 64;
const RSDP_ALIGNMENT = 16;
const RSDP_SIGNATURE = 'RSD PTR ';
const RSDP_CHECKSUM_AT = 8;
const RSDP_FIRST_PART = 20;
const RSDP_EXTENDED_CHECKSUM_AT = 32;

/** Pointer fields of tables that have a fixed number of them: offset and size. */
const POINTERS: Readonly<Record<string, readonly (readonly [number, number])[]>> = {
  'RSD PTR ': [
    [16, 4],
    [24, 8],
  ],
  FACP: [
    [36, 4],
    [40, 4],
    [132, 8],
    [140, 8],
  ],
};
/** Tables that are nothing but pointers behind their header, of this size each. */
const POINTER_LISTS: Readonly<Record<string, number>> = { RSDT: 4, XSDT: 8 };

/** `acpi`: laid out from address 0. */
export function acpiFiles(acpi: AcpiTables): ConfigurationFile[] {
  const { bytes, tables } = acpi;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const rsdpAt = tables.get(RSDP_SIGNATURE)?.address ?? 0;
  const rsdpSize = tables.get(RSDP_SIGNATURE)?.size ?? 0;
  const script: number[][] = [allocate(TABLES_FILE, TABLES_ALIGNMENT, ZONE_HIGH), allocate(RSDP_FILE, RSDP_ALIGNMENT, ZONE_LOW_MEGABYTE)];
  for (const [signature, { address, size }] of tables) {
    const [file, base] = signature === RSDP_SIGNATURE ? [RSDP_FILE, rsdpAt] : [TABLES_FILE, 0];
    for (const [at, width] of pointersOf(signature, size)) {
      // A pointer that is not used is 0 and stays it.
      const isUsed = width === 8 ? view.getBigUint64(address + at, true) !== 0n : view.getUint32(address + at, true) !== 0;
      if (isUsed) script.push(addPointer(file, TABLES_FILE, address - base + at, width));
    }
  }
  // The tables come without the RSDP: a second one would be found where none should be looked for.
  const rest = bytes.slice();
  rest.fill(0, rsdpAt, rsdpAt + rsdpSize);
  const rsdp = bytes.slice(rsdpAt, rsdpAt + rsdpSize);
  rsdp[RSDP_CHECKSUM_AT] = 0;
  rsdp[RSDP_EXTENDED_CHECKSUM_AT] = 0;
  for (const [signature, { address }] of tables) {
    if (signature === RSDP_SIGNATURE || signature === 'FACS') continue; // the FACS has no checksum
    rest[address + CHECKSUM_AT] = 0; // SeaBIOS adjusts what is there, OVMF counts on nothing being there
    script.push(addChecksum(TABLES_FILE, address + CHECKSUM_AT, address, view.getUint32(address + LENGTH_AT, true)));
  }
  script.push(addChecksum(RSDP_FILE, RSDP_CHECKSUM_AT, 0, RSDP_FIRST_PART), addChecksum(RSDP_FILE, RSDP_EXTENDED_CHECKSUM_AT, 0, rsdpSize));
  return [
    { name: TABLES_FILE, data: rest },
    { name: RSDP_FILE, data: rsdp },
    { name: LOADER_FILE, data: Uint8Array.from(script.flat()) },
  ];
}

function pointersOf(signature: string, size: number): readonly (readonly [number, number])[] {
  const width = POINTER_LISTS[signature];
  if (width === undefined) return POINTERS[signature] ?? [];
  return Array.from({ length: (size - HEADER_BYTES) / width }, (_, index) => [HEADER_BYTES + index * width, width] as const);
}

function allocate(file: string, alignment: number, zone: number): number[] {
  return entry(ALLOCATE, [...name(file), ...word(alignment), zone]);
}

/** The field at `at` becomes an address, once `target` has one. */
function addPointer(file: string, target: string, at: number, width: number): number[] {
  return entry(ADD_POINTER, [...name(file), ...name(target), ...word(at), width]);
}

/** The byte at `at` is set so that `length` bytes from `start` on sum to 0. */
function addChecksum(file: string, at: number, start: number, length: number): number[] {
  return entry(ADD_CHECKSUM, [...name(file), ...word(at), ...word(start), ...word(length)]);
}

function entry(command: number, body: readonly number[]): number[] {
  const bytes = [...word(command), ...body];
  return [...bytes, ...new Array<number>(ENTRY_BYTES - bytes.length).fill(0)];
}

function name(text: string): number[] {
  return Array.from({ length: NAME_BYTES }, (_, i) => (i < text.length ? text.charCodeAt(i) : 0));
}

function word(value: number): number[] {
  return [value & 0xff, (value >>> 8) & 0xff, (value >>> 16) & 0xff, value >>> 24];
}
