/** A disk that one partition has to itself: the same device and the same image, served where its driver asks. */
import { describe, expect, it } from 'vitest';
import { s } from '../../base/index.ts';
import { ManualClock } from '../../board/testing.ts';
import type { Grant } from '../../contracts/index.ts';
import { overMmio, VirtioDriver } from '../virtio/testing.ts';
import { openExclusiveDisk } from './exclusive-disk.ts';
import { MemoryImageFiles } from './testing.ts';
import { VirtioBlk } from './virtio-blk.ts';

const [IN, OUT, FLUSH] = [0, 1, 4];
const [OK, IOERR] = [0, 1];
const F_FLUSH = 1n << 9n;
const SECTOR = 512;

function header(type: number, sector = 0): Uint8Array {
  const view = new DataView(new ArrayBuffer(16));
  view.setUint32(0, type, true);
  view.setBigUint64(8, BigInt(sector), true);
  return new Uint8Array(view.buffer);
}

function setUp(grant: Partial<Grant> = {}) {
  const files = new MemoryImageFiles();
  files.put('own.raw', new Uint8Array(1 << 20));
  const clock = new ManualClock();
  const end = openExclusiveDisk({ name: 'disk0', grant: { partition: 'p', access: 'rw', ...grant }, source: { image: 'own.raw' }, files, clock });
  const driver = VirtioDriver.on(new VirtioBlk(end, 1), overMmio).start(F_FLUSH, 64);
  const queue = driver.queue(0);
  const ask = (type: number, sector: number, data: readonly Uint8Array[] = [], room = 0) =>
    queue.send({ readable: [header(type, sector), ...data], writable: room > 0 ? [room, 1] : [1] });
  const flushes = (): number => files.events.filter(({ kind }) => kind === 'flush').length;
  return { files, clock, end, driver, queue, ask, flushes, image: files.contents.get('own.raw') as Uint8Array };
}

describe('an exclusive disk', () => {
  it('has carried a request out when the driver has asked, and answers at the next instruction', () => {
    const { queue, ask, image, clock } = setUp();
    ask(OUT, 3, [new Uint8Array(SECTOR).fill(7)]);
    expect(image[3 * SECTOR]).toBe(7);
    expect(queue.take()).toHaveLength(0);
    clock.advance(0);
    expect(queue.take().map(({ data }) => data.at(-1))).toEqual([OK]);
  });

  it('reads what was written, however much it is and however few slots there are', () => {
    const { queue, ask, clock } = setUp({ depth: 2 });
    const large = Uint8Array.from({ length: 600 * SECTOR }, (_, at) => at * 31 >>> 4);
    ask(OUT, 8, [large]);
    for (let turn = 0; turn < 8; turn++) clock.advance(0);
    expect(queue.take().map(({ data }) => data.at(-1))).toEqual([OK]);
    ask(IN, 8, [], large.length);
    for (let turn = 0; turn < 8; turn++) clock.advance(0);
    expect(queue.take()[0]?.data.subarray(0, -1)).toEqual(large);
  });

  it('gives no more than the grant: its window, and writing only where that is allowed', () => {
    const window = setUp({ window: { offset: 64 * SECTOR, size: 8 * SECTOR } });
    expect(window.driver.access.readConfig(0, 4)).toBe(8);
    for (const [sector, status] of [[7, OK], [8, IOERR]] as const) {
      window.ask(OUT, sector, [new Uint8Array(SECTOR).fill(9)]);
      window.clock.advance(0);
      expect(window.queue.take().map(({ data }) => data.at(-1))).toEqual([status]);
    }
    expect([...window.image.keys()].filter((at) => window.image[at] !== 0 && at % SECTOR === 0)).toEqual([71 * SECTOR]);

    const reading = setUp({ access: 'ro' });
    reading.ask(OUT, 0, [new Uint8Array(SECTOR).fill(9)]);
    reading.clock.advance(0);
    expect(reading.queue.take().map(({ data }) => data.at(-1))).toEqual([IOERR]);
    expect(reading.image[0]).toBe(0);
  });

  it('is on the medium when a flush was answered, or when nothing was written for a second', () => {
    const { ask, clock, flushes } = setUp();
    ask(OUT, 0, [new Uint8Array(SECTOR).fill(1)]);
    ask(FLUSH, 0);
    expect(flushes()).toBe(1);
    clock.advance(2 * s);
    expect(flushes()).toBe(1);
    ask(OUT, 1, [new Uint8Array(SECTOR).fill(1)]);
    clock.advance(0.9 * s);
    expect(flushes()).toBe(1);
    clock.advance(0.2 * s);
    expect(flushes()).toBe(2);
  });

  it('is not kept from its work by writing to the medium, but for every half a minute', () => {
    const { ask, clock, queue, flushes } = setUp();
    for (let half = 1; half <= 130; half++) {
      ask(OUT, half, [new Uint8Array(SECTOR).fill(1)]);
      clock.advance(0.5 * s);
      queue.take();
      // Every half a second something is written.
      expect(flushes()).toBe(Math.floor(half / 60));
    }
    clock.advance(1.1 * s);
    expect(flushes()).toBe(3);
  });

  it('tells a device that was reset meanwhile nothing of what it asked before', () => {
    const { ask, clock, driver, queue } = setUp();
    ask(IN, 0, [], SECTOR);
    driver.access.setStatus(0);
    clock.advance(0);
    expect(queue.take()).toHaveLength(0);
    const again = driver.start(F_FLUSH, 64).queue(0);
    again.send({ readable: [header(IN, 0)], writable: [SECTOR, 1] });
    clock.advance(0);
    expect(again.take().map(({ data }) => data.at(-1))).toEqual([OK]);
  });

  it('leaves no alarm behind when its partition ends', () => {
    const { ask, clock, end } = setUp();
    ask(OUT, 0, [new Uint8Array(SECTOR).fill(1)]);
    end[Symbol.dispose]();
    expect(clock.next).toBeUndefined();
  });
});
