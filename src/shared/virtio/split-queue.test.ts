/** A split virtqueue as its driver sees it (VIRTIO 1.2 §2.7), with a device that answers each request with what it read. */
import { describe, expect, it } from 'vitest';
import type { Chain } from './chain.ts';
import type { SplitQueue } from './split-queue.ts';
import { DESCRIPTOR_INDIRECT, DESCRIPTOR_NEXT, DESCRIPTOR_WRITE, overMmio, VirtioDriver } from './testing.ts';
import type { VirtioDevice, VirtioHost } from './virtio-device.ts';
import { F_EVENT_IDX, F_INDIRECT_DESC, STATUS_NEEDS_RESET } from './virtio-transport.ts';

/** Takes chains when told to, and sends back what it read. */
class EchoDevice implements VirtioDevice {
  readonly id = 42;
  readonly pciClass = 0xff_0000;
  readonly features = 0n;
  readonly queueSizes = [16];
  readonly configBytes = 0;
  /** Keeps chains instead of answering them. */
  holding = false;
  readonly held: Chain[] = [];
  host: VirtioHost | undefined;
  queue: SplitQueue | undefined;

  readConfig = (): number => 0;
  writeConfig = (): void => undefined;
  attach = (host: VirtioHost): void => void (this.host = host);
  activate = ([queue]: readonly (SplitQueue | undefined)[]): void => void (this.queue = queue);

  notify(): void {
    const { queue } = this;
    if (queue === undefined) return;
    for (let chain = queue.take(); chain !== undefined; chain = queue.take()) {
      if (this.holding) this.held.push(chain);
      else this.answer(chain);
    }
    queue.announce();
  }

  answer(chain: Chain): void {
    const bytes = new Uint8Array(Math.min(chain.readableBytes, chain.writableBytes));
    chain.read(0, bytes);
    chain.write(0, bytes);
    this.queue?.complete(chain, bytes.length);
  }

  reset(): void {
    this.queue = undefined;
    this.held.length = 0;
  }
}

function start(features = 0n) {
  const device = new EchoDevice();
  const driver = VirtioDriver.on(device, overMmio).start(features);
  return { device, driver, queue: driver.queue(0) };
}

const bytes = (...values: number[]) => Uint8Array.from(values);

describe('a split virtqueue', () => {
  it('hands requests over and gives them back, used, with the number of bytes written', () => {
    const { driver, queue } = start();
    const head = queue.send({ readable: [bytes(1, 2), bytes(3)], writable: [2, 8] });
    expect(queue.take()).toEqual([{ head, written: 3, data: bytes(1, 2, 3, 0, 0, 0, 0, 0, 0, 0) }]);
    expect(driver.access.interrupts()).toBe(1);
  });

  it('goes around its rings as often as it likes', () => {
    const { queue } = start();
    for (let round = 0; round < 100_000 / 16; round++) {
      const heads = Array.from({ length: 5 }, (_, i) => queue.add({ readable: [bytes(round & 0xff, i)], writable: [2] }));
      heads.push(queue.send({ readable: [bytes(9, 9)], writable: [2] }));
      const used = queue.take();
      expect(used.map(({ head }) => head)).toEqual(heads);
      expect(used[2]?.data).toEqual(bytes(round & 0xff, 2));
    }
  });

  it('takes chains back in any order', () => {
    const { device, driver, queue } = start();
    device.holding = true;
    const [first, second] = [queue.add({ readable: [bytes(1)], writable: [1] }), queue.send({ readable: [bytes(2)], writable: [1] })];
    expect(queue.take()).toEqual([]);
    const [a, b] = device.held;
    device.answer(b as Chain);
    device.answer(a as Chain);
    device.queue?.announce();
    expect(queue.take().map(({ head }) => head)).toEqual([second, first]);
    expect(driver.access.interrupts()).toBe(1);
  });

  it('keeps its own copy of a chain: descriptors that change after it was taken change nothing', () => {
    const { device, queue } = start();
    device.holding = true;
    const head = queue.send({ readable: [bytes(7, 7)], writable: [2] });
    for (let at = 0; at < 16; at++) queue.describe(at, 0xffff_0000, 0xffff_ffff, DESCRIPTOR_NEXT, at);
    device.answer(device.held[0] as Chain);
    expect(queue.take()).toEqual([{ head, written: 2, data: bytes(7, 7) }]);
    expect(device.queue?.isBroken).toBe(false);
  });

  it('finds a chain again that was put back', () => {
    const { device, queue } = start();
    const head = queue.add({ readable: [bytes(5)], writable: [1] });
    const chain = device.queue?.take() as Chain;
    device.queue?.untake(chain);
    expect(device.queue?.outstanding).toBe(0);
    device.notify();
    expect(queue.take()).toEqual([{ head, written: 1, data: bytes(5) }]);
  });

  it('does not interrupt a driver that does not want it (§2.7.7)', () => {
    const { driver, queue } = start();
    driver.write16(queue.available, 1);
    queue.send({ writable: [1] });
    expect(driver.access.interrupts()).toBe(0);
    driver.write16(queue.available, 0);
    queue.send({ writable: [1] });
    expect(driver.access.interrupts()).toBe(1);
  });

  it('with EVENT_IDX interrupts when the used index passes the one the driver named, and names the next it wants to hear of (§2.7.10)', () => {
    const { device, driver, queue } = start(F_EVENT_IDX);
    const usedEvent = queue.available + 4 + 2 * queue.size;
    const availableEvent = queue.used + 4 + 8 * queue.size;
    driver.write16(usedEvent, 1);
    queue.send({ writable: [1] });
    expect(driver.access.interrupts()).toBe(0);
    expect(driver.read16(availableEvent)).toBe(1);
    queue.send({ writable: [1] });
    expect(driver.access.interrupts()).toBe(1);
    expect(driver.read16(availableEvent)).toBe(2);
    device.holding = true;
    queue.send({ writable: [1] });
    expect(driver.read16(availableEvent)).toBe(3);
  });

  it('follows indirect descriptors, alone or behind others (§2.7.5.3.2)', () => {
    const { driver, queue } = start(F_INDIRECT_DESC);
    const table = driver.room(3 * 16);
    const room = driver.room(8);
    driver.describe(table, driver.put(bytes(2, 3)), 2, DESCRIPTOR_NEXT, 2);
    driver.describe(table + 32, room, 8, DESCRIPTOR_WRITE, 0);
    queue.describe(0, driver.put(bytes(1)), 1, DESCRIPTOR_NEXT, 1);
    queue.describe(1, table, 48, DESCRIPTOR_INDIRECT | DESCRIPTOR_WRITE);
    queue.offer(0);
    driver.access.notify(0);
    expect(queue.take()).toMatchObject([{ head: 0, written: 3 }]);
    expect(driver.get(room, 3)).toEqual(bytes(1, 2, 3));
  });

  it('passes over buffers without length', () => {
    const { driver, queue } = start();
    const room = driver.room(4);
    queue.describe(0, 0xdead_0000, 0, DESCRIPTOR_NEXT, 1);
    queue.describe(1, driver.put(bytes(4)), 1, DESCRIPTOR_NEXT, 2);
    queue.describe(2, room, 4, DESCRIPTOR_WRITE);
    queue.offer(0);
    driver.access.notify(0);
    expect(queue.take()).toMatchObject([{ head: 0, written: 1 }]);
  });

  it('resumes where it was, with the chains it had taken, after it was saved', () => {
    const { device, driver, queue } = start();
    device.holding = true;
    const head = queue.send({ readable: [bytes(8)], writable: [1] });
    const saved = driver.access.transport.save();
    driver.access.transport.restore(JSON.parse(JSON.stringify(saved)));
    device.holding = false;
    device.notify();
    expect(queue.take()).toEqual([{ head, written: 1, data: bytes(8) }]);
    queue.send({ readable: [bytes(9)], writable: [1] });
    expect(queue.take()).toMatchObject([{ written: 1 }]);
  });
});

describe('a driver that breaks the rules stops its own device', () => {
  type Started = ReturnType<typeof start>;
  const RULES: readonly (readonly [string, bigint, (started: Started) => void])[] = [
    ['a chain that is a loop', 0n, ({ queue }) => {
      queue.describe(0, 0x1000, 4, DESCRIPTOR_NEXT, 1);
      queue.describe(1, 0x1000, 4, DESCRIPTOR_NEXT, 0);
    }],
    ['a descriptor that points at itself', 0n, ({ queue }) => queue.describe(0, 0x1000, 4, DESCRIPTOR_NEXT, 0)],
    ['a next descriptor beyond the table', 0n, ({ queue }) => queue.describe(0, 0x1000, 4, DESCRIPTOR_NEXT, 16)],
    ['a buffer outside RAM', 0n, ({ queue }) => queue.describe(0, 0xff_ffff, 64, DESCRIPTOR_WRITE)],
    ['a buffer that runs out of RAM', 0n, ({ queue }) => queue.describe(0, 0xf_fff0, 17, 0)],
    ['a buffer whose end wraps around', 0n, ({ queue }) => queue.describe(0, 2 ** 52, 0xffff_ffff, DESCRIPTOR_WRITE)],
    ['a buffer to be read behind one to be written (§2.7.4.2)', 0n, ({ queue }) => {
      queue.describe(0, 0x1000, 4, DESCRIPTOR_NEXT | DESCRIPTOR_WRITE, 1);
      queue.describe(1, 0x1000, 4, 0);
    }],
    ['an indirect descriptor that was not negotiated', 0n, ({ queue }) => queue.describe(0, 0x1000, 16, DESCRIPTOR_INDIRECT)],
    ['an indirect table that is not whole descriptors', F_INDIRECT_DESC, ({ queue }) => queue.describe(0, 0x1000, 24, DESCRIPTOR_INDIRECT)],
    ['an indirect table without any', F_INDIRECT_DESC, ({ queue }) => queue.describe(0, 0x1000, 0, DESCRIPTOR_INDIRECT)],
    ['an indirect table outside RAM', F_INDIRECT_DESC, ({ queue }) => queue.describe(0, 0xffff_0000, 16, DESCRIPTOR_INDIRECT)],
    ['an indirect descriptor that is continued', F_INDIRECT_DESC, ({ queue }) => queue.describe(0, 0x1000, 16, DESCRIPTOR_INDIRECT | DESCRIPTOR_NEXT, 1)],
    ['an indirect table within an indirect table', F_INDIRECT_DESC, ({ driver, queue }) => {
      const table = driver.room(16);
      driver.describe(table, table, 16, DESCRIPTOR_INDIRECT, 0);
      queue.describe(0, table, 16, DESCRIPTOR_INDIRECT);
    }],
    ['an indirect table that is a loop', F_INDIRECT_DESC, ({ driver, queue }) => {
      const table = driver.room(32);
      driver.describe(table, 0x1000, 4, DESCRIPTOR_NEXT, 1);
      driver.describe(table + 16, 0x1000, 4, DESCRIPTOR_NEXT, 0);
      queue.describe(0, table, 32, DESCRIPTOR_INDIRECT);
    }],
    ['an indirect table longer than any queue', F_INDIRECT_DESC, ({ driver, queue }) => {
      const table = driver.room(18 * 16);
      for (let at = 0; at < 18; at++) driver.describe(table + 16 * at, 0x1000, 4, at === 17 ? 0 : DESCRIPTOR_NEXT, at + 1);
      queue.describe(0, table, 18 * 16, DESCRIPTOR_INDIRECT);
    }],
    ['a head beyond the table', 0n, ({ queue }) => queue.offer(99)],
    ['more heads at once than the queue holds', 0n, ({ driver, queue }) => driver.write16(queue.available + 2, 1000)],
  ];

  it.each(RULES)('%s', (_, features, breakIt) => {
    const started = start(features);
    const { device, driver, queue } = started;
    breakIt(started);
    if (driver.read16(queue.available + 2) === 0) queue.offer(0);
    driver.access.notify(0);
    expect(driver.access.status() & STATUS_NEEDS_RESET).toBe(STATUS_NEEDS_RESET);
    // §2.1.2: the driver is told by a configuration change.
    expect(driver.access.interrupts() & 2).toBe(2);
    expect(queue.take()).toEqual([]);
    expect(driver.access.transport.failures).toBe(1);
    // Nothing more comes of it, and nothing more is said, until a reset.
    for (let again = 0; again < 10; again++) {
      queue.offer(0);
      driver.access.notify(0);
      device.notify();
    }
    expect(driver.slot.messages.filter((message) => message.includes('stands still'))).toHaveLength(1);
    driver.start();
    const head = driver.queue(0).send({ readable: [bytes(1)], writable: [1] });
    expect(driver.queue(0).take()).toMatchObject([{ head, written: 1 }]);
  });

  it('rings that are not aligned, or not in RAM', () => {
    for (const addresses of [
      { descriptors: 0x1_0008, available: 0x2_0000, used: 0x3_0000 },
      { descriptors: 0x1_0000, available: 0x2_0001, used: 0x3_0000 },
      { descriptors: 0x1_0000, available: 0x2_0000, used: 0x3_0002 },
      { descriptors: 0xf_ffff_0000, available: 0x2_0000, used: 0x3_0000 },
      { descriptors: 0x1_0000, available: 0xf_fff0, used: 0x3_0000 },
      { descriptors: 0x1_0000, available: 0x2_0000, used: 0xf_fff0 },
    ]) {
      const { access } = VirtioDriver.on(new EchoDevice(), overMmio);
      access.setStatus(3);
      access.accept(1n << 32n);
      access.setStatus(11);
      access.setUpQueue(0, 16, addresses);
      access.setStatus(15);
      expect(access.status() & STATUS_NEEDS_RESET).toBe(STATUS_NEEDS_RESET);
      access.notify(0);
    }
  });

  it('the same head over and over while it is in flight', () => {
    const { device, driver, queue } = start();
    device.holding = true;
    queue.send({ writable: [1] });
    for (let again = 0; again < 40; again++) {
      queue.offer(0);
      driver.access.notify(0);
    }
    expect(device.held.length).toBe(16);
    expect(device.queue?.isBroken).toBe(true);
  });
});
