// draft-ietf-opsawg-pcapng, read back field by field.
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { PcapngWriter } from './pcapng.ts';

const folder = mkdtempSync(join(tmpdir(), 'bulkhead-pcapng-'));
afterAll(() => rmSync(folder, { recursive: true }));
const EPOCH = 1_790_000_000_123_456_789n;

interface Block {
  readonly type: number;
  readonly body: DataView;
}

function blocksOf(path: string): Block[] {
  const bytes = readFileSync(path);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  const blocks: Block[] = [];
  for (let at = 0; at < bytes.length; ) {
    const size = view.getUint32(at + 4, true);
    expect([size % 4, view.getUint32(at + size - 4, true)]).toEqual([0, size]);
    blocks.push({ type: view.getUint32(at, true), body: new DataView(view.buffer, view.byteOffset + at + 8, size - 12) });
    at += size;
  }
  return blocks;
}

/** Options from `at` on, by code. */
function optionsOf(body: DataView, at: number): Map<number, number[]> {
  const options = new Map<number, number[]>();
  for (let next = at; next < body.byteLength; ) {
    const [code, length] = [body.getUint16(next, true), body.getUint16(next + 2, true)];
    if (code === 0) break;
    options.set(code, Array.from({ length }, (_, i) => body.getUint8(next + 4 + i)));
    next += 4 + Math.ceil(length / 4) * 4;
  }
  return options;
}

describe('a recording of several ports', () => {
  const path = join(folder, 'a.pcapng');
  const frame = Uint8Array.from({ length: 61 }, (_, i) => i);
  {
    using writer = new PcapngWriter(path, [{ name: 'hmi', address: Uint8Array.of(2, 0, 0, 0, 0, 1) }, { name: 'uplink' }], EPOCH);
    writer.write(0, 'out', 5, frame);
    writer.write(1, 'in', 4_000_000_000, frame, 3);
    writer.statistics(1, 7, 12, 3);
  }
  const blocks = blocksOf(path);

  it('begins with a section and its interfaces: names, addresses, nanoseconds', () => {
    expect(blocks.map(({ type }) => type)).toEqual([0x0a0d_0d0a, 1, 1, 6, 6, 5]);
    expect([blocks[0]?.body.getUint32(0, true), blocks[0]?.body.getUint16(4, true)]).toEqual([0x1a2b_3c4d, 1]);
    const [first, second] = [1, 2].map((index) => optionsOf(blocks[index]!.body, 8));
    expect([blocks[1]?.body.getUint16(0, true), String.fromCharCode(...first!.get(2)!), first!.get(6), first!.get(9)]).toEqual([1, 'hmi', [2, 0, 0, 0, 0, 1], [9]]);
    expect(String.fromCharCode(...second!.get(2)!)).toBe('uplink');
  });

  it('has each frame with its port, its time to the nanosecond and its direction', () => {
    const times = [3, 4].map((index) => (BigInt(blocks[index]!.body.getUint32(4, true)) << 32n) | BigInt(blocks[index]!.body.getUint32(8, true)));
    expect(times).toEqual([EPOCH + 5n, EPOCH + 4_000_000_000n]);
    for (const [index, port, direction, lost] of [[3, 0, 2, 0], [4, 1, 1, 3]] as const) {
      const { body } = blocks[index]!;
      expect([body.getUint32(0, true), body.getUint32(12, true), body.getUint32(16, true)]).toEqual([port, 61, 61]);
      expect(new Uint8Array(body.buffer, body.byteOffset + 20, 61)).toEqual(frame);
      const options = optionsOf(body, 20 + 64);
      expect([options.get(2)?.[0], options.get(4)?.[0]]).toEqual([direction, lost]);
    }
  });

  it('ends with what each port saw and lost', () => {
    const options = optionsOf(blocks[5]!.body, 12);
    expect([options.get(4)?.[0], options.get(5)?.[0]]).toEqual([12, 3]);
  });

  it('takes frames as large as segmentation leaves them', () => {
    const large = join(folder, 'b.pcapng');
    {
      using writer = new PcapngWriter(large, [{ name: 'a' }], 0n);
      for (let i = 0; i < 20; i++) writer.write(0, 'in', i, new Uint8Array(65_549));
      expect(writer.dropped).toBe(0);
    }
    expect(blocksOf(large)).toHaveLength(22);
  });

  it('says where it cannot be', () => {
    expect(() => new PcapngWriter(join(folder, 'no/such/folder'), [], 0n)).toThrow(expect.objectContaining({ code: 'BH630' }));
  });
});
