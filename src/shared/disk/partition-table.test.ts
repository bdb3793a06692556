import { describe, expect, it } from 'vitest';
import { openImage } from './open-disk.ts';
import { partitionsOf } from './partition-table.ts';
import { MemoryImageFiles } from './testing.ts';

const SECTORS = 2048;

function disk(sectors: Readonly<Record<number, (view: DataView) => void>>) {
  const bytes = new Uint8Array(SECTORS * 512);
  for (const [sector, fill] of Object.entries(sectors)) fill(new DataView(bytes.buffer, Number(sector) * 512, 512));
  const files = new MemoryImageFiles();
  files.put('/disk', bytes);
  return openImage(files, '/disk', 'ro', 'raw');
}

const mbr = (...entries: readonly (readonly [type: number, first: number, sectors: number])[]) => (view: DataView) => {
  for (const [index, [type, first, sectors]] of entries.entries()) {
    view.setUint8(0x1be + 16 * index + 4, type);
    view.setUint32(0x1be + 16 * index + 8, first, true);
    view.setUint32(0x1be + 16 * index + 12, sectors, true);
  }
  view.setUint16(510, 0xaa55, true);
};

describe('partitions of a disk', () => {
  it('are none without a table', () => {
    expect(partitionsOf(disk({}))).toEqual([]);
  });

  it('are those of its MBR, logical ones from 5 on', () => {
    const image = disk({
      0: mbr([0x83, 64, 100], [0x0f, 512, 1024], [0x82, 200, 50]),
      512: mbr([0x83, 8, 56], [0x05, 128, 256]),
      640: mbr([0x83, 8, 120]),
    });
    expect(partitionsOf(image)).toEqual([
      { number: 1, offset: 64 * 512, size: 100 * 512 },
      { number: 3, offset: 200 * 512, size: 50 * 512 },
      { number: 5, offset: 520 * 512, size: 56 * 512 },
      { number: 6, offset: 648 * 512, size: 120 * 512 },
    ]);
  });

  it('are those of its GPT, by the number of the entry', () => {
    const image = disk({
      0: mbr([0xee, 1, SECTORS - 1]),
      1(view) {
        for (const [index, letter] of [...'EFI PART'].entries()) view.setUint8(index, letter.charCodeAt(0));
        view.setBigUint64(72, 2n, true);
        view.setUint32(80, 4, true);
        view.setUint32(84, 128, true);
      },
      2(view) {
        view.setUint32(0, 1);
        view.setBigUint64(32, 64n, true);
        view.setBigUint64(40, 163n, true);
        view.setUint32(256, 1);
        view.setBigUint64(256 + 32, 200n, true);
        view.setBigUint64(256 + 40, 299n, true);
      },
    });
    expect(partitionsOf(image)).toEqual([
      { number: 1, offset: 64 * 512, size: 100 * 512 },
      { number: 3, offset: 200 * 512, size: 100 * 512 },
    ]);
  });

  it('are not those that lie beyond its end, and a chain that is a loop ends', () => {
    expect(partitionsOf(disk({ 0: mbr([0x83, 2000, 100]) }))).toEqual([]);
    expect(partitionsOf(disk({ 0: mbr([0x05, 512, 100]), 512: mbr([0x83, 1, 1], [0x05, 0, 1]) })).length).toBeLessThanOrEqual(60);
  });
});
