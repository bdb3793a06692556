import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { PcapReader, PcapWriter, recordingProblem } from './pcap.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pcap-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const frame = (length: number, fill: number): Uint8Array => new Uint8Array(length).fill(fill);

/** A recording as other programs write them. */
function recording(options: { readonly magic?: number; readonly big?: boolean; readonly link?: number }, ...frames: readonly (readonly [number, number, Uint8Array])[]): string {
  const little = options.big !== true;
  const header = new DataView(new ArrayBuffer(24));
  header.setUint32(0, options.magic ?? 0xa1b2c3d4, little);
  header.setUint16(4, 2, little);
  header.setUint16(6, 4, little);
  header.setUint32(16, 65535, little);
  header.setUint32(20, options.link ?? 1, little);
  const pieces = frames.map(([seconds, fraction, bytes]) => {
    const record = new DataView(new ArrayBuffer(16));
    for (const [index, value] of [seconds, fraction, bytes.length, bytes.length].entries()) record.setUint32(4 * index, value, little);
    return Buffer.concat([Buffer.from(record.buffer), bytes]);
  });
  const path = join(folder, 'recording.pcap');
  writeFileSync(path, Buffer.concat([Buffer.from(header.buffer), ...pieces]));
  return path;
}

function play(path: string): [number, number][] {
  using reader = new PcapReader(path);
  const frames: [number, number][] = [];
  for (let next = reader.next(); next !== undefined; next = reader.next()) frames.push([next.time, next.frame.length]);
  return frames;
}

describe('a recording that is written', () => {
  const path = (): string => join(folder, 'out.pcap');

  it('begins with the header of version 2.4 for Ethernet with nanoseconds, and has a record for each frame', () => {
    using writer = new PcapWriter(path(), 'new');
    writer.write(1_700_000_000, 123_456_789, frame(60, 7));
    writer.flush();
    const view = new DataView(new Uint8Array(readFileSync(path())).buffer);
    expect([view.getUint32(0, true), view.getUint16(4, true), view.getUint16(6, true), view.getUint32(20, true)]).toEqual([0xa1b23c4d, 2, 4, 1]);
    expect([24, 28, 32, 36].map((at) => view.getUint32(at, true))).toEqual([1_700_000_000, 123_456_789, 60, 60]);
    expect(view.byteLength).toBe(24 + 16 + 60);
  });

  it('can be played again, also when a later life of its partition has continued it', () => {
    {
      using writer = new PcapWriter(path(), 'new');
      for (let i = 0; i < 100; i++) writer.write(100, i * 1000, frame(1500, i));
    }
    {
      using writer = new PcapWriter(path(), 'append');
      writer.write(101, 0, frame(60, 1));
    }
    const frames = play(path());
    expect(frames).toHaveLength(101);
    expect([frames[1], frames[100]]).toEqual([[1000, 1500], [1_000_000_000, 60]]);
    new PcapWriter(path(), 'new')[Symbol.dispose]();
    expect(play(path())).toEqual([]);
  });

  it('says where it could not be made', () => {
    expect(() => new PcapWriter(join(folder, 'no', 'such.pcap'), 'new')).toThrow(/BH630|no such file/);
  });
});

describe('a recording that is played', () => {
  it.each([
    ['microseconds', {}, 250_000],
    ['nanoseconds', { magic: 0xa1b23c4d }, 250],
    ['the other byte order', { big: true }, 250_000],
  ])('counts time from its first frame: %s', (_, options, time) => {
    expect(play(recording(options, [10, 500, frame(60, 1)], [10, 750, frame(61, 2)]))).toEqual([[0, 60], [time, 61]]);
  });

  it('never goes back in time', () => {
    expect(play(recording({}, [10, 500, frame(60, 1)], [9, 0, frame(60, 2)], [10, 600, frame(60, 3)])).map(([time]) => time)).toEqual([0, 0, 100_000]);
  });

  it('ends where it is cut or damaged', () => {
    const path = recording({}, [1, 0, frame(60, 1)], [2, 0, frame(60, 2)]);
    writeFileSync(path, readFileSync(path).subarray(0, -10));
    expect(play(path)).toHaveLength(1);
    expect(play(recording({}, [1, 0, frame(0x5_0000, 1)]))).toEqual([]);
  });

  it('is refused in words when it is something else', () => {
    expect(recordingProblem(recording({ magic: 0x0a0d0d0a }))).toMatch(/pcapng.*editcap/);
    expect(recordingProblem(recording({ magic: 0x464c457f }))).toMatch(/not in the pcap format/);
    expect(recordingProblem(recording({ link: 105 }))).toMatch(/not of Ethernet/);
    expect(recordingProblem(join(folder, 'gone.pcap'))).toMatch(/no such file/);
    writeFileSync(join(folder, 'short'), 'abc');
    expect(recordingProblem(join(folder, 'short'))).toMatch(/too short/);
    expect(recordingProblem(recording({}))).toBeUndefined();
  });
});
