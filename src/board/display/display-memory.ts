/** Display memory as a whole: cleared, and saved as the pages that are not blank, so that 16 MiB of mostly nothing stay small. */
const PAGE_BYTES = 4096;
const ZEROS = new Uint8Array(1 << 16);

/** By page number; every other page is zeros. */
export type SavedPages = readonly { readonly page: number; readonly bytes: readonly number[] }[];

/** The first `size` bytes become zeros. `fill` goes byte by byte over shared memory; copying zeros is an order of magnitude faster. */
export function clear(memory: Uint8Array, size: number): void {
  for (let at = 0; at < size; at += ZEROS.length) memory.set(ZEROS.subarray(0, Math.min(ZEROS.length, size - at)), at);
}

export function savePages(memory: Uint8Array): SavedPages {
  const pages: { page: number; bytes: number[] }[] = [];
  for (let page = 0; page * PAGE_BYTES < memory.length; page++) {
    const bytes = memory.subarray(page * PAGE_BYTES, (page + 1) * PAGE_BYTES);
    if (bytes.some((byte) => byte !== 0)) pages.push({ page, bytes: [...bytes] });
  }
  return pages;
}

/** Pages beyond the end of `memory` are left out. */
export function loadPages(memory: Uint8Array, pages: SavedPages): void {
  clear(memory, memory.length);
  for (const { page, bytes } of pages) {
    const at = page * PAGE_BYTES;
    if (Number.isInteger(at) && at >= 0 && at + bytes.length <= memory.length) memory.set(bytes, at);
  }
}
