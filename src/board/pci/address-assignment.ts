/**
 * Addresses for base address registers, as firmware hands them out: largest first, each a multiple of its own size, lowest free place
 * first. The same functions in the same order always get the same addresses.
 *
 *     ports    0xC000 … 0xFFFF
 *     memory   top of RAM, but at least 3 GiB, … 0xFEBFFFFF
 */
import type { Gpa, IoRange, IoSpaceName } from '../../contracts/index.ts';
import type { AddressRequest } from './base-addresses.ts';

/** The I/O APIC begins here (ACPI 6.5 §5.2.12.3 leaves the place to the platform; on a PC it is this one). */
export const PCI_MEMORY_END = 0xfec0_0000;
const PCI_MEMORY_LOWEST = 0xc000_0000;
const PCI_MEMORY_STEP = 0x1000_0000;
const FIRST_PORT = 0xc000;
const PORTS_END = 0x1_0000;

/** Where memory for PCI begins in a partition with that much RAM; at or beyond {@link PCI_MEMORY_END} there is none. */
export function pciMemoryBase(topOfRam: Gpa): Gpa {
  return Math.max(Math.ceil(topOfRam / PCI_MEMORY_STEP) * PCI_MEMORY_STEP, PCI_MEMORY_LOWEST);
}

/** Requests that find no room are missing from the result. `claimed` is what the board itself answers. */
export function assignAddresses(
  requests: readonly AddressRequest[],
  topOfRam: Gpa,
  claimed: Iterable<IoRange>,
): ReadonlyMap<AddressRequest, number> {
  const taken = [...claimed];
  const result = new Map<AddressRequest, number>();
  const give = (space: IoSpaceName, first: number, end: number) => {
    const wanted = requests.filter((request) => request.space === space).sort((a, b) => b.size - a.size);
    for (const request of wanted) {
      const { size } = request;
      let base = Math.ceil(first / size) * size;
      for (let other = inTheWay(taken, space, base, size); other !== undefined; other = inTheWay(taken, space, base, size)) {
        base = Math.ceil((other.base + other.size) / size) * size;
      }
      if (base + size > end) continue;
      taken.push({ space, base, size });
      result.set(request, base);
    }
  };
  give('pio', FIRST_PORT, PORTS_END);
  give('mmio', pciMemoryBase(topOfRam), PCI_MEMORY_END);
  return result;
}

function inTheWay(taken: readonly IoRange[], space: IoSpaceName, base: number, size: number): IoRange | undefined {
  return taken.find((other) => other.space === space && base < other.base + other.size && other.base < base + size);
}
