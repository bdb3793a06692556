/** The memory map as guests are given it: one set of type numbers (ACPI 6.5 §15, table 15.374), three layouts. */
import type { MemoryMapEntry } from '../contracts/index.ts';
import { putU32, putU64 } from './bytes.ts';

const TYPES: Readonly<Record<MemoryMapEntry['kind'], number>> = { ram: 1, reserved: 2, acpi: 3, nvs: 4 };

interface EntryLayout {
  /** Distance between entries. */
  readonly stride: number;
  /** Where the address is; size and type follow. */
  readonly address: number;
  /** What a size field in front of the entry says; it does not count itself. */
  readonly sizeField?: number;
}

export const E820_LAYOUT: EntryLayout = { stride: 20, address: 0 };
/** Xen public/arch-x86/hvm/start_info.h: struct hvm_memmap_table_entry. */
export const PVH_LAYOUT: EntryLayout = { stride: 24, address: 0 };
/** Multiboot 0.6.96 §3.3: the field `size` stands at offset −4 of an entry. */
export const MULTIBOOT_LAYOUT: EntryLayout = { stride: 24, address: 4, sizeField: 20 };

export function encodeMemoryMap(entries: readonly MemoryMapEntry[], layout: EntryLayout): Uint8Array {
  const bytes = new Uint8Array(entries.length * layout.stride);
  entries.forEach((entry, i) => {
    const at = i * layout.stride;
    if (layout.sizeField !== undefined) putU32(bytes, at, layout.sizeField);
    putU64(bytes, at + layout.address, entry.base);
    putU64(bytes, at + layout.address + 8, entry.size);
    putU32(bytes, at + layout.address + 16, TYPES[entry.kind]);
  });
  return bytes;
}
