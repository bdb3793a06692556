import { beforeEach, describe, expect, it } from 'vitest';
import { ManualClock } from '../testing.ts';
import { whenTicks } from '../ticks.ts';
import { I8254, PIT_HERTZ } from './i8254.ts';

const CONTROL = 3;

let clock: ManualClock;
let irqs: number;
let irq: boolean;
let pit: I8254;

const advanceTicks = (ticks: number) => clock.advance(whenTicks(ticks, PIT_HERTZ) - clock.now());

beforeEach(() => {
  clock = new ManualClock();
  irqs = 0;
  irq = false;
  pit = new I8254({
    clock,
    output0: (level) => {
      if (level && !irq) irqs++;
      irq = level;
    },
  });
  pit.reset();
});

function program(channel: number, mode: number, count: number): void {
  pit.write(CONTROL, (channel << 6) | 0x30 | (mode << 1));
  pit.write(channel, count & 0xff);
  pit.write(channel, count >> 8);
}

function latch(channel: number): number {
  pit.write(CONTROL, channel << 6);
  return pit.read(channel) | (pit.read(channel) << 8);
}

describe('counter 0', () => {
  it('interrupts once per period as a rate generator', () => {
    program(0, 2, 11932);
    irqs = 0;
    clock.advance(1_000_000_000);
    expect(irqs).toBe(99); // 1193182 / 11932 = 99.998
  });

  it('takes a new count over at the end of the running period', () => {
    program(0, 2, 1000);
    irqs = 0;
    advanceTicks(500);
    pit.write(0, 0xd0);
    pit.write(0, 0x07);
    expect(latch(0)).toBe(500);
    advanceTicks(1000);
    expect(irqs).toBe(1);
    advanceTicks(2999);
    expect(irqs).toBe(1);
    advanceTicks(3000);
    expect(irqs).toBe(2);
  });

  it('pulls the line low in mode 0 and raises it once, at terminal count', () => {
    program(0, 0, 100);
    expect(irq).toBe(false);
    irqs = 0;
    advanceTicks(99);
    expect(irqs).toBe(0);
    advanceTicks(100);
    expect(irq).toBe(true);
    clock.advance(1_000_000_000);
    expect(irqs).toBe(1);
  });

  it('interrupts once per count written in mode 4, as a one-shot clock event', () => {
    pit.write(CONTROL, 0x38);
    irqs = 0;
    for (let i = 0; i < 3; i++) {
      pit.write(0, 0xe8);
      pit.write(0, 0x03);
      clock.advance(10_000_000);
    }
    expect(irqs).toBe(3);
  });
});

describe('reading', () => {
  it('counts down, and wraps past zero in mode 0', () => {
    program(1, 0, 1000);
    advanceTicks(400);
    expect(latch(1)).toBe(600);
    advanceTicks(1001);
    expect(latch(1)).toBe(0xffff);
  });

  it('goes by twos in square-wave mode', () => {
    program(1, 3, 1000);
    advanceTicks(100);
    expect(latch(1)).toBe(800);
    advanceTicks(600);
    expect(latch(1)).toBe(800);
  });

  it('holds a latched count until both bytes are read', () => {
    program(1, 2, 0);
    advanceTicks(16);
    pit.write(CONTROL, 0x40);
    advanceTicks(1000);
    pit.write(CONTROL, 0x40);
    expect([pit.read(1), pit.read(1)]).toEqual([0xf0, 0xff]);
    expect(latch(1)).toBe(0x10000 - 1000);
  });

  it('reads back status and count of several counters at once', () => {
    program(1, 2, 500);
    program(2, 3, 500);
    pit.write(CONTROL, 0xc0 | 0x0c);
    expect(pit.read(1)).toBe(0x80 | 0x30 | 0x04);
    expect(pit.read(1) | (pit.read(1) << 8)).toBe(500);
    expect(pit.read(2) & 0x3f).toBe(0x36);
  });

  it('reports "null count" before a count was written', () => {
    pit.write(CONTROL, 0x70);
    pit.write(CONTROL, 0xe4);
    expect(pit.read(1) & 0x40).toBe(0x40);
  });

  it('counts in BCD when asked to', () => {
    pit.write(CONTROL, 0x71);
    pit.write(1, 0x00);
    pit.write(1, 0x20);
    advanceTicks(1);
    expect(latch(1)).toBe(0x1999);
  });
});

describe('counter 2', () => {
  it('counts only while its gate is high, and raises OUT at terminal count', () => {
    program(2, 0, 1000);
    advanceTicks(5000);
    expect([latch(2), pit.output2]).toEqual([1000, false]);
    pit.setGate2(true);
    const start = 5000;
    advanceTicks(start + 999);
    expect(pit.output2).toBe(false);
    advanceTicks(start + 1001);
    expect(pit.output2).toBe(true);
  });

  it('lets the most significant byte be followed, as a TSC calibration does', () => {
    pit.setGate2(true);
    program(2, 0, 0xffff);
    const bytes = new Set<number>();
    for (let i = 0; i < 40; i++) {
      pit.read(2);
      bytes.add(pit.read(2));
      clock.advance(50_000);
    }
    expect([...bytes].slice(0, 4)).toEqual([0xff, 0xfe, 0xfd, 0xfc]);
  });

  it('is retriggered by its gate in mode 1', () => {
    program(2, 1, 100);
    expect(pit.output2).toBe(true);
    pit.setGate2(true);
    expect(pit.output2).toBe(false);
    advanceTicks(101);
    expect(pit.output2).toBe(true);
  });
});

it('continues after save and restore', () => {
  program(0, 2, 1000);
  const state = JSON.parse(JSON.stringify(pit.save()));
  program(0, 0, 7);
  pit.restore(state);
  irqs = 0;
  advanceTicks(3001);
  expect(irqs).toBe(3);
});
