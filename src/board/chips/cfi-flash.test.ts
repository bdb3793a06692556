import { describe, expect, it } from 'vitest';
import { GiB, KiB } from '../../base/index.ts';
import type { AccessSize } from '../../contracts/index.ts';
import { createPhysicalMemory, pcRamRegions } from '../memory.ts';
import { MemoryDisk } from '../storage/memory-disk.ts';
import { CfiFlash, FLASH_BLOCK } from './cfi-flash.ts';

const SIZE = 128 * KiB;
const BASE = 4 * GiB - 2048 * KiB;
const SECTORS = SIZE / 512;
const OPERATIONS = Number(process.env['BULKHEAD_FUZZ_OPERATIONS'] ?? 50_000);
const SEED = Number(process.env['BULKHEAD_FUZZ_SEED'] ?? 1995);
const SIZES: readonly AccessSize[] = [1, 2, 4];
const COMMANDS = [0xff, 0x90, 0x98, 0x70, 0x50, 0x40, 0x10, 0x20, 0xd0, 0xe8, 0xb0, 0x60];

/** All zeros but for its last byte: as long as it has a byte that is not zero, it is not new. */
function usedFile(): MemoryDisk {
  const file = new MemoryDisk(SECTORS);
  file.bytes[SIZE - 1] = 1;
  return file;
}

function flash(file: MemoryDisk | 'none' = usedFile(), factory?: Uint8Array) {
  const memory = createPhysicalMemory(pcRamRegions(1024 * KiB), 0, SIZE);
  let failures = 0;
  const chip = new CfiFlash({ memory, base: BASE, size: SIZE, file: file === 'none' ? undefined : file, factory, failed: () => void failures++ });
  const command = (...bytes: number[]) => {
    for (const byte of bytes) chip.write(0, 1, byte);
  };
  const program = (offset: number, ...bytes: number[]) => {
    for (const [index, byte] of bytes.entries()) {
      chip.write(offset + index, 1, 0x40);
      chip.write(offset + index, 1, byte);
    }
  };
  const erase = (offset: number) => {
    chip.write(offset, 1, 0x20);
    chip.write(offset, 1, 0xd0);
  };
  /** What a processor sees there without asking the chip; undefined when its loads go to the chip. */
  const shown = (offset: number) => {
    const range = memory.map.find(({ base, end }) => base <= BASE + offset && BASE + offset < end);
    return range === undefined ? undefined : memory.bytes[range.offset + BASE + offset - range.base];
  };
  return { chip, file: file as MemoryDisk, command, program, erase, shown, failures: () => failures };
}

describe('flash memory with Intel’s command set', () => {
  it('holds what its file holds, and shows it to loads directly', () => {
    const file = usedFile();
    file.bytes.set([1, 2, 3, 4]);
    const { chip, shown } = flash(file);
    expect([shown(0), shown(3)]).toEqual([1, 4]);
    expect(chip.read(0, 4)).toBe(0x04030201);
  });

  it('is erased where a file is shorter, where it is all zeros, and without one', () => {
    const file = new MemoryDisk(1);
    file.bytes[1] = 1;
    const { shown } = flash(file);
    expect([shown(0), shown(1), shown(512), shown(SIZE - 1)]).toEqual([0, 1, 0xff, 0xff]);
    expect(flash(new MemoryDisk(SECTORS)).shown(0)).toBe(0xff);
    expect(flash('none').shown(0)).toBe(0xff);
  });

  it('holds what its maker put into it while its file is new, and the file holds that from then on', () => {
    const file = new MemoryDisk(SECTORS);
    const { shown } = flash(file, Uint8Array.of(5, 6, 7));
    expect([shown(0), shown(2), shown(3)]).toEqual([5, 7, 0xff]);
    expect([...file.bytes.subarray(0, 4)]).toEqual([5, 6, 7, 0xff]);
    file.bytes[0] = 9;
    expect(flash(file, Uint8Array.of(5)).shown(0)).toBe(9);
  });

  it('programs by clearing bits, and erases a block by setting them (28F640J3A §4.1)', () => {
    const { chip, command, program, erase } = flash();
    erase(FLASH_BLOCK);
    program(FLASH_BLOCK + 8, 0xf0);
    program(FLASH_BLOCK + 8, 0x3c);
    command(0xff);
    expect(chip.read(FLASH_BLOCK + 8, 1)).toBe(0x30);
    expect(chip.read(FLASH_BLOCK + 9, 1)).toBe(0xff);
    expect(chip.read(FLASH_BLOCK - 1, 1)).toBe(0);
    expect(chip.read(2 * FLASH_BLOCK, 1)).toBe(0);
  });

  it('shows its status instead of its bytes until it is told to read the array', () => {
    const { chip, command, erase, shown } = flash();
    erase(0);
    expect(chip.read(0x123, 1)).toBe(0x80);
    expect(chip.read(0x120, 4)).toBe(0x80808080);
    expect(shown(0)).toBeUndefined();
    command(0xff);
    expect([chip.read(0, 1), shown(0)]).toEqual([0xff, 0xff]);
  });

  it('is told from RAM and ROM by firmware as that wants it: cleared status reads as zero', () => {
    const { chip, command, erase } = flash();
    erase(0);
    command(0x50, 0x70);
    expect(chip.read(0, 1)).toBe(0);
  });

  it('calls an erase that is not confirmed a wrong sequence, and leaves the block (table 5)', () => {
    const { chip, command } = flash();
    command(0x20, 0x55);
    expect(chip.read(0, 1)).toBe(0xb0);
    command(0xff);
    expect(chip.read(0, 1)).toBe(0);
  });

  it('says who it is and how it is made (JESD68.01 §4.3)', () => {
    const { chip, command } = flash();
    command(0x90);
    expect([chip.read(0, 1), chip.read(1, 1)]).toEqual([0x89, 0x17]);
    command(0x98);
    expect(String.fromCharCode(chip.read(0x10, 1), chip.read(0x11, 1), chip.read(0x12, 1))).toBe('QRY');
    expect(chip.read(0x13, 2)).toBe(1);
    expect(chip.read(0x27, 1)).toBe(17);
    expect([chip.read(0x2c, 1), chip.read(0x2d, 2) + 1, chip.read(0x2f, 2) * 256]).toEqual([1, SIZE / FLASH_BLOCK, FLASH_BLOCK]);
  });

  it('puts what has changed into the file when the dialogue ends, in whole sectors and nothing else', () => {
    const { file, command, program, erase } = flash();
    erase(FLASH_BLOCK);
    program(FLASH_BLOCK, 0x12, 0x34);
    expect(file.bytes[FLASH_BLOCK]).toBe(0);
    command(0xff);
    expect([...file.bytes.subarray(FLASH_BLOCK, FLASH_BLOCK + 3)]).toEqual([0x12, 0x34, 0xff]);
    expect(file.bytes.subarray(0, FLASH_BLOCK).every((byte) => byte === 0)).toBe(true);
  });

  it('keeps what it held over a reset, and reports a file that cannot be written', () => {
    const file = usedFile();
    const { chip, erase, program, failures } = flash(file);
    erase(0);
    program(0, 0x42);
    chip.reset();
    expect(chip.read(0, 1)).toBe(0x42);
    expect(failures()).toBe(0);
    file.badSector = 0;
    erase(0);
    chip.reset();
    expect(failures()).toBe(1);
  });

  it('goes on in the middle of a dialogue after it was saved and restored', () => {
    const { chip, command } = flash();
    command(0x20);
    const state = JSON.parse(JSON.stringify(chip.save()));
    command(0xff);
    chip.restore(state);
    chip.write(0, 1, 0xd0);
    command(0xff);
    expect(chip.read(0, 1)).toBe(0xff);
  });

  it(`takes whatever is written, wherever and in whatever size (seed ${SEED})`, () => {
    const { chip, file, failures } = flash();
    let state = SEED | 1;
    // xorshift32
    const random = (below: number): number => {
      state ^= state << 13;
      state ^= state >>> 17;
      state ^= state << 5;
      return (state >>> 0) % below;
    };
    for (let i = 0; i < OPERATIONS; i++) {
      const size = SIZES[random(SIZES.length)] as AccessSize;
      const offset = random(SIZE - size + 1);
      // Half of what is written are commands.
      const value = random(2) === 0 ? (COMMANDS[random(COMMANDS.length)] as number) : random(256 ** size);
      if (random(2) === 0) chip.write(offset, size, value);
      const seen = chip.read(random(SIZE - size + 1), size);
      if (!Number.isInteger(seen) || seen < 0 || seen >= 256 ** size) throw new Error(`${seen} in ${size} bytes, operation ${i}`);
      if (random(1000) === 0) chip.restore(JSON.parse(JSON.stringify(chip.save())));
    }
    chip.reset();
    expect(failures()).toBe(0);
    // Whatever it holds, the file holds.
    const held = new DataView(file.bytes.buffer);
    for (let at = 0; at < SIZE; at += 4) if (chip.read(at, 4) !== held.getUint32(at, true)) throw new Error(`they differ at ${at}`);
  });
});
