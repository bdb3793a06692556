/**
 * The two cyclic redundancy checks of gzip and XZ, both reflected: CRC-32 (RFC 1952 §8) and CRC-64 (ECMA-182, as the XZ file
 * format 1.1.0 §6 uses it).
 */

const CRC32_POLYNOMIAL = 0xedb88320;
const CRC64_POLYNOMIAL_LOW = 0xd7870f42,
  CRC64_POLYNOMIAL_HIGH = 0xc96c5795;

/** Four tables: entry [256·k + b] is the CRC of byte b followed by k zero bytes, so that four bytes are folded in at once. */
const crc32Tables = buildCrc32Tables();
const [crc64Low, crc64High] = buildCrc64Tables();

export function crc32(bytes: Uint8Array, start = 0, end = bytes.length): number {
  let crc = -1;
  let i = start;
  for (const last = end - 3; i < last; i += 4) {
    crc ^= bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24);
    crc =
      crc32Tables[768 + (crc & 0xff)]! ^
      crc32Tables[512 + ((crc >>> 8) & 0xff)]! ^
      crc32Tables[256 + ((crc >>> 16) & 0xff)]! ^
      crc32Tables[crc >>> 24]!;
  }
  for (; i < end; i++) crc = crc32Tables[(crc ^ bytes[i]!) & 0xff]! ^ (crc >>> 8);
  return ~crc >>> 0;
}

/** As two 32-bit halves: JavaScript's shifts have no more, and BigInt is far too slow for 60 MB. */
export function crc64(bytes: Uint8Array, start = 0, end = bytes.length): { readonly low: number; readonly high: number } {
  let low = -1,
    high = -1;
  for (let i = start; i < end; i++) {
    const index = (low ^ bytes[i]!) & 0xff;
    low = ((low >>> 8) | (high << 24)) ^ crc64Low[index]!;
    high = (high >>> 8) ^ crc64High[index]!;
  }
  return { low: ~low >>> 0, high: ~high >>> 0 };
}

function buildCrc32Tables(): Int32Array {
  const tables = new Int32Array(4 * 256);
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ CRC32_POLYNOMIAL : crc >>> 1;
    tables[byte] = crc;
  }
  for (let i = 256; i < tables.length; i++) {
    const previous = tables[i - 256]!;
    tables[i] = tables[previous & 0xff]! ^ (previous >>> 8);
  }
  return tables;
}

function buildCrc64Tables(): readonly [Int32Array, Int32Array] {
  const lows = new Int32Array(256),
    highs = new Int32Array(256);
  for (let byte = 0; byte < 256; byte++) {
    let low = byte,
      high = 0;
    for (let bit = 0; bit < 8; bit++) {
      const carry = low & 1;
      low = (low >>> 1) | (high << 31);
      high >>>= 1;
      if (carry) {
        low ^= CRC64_POLYNOMIAL_LOW;
        high ^= CRC64_POLYNOMIAL_HIGH;
      }
    }
    lows[byte] = low;
    highs[byte] = high;
  }
  return [lows, highs];
}
