/**
 * The Linux boot protocol's "zero page" (struct boot_params) and the two states it is handed over in.
 * Spec: Linux Documentation/arch/x86/boot.rst and zero-page.rst.
 */
import { BulkheadError } from '../base/index.ts';
import type { BootEnvironment, Gpa, VcpuState } from '../contracts/index.ts';
import { putU16, putU32, putU64, putU8 } from './bytes.ts';
import { bootGdt, IDENTITY_TABLES_SIZE, identityTables, longMode64, protectedFlat32 } from './entry-state.ts';
import { type BootInput, placeCommandLine } from './input.ts';
import { E820_LAYOUT, encodeMemoryMap } from './memory-map.ts';
import { PAGE_SIZE, type Placement } from './placement.ts';
import { putScreenInfo } from './screen-info.ts';

// Offsets in the zero page; those from 0x1f1 on are the image's setup header.
const ACPI_RSDP_ADDRESS = 0x70;
const E820_ENTRIES = 0x1e8,
  E820_TABLE = 0x2d0,
  E820_ENTRIES_MAX = 128;
export const SETUP_HEADER = 0x1f1;
const BOOT_FLAG = 0x1fe,
  HEADER_MAGIC = 0x202,
  PROTOCOL_VERSION = 0x206;
const TYPE_OF_LOADER = 0x210,
  LOADFLAGS = 0x211,
  RAMDISK_IMAGE = 0x218,
  RAMDISK_SIZE = 0x21c,
  COMMAND_LINE_POINTER = 0x228;
const LOADED_HIGH = 1 << 0;
/** "Undefined boot loader": we have no registered number. */
const LOADER_UNDEFINED = 0xff;
const HEADER_MAGIC_VALUE = 0x53726448; // HdrS
const PROTOCOL_2_12 = 0x20c;

export interface BootParamsLimits {
  readonly commandLine: number;
  /** The first address that the initrd must not reach. */
  readonly initrdEnd: Gpa;
}

/**
 * Places command line, initrd and zero page beside the kernel, which is placed already; returns the zero page's address.
 * `setupHeader` is the image's own header (from offset 0x1f1 on); without one a minimal header is made.
 */
export function placeBootParams(
  setupHeader: Uint8Array | undefined,
  input: BootInput,
  env: BootEnvironment,
  placement: Placement,
  limits: BootParamsLimits,
): Gpa {
  const page = new Uint8Array(PAGE_SIZE);
  if (setupHeader !== undefined) {
    page.set(setupHeader, SETUP_HEADER);
  } else {
    putU16(page, BOOT_FLAG, 0xaa55);
    putU32(page, HEADER_MAGIC, HEADER_MAGIC_VALUE);
    putU16(page, PROTOCOL_VERSION, PROTOCOL_2_12);
    putU8(page, LOADFLAGS, LOADED_HIGH);
  }
  putScreenInfo(page, env.display);

  putU64(page, ACPI_RSDP_ADDRESS, env.rsdp ?? 0);
  if (env.memoryMap.length > E820_ENTRIES_MAX) {
    throw new BulkheadError(
      'BH320',
      `the memory map has ${env.memoryMap.length} entries; the Linux boot protocol takes ${E820_ENTRIES_MAX}`,
      { hint: 'Merge neighbouring ranges of memory.' },
    );
  }
  putU8(page, E820_ENTRIES, env.memoryMap.length);
  page.set(encodeMemoryMap(env.memoryMap, E820_LAYOUT), E820_TABLE);

  putU8(page, TYPE_OF_LOADER, LOADER_UNDEFINED);
  putU32(page, COMMAND_LINE_POINTER, placeCommandLine(placement, input.cmdline, limits.commandLine, input.kernelName));
  if (input.initrd !== undefined) {
    putU32(page, RAMDISK_IMAGE, placement.high(input.initrdName ?? 'initrd', input.initrd, limits.initrdEnd));
    putU32(page, RAMDISK_SIZE, input.initrd.length);
  }
  return placement.low('zero page', page, 16);
}

/** boot.rst "32-bit Boot Protocol": ESI holds the zero page's address. */
export function enterBootParams32(entry: Gpa, bootParams: Gpa, placement: Placement): VcpuState {
  return protectedFlat32(entry, placement.low('boot GDT', bootGdt('protected'), 8), { rsi: bootParams });
}

/** boot.rst "64-bit Boot Protocol": RSI holds the zero page's address; kernel, zero page and command line are identity-mapped. */
export function enterBootParams64(entry: Gpa, bootParams: Gpa, placement: Placement): VcpuState {
  const tables = new Uint8Array(IDENTITY_TABLES_SIZE);
  const at = placement.low('identity page tables', tables, PAGE_SIZE);
  tables.set(identityTables(at)); // they hold their own addresses, which are known only now
  return longMode64(entry, placement.low('boot GDT', bootGdt('long'), 8), at, { rsi: bootParams });
}
