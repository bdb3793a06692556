/** Attaches a chip with an 8-bit data bus: wider accesses become byte cycles at consecutive addresses, lowest first (ISA bus conversion). */
import type { AccessSize, IoHandler } from '../contracts/index.ts';

export interface ByteRegisters {
  read(offset: number): number;
  write(offset: number, value: number): void;
}

export function byteWide(chip: ByteRegisters): IoHandler {
  return {
    read(offset: number, size: AccessSize): number {
      let value = chip.read(offset);
      for (let i = 1; i < size; i++) value |= chip.read(offset + i) << (8 * i);
      return value >>> 0;
    },
    write(offset: number, size: AccessSize, value: number): void {
      chip.write(offset, value & 0xff);
      for (let i = 1; i < size; i++) chip.write(offset + i, (value >>> (8 * i)) & 0xff);
    },
  };
}
