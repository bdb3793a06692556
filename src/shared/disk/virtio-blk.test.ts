/** The block device as its driver sees it (VIRTIO 1.2 §5.2), over both transports, in front of a disk in memory. */
import { describe, expect, it } from 'vitest';
import type { Grant } from '../../contracts/index.ts';
import { F_EVENT_IDX, F_INDIRECT_DESC } from '../virtio/virtio-transport.ts';
import { type OverTransport, overMmio, TRANSPORTS, VirtioDriver } from '../virtio/testing.ts';
import { TestDisk } from './testing.ts';
import { VirtioBlk } from './virtio-blk.ts';

const [IN, OUT, FLUSH, GET_ID, DISCARD, WRITE_ZEROES] = [0, 1, 4, 8, 11, 13];
const [OK, IOERR, UNSUPP] = [0, 1, 2];
const [F_RO, F_FLUSH, F_CONFIG_WCE, F_MQ, F_DISCARD] = [1n << 5n, 1n << 9n, 1n << 11n, 1n << 12n, 1n << 13n];
const ALL = F_FLUSH | F_CONFIG_WCE | F_EVENT_IDX | F_INDIRECT_DESC;

function header(type: number, sector = 0): Uint8Array {
  const bytes = new Uint8Array(16);
  new DataView(bytes.buffer).setUint32(0, type, true);
  new DataView(bytes.buffer).setBigUint64(8, BigInt(sector), true);
  return bytes;
}

function range(sector: number, sectors: number, flags = 0): Uint8Array {
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, BigInt(sector), true);
  view.setUint32(8, sectors, true);
  view.setUint32(12, flags, true);
  return bytes;
}

function setUp(over: OverTransport = overMmio, { grant = {}, features = ALL, queues = 1 }: { grant?: Partial<Grant>; features?: bigint; queues?: number } = {}) {
  const disk = new TestDisk([grant]);
  const [end] = disk.ends;
  const device = new VirtioBlk(end!, queues);
  const driver = VirtioDriver.on(device, over).start(features, 64);
  disk.serve();
  /** Sends one request and returns the status and what was read. */
  const request = (type: number, { sector = 0, data = [], room = 0 }: { sector?: number; data?: readonly Uint8Array[]; room?: number } = {}) => {
    const queue = driver.queue(0);
    queue.send({ readable: [header(type, sector), ...data], writable: room > 0 ? [room, 1] : [1] });
    disk.serve();
    const [used] = queue.take();
    return used === undefined ? undefined : { status: used.data.at(-1), written: used.written, data: used.data.subarray(0, -1) };
  };
  const image = () => disk.files.contents.get('disk.raw') as Uint8Array;
  return { disk, device, driver, request, image };
}

describe.each(TRANSPORTS)('a block device over %s', (_, over) => {
  it('says how large it is, and how much it takes', () => {
    const { driver } = setUp(over);
    expect(driver.access.readConfig(0, 4)).toBe(2048);
    expect(driver.access.readConfig(4, 4)).toBe(0);
    expect(driver.access.readConfig(12, 4)).toBe(1022);
    expect(driver.access.readConfig(20, 4)).toBe(512);
    expect(driver.access.readConfig(34, 2)).toBe(1);
  });

  it('writes what it is given and reads it back, in one piece or many', () => {
    const { request, image } = setUp(over);
    const bytes = Uint8Array.from({ length: 8192 }, (_, index) => index * 7);
    expect(request(OUT, { sector: 3, data: [bytes.subarray(0, 100), bytes.subarray(100)] })).toMatchObject({ status: OK, written: 1 });
    expect(image().subarray(3 * 512, 3 * 512 + 8192)).toEqual(bytes);
    expect(request(IN, { sector: 3, room: 8192 })).toEqual({ status: OK, written: 8193, data: bytes });
  });

  it('takes requests that are larger than any slot, and more of them than there are slots', () => {
    const { driver, disk, image } = setUp(over, { grant: { depth: 3 } });
    const queue = driver.queue(0);
    const large = new Uint8Array(300 * 1024).fill(9);
    queue.add({ readable: [header(OUT, 0), large], writable: [1] });
    for (let sector = 1000; sector < 1020; sector++) queue.add({ readable: [header(OUT, sector), new Uint8Array(512).fill(sector)], writable: [1] });
    driver.access.notify(0);
    disk.serve();
    const used = queue.take();
    expect(used).toHaveLength(21);
    expect(used.every(({ data }) => data[0] === OK)).toBe(true);
    expect(image().subarray(0, large.length)).toEqual(large);
    expect(image()[1019 * 512]).toBe(1019 & 0xff);
  });

  it('interrupts once for what was answered together', () => {
    const { driver, disk } = setUp(over);
    const queue = driver.queue(0);
    driver.access.interrupts();
    for (let sector = 0; sector < 5; sector++) queue.add({ readable: [header(IN, sector)], writable: [512, 1] });
    driver.access.notify(0);
    expect(driver.access.interrupts()).toBe(0);
    disk.serve();
    expect(driver.access.interrupts()).toBe(1);
    expect(queue.take()).toHaveLength(5);
  });
});

describe('requests', () => {
  it('beyond the end, without whole sectors or without data fail, and change nothing', () => {
    const { request, image } = setUp();
    const before = image().slice();
    expect(request(IN, { sector: 2048, room: 512 })?.status).toBe(IOERR);
    expect(request(IN, { sector: 2047, room: 1024 })?.status).toBe(IOERR);
    expect(request(IN, { sector: 2 ** 53, room: 512 })?.status).toBe(IOERR);
    expect(request(OUT, { sector: 2047, data: [new Uint8Array(1024).fill(1)] })?.status).toBe(IOERR);
    expect(request(OUT, { sector: 0, data: [new Uint8Array(100).fill(1)] })?.status).toBe(IOERR);
    expect(request(OUT, { sector: 0 })?.status).toBe(IOERR);
    expect(request(IN, { sector: 0 })?.status).toBe(IOERR);
    expect(image()).toEqual(before);
  });

  it('of a kind that it does not know are unsupported (§5.2.6)', () => {
    const { request } = setUp();
    for (const type of [2, 5, 10, 14, 99, 0xffff_ffff]) expect(request(type, { room: 20 })?.status).toBe(UNSUPP);
  });

  it('for its name get the name of the disk', () => {
    const { request } = setUp();
    const answer = request(GET_ID, { room: 20 });
    expect(String.fromCharCode(...(answer?.data ?? [])).replace(/\0+$/, '')).toBe('disk0');
  });

  it('without a header or a status byte stop the device', () => {
    for (const chain of [{ readable: [header(IN)] }, { readable: [new Uint8Array(8)], writable: [1] }, { writable: [513] }]) {
      const { driver } = setUp();
      driver.queue(0).send(chain);
      expect(driver.access.status() & 64).toBe(64);
    }
  });

  it('fail when the host does', () => {
    const { request, disk } = setUp();
    disk.files.failing = true;
    expect(request(OUT, { data: [new Uint8Array(512)] })?.status).toBe(IOERR);
    expect(disk.ends[0]?.slots.control.statistics.failed).toBe(1);
    disk.files.failing = false;
    expect(request(OUT, { data: [new Uint8Array(512)] })?.status).toBe(OK);
  });
});

describe('what is safe', () => {
  it('is what was flushed: the host is asked before the flush is answered', () => {
    const { request, disk } = setUp();
    request(OUT, { data: [new Uint8Array(512)] });
    expect(disk.files.events.map(({ kind }) => kind)).toEqual(['write']);
    expect(request(FLUSH)?.status).toBe(OK);
    expect(disk.files.events.map(({ kind }) => kind)).toEqual(['write', 'flush']);
    disk.files.failing = true;
    request(OUT, { data: [new Uint8Array(512)] });
    expect(request(FLUSH)?.status).toBe(IOERR);
  });

  it('is every write, for a driver that cannot flush or chose write-through (§5.2.6.2)', () => {
    const without = setUp(overMmio, { features: 0n });
    without.request(OUT, { data: [new Uint8Array(512)] });
    expect(without.disk.files.events.map(({ kind }) => kind)).toEqual(['write', 'flush']);

    const { request, disk, driver } = setUp();
    expect(driver.access.readConfig(32, 1)).toBe(1);
    driver.access.writeConfig(32, 1, 0);
    request(OUT, { data: [new Uint8Array(512)] });
    expect(disk.files.events.map(({ kind }) => kind)).toEqual(['write', 'flush']);
    driver.access.writeConfig(32, 1, 1);
    request(OUT, { data: [new Uint8Array(512)] });
    expect(disk.files.events).toHaveLength(3);
  });

  it('is, in time, even what nobody flushed', () => {
    const { request, disk } = setUp();
    request(OUT, { data: [new Uint8Array(512)] });
    expect(disk.round()).toBeLessThanOrEqual(1e9);
    disk.now += 1.1e9;
    disk.round();
    expect(disk.files.events.at(-1)?.kind).toBe('flush');
    expect(disk.round()).toBe(Number.POSITIVE_INFINITY);
  });
});

describe('ranges', () => {
  it('are cleared by write-zeroes and by discard, several at a time', () => {
    const { request, image } = setUp(overMmio, { features: ALL | F_DISCARD | (1n << 14n) });
    image().fill(5);
    expect(request(WRITE_ZEROES, { data: [range(10, 2), range(20, 1, 1)] })?.status).toBe(OK);
    expect(request(DISCARD, { data: [range(30, 8)] })?.status).toBe(OK);
    for (const sector of [10, 11, 20, 30, 37]) expect(image()[sector * 512]).toBe(0);
    for (const sector of [9, 12, 19, 21, 29, 38]) expect(image()[sector * 512]).toBe(5);
  });

  it('that make no sense fail', () => {
    const { request } = setUp();
    for (const data of [[range(0, 0)], [range(2047, 2)], [range(0, 1, 2)], [new Uint8Array(10)], [range(0, 2 ** 31)], Array.from({ length: 17 }, () => range(0, 1))]) {
      expect(request(WRITE_ZEROES, { data })?.status).toBe(IOERR);
    }
    expect(request(DISCARD, { data: [range(0, 1, 1)] })?.status).toBe(IOERR);
  });
});

describe('a grant', () => {
  it('to read only offers no writing, and refuses it all the same', () => {
    const { request, image, driver } = setUp(overMmio, { grant: { access: 'ro' }, features: F_FLUSH });
    expect(driver.access.features() & F_RO).toBe(F_RO);
    expect(driver.access.features() & F_DISCARD).toBe(0n);
    for (const type of [OUT, DISCARD, WRITE_ZEROES]) expect(request(type, { data: [new Uint8Array(512).fill(1)] })?.status).toBe(IOERR);
    expect(image().every((byte) => byte === 0)).toBe(true);
    expect(request(IN, { room: 512 })?.status).toBe(OK);
  });

  it('of a window shows that part as the disk, and nothing beyond it', () => {
    const { request, image, driver } = setUp(overMmio, { grant: { window: { offset: 65_536, size: 131_072 } } });
    expect(driver.access.readConfig(0, 4)).toBe(256);
    expect(request(OUT, { sector: 0, data: [new Uint8Array(512).fill(3)] })?.status).toBe(OK);
    expect(request(OUT, { sector: 255, data: [new Uint8Array(512).fill(4)] })?.status).toBe(OK);
    expect(request(OUT, { sector: 255, data: [new Uint8Array(1024).fill(4)] })?.status).toBe(IOERR);
    expect(image()[65_535]).toBe(0);
    expect([image()[65_536], image()[65_536 + 131_071], image()[65_536 + 131_072]]).toEqual([3, 4, 0]);
  });

  it('that limits operations makes a flood wait in the guest’s own queue', () => {
    const { driver, disk } = setUp(overMmio, { grant: { rate: { operationsPerSecond: 40 }, depth: 4 } });
    const queue = driver.queue(0);
    for (let sector = 0; sector < 20; sector++) queue.add({ readable: [header(IN, sector)], writable: [512, 1] });
    driver.access.notify(0);
    disk.serve();
    const atOnce = queue.take().length;
    expect(atOnce).toBeLessThanOrEqual(10);
    expect(disk.ends[0]?.slots.inFlight).toBe(4);
    disk.now += 1e9;
    disk.serve();
    expect(queue.take().length).toBe(20 - atOnce);
    expect(disk.ends[0]?.slots.control.statistics.heldBack).toBeGreaterThan(0);
  });
});

describe('a reset', () => {
  it('in the middle of requests forgets them: the next life hears of none, and sees none move', () => {
    const { driver, disk, image } = setUp();
    driver.queue(0).send({ readable: [header(OUT, 0), new Uint8Array(200_000 - (200_000 % 512)).fill(1)], writable: [1] });
    driver.start(ALL, 64);
    driver.queue(0).send({ readable: [header(OUT, 0), new Uint8Array(512).fill(2)], writable: [1] });
    expect(driver.queue(0).take()).toEqual([]);
    disk.serve();
    expect(driver.queue(0).take()).toHaveLength(1);
    expect(image()[0]).toBe(2);
    // What had not been begun was dropped.
    expect(image()[512]).toBe(0);
    expect(disk.ends[0]?.slots.control.statistics.dropped).toBeGreaterThan(0);
  });

  it('at any moment of a storm leaves a device that works', () => {
    const { driver, disk, request } = setUp(overMmio, { grant: { depth: 2 } });
    for (let round = 0; round < 80; round++) {
      const queue = driver.queue(0);
      for (let count = 0; count < round % 13; count++) queue.add({ readable: [header(OUT, count * 8), new Uint8Array(4096)], writable: [1] });
      driver.access.notify(0);
      if (round % 3 === 0) disk.round();
      if (round % 7 === 0) disk.serve();
      driver.start(ALL, 64);
    }
    disk.serve();
    expect(request(IN, { room: 512 })?.status).toBe(OK);
    expect(disk.ends[0]?.slots.inFlight).toBe(0);
  });
});

it('has a queue for each processor, each served in its turn', () => {
  const { driver, disk } = setUp(overMmio, { features: ALL | F_MQ, queues: 3, grant: { depth: 1 } });
  expect(driver.access.readConfig(34, 2)).toBe(3);
  for (const queue of driver.queues) for (let sector = 0; sector < 4; sector++) queue.send({ readable: [header(IN, sector)], writable: [512, 1] });
  disk.serve();
  expect(driver.queues.map((queue) => queue.take().length)).toEqual([4, 4, 4]);
});

it('fails what is on its way, and what comes, when its broker is gone', () => {
  const { driver, disk, device } = setUp(overMmio, { grant: { depth: 2 } });
  const queue = driver.queue(0);
  for (let sector = 0; sector < 6; sector++) queue.add({ readable: [header(IN, sector)], writable: [512, 1] });
  driver.access.notify(0);
  disk.ends[0]?.slots.control.close();
  disk.ends[0]?.admit();
  expect(queue.take().map(({ data }) => data.at(-1))).toEqual(Array(6).fill(IOERR));
  queue.send({ readable: [header(IN, 0)], writable: [512, 1] });
  expect(queue.take().map(({ data }) => data.at(-1))).toEqual([IOERR]);
  expect(device.save()).toEqual({ version: 1, writeBack: true });
});
