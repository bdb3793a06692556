// Rules of VIRTIO 1.2 §5.3.
import { describe, expect, it } from 'vitest';
import { ms } from '../../base/index.ts';
import { FakeTerminal } from '../../board/index.ts';
import { type DriverQueue, type OverTransport, TRANSPORTS, type UsedBuffer, VirtioDriver } from '../virtio/testing.ts';
import { ManualClock } from '../../board/index.ts';
import { F_EMERG_WRITE, F_MULTIPORT, F_SIZE, VirtioConsole } from './virtio-console.ts';

const text = (bytes: Uint8Array): string => String.fromCharCode(...bytes);
const bytes = (value: string): Uint8Array => Uint8Array.from(value, (c) => c.charCodeAt(0));

class SizedTerminal extends FakeTerminal {
  size = { columns: 132, rows: 43 };
}

interface Rig {
  readonly terminal: SizedTerminal;
  readonly second: FakeTerminal;
  readonly clock: ManualClock;
  readonly device: VirtioConsole;
  readonly driver: VirtioDriver;
}

function rig(over: OverTransport, features = 0n): Rig {
  const terminal = new SizedTerminal();
  const second = new FakeTerminal();
  const clock = new ManualClock();
  const device = new VirtioConsole({ streams: [{ line: terminal }, { name: 'org.cell.log', line: second }], clock });
  const driver = VirtioDriver.on(device, over).start(features);
  return { terminal, second, clock, device, driver };
}

const written = ({ data, written: count }: UsedBuffer): Uint8Array => data.subarray(0, count);

function control(event: number, port = 0, value = 1): Uint8Array {
  const message = new Uint8Array(8);
  const view = new DataView(message.buffer);
  view.setUint32(0, port, true);
  view.setUint16(4, event, true);
  view.setUint16(6, value, true);
  return message;
}

/** `port event value rest` of each message that has come. */
function messages(queue: DriverQueue): string[] {
  return queue.take().map((used) => {
    const message = written(used);
    const view = new DataView(message.buffer, message.byteOffset, message.length);
    return `${view.getUint32(0, true)} ${view.getUint16(4, true)} ${view.getUint16(6, true)} ${text(message.subarray(8))}`.trim();
  });
}

describe.each(TRANSPORTS)('a virtio console over %s', (_, over) => {
  it('offers its size, several ports and emergency writes, and shows them in its configuration', () => {
    const { driver } = rig(over);
    const { access } = driver;
    expect(access.features() & 0xff_ffffn).toBe(F_SIZE | F_MULTIPORT | F_EMERG_WRITE);
    expect([access.readConfig(0, 2), access.readConfig(2, 2), access.readConfig(4, 4)]).toEqual([132, 43, 2]);
  });

  it('brings what the guest writes to the terminal, however it is cut into buffers', () => {
    const { driver, terminal } = rig(over);
    driver.queue(1).send({ readable: [bytes('hel'), bytes(''), bytes('lo ')] });
    driver.queue(1).add({ readable: [bytes('wor')] });
    driver.queue(1).send({ readable: [bytes('ld')] });
    expect(terminal.printed).toBe('hello world');
    expect(driver.queue(1).take()).toHaveLength(3);
  });

  it('moves a bounded number of bytes per call and the rest by the clock', () => {
    const { driver, terminal, clock } = rig(over);
    driver.queue(1).send({ readable: Array.from({ length: 10 }, () => new Uint8Array(30_000).fill(0x2e)) });
    expect([terminal.printed.length, driver.queue(1).take().length]).toEqual([65_536, 0]);
    clock.advance(ms);
    expect([terminal.printed.length, driver.queue(1).take().length]).toEqual([300_000, 1]);
  });

  it('keeps what was typed until the guest has room, and loses nothing of it', () => {
    const { driver, device, terminal } = rig(over);
    terminal.type('abcdefgh');
    device.pollInput();
    driver.queue(0).send({ writable: [3] });
    driver.queue(0).send({ writable: [2, 2] });
    expect(driver.queue(0).take().map((used) => text(written(used)))).toEqual(['abc', 'defg']);
    driver.queue(0).send({ writable: [16] });
    terminal.type('ij');
    driver.queue(0).send({ writable: [16] });
    expect(driver.queue(0).take().map((used) => text(written(used)))).toEqual(['h', 'ij']);
    driver.queue(0).send({ writable: [16] });
    terminal.type('k');
    device.pollInput();
    expect(driver.queue(0).take().map((used) => text(written(used)))).toEqual(['k']);
  });

  it('prints an emergency before any queue is there', () => {
    const terminal = new FakeTerminal();
    const device = new VirtioConsole({ streams: [{ line: terminal }], clock: new ManualClock() });
    VirtioDriver.on(device, over).access.writeConfig(8, 4, 0x21);
    expect(terminal.printed).toBe('!');
  });

  it('announces another size of the terminal as a change of its configuration', () => {
    const { driver, device, terminal } = rig(over, F_SIZE);
    driver.access.interrupts();
    const before = driver.access.generation();
    device.pollInput();
    expect(driver.access.interrupts() & 2).toBe(0);
    terminal.size = { columns: 80, rows: 24 };
    device.pollInput();
    expect([driver.access.interrupts() & 2, driver.access.readConfig(0, 2)]).toEqual([2, 80]);
    expect(driver.access.generation()).not.toBe(before);
  });

  describe('with several ports', () => {
    const ready = (): Rig => {
      const made = rig(over, F_SIZE | F_MULTIPORT);
      for (let i = 0; i < 10; i++) made.driver.queue(2).add({ writable: [64] });
      made.driver.queue(3).send({ readable: [control(0)] });
      made.driver.access.notify(2);
      return made;
    };

    it('adds them when the driver is ready, and says of each what it is', () => {
      const { driver } = ready();
      expect(messages(driver.queue(2))).toEqual(['0 1 1', '1 1 1']);
      driver.queue(3).send({ readable: [control(3, 0)] });
      driver.queue(3).send({ readable: [control(3, 1)] });
      expect(messages(driver.queue(2))).toEqual(['0 4 1', `0 5 1 ${text(Uint8Array.of(132, 0, 43, 0))}`, '0 6 1', '1 7 1 org.cell.log', '1 6 1']);
    });

    it('keeps its messages until there are buffers for them, each of them once', () => {
      const { driver } = rig(over, F_MULTIPORT);
      for (let i = 0; i < 100; i++) driver.queue(3).send({ readable: [control(0)] });
      for (let i = 0; i < 10; i++) driver.queue(2).add({ writable: [64] });
      driver.access.notify(2);
      expect(messages(driver.queue(2))).toEqual(['0 1 1', '1 1 1']);
    });

    it('tells a new size in a message', () => {
      const { driver, device, terminal } = ready();
      messages(driver.queue(2));
      terminal.size = { columns: 0x4142, rows: 0x4344 };
      device.pollInput();
      expect(messages(driver.queue(2))).toEqual(['0 5 1 BADC']);
    });

    it('brings a stream to and from the guest while the guest has it open', () => {
      const { driver, device, second } = ready();
      second.type('in');
      driver.queue(4).send({ writable: [16] });
      device.pollInput();
      expect(driver.queue(4).take()).toEqual([]);
      driver.queue(3).send({ readable: [control(6, 1, 1)] });
      expect(driver.queue(4).take().map((used) => text(written(used)))).toEqual(['in']);
      driver.queue(5).send({ readable: [bytes('out')] });
      expect(second.printed).toBe('out');
      driver.queue(3).send({ readable: [control(6, 1, 0)] });
      driver.queue(4).send({ writable: [16] });
      second.type('later');
      device.pollInput();
      expect(driver.queue(4).take()).toEqual([]);
    });

    it('ignores messages that make no sense', () => {
      const { driver } = ready();
      messages(driver.queue(2));
      for (const message of [control(3, 7), control(6, 0xffff_ffff), control(0, 0, 0), control(99, 1), bytes('short')]) driver.queue(3).send({ readable: [message] });
      expect([messages(driver.queue(2)), driver.access.status() & 64]).toEqual([[], 0]);
    });
  });

  it('goes on after a reset in the middle of everything', () => {
    const { driver, terminal, clock } = rig(over);
    driver.queue(1).send({ readable: [new Uint8Array(200_000)] });
    driver.start();
    terminal.printed = '';
    driver.queue(1).send({ readable: [bytes('again')] });
    clock.advance(10 * ms);
    expect(terminal.printed).toBe('again');
  });
});
