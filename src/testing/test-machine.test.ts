import { describe, expect, it } from 'vitest';
import { defineDevice, type DeviceSlot } from '../board/devices/device-kit.ts';
import { GuestProgram } from './guest-program.ts';
import { TestMachine } from './test-machine.ts';

/** Eight registers; a write to the last one asserts the line for as long as it is not 0. */
const latch = defineDevice({
  title: 'eight bytes and a line',
  places: [{ ranges: [{ space: 'pio', base: 0x300, size: 8 }], irqs: [5] }],
  attach: (slot: DeviceSlot) => {
    const bytes = new Uint8Array(8);
    const line = slot.irq(5);
    return {
      chip: { reset: () => bytes.fill(0) },
      handlers: [
        {
          read: (offset) => bytes[offset] ?? 0xff,
          write: (offset, _size, value) => {
            bytes[offset] = value;
            if (offset === 7) line.set(value !== 0);
          },
        },
      ],
    };
  },
});

const machine = new TestMachine({ devices: { latch: { model: latch } } });

describe('a guest program', () => {
  it('writes and reads ports, memory and configuration space', () => {
    const program = new GuestProgram()
      .out(0x301, 0x42)
      .in(0x301)
      .in(0x777, 4)
      .store(0x20_0000, 0xdead_beef)
      .load(0x20_0002, 2)
      .load(0x20_0000, 1)
      .readConfig(0, 0);
    const { values, end } = machine.run(program);
    expect(values).toEqual([0x42, 0xffff_ffff, 0xdead, 0xef, 0x1237_8086]);
    expect(end).toEqual({ state: 'halted', reason: 'debug-exit', code: 1 });
  });

  it('takes interrupts, tells the device in its handler, and sleeps until they come', () => {
    const program = new GuestProgram()
      .onInterrupt(0x25, (handler) => handler.out(0x307, 0))
      .out(0x307, 1)
      .waitForInterrupts(0x25)
      .out(0x307, 1)
      .waitForInterrupts(0x25, 2)
      .countInterrupts(0x25)
      .in(0x307);
    expect(machine.run(program).values).toEqual([2, 0]);
  });

  it('waits by the clock of its machine', () => {
    const run = machine.run(new GuestProgram().delay(3000));
    expect(run.guestTime / 1e6).toBeCloseTo(3, 1);
  });

  it('polls', () => {
    const counting = defineDevice({
      title: 'a counter',
      places: [{ ranges: [{ space: 'mmio', base: 0xd000_0000, size: 16 }], irqs: [] }],
      attach: () => {
        let count = 0;
        return { chip: {}, handlers: [{ read: () => count++, write: () => undefined }] };
      },
    });
    const program = new GuestProgram().untilMemory(0xd000_0000, 0x0f, 9).load(0xd000_0000);
    expect(new TestMachine({ devices: { counting: { model: counting } } }).run(program).values).toEqual([10]);
  });
});

describe('a test machine', () => {
  it('starts every run from power-on', () => {
    const read = new GuestProgram().in(0x300).out(0x300, 7);
    expect([machine.run(read).values, machine.run(read).values]).toEqual([[0], [0]]);
  });

  it('ends at its limit, and says that the guest had not finished', () => {
    const run = machine.run(new GuestProgram().untilPort(0x300, 0xff, 1), { limit: 1_000_000 });
    expect([run.end, run.guestTime < 2_000_000]).toEqual([undefined, true]);
  });

  it('fails the test when a device goes wrong, unless that is what it is about', () => {
    const broken = defineDevice({
      title: 'broken',
      places: [{ ranges: [{ space: 'pio', base: 0x300, size: 1 }], irqs: [] }],
      attach: () => ({
        chip: {},
        handlers: [
          {
            read: () => {
              throw new Error('not written yet');
            },
            write: () => undefined,
          },
        ],
      }),
    });
    const one = new TestMachine({ devices: { broken: { model: broken } } });
    const program = new GuestProgram().in(0x300).in(0x300);
    expect(() => one.run(program)).toThrow(expect.objectContaining({ code: 'BH219', message: expect.stringContaining('not written yet') }));
    const { values, stopped } = one.run(program, { mayStop: true });
    expect([values, stopped]).toEqual([[0xff, 0xff], [expect.stringMatching(/^broken \(broken\) was stopped: Error: not written yet/)]]);
  });

  it('runs images as well as programs, and keeps what they print', () => {
    // MOV DX,0x3F8; MOV AL,'!'; OUT DX,AL; MOV AL,3; OUT 0xF4,AL, as a multiboot image loaded at 1 MiB.
    const code = [0x66, 0xba, 0xf8, 0x03, 0xb0, 0x21, 0xee, 0xb0, 0x03, 0xe6, 0xf4, 0xf4];
    const header = [0x1bad_b002, 0x1_0000, -(0x1bad_b002 + 0x1_0000) >>> 0, 0x10_0000, 0x10_0000, 0, 0, 0x10_0020];
    const image = new Uint8Array(32 + code.length);
    new Uint32Array(image.buffer, 0, 8).set(header);
    image.set(code, 32);
    const { output, end } = machine.run(image);
    expect([output, end]).toEqual(['!', { state: 'halted', reason: 'debug-exit', code: 7 }]);
  });

  it('says what is wrong with what it was given', () => {
    expect(() => new TestMachine({ devices: { x: { model: 'no-such' } } }).run(new GuestProgram())).toThrow(expect.objectContaining({ code: 'BH214' }));
    expect(() => new TestMachine({ devices: {}, memory: 1 << 20 }).run(new GuestProgram())).toThrow(expect.objectContaining({ code: 'BH219' }));
  });
});
