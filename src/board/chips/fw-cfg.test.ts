// QEMU docs/specs/fw_cfg.rst, cited by heading.
import { describe, expect, it } from 'vitest';
import { type ConfigurationFile, FwCfg } from './fw-cfg.ts';

const RAM_BYTES = 0x1_0000;
const REQUEST = 0x1000;
const TARGET = 0x2000;
const ERROR = 1;
const READ = 2;
const SKIP = 4;
const SELECT = 8;
const WRITE = 16;

const text = (bytes: Iterable<number>): string => String.fromCharCode(...bytes);
const bytes = (letters: string): Uint8Array => Uint8Array.from(letters, (letter) => letter.charCodeAt(0));

function setUp(
  files: readonly ConfigurationFile[] = [
    { name: 'etc/first', data: bytes('0123456789') },
    { name: 'etc/second', data: bytes('ab') },
  ],
) {
  const ram = new Uint8Array(RAM_BYTES);
  const view = new DataView(ram.buffer);
  const inRam = (gpa: number, size: number) => gpa >= 0 && gpa + size <= RAM_BYTES;
  const device = new FwCfg({
    files,
    items: new Map([[5, Uint8Array.of(2, 0)]]),
    dma: {
      read32: (gpa) => (inRam(gpa, 4) ? view.getUint32(gpa, true) : undefined),
      write32: (gpa, value) => {
        if (inRam(gpa, 4)) view.setUint32(gpa, value, true);
        return inRam(gpa, 4);
      },
      write: (gpa, source) => {
        if (inRam(gpa, source.length)) ram.set(source, gpa);
        return inRam(gpa, source.length);
      },
    },
  });
  const read = (key: number, size: number) => {
    device.write(0, 2, key);
    return Array.from({ length: size }, () => device.read(1, 1));
  };
  /** Returns the control field afterwards. */
  const request = (control: number, length: number, address: number, at = REQUEST): number => {
    if (inRam(at, 16)) {
      view.setUint32(at, control);
      view.setUint32(at + 4, length);
      view.setBigUint64(at + 8, BigInt(address));
    }
    const bigEndian = new DataView(new ArrayBuffer(8));
    bigEndian.setBigUint64(0, BigInt(at));
    device.write(4, 4, bigEndian.getUint32(0, true));
    device.write(8, 4, bigEndian.getUint32(4, true));
    return inRam(at, 4) ? view.getUint32(at) : -1;
  };
  return { device, ram, read, request };
}

describe('fw_cfg, byte by byte', () => {
  it('is found by its signature and announces both interfaces', () => {
    const { read } = setUp();
    expect(text(read(0, 4))).toBe('QEMU');
    expect(read(1, 4)).toEqual([3, 0, 0, 0]);
  });

  it('lists its files in the directory: count, size, key and name, big-endian ("File Directory")', () => {
    const { read } = setUp();
    const listing = read(0x19, 4 + 2 * 64);
    expect(listing.slice(0, 4)).toEqual([0, 0, 0, 2]);
    expect(listing.slice(4, 12)).toEqual([0, 0, 0, 10, 0, 0x20, 0, 0]);
    expect(text(listing.slice(12, 22))).toBe('etc/first\0');
    expect(listing.slice(68, 76)).toEqual([0, 0, 0, 2, 0, 0x21, 0, 0]);
  });

  it('starts an item anew at each selection, and gives zeros behind its end', () => {
    const { read } = setUp();
    expect(text(read(0x20, 3))).toBe('012');
    expect(read(0x21, 4)).toEqual([0x61, 0x62, 0, 0]);
    expect(text(read(0x20, 3))).toBe('012');
  });

  it('has items with a number only, and nothing under unknown numbers', () => {
    const { read } = setUp();
    expect(read(5, 3)).toEqual([2, 0, 0]);
    expect(read(0x3fff, 2)).toEqual([0, 0]);
  });

  it('takes bit 14 of a key as the wish to write, which is not granted', () => {
    const { device, read } = setUp();
    expect(text(read(0x4020, 2))).toBe('01');
    device.write(1, 1, 0xff);
    expect(text(read(0x20, 3))).toBe('012');
  });

  it('takes the selector in 16 bits only', () => {
    const { device, read } = setUp();
    read(0x20, 1);
    device.write(0, 1, 0x21);
    expect(device.read(1, 1)).toBe('1'.charCodeAt(0));
  });

  it('keeps its place over save and restore', () => {
    const { device, read } = setUp();
    read(0x20, 4);
    const other = setUp();
    other.device.restore(device.save());
    expect(other.device.read(1, 1)).toBe('4'.charCodeAt(0));
  });
});

describe('fw_cfg, by DMA', () => {
  it('shows "QEMU CFG" in its address register', () => {
    const { device } = setUp();
    const first = device.read(4, 4);
    const second = device.read(8, 4);
    expect(text([first, second].flatMap((word) => [0, 8, 16, 24].map((shift) => (word >>> shift) & 0xff)))).toBe('QEMU CFG');
  });

  it('selects and reads in one request, and clears the control field', () => {
    const { ram, request } = setUp();
    expect(request(((0x20 << 16) | SELECT | READ) >>> 0, 12, TARGET)).toBe(0);
    expect(text(ram.subarray(TARGET, TARGET + 10))).toBe('0123456789');
    expect([...ram.subarray(TARGET + 10, TARGET + 12)]).toEqual([0, 0]);
  });

  it('goes on where the last request or the data register stopped', () => {
    const { ram, read, request } = setUp();
    read(0x20, 2);
    request(SKIP, 3, 0);
    request(READ, 2, TARGET);
    expect(text(ram.subarray(TARGET, TARGET + 2))).toBe('56');
  });

  it('fills with zeros what lies behind the end', () => {
    const { ram, request } = setUp();
    ram.fill(0xff);
    request(((0x21 << 16) | SELECT | READ) >>> 0, 8, TARGET);
    expect([...ram.subarray(TARGET, TARGET + 9)]).toEqual([0x61, 0x62, 0, 0, 0, 0, 0, 0, 0xff]);
  });

  it('refuses writing, targets outside RAM and absurd lengths with the error bit', () => {
    const { request } = setUp();
    expect(request(((0x20 << 16) | SELECT | WRITE) >>> 0, 2, TARGET)).toBe(ERROR);
    expect(request(((0x20 << 16) | SELECT | READ) >>> 0, 10, RAM_BYTES - 4)).toBe(ERROR);
    expect(request(((0x20 << 16) | SELECT | READ) >>> 0, 0xffff_ffff, TARGET)).toBe(ERROR);
    expect(request(((0x20 << 16) | SELECT | READ) >>> 0, 4, 2 ** 53)).toBe(ERROR);
  });

  it('ignores a request that does not lie in RAM, and forgets its high half', () => {
    const { ram, request } = setUp();
    request(READ, 4, TARGET, 2 ** 40);
    expect(request(((0x20 << 16) | SELECT | READ) >>> 0, 1, TARGET)).toBe(0);
    expect(ram[TARGET]).toBe('0'.charCodeAt(0));
  });
});
