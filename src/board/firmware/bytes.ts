/** Little-endian bytes, appended: what all firmware tables are made of. */

/** An ASCII string as bytes, padded with `fill` to `length` where that is given. */
export function ascii(text: string, length: number = text.length, fill = 0x20): number[] {
  return Array.from({ length }, (_, i) => (i < text.length ? text.charCodeAt(i) & 0x7f : fill));
}

export function u16(value: number): number[] {
  return [value & 0xff, (value >>> 8) & 0xff];
}

export function u32(value: number): number[] {
  return [...u16(value), ...u16(value >>> 16)];
}

export function u64(value: number): number[] {
  return [...u32(value >>> 0), ...u32(Math.floor(value / 2 ** 32))];
}

/** The byte that makes `bytes` sum to 0 modulo 256. */
export function checksum(bytes: readonly number[]): number {
  return -bytes.reduce((sum, byte) => sum + byte, 0) & 0xff;
}

/** A copy of `bytes` whose byte at `at` makes the whole sum to 0. */
export function withChecksum(bytes: readonly number[], at: number): number[] {
  const cleared = [...bytes];
  cleared[at] = 0;
  cleared[at] = checksum(cleared);
  return cleared;
}
