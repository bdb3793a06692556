// Rules of ATA/ATAPI-6 ("ATA6") and ATA8-ACS ("ACS"), seen from a disk's adapter.
import { beforeEach, describe, expect, it } from 'vitest';
import { MemoryDisk } from '../storage/memory-disk.ts';
import { AtaDisk } from './ata-disk.ts';

const READ_SECTORS = 0x20, READ_SECTORS_EXT = 0x24, READ_DMA_EXT = 0x25, READ_LOG_EXT = 0x2f, WRITE_SECTORS = 0x30, WRITE_DMA_EXT = 0x35;
const WRITE_DMA_FUA_EXT = 0x3d, READ_VERIFY = 0x40, DATA_SET_MANAGEMENT = 0x06, WRITE_FPDMA = 0x61, DIAGNOSTIC = 0x90;
const INITIALIZE_PARAMETERS = 0x91, SMART = 0xb0, READ_MULTIPLE = 0xc4, SET_MULTIPLE = 0xc6, READ_DMA = 0xc8, WRITE_DMA = 0xca;
const STANDBY_IMMEDIATE = 0xe0, CHECK_POWER_MODE = 0xe5, FLUSH_CACHE = 0xe7, IDENTIFY = 0xec, SET_FEATURES = 0xef, PACKET = 0xa0;
const LBA = 0x40;
const GOOD = 0x50, FAILED = 0x51, FAULT = 0x20;
const ABORTED = 0x04, ID_NOT_FOUND = 0x10, UNCORRECTABLE = 0x40;
const SECTORS = 20_000;
const names = { model: 'TEST DISK', serial: 'S1', firmware: '0.9' };

let backend: MemoryDisk;
let disk: AtaDisk;
beforeEach(() => {
  backend = new MemoryDisk(SECTORS);
  for (let sector = 0; sector < SECTORS; sector++) backend.bytes.fill(sector & 0xff, sector * 512, sector * 512 + 512);
  disk = new AtaDisk({ backend, transport: 'serial', names });
});

/** 28-bit registers, then the command. */
function command(code: number, registers: { lba?: number; count?: number; feature?: number; device?: number } = {}): void {
  const { lba = 0, count = 0, feature = 0, device = LBA } = registers;
  Object.assign(disk.taskFile, { lba: lba & 0xff_ffff, count, feature, device: device | ((lba >>> 24) & 0xf) });
  disk.execute(code);
}

/** 48-bit registers, then the command. */
function wide(code: number, lba: number, count: number, feature = 0): void {
  disk.taskFile.lba48 = lba;
  disk.taskFile.count16 = count;
  disk.taskFile.feature = feature & 0xff;
  disk.taskFile.featureBefore = feature >> 8;
  disk.taskFile.device = LBA;
  disk.execute(code);
}

const outcome = (): number[] => [disk.taskFile.status, disk.taskFile.error];

function takeAll(): Uint8Array {
  const data = new Uint8Array(disk.transfer.remaining);
  expect(disk.read(data)).toBe(true);
  return data;
}

function identity(): (word: number) => number {
  command(IDENTIFY);
  const page = takeAll();
  return (word) => (page[2 * word] as number) | ((page[2 * word + 1] as number) << 8);
}

describe('identity', () => {
  it('tells names, capacity and geometry, and adds up to 0 with its checksum (ATA6 §8.15)', () => {
    command(IDENTIFY);
    const page = takeAll();
    const word = (index: number): number => (page[2 * index] as number) | ((page[2 * index + 1] as number) << 8);
    const text = (from: number, words: number): string =>
      Array.from({ length: words }, (_, i) => String.fromCharCode(word(from + i) >> 8, word(from + i) & 0xff)).join('').trim();
    expect([text(27, 20), text(10, 10), text(23, 4)]).toEqual(['TEST DISK', 'S1', '0.9']);
    expect([word(1), word(3), word(6)]).toEqual([19, 16, 63]);
    // Bytes of a track and of a sector, as in ATA-1: the BIOS of Bochs reads as many bytes as word 5 says.
    expect([word(4), word(5)]).toEqual([63 * 512, 512]);
    expect(word(60) | (word(61) << 16)).toBe(SECTORS);
    expect(word(100) | (word(101) << 16)).toBe(SECTORS);
    expect(page.reduce((sum, byte) => sum + byte, 0) & 0xff).toBe(0);
  });

  it('names only what it does: 48-bit addresses, FLUSH CACHE and FUA, but no SMART and no security', () => {
    const word = identity();
    expect([word(82) & 3, word(83), word(84)]).toEqual([0, 0x7400, 0x4060]);
  });

  it('has queues on a serial cable, and cable detection on a parallel one', () => {
    const serial = identity();
    disk = new AtaDisk({ backend, transport: 'parallel', names });
    const parallel = identity();
    expect([serial(75), serial(76) & 0x100, serial(93)]).toEqual([31, 0x100, 0]);
    expect([parallel(75), parallel(76), parallel(93)]).toEqual([0, 0, 0x6009]);
  });

  it('shows the transfer mode that SET FEATURES has chosen, and refuses modes it does not have', () => {
    command(SET_FEATURES, { feature: 0x03, count: 0x45 });
    expect(identity()(88)).toBe(0x203f);
    command(SET_FEATURES, { feature: 0x03, count: 0x22 });
    expect([identity()(63), identity()(88)]).toEqual([0x0407, 0x003f]);
    command(SET_FEATURES, { feature: 0x03, count: 0x47 });
    expect(outcome()).toEqual([FAILED, ABORTED]);
  });

  it('offers TRIM only on a backend that can forget', () => {
    expect(identity()(169)).toBe(1);
    const plain = { sectors: 8, readOnly: false, read: () => true, write: () => true, flush: () => true };
    disk = new AtaDisk({ backend: plain, transport: 'serial', names });
    expect(identity()(169)).toBe(0);
  });
});

describe('addresses', () => {
  it('reads 28-bit addresses, with bits 27:24 in the device register (ATA6 §6.2)', () => {
    command(READ_SECTORS, { lba: 0x1234, count: 2 });
    const data = takeAll();
    expect([data.length, data[0], data[512], ...outcome()]).toEqual([1024, 0x34, 0x35, GOOD, 0]);
  });

  it('takes a count of 0 for 256 sectors, or 65,536 of a 48-bit command', () => {
    command(READ_SECTORS, { lba: 0, count: 0 });
    expect(disk.transfer.remaining).toBe(256 * 512);
    disk = new AtaDisk({ backend: new MemoryDisk(65_536), transport: 'serial', names });
    wide(READ_DMA_EXT, 0, 0);
    expect(disk.transfer).toMatchObject({ direction: 'in', dma: true, remaining: 65_536 * 512 });
  });

  it('translates cylinder, head and sector, in the geometry that INITIALIZE DEVICE PARAMETERS sets', () => {
    const at = (cylinder: number, head: number, sector: number): number | undefined => {
      command(READ_SECTORS, { lba: (cylinder << 8) | sector, count: 1, device: head });
      return disk.transfer.direction === 'in' ? takeAll()[0] : undefined;
    };
    expect(at(1, 2, 3)).toBe(((1 * 16 + 2) * 63 + 2) & 0xff);
    command(INITIALIZE_PARAMETERS, { count: 32, device: 7 });
    expect(at(1, 2, 3)).toBe(((1 * 8 + 2) * 32 + 2) & 0xff);
    expect([at(0, 0, 0), at(0, 0, 33), at(0, 8, 1)]).toEqual([undefined, undefined, undefined]);
    expect(outcome()).toEqual([FAILED, ID_NOT_FOUND]);
  });

  it.each([
    ['the first sector beyond the end', READ_SECTORS_EXT, SECTORS, 1],
    ['a range that ends beyond the end', WRITE_DMA_EXT, SECTORS - 1, 2],
    ['the highest 48-bit address', READ_DMA_EXT, 2 ** 48 - 1, 0],
    ['a verification beyond the end', 0x42, SECTORS, 1],
  ])('refuses %s before anything is moved', (_, code, lba, count) => {
    wide(code, lba, count);
    expect([disk.transfer.direction, ...outcome()]).toEqual(['none', FAILED, ID_NOT_FOUND]);
  });

  it('verifies an address without moving data', () => {
    command(READ_VERIFY, { lba: SECTORS - 1, count: 1 });
    expect([disk.transfer.direction, ...outcome()]).toEqual(['none', GOOD, 0]);
  });
});

describe('writing', () => {
  const data = new Uint8Array(1024).fill(0xee);

  it('puts the data where it belongs, and needs no more than it was given', () => {
    command(WRITE_SECTORS, { lba: 7, count: 2 });
    expect(disk.transfer).toMatchObject({ direction: 'out', dma: false, remaining: 1024, blockBytes: 512 });
    expect(disk.write(data)).toBe(true);
    const edges = [7 * 512 - 1, 7 * 512, 9 * 512 - 1, 9 * 512];
    expect(edges.map((at) => backend.bytes[at])).toEqual([6, 0xee, 0xee, 9]);
    expect([disk.transfer.direction, ...outcome()]).toEqual(['none', GOOD, 0]);
  });

  it('leaves data in the cache until FLUSH CACHE', () => {
    command(WRITE_DMA, { lba: 1, count: 2 });
    disk.write(data);
    expect(backend.flushes).toBe(0);
    command(FLUSH_CACHE);
    expect(backend.flushes).toBe(1);
  });

  it('ends on the medium with FUA, or with the write cache off', () => {
    wide(WRITE_DMA_FUA_EXT, 1, 2);
    disk.write(data);
    expect(backend.flushes).toBe(1);
    command(SET_FEATURES, { feature: 0x82 });
    expect(identity()(85) & 0x20).toBe(0);
    backend.flushes = 0;
    wide(WRITE_DMA_EXT, 1, 2);
    disk.write(data);
    expect(backend.flushes).toBe(1);
  });

  it('fails on a disk that can only be read', () => {
    disk = new AtaDisk({ backend: new MemoryDisk(8, true), transport: 'serial', names });
    command(WRITE_SECTORS, { lba: 0, count: 1 });
    expect([disk.transfer.direction, ...outcome()]).toEqual(['none', FAILED, ABORTED]);
  });

  it('reports what the host cannot do as a device fault', () => {
    backend.badSector = 2;
    command(WRITE_SECTORS, { lba: 1, count: 2 });
    expect(disk.write(data)).toBe(false);
    expect([disk.transfer.direction, ...outcome()]).toEqual(['none', FAILED | FAULT, ABORTED]);
  });

  it('names the very sector that cannot be read, and gives what lies before it', () => {
    backend.badSector = 12;
    command(READ_DMA, { lba: 10, count: 5 });
    const target = new Uint8Array(5 * 512);
    expect(disk.read(target)).toBe(false);
    expect([...outcome(), disk.taskFile.lba]).toEqual([FAILED, UNCORRECTABLE, 12]);
    expect([target[0], target[512]]).toEqual([10, 11]);
  });
});

describe('commands', () => {
  it.each([
    ['SMART', SMART],
    ['PACKET', PACKET],
    ['what is no command', 0xff],
    ['NOP', 0x00],
  ])('aborts %s', (_, code) => {
    command(code);
    expect([disk.transfer.direction, ...outcome()]).toEqual(['none', FAILED, ABORTED]);
  });

  it('reads in blocks of as many sectors as SET MULTIPLE MODE says, and not at all before (ATA6 §8.26)', () => {
    command(READ_MULTIPLE, { count: 8 });
    expect(outcome()).toEqual([FAILED, ABORTED]);
    command(SET_MULTIPLE, { count: 8 });
    command(READ_MULTIPLE, { count: 12 });
    expect(disk.transfer).toMatchObject({ blockBytes: 8 * 512, remaining: 12 * 512 });
    for (const count of [3, 32]) {
      command(SET_MULTIPLE, { count });
      expect(outcome()).toEqual([FAILED, ABORTED]);
    }
  });

  it('stands by, flushed, and says so until it is used again (ATA6 §8.4)', () => {
    const mode = (): number => {
      command(CHECK_POWER_MODE);
      return disk.taskFile.count;
    };
    expect(mode()).toBe(0xff);
    command(STANDBY_IMMEDIATE);
    expect([backend.flushes, mode(), mode()]).toEqual([1, 0x00, 0x00]);
    command(READ_VERIFY, { count: 1 });
    expect(mode()).toBe(0xff);
  });

  it('passes its diagnostics and signs as an ATA disk (ATA6 §9.12)', () => {
    command(DIAGNOSTIC);
    expect([...outcome(), disk.taskFile.count, disk.taskFile.lba]).toEqual([GOOD, 1, 1, 1]);
  });

  it('keeps what SET FEATURES has chosen over a software reset, not over a hardware reset (ATA6 §9.3)', () => {
    command(SET_FEATURES, { feature: 0x82 });
    disk.reset('software');
    expect(identity()(85) & 0x20).toBe(0);
    disk.reset('hardware');
    expect(identity()(85) & 0x20).toBe(0x20);
  });

  it('takes queued commands on a serial cable only', () => {
    const fpdma = (): void => {
      disk.taskFile.lba48 = 5;
      Object.assign(disk.taskFile, { feature: 2, featureBefore: 0, count: 3 << 3, countBefore: 0, device: LBA });
      disk.execute(WRITE_FPDMA);
    };
    fpdma();
    expect(disk.transfer).toMatchObject({ direction: 'out', dma: true, remaining: 1024 });
    disk = new AtaDisk({ backend, transport: 'parallel', names });
    fpdma();
    expect(outcome()).toEqual([FAILED, ABORTED]);
  });

  it('tells in log 10h which queued command failed and where, once (ACS §A.8)', () => {
    const log = (number: number): Uint8Array => {
      wide(READ_LOG_EXT, number, 1);
      return takeAll();
    };
    expect(log(0).slice(0, 2)).toEqual(Uint8Array.of(1, 0));
    backend.badSector = 0x321;
    wide(READ_DMA_EXT, 0x320, 2);
    disk.read(new Uint8Array(1024));
    disk.noteQueuedError(9);
    const page = log(0x10);
    expect([page[0], page[2], page[3], page[4], page[5]]).toEqual([9, FAILED, UNCORRECTABLE, 0x21, 0x03]);
    expect(page.reduce((sum, byte) => sum + byte, 0) & 0xff).toBe(0);
    expect(log(0x10)[0]).toBe(0x80);
    wide(READ_LOG_EXT, 0x11, 1);
    expect(outcome()).toEqual([FAILED, ABORTED]);
  });
});

describe('TRIM', () => {
  const ranges = (...entries: readonly (readonly [number, number])[]): Uint8Array => {
    const page = new Uint8Array(512);
    const view = new DataView(page.buffer);
    for (const [index, [sector, count]] of entries.entries()) {
      view.setUint32(8 * index, sector, true);
      view.setUint16(8 * index + 6, count, true);
    }
    return page;
  };

  it('forgets ranges, neighbours as one', () => {
    wide(DATA_SET_MANAGEMENT, 0, 1, 1);
    expect(disk.write(ranges([10, 5], [15, 5], [100, 1]))).toBe(true);
    expect([backend.discarded, ...outcome()]).toEqual([[[10, 10], [100, 1]], GOOD, 0]);
  });

  it('refuses ranges beyond the end, and more blocks than it announced', () => {
    wide(DATA_SET_MANAGEMENT, 0, 1, 1);
    expect(disk.write(ranges([SECTORS - 1, 2]))).toBe(false);
    expect([backend.discarded, ...outcome()]).toEqual([[], FAILED, ID_NOT_FOUND]);
    wide(DATA_SET_MANAGEMENT, 0, 9, 1);
    expect(outcome()).toEqual([FAILED, ABORTED]);
  });
});

it('goes on after save and restore in the middle of a transfer', () => {
  command(SET_FEATURES, { feature: 0x82 });
  command(READ_SECTORS, { lba: 3, count: 3 });
  const first = new Uint8Array(512);
  disk.read(first);
  const state = JSON.parse(JSON.stringify(disk.save())) as ReturnType<AtaDisk['save']>;
  disk = new AtaDisk({ backend, transport: 'serial', names });
  disk.restore(state);
  const rest = takeAll();
  expect([first[0], rest.length, rest[0], rest[512]]).toEqual([3, 1024, 4, 5]);
  expect(identity()(85) & 0x20).toBe(0);
});
