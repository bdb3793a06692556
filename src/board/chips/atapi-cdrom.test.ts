// Rules of MMC-6 ("MMC"), SPC-3 ("SPC") and ATA/ATAPI-6 ("ATA6"), seen from a drive's adapter.
import { beforeEach, describe, expect, it } from 'vitest';
import { MemoryDisk } from '../storage/memory-disk.ts';
import { AtapiCdrom } from './atapi-cdrom.ts';

const PACKET = 0xa0, IDENTIFY_PACKET = 0xa1, IDENTIFY = 0xec, DEVICE_RESET = 0x08;
const TEST_UNIT_READY = [0x00], REQUEST_SENSE = [0x03, 0, 0, 0, 18], INQUIRY = [0x12, 0, 0, 0, 36];
const OPEN_TRAY = [0x1b, 0, 0, 0, 2], CLOSE_TRAY = [0x1b, 0, 0, 0, 3], LOCK = [0x1e, 0, 0, 0, 1], UNLOCK = [0x1e, 0, 0, 0, 0];
const READ_CAPACITY = [0x25];
const GOOD = 0x50, CHECK = 0x51;
const SECTORS = 300;
const names = { model: 'TEST CD', serial: 'S2', firmware: '0.9' };

let disc: MemoryDisk;
let drive: AtapiCdrom;
beforeEach(() => {
  disc = new MemoryDisk(4 * SECTORS, true);
  for (let sector = 0; sector < SECTORS; sector++) disc.bytes.fill(sector & 0xff, sector * 2048, sector * 2048 + 2048);
  drive = new AtapiCdrom({ backend: disc, transport: 'parallel', names });
  send(TEST_UNIT_READY); // takes the unit attention that power-on leaves
});

/** Sends a command packet; the data it answers with, undefined when it has none. */
function send(packet: readonly number[], feature = 0): Uint8Array | undefined {
  Object.assign(drive.taskFile, { feature, lba: 0xfffe00 });
  drive.execute(PACKET);
  expect(drive.transfer).toMatchObject({ direction: 'packet', remaining: 12 });
  const bytes = new Uint8Array(12);
  bytes.set(packet);
  drive.packet(bytes);
  if (drive.transfer.direction === 'none') return undefined;
  const data = new Uint8Array(drive.transfer.remaining);
  return drive.read(data) ? data : undefined;
}

/** Sense key, code and qualifier. */
function sense(): number[] {
  const data = send(REQUEST_SENSE) as Uint8Array;
  return [data[2] as number, data[12] as number, data[13] as number];
}

const bytesOf = (value: number): number[] => [value >>> 24, (value >> 16) & 0xff, (value >> 8) & 0xff, value & 0xff];
const read10 = (lba: number, count: number): number[] => [0x28, 0, ...bytesOf(lba), 0, count >> 8, count & 0xff];

describe('identity', () => {
  it('signs as a packet device and refuses what is for disks, so that its host can tell (ATA6 §9.12)', () => {
    expect(drive.signature).toBe(0xeb1401);
    drive.execute(IDENTIFY);
    expect([drive.taskFile.status, drive.taskFile.error, drive.taskFile.lba]).toEqual([CHECK, 4, 0xeb1401]);
    drive.execute(DEVICE_RESET);
    expect([drive.taskFile.status, drive.taskFile.error, drive.taskFile.lba]).toEqual([0, 1, 0xeb1401]);
  });

  it('is a removable CD-ROM with packets of 12 bytes', () => {
    drive.execute(IDENTIFY_PACKET);
    const page = new Uint8Array(512);
    drive.read(page);
    expect((page[0] as number) | ((page[1] as number) << 8)).toBe(0x85c0);
    expect(page.reduce((sum, byte) => sum + byte, 0) & 0xff).toBe(0);
  });

  it('answers INQUIRY with as much as the host has room for', () => {
    const data = send(INQUIRY) as Uint8Array;
    expect([data.length, data[0], data[1], data[4]]).toEqual([36, 5, 0x80, 31]);
    expect(String.fromCharCode(...data.subarray(8, 23))).toBe('BULKHEADTEST CD');
    expect(send([0x12, 0, 0, 0, 5])).toHaveLength(5);
    expect(send([0x12, 0, 0, 0, 0])).toBeUndefined();
  });
});

describe('sense', () => {
  it('reports a reset once, to the first command that can fail (SPC §5.6.5)', () => {
    drive.reset('hardware');
    expect(send(INQUIRY)).toHaveLength(36);
    send(TEST_UNIT_READY);
    expect([drive.taskFile.status, drive.taskFile.error]).toEqual([CHECK, 0x60]);
    expect(sense()).toEqual([6, 0x29, 0]);
    send(TEST_UNIT_READY);
    expect([drive.taskFile.status, sense()]).toEqual([GOOD, [0, 0, 0]]);
  });

  it('names commands and fields it does not know', () => {
    send([0xc0]);
    expect([drive.taskFile.error >> 4, sense()]).toEqual([5, [5, 0x20, 0]]);
    send([0x12, 1, 0x80, 0, 36]);
    expect(sense()).toEqual([5, 0x24, 0]);
  });

  it('says in the interrupt reason whether data or status comes (ATA6 §8.23)', () => {
    send(TEST_UNIT_READY);
    expect(drive.taskFile.count).toBe(3);
  });
});

describe('reading', () => {
  it('tells the last address and the size of a sector', () => {
    const data = send(READ_CAPACITY) as Uint8Array;
    expect([...data]).toEqual([0, 0, SECTORS >> 8, (SECTORS - 1) & 0xff, 0, 0, 8, 0]);
  });

  it('reads sectors of 2,048 bytes with READ (10), READ (12) and READ CD', () => {
    for (const packet of [read10(7, 2), [0xa8, 0, 0, 0, 0, 7, 0, 0, 0, 2], [0xbe, 0, 0, 0, 0, 7, 0, 0, 2, 0x10]]) {
      const data = send(packet) as Uint8Array;
      expect([data.length, data[0], data[2047], data[2048]]).toEqual([4096, 7, 7, 8]);
    }
  });

  it('gives a sector in pieces that are no whole sectors, as PIO with a small byte count does', () => {
    Object.assign(drive.taskFile, { feature: 0, lba: 700 << 8 });
    drive.execute(PACKET);
    const packet = new Uint8Array(12);
    packet.set(read10(1, 2));
    drive.packet(packet);
    expect(drive.transfer.blockBytes).toBe(700);
    let all = '';
    while (drive.transfer.direction === 'in') {
      const piece = new Uint8Array(Math.min(drive.transfer.blockBytes, drive.transfer.remaining));
      drive.read(piece);
      all += [...piece].join('');
    }
    expect(all).toBe('1'.repeat(2048) + '2'.repeat(2048));
  });

  it.each([
    ['the first sector beyond the end', read10(SECTORS, 1)],
    ['a range that ends beyond the end', read10(SECTORS - 1, 2)],
    ['the highest address', read10(0xffff_ffff, 0xffff)],
    ['the longest transfer', [0xa8, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]],
  ])('refuses %s', (_, packet) => {
    expect([send(packet), sense()]).toEqual([undefined, [5, 0x21, 0]]);
  });

  it('refuses raw sectors: only user data can be had from an image', () => {
    expect([send([0xbe, 0, 0, 0, 0, 0, 0, 0, 1, 0xf8]), sense()]).toEqual([undefined, [5, 0x24, 0]]);
  });

  it('reports what the host cannot read', () => {
    disc.badSector = 4 * 5 + 1;
    expect([send(read10(5, 1)), sense()]).toEqual([undefined, [3, 0x11, 0]]);
  });

  it('has one data track and a lead-out in its table of contents, by sector and by time', () => {
    const toc = send([0x43, 0, 0, 0, 0, 0, 0, 0, 100]) as Uint8Array;
    expect([...toc]).toEqual([0, 18, 1, 1, 0, 0x14, 1, 0, 0, 0, 0, 0, 0, 0x14, 0xaa, 0, 0, 0, SECTORS >> 8, SECTORS & 0xff]);
    const timed = send([0x43, 2, 0, 0, 0, 0, 0xaa, 0, 100]) as Uint8Array;
    expect([...timed.slice(4)]).toEqual([0, 0x14, 0xaa, 0, 0, 0, 6, 0]); // 300 + 150 frames are 6 seconds
    expect([send([0x43, 0, 0, 0, 0, 0, 2, 0, 100]), sense()]).toEqual([undefined, [5, 0x24, 0]]);
  });

  it('takes a disc that is too large for a CD for a DVD', () => {
    const profile = (sectors: number): number => {
      const backend = { sectors, readOnly: true, read: () => true, write: () => false, flush: () => true };
      drive = new AtapiCdrom({ backend, transport: 'parallel', names });
      const data = send([0x46, 0, 0, 0, 0, 0, 0, 1, 0]) as Uint8Array;
      expect((data[2] as number) * 256 + (data[3] as number)).toBe(data.length - 4);
      return (data[6] as number) * 256 + (data[7] as number);
    };
    expect([profile(4 * 300_000), profile(4 * 2_000_000)]).toEqual([0x08, 0x10]);
  });
});

describe('tray', () => {
  it('opens and closes, and the disc is gone in between', () => {
    send(OPEN_TRAY);
    send(TEST_UNIT_READY);
    expect(sense()).toEqual([2, 0x3a, 2]);
    send(CLOSE_TRAY);
    send(TEST_UNIT_READY);
    expect(sense()).toEqual([6, 0x28, 0]);
    expect(send(read10(0, 1))).toHaveLength(2048);
  });

  it('stays closed while it is locked', () => {
    send(LOCK);
    send(OPEN_TRAY);
    expect(sense()).toEqual([5, 0x53, 2]);
    send(UNLOCK);
    send(OPEN_TRAY);
    expect(drive.taskFile.status).toBe(GOOD);
  });

  it('tells of each change once, to who asks for media events (MMC §6.7)', () => {
    const poll = (): number[] => [...(send([0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8]) as Uint8Array).slice(4, 6)];
    expect([poll(), poll()]).toEqual([[2, 2], [0, 2]]);
    send(OPEN_TRAY);
    expect([poll(), poll()]).toEqual([[3, 1], [0, 1]]);
  });

  it('is ready without a disc, but has no medium', () => {
    drive = new AtapiCdrom({ transport: 'parallel', names });
    send(TEST_UNIT_READY);
    for (const packet of [TEST_UNIT_READY, READ_CAPACITY, read10(0, 1)]) expect([send(packet), sense()]).toEqual([undefined, [2, 0x3a, 0]]);
  });

  it('shows its capabilities and the medium in its mode pages', () => {
    const pages = send([0x5a, 0, 0x2a, 0, 0, 0, 0, 0, 100]) as Uint8Array;
    expect([pages.length, pages[1], pages[2], pages[8], pages[9]]).toEqual([28, 26, 1, 0x2a, 18]);
    expect([send([0x5a, 0, 0x0d, 0, 0, 0, 0, 0, 100]), sense()]).toEqual([undefined, [5, 0x24, 0]]);
  });
});

it('goes on after save and restore in the middle of a transfer', () => {
  drive.execute(PACKET);
  const packet = new Uint8Array(12);
  packet.set(read10(9, 2));
  drive.packet(packet);
  drive.read(new Uint8Array(2048));
  const state = JSON.parse(JSON.stringify(drive.save())) as ReturnType<AtapiCdrom['save']>;
  drive = new AtapiCdrom({ backend: disc, transport: 'parallel', names });
  drive.restore(state);
  const rest = new Uint8Array(2048);
  expect([drive.transfer.remaining, drive.read(rest), rest[0], drive.taskFile.status]).toEqual([2048, true, 10, GOOD]);
});
