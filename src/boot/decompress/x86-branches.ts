/**
 * The x86 branch filter (BCJ) in the decoding direction. The encoder replaced the relative operands of CALL and JMP (E8, E9) by
 * absolute addresses, so that calls of one function look alike; here they become relative again.
 * Spec: "The .xz file format" 1.1.0 §5.3.2 names the filter; its rule is that of the public LZMA SDK: an opcode that another,
 * unconverted opcode overlaps is converted only when the two cannot be confused.
 */

/** Opcode and 32-bit operand. */
const INSTRUCTION_SIZE = 5;
/** Which of the three bytes before hold an opcode that was left alone (bit 0: the nearest) → its distance; −1: several do. */
const DISTANCE_OF = [0, 1, 2, -1, 3, -1, -1, -1] as const;

/** Undoes the filter in place on `bytes[start, end)`. `firstAddress` is the address the encoder gave the first byte. */
export function undoX86Branches(bytes: Uint8Array, start: number, end: number, firstAddress: number): void {
  let recent = 0;
  for (let position = start; position + INSTRUCTION_SIZE <= end; ) {
    if ((bytes[position]! & 0xfe) !== 0xe8) {
      recent = (recent << 1) & 7;
      position++;
      continue;
    }
    const distance = DISTANCE_OF[recent]!;
    const convertible =
      isSignByte(bytes[position + 4]!) && distance >= 0 && (distance === 0 || !isSignByte(bytes[position + 4 - distance]!));
    if (!convertible) {
      recent = ((recent << 1) & 7) | 1;
      position++;
      continue;
    }
    const next = firstAddress + (position - start) + INSTRUCTION_SIZE;
    const operand = bytes[position + 1]! | (bytes[position + 2]! << 8) | (bytes[position + 3]! << 16) | (bytes[position + 4]! << 24);
    let relative = (operand - next) | 0;
    // The byte that the overlapping opcode would take for its sign must stay none: the encoder inverted what lies below it then.
    if (distance > 0 && isSignByte((relative >>> (24 - 8 * distance)) & 0xff)) {
      relative = ((relative ^ (2 ** (32 - 8 * distance) - 1)) - next) | 0;
    }
    bytes[position + 1] = relative;
    bytes[position + 2] = relative >>> 8;
    bytes[position + 3] = relative >>> 16;
    bytes[position + 4] = (relative >>> 24) & 1 ? 0xff : 0;
    position += INSTRUCTION_SIZE;
    recent = 0;
  }
}

/** The top byte of a displacement below 16 MiB in either direction. */
function isSignByte(byte: number): boolean {
  return byte === 0 || byte === 0xff;
}
