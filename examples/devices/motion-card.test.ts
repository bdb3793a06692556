import { type FakeSlot, fakeSlot, GuestProgram, TestMachine } from 'bulkhead/testing';
import { beforeEach, describe, expect, it } from 'vitest';
import { device, MotionCard } from './motion-card.ts';

const MS = 1_000_000;
const CONTROL = 0x04;
const STATUS = 0x08;
const ENABLE = 0x0c;
const RING = 0x10;
const SIZE = 0x14;
const HEAD = 0x18;
const TAIL = 0x1c;
const STATUS_BLOCK = 0x20;
const POSITION = 0x24;

const segment = (target: number, microseconds: number) => {
  const bytes = new Uint8Array(8);
  new DataView(bytes.buffer).setInt32(0, target, true);
  new DataView(bytes.buffer).setUint32(4, microseconds, true);
  return bytes;
};

describe('the card on a slot', () => {
  let slot: FakeSlot;
  let card: MotionCard;
  const write = (register: number, value: number) => card.write(register, 4, value);
  const read = (register: number) => card.read(register, 4) | 0;

  /** A ring of four at 0x1000, filled with these. */
  function fill(...segments: Uint8Array[]): void {
    for (const [index, bytes] of segments.entries()) slot.memory.write(0x1000 + 8 * index, bytes);
    write(RING, 0x1000);
    write(SIZE, 4);
    write(HEAD, segments.length);
  }

  beforeEach(() => {
    slot = fakeSlot('motion');
    card = new MotionCard(slot, { limit: 1000, period: MS });
    card.reset();
  });

  it('says what it is', () => {
    expect(slot.functions[0]?.readConfig(0, 4)).toBe(0x4d43_1234);
    expect([card.read(0, 4), card.read(1, 1), card.read(2, 2)]).toEqual([0x4e54_4f4d, 0x4f, 0x4e54]);
  });

  it('moves the axis along its segments, one after the other', () => {
    fill(segment(100, 10_000), segment(-50, 5000));
    write(CONTROL, 1);
    slot.clock.advance(4 * MS);
    expect([read(POSITION), read(STATUS) & 1, read(TAIL)]).toEqual([40, 1, 1]);
    slot.clock.advance(8 * MS);
    expect([read(POSITION), read(TAIL)]).toEqual([40, 2]); // 2 ms of the way from 100 to −50
    slot.clock.advance(10 * MS);
    expect([read(POSITION), read(STATUS)]).toEqual([-50, 0b0110]); // segment done, underrun
  });

  it('stands still when it is stopped, and goes on from there', () => {
    fill(segment(100, 10_000), segment(0, 1000));
    write(CONTROL, 1);
    slot.clock.advance(5 * MS);
    write(CONTROL, 0);
    slot.clock.advance(50 * MS);
    expect([read(POSITION), read(STATUS) & 1]).toEqual([50, 0]);
    write(CONTROL, 1);
    slot.clock.advance(MS / 2);
    expect(read(POSITION)).toBe(25);
  });

  it('writes its status block every period', () => {
    fill(segment(100, 10_000));
    write(STATUS_BLOCK, 0x2000);
    write(CONTROL, 3);
    slot.clock.advance(3 * MS);
    expect([...new Int32Array((slot.memory.read(0x2000, 16) as Uint8Array).buffer)]).toEqual([30, 1, 1, 3]);
  });

  it('holds its line as long as an event that is enabled is not acknowledged', () => {
    fill(segment(10, 1000));
    write(ENABLE, 0b0100);
    write(CONTROL, 1);
    slot.clock.advance(MS);
    expect(slot.functions[0]?.interruptAsserted).toBe(true);
    write(STATUS, 0b0010);
    expect(slot.functions[0]?.interruptAsserted).toBe(true);
    write(STATUS, 0b0100);
    expect(slot.functions[0]?.interruptAsserted).toBe(false);
  });

  it('stops at the limit switches, and says so with a message of its own', () => {
    const pci = slot.functions[0];
    const msi = pci?.readConfig(0x34, 1) ?? 0;
    pci?.writeConfig(msi + 4, 4, 0xfee0_0000);
    pci?.writeConfig(msi + 12, 2, 0x40);
    pci?.writeConfig(msi + 2, 2, 1 | (1 << 4));
    fill(segment(5000, 1000), segment(0, 1000));
    write(ENABLE, 0b1110);
    write(CONTROL, 1);
    slot.clock.advance(10 * MS);
    expect([read(POSITION), read(STATUS), read(TAIL), slot.msis]).toEqual([1000, 0b1000, 1, [[0xfee0_0000, 0x41]]]);
  });

  it('says when its DMA was refused, and does nothing until it is told to', () => {
    write(RING, 0x9000_0000);
    write(SIZE, 4);
    write(STATUS_BLOCK, 0x9000_0000);
    write(CONTROL, 3);
    write(HEAD, 1);
    slot.clock.advance(10 * MS);
    expect([read(STATUS), read(CONTROL), slot.functions[0]?.dma.violations]).toEqual([0b1_0000, 0, 3]);
    expect(slot.messages[0]).toContain('card: DMA read of 4 bytes at 0x90000000'.replace('card', 'motion'));
  });

  it('cannot be kept busy by segments of no duration', () => {
    fill(segment(1, 0), segment(2, 0), segment(3, 0));
    write(CONTROL, 1);
    expect(read(TAIL)).toBe(1);
    slot.clock.advance(3000);
    expect([read(TAIL), read(POSITION)]).toEqual([3, 3]);
  });

  it('goes on in the middle of a segment when its state is restored, and is as new after a reset', () => {
    fill(segment(100, 10_000), segment(0, 10_000));
    write(STATUS_BLOCK, 0x2000);
    write(CONTROL, 3);
    slot.clock.advance(2 * MS);
    const state = structuredClone(card.save());
    card.reset();
    slot.clock.advance(3 * MS);
    expect([read(POSITION), read(CONTROL), slot.clock.next]).toEqual([0, 0, undefined]);
    card.restore(state); // on a clock that went on: 5 of 10 ms are over
    expect([read(POSITION), read(CONTROL), card.save()]).toEqual([50, 3, state]);
    slot.clock.advance(10 * MS);
    expect(read(POSITION)).toBe(50);
  });
});

it('survives whatever a guest writes, in bounded work (seed 4711)', () => {
  const slot = fakeSlot('motion');
  const card = new MotionCard(slot, { limit: 1000, period: MS });
  let state = 4711;
  const random = (below: number) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
  const values = [0, 1, 3, 0xffff_ffff, 0x1000, 0x10_0000, 0xfff0, 0x8000_0000];
  for (let i = 0; i < 20_000; i++) {
    const size = ([1, 2, 4] as const)[random(3)] ?? 4;
    if (random(3) === 0) {
      const value = card.read(random(4096), size);
      expect(Number.isInteger(value)).toBe(true);
    } else card.write(random(2) === 0 ? 4 * random(11) : random(4096), size, random(2) === 0 ? (values[random(values.length)] ?? 0) : random(2 ** 32));
    if (random(8) === 0) slot.clock.advance(random(3 * MS));
    if (random(500) === 0) card.restore(structuredClone(card.save()));
    if (random(1000) === 0) card.reset();
  }
  expect(Math.abs(card.position)).toBeLessThanOrEqual(2 ** 31);
});

describe('the card in a machine', () => {
  const SLOT = 2;
  const machine = new TestMachine({ devices: { motion: { model: device, options: { 'period-us': 500 } } } });
  const program = () =>
    new GuestProgram()
      .enableBusMaster(SLOT)
      .store(0x20_0000, 300)
      .store(0x20_0004, 2000)
      .storeBar(SLOT, 0, RING, 0x20_0000)
      .storeBar(SLOT, 0, SIZE, 8)
      .storeBar(SLOT, 0, STATUS_BLOCK, 0x20_1000)
      .storeBar(SLOT, 0, ENABLE, 0b0100);

  it('moves its axis for a guest, and interrupts by message', () => {
    const msi = 0x40; // the first capability
    const guest = program()
      .writeConfig(SLOT, msi + 4, 0xfee0_0000)
      .writeConfig(SLOT, msi + 12, 0x50, 2)
      .writeConfig(SLOT, msi + 2, 1, 2)
      .storeBar(SLOT, 0, CONTROL, 3)
      .storeBar(SLOT, 0, HEAD, 1)
      .waitForInterrupts(0x50)
      .delay(600)
      .load(0x20_1000)
      .countInterrupts(0x50);
    expect(machine.run(guest).values).toEqual([300, 1]);
  });

  it('interrupts by its line where the guest wants none of messages', () => {
    // INTA# of slot 2 is ISA line 11 in a machine without other devices on it; the handler acknowledges at the card first.
    const guest = program()
      .onInterrupt(0x2b, (handler) => handler.storeBar(SLOT, 0, STATUS, 0b1_1110))
      .storeBar(SLOT, 0, CONTROL, 1)
      .storeBar(SLOT, 0, HEAD, 1)
      .waitForInterrupts(0x2b)
      .loadBar(SLOT, 0, POSITION)
      .countInterrupts(0x2b);
    expect(machine.run(guest).values).toEqual([300, 1]);
  });

  it('reaches no RAM but that of its partition, which goes on, or does not, as the manifest says', () => {
    const stray = () => program().storeBar(SLOT, 0, RING, 0x9000_0000).storeBar(SLOT, 0, CONTROL, 1).storeBar(SLOT, 0, HEAD, 1).loadBar(SLOT, 0, STATUS);
    const { values, dmaViolations, log } = machine.run(stray());
    expect([values, dmaViolations, log.length]).toEqual([[0b1_0000], 2, 2]);
    const strict = new TestMachine({ devices: { motion: { model: device } }, dmaViolations: 'stop' });
    const { end } = strict.run(stray());
    expect(end).toMatchObject({ state: 'crashed', report: { kind: 'device', cause: expect.stringMatching(/^motion tried to read 4 bytes at 0x90000000/) } });
  });
});
