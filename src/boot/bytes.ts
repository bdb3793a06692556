/** Little-endian reads and writes on byte arrays, and ASCII: what every file and boot structure of a PC is made of. */

export function u16(bytes: Uint8Array, offset: number): number {
  return (bytes[offset] ?? 0) | ((bytes[offset + 1] ?? 0) << 8);
}

/** Unsigned. Bytes past the end read as 0: callers check lengths where the difference matters. */
export function u32(bytes: Uint8Array, offset: number): number {
  return (u16(bytes, offset) | (u16(bytes, offset + 2) << 16)) >>> 0;
}

/** Rounded above 2^53, where no address or size is valid anyway: the bounds checks that follow refuse it. */
export function u64(bytes: Uint8Array, offset: number): number {
  return u32(bytes, offset + 4) * 2 ** 32 + u32(bytes, offset);
}

export function putU8(bytes: Uint8Array, offset: number, value: number): void {
  bytes[offset] = value;
}

export function putU16(bytes: Uint8Array, offset: number, value: number): void {
  bytes[offset] = value;
  bytes[offset + 1] = value >>> 8;
}

export function putU32(bytes: Uint8Array, offset: number, value: number): void {
  putU16(bytes, offset, value);
  putU16(bytes, offset + 2, value >>> 16);
}

export function putU64(bytes: Uint8Array, offset: number, value: number): void {
  putU32(bytes, offset, value % 2 ** 32);
  putU32(bytes, offset + 4, Math.floor(value / 2 ** 32));
}

export function alignUp(value: number, alignment: number): number {
  return Math.ceil(value / alignment) * alignment;
}

export function alignDown(value: number, alignment: number): number {
  return Math.floor(value / alignment) * alignment;
}

/** True when `bytes` holds exactly `expected` at `offset`. */
export function matchesAt(bytes: Uint8Array, offset: number, expected: readonly number[] | Uint8Array): boolean {
  if (offset < 0 || offset + expected.length > bytes.length) return false;
  for (let i = 0; i < expected.length; i++) if (bytes[offset + i] !== expected[i]) return false;
  return true;
}

/** Latin-1: one byte per character; what does not fit one byte becomes `?`. */
export function toBytes(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => {
    const code = character.codePointAt(0) ?? 0;
    return code < 256 ? code : 0x3f;
  });
}

/** A zero-terminated string as C has it. */
export function toCString(text: string): Uint8Array {
  const bytes = toBytes(text);
  const terminated = new Uint8Array(bytes.length + 1);
  terminated.set(bytes);
  return terminated;
}

/** Latin-1 up to the first zero byte, the end of the array or `limit` bytes. */
export function fromCString(bytes: Uint8Array, offset: number, limit: number): string {
  let text = '';
  for (let i = offset; i < offset + limit && i < bytes.length; i++) {
    const byte = bytes[i] ?? 0;
    if (byte === 0) break;
    text += String.fromCharCode(byte);
  }
  return text;
}

/** `0x100000`: how addresses are written in messages. */
export function hex(value: number): string {
  return `0x${value.toString(16)}`;
}
