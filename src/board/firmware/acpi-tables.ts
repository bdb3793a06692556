/**
 * ACPI system description tables of a partition.
 *
 * Spec: ACPI 6.5 §5.2 (tables), §5.2.5 (RSDP), §5.2.9 (FADT), §5.2.10 (FACS), §5.2.12 (MADT).
 * The hardware is not reduced: systems without paravirtual clocks calibrate with the PM timer and the 8254, which they only look
 * for on full ACPI hardware.
 */
import { ACPI_DISABLE, ACPI_ENABLE } from '../chips/acpi-pm.ts';
import { HPET_BLOCK_ID, HPET_MINIMUM_TICK } from '../chips/hpet.ts';
import { RTC_CENTURY } from '../chips/mc146818.ts';
import { ascii, checksum, u16, u32, u64, withChecksum } from './bytes.ts';
import { dsdtAml } from './dsdt.ts';
import {
  CONFORMS,
  type FirmwareShape,
  HPET_BASE,
  IO_APIC_BASE,
  LEVEL_ACTIVE_HIGH,
  LOCAL_APIC_BASE,
  PM_BASE,
  RESET_PORT,
  RESET_VALUE,
  SCI_LINE,
  SMI_COMMAND_PORT,
} from './shape.ts';

const HEADER_BYTES = 36;
const CHECKSUM_AT = 9;
const FACS_BYTES = 64;
const RSDP_BYTES = 36;
const OEM_ID = 'BULKHD';
const OEM_TABLE_ID = 'BULKHEAD';
const OEM_REVISION = 1;
const CREATOR = 'BLKH';

// FADT (table 5.9)
const IAPC_LEGACY_DEVICES = 1 << 0;
const IAPC_8042 = 1 << 1;
const IAPC_NO_VGA = 1 << 2;
/** Models that answer at the VGA's addresses. */
const DISPLAY_MODELS = ['vga-text', 'stdvga'];
const FADT_WBINVD = 1 << 0;
const FADT_PROC_C1 = 1 << 2;
const FADT_NO_SLEEP_BUTTON = 1 << 5;
const FADT_RTC_NOT_FIXED = 1 << 6;
const FADT_TIMER_32_BIT = 1 << 8;
const FADT_RESET_REGISTER = 1 << 10;
/** Latencies beyond these say that C2 and C3 do not exist. */
const NO_C2 = 101;
const NO_C3 = 1001;

export interface AcpiTables {
  readonly bytes: Uint8Array;
  /** Address of the RSDP: the first table. */
  readonly rsdp: number;
  /** Where each table lies, by signature; for inspection and tests. */
  readonly tables: ReadonlyMap<string, { readonly address: number; readonly size: number }>;
}

/** All tables, laid out from `base` on (16-byte aligned, so that the RSDP is found by its signature, §5.2.5.1). */
export function acpiTables(shape: FirmwareShape, base: number): AcpiTables {
  const bytes: number[] = [];
  const tables = new Map<string, { address: number; size: number }>();
  const place = (signature: string, table: readonly number[], alignment = 16): number => {
    while ((base + bytes.length) % alignment !== 0) bytes.push(0);
    const address = base + bytes.length;
    tables.set(signature, { address, size: table.length });
    bytes.push(...table);
    return address;
  };
  place('RSD PTR ', new Array<number>(RSDP_BYTES).fill(0));
  const facs = place('FACS', facsTable(), 64);
  const dsdt = place('DSDT', withHeader('DSDT', 2, dsdtAml(shape)));
  const fadt = place('FACP', fadtTable(shape, facs, dsdt));
  const madt = place('APIC', madtTable(shape));
  const hpet = announces(shape, 'hpet') ? [place('HPET', hpetTable())] : [];
  const rsdt = place('RSDT', withHeader('RSDT', 1, [fadt, madt, ...hpet].flatMap(u32)));
  const xsdt = place('XSDT', withHeader('XSDT', 1, [fadt, madt, ...hpet].flatMap(u64)));
  const image = new Uint8Array(bytes);
  image.set(rsdpTable(rsdt, xsdt));
  return { bytes: image, rsdp: base, tables };
}

function withHeader(signature: string, revision: number, body: readonly number[]): number[] {
  const header = [
    ...ascii(signature),
    ...u32(HEADER_BYTES + body.length),
    revision,
    0,
    ...ascii(OEM_ID),
    ...ascii(OEM_TABLE_ID),
    ...u32(OEM_REVISION),
    ...ascii(CREATOR),
    ...u32(OEM_REVISION),
  ];
  return withChecksum([...header, ...body], CHECKSUM_AT);
}

/** Two checksums: the first 20 bytes are ACPI 1.0's (§5.2.5.3). */
function rsdpTable(rsdt: number, xsdt: number): number[] {
  const first = withChecksum([...ascii('RSD PTR '), 0, ...ascii(OEM_ID), 2, ...u32(rsdt)], 8);
  const whole = [...first, ...u32(RSDP_BYTES), ...u64(xsdt), 0, 0, 0, 0];
  whole[32] = checksum(whole);
  return whole;
}

function facsTable(): number[] {
  const table = [...ascii('FACS'), ...u32(FACS_BYTES), ...new Array<number>(FACS_BYTES - 8).fill(0)];
  table[32] = 2; // version
  return table;
}

/** Generic address: an I/O port of `bits`, accessed `access` (1 byte, 2 word, 3 dword) at a time (§5.2.3.2). */
function port(address: number, bits: number, access: number): number[] {
  return [1, bits, 0, access, ...u64(address)];
}

const NO_ADDRESS = new Array<number>(12).fill(0);

function fadtTable(shape: FirmwareShape, facs: number, dsdt: number): number[] {
  const has = (model: string) => announces(shape, model);
  const bootArchitecture = IAPC_LEGACY_DEVICES | (has('i8042') ? IAPC_8042 : 0) | (DISPLAY_MODELS.some(has) ? 0 : IAPC_NO_VGA);
  const flags = FADT_WBINVD | FADT_PROC_C1 | FADT_NO_SLEEP_BUTTON | FADT_RTC_NOT_FIXED | FADT_TIMER_32_BIT | FADT_RESET_REGISTER;
  const body = [
    ...u32(facs),
    ...u32(dsdt),
    0,
    0, // reserved; no preferred power profile
    ...u16(SCI_LINE),
    ...u32(SMI_COMMAND_PORT),
    ACPI_ENABLE,
    ACPI_DISABLE,
    0,
    0, // S4BIOS_REQ, PSTATE_CNT
    ...u32(PM_BASE),
    ...u32(0), // PM1a, PM1b event
    ...u32(PM_BASE + 4),
    ...u32(0), // PM1a, PM1b control
    ...u32(0),
    ...u32(PM_BASE + 8), // PM2 control, PM timer
    ...u32(0),
    ...u32(0), // GPE0, GPE1
    4,
    2,
    0,
    4, // bytes of PM1 event, PM1 control, PM2 control, PM timer
    0,
    0,
    0,
    0, // bytes of GPE0, GPE1; GPE1 base, CST_CNT
    ...u16(NO_C2),
    ...u16(NO_C3),
    ...u16(0),
    ...u16(0), // no cache flush by reading: WBINVD works
    0,
    0, // duty cycle
    0,
    0,
    RTC_CENTURY, // alarm day and month do not exist
    ...u16(bootArchitecture),
    0,
    ...u32(flags),
    ...port(RESET_PORT, 8, 1),
    RESET_VALUE,
    ...u16(0),
    5, // ARM boot flags; minor version: 6.5
    ...u64(0),
    ...u64(dsdt), // X_FIRMWARE_CTRL stays 0 because FIRMWARE_CTRL is used
    ...port(PM_BASE, 32, 2),
    ...NO_ADDRESS,
    ...port(PM_BASE + 4, 16, 2),
    ...NO_ADDRESS,
    ...NO_ADDRESS,
    ...port(PM_BASE + 8, 32, 3),
    ...NO_ADDRESS,
    ...NO_ADDRESS, // GPE0, GPE1
    ...NO_ADDRESS,
    ...NO_ADDRESS, // sleep control and status: reduced hardware only
    ...u64(0), // hypervisor vendor
  ];
  return withHeader('FACP', 6, body);
}

const announces = (shape: FirmwareShape, model: string): boolean => shape.devices.some((device) => device.model === model);

/** IA-PC HPET 1.0a §3.2.4. */
function hpetTable(): number[] {
  const memory64 = [0, 64, 0, 0, ...u64(HPET_BASE)];
  return withHeader('HPET', 1, [...u32(HPET_BLOCK_ID), ...memory64, 0, ...u16(HPET_MINIMUM_TICK), 0]);
}

function madtTable(shape: FirmwareShape): number[] {
  const processors = Array.from({ length: shape.vcpus }, (_, id) => [0, 8, id, id, ...u32(1)]); // enabled
  return withHeader('APIC', 5, [
    ...u32(LOCAL_APIC_BASE),
    ...u32(1), // PCAT_COMPAT: there are 8259s, to be masked when the APICs are used
    ...processors.flat(),
    1,
    12,
    shape.ioApicId,
    0,
    ...u32(IO_APIC_BASE),
    ...u32(0),
    2,
    10,
    0,
    0,
    ...u32(2),
    ...u16(CONFORMS), // the timer is on pin 2
    2,
    10,
    0,
    SCI_LINE,
    ...u32(SCI_LINE),
    ...u16(LEVEL_ACTIVE_HIGH),
    4,
    6,
    0xff,
    ...u16(CONFORMS),
    1, // NMI on LINT1 of every processor
  ]);
}
