// Sections are those of the IA-PC HPET Specification 1.0a.
import { beforeEach, describe, expect, it } from 'vitest';
import { ManualClock, RecordingLine } from '../testing.ts';
import { Hpet } from './hpet.ts';

const CAPABILITIES = 0x00, CONFIGURATION = 0x10, STATUS = 0x20, COUNTER = 0xf0;
const configuration = (timer: number): number => 0x100 + 0x20 * timer;
const comparator = (timer: number): number => 0x108 + 0x20 * timer;
const message = (timer: number): number => 0x110 + 0x20 * timer;
const LEVEL = 1 << 1, ENABLED = 1 << 2, PERIODIC = 1 << 3, SET = 1 << 6, NARROW = 1 << 8, ROUTE_20 = 20 << 9, FSB = 1 << 14;
const MICROSECOND = 1000;

let clock: ManualClock;
let line20: RecordingLine;
let timerLine: RecordingLine;
let clockLine: RecordingLine;
let replaced: boolean;
let messages: (readonly [number, number])[];
let hpet: Hpet;

beforeEach(() => {
  clock = new ManualClock(12_345);
  line20 = new RecordingLine();
  timerLine = new RecordingLine();
  clockLine = new RecordingLine();
  replaced = false;
  messages = [];
  hpet = make();
});

function make(): Hpet {
  return new Hpet({
    clock,
    pins: {
      lines: new Map([[20, line20], [21, new RecordingLine()]]),
      msi: { send: (address, data) => messages.push([address, data]) },
      legacy: [timerLine, clockLine],
      replaceLegacy: (on) => {
        replaced = on;
      },
    },
  });
}

const read = (offset: number): number => hpet.read(offset, 4);
const write = (offset: number, value: number): void => hpet.write(offset, 4, value >>> 0);
const start = (): void => write(CONFIGURATION, 1);

describe('the counter', () => {
  it('has 64 bits, a period of 10 ns, three timers and legacy routes (§2.3.4)', () => {
    expect([read(CAPABILITIES), read(CAPABILITIES + 4)]).toEqual([0x8086_a201, 10_000_000]);
    expect([hpet.read(CAPABILITIES + 2, 2), hpet.read(CAPABILITIES, 1)]).toEqual([0x8086, 1]);
  });

  it('stands still until it is enabled, and keeps its value when it is halted (§2.3.5)', () => {
    clock.advance(500);
    expect(read(COUNTER)).toBe(0);
    start();
    clock.advance(1234);
    expect(read(COUNTER)).toBe(123);
    write(CONFIGURATION, 0);
    clock.advance(1000);
    expect(read(COUNTER)).toBe(123);
    start();
    clock.advance(10);
    expect(read(COUNTER)).toBe(124);
  });

  it('can be written in halves, and carries from one to the other (§2.3.7)', () => {
    write(COUNTER, 0xffff_fffe);
    write(COUNTER + 4, 7);
    start();
    clock.advance(30);
    expect([read(COUNTER), read(COUNTER + 4)]).toEqual([1, 8]);
  });
});

describe('a timer', () => {
  it('says what it can: periodic, 64 bits, messages, and the lines it may drive (§2.3.8)', () => {
    expect([read(configuration(2)), read(configuration(2) + 4)]).toEqual([0x8030, 0x0030_0000]);
  });

  it('interrupts once when the counter reaches its comparator', () => {
    write(configuration(0), ENABLED | ROUTE_20);
    write(comparator(0), 200);
    write(comparator(0) + 4, 0);
    start();
    clock.advance(2 * MICROSECOND - 1);
    expect(line20.edges).toBe(0);
    clock.advance(1);
    expect([line20.edges, line20.level]).toEqual([1, false]);
    clock.advance(1000 * MICROSECOND);
    expect([line20.edges, read(STATUS)]).toEqual([1, 0]);
  });

  it('matches again after a lap of 32 bits in narrow mode (§2.3.9.2)', () => {
    write(configuration(0), ENABLED | ROUTE_20 | NARROW);
    write(comparator(0), 100);
    start();
    clock.advance(MICROSECOND);
    expect(line20.edges).toBe(1);
    clock.advance(2 ** 32 * 10);
    expect(line20.edges).toBe(2);
  });

  it('repeats by what was written last in periodic mode; VAL_SET sets where it begins (§2.3.9.2.2)', () => {
    start();
    write(configuration(0), ENABLED | ROUTE_20 | PERIODIC | SET | NARROW);
    write(comparator(0), 500);
    expect(read(configuration(0)) & SET).toBe(0);
    write(comparator(0), 1000);
    clock.advance(5 * MICROSECOND);
    expect([line20.edges, read(comparator(0))]).toEqual([1, 1500]);
    clock.advance(100 * MICROSECOND);
    expect([line20.edges, read(comparator(0))]).toEqual([11, 11_500]);
  });

  it('fires no faster than the minimum tick, whatever the period', () => {
    start();
    write(configuration(0), ENABLED | ROUTE_20 | PERIODIC | SET | NARROW);
    write(comparator(0), 1);
    write(comparator(0), 1);
    clock.advance(100 * MICROSECOND);
    expect(line20.edges).toBeGreaterThan(90);
    expect(line20.edges).toBeLessThan(110);
  });

  it('holds a level until its status bit is written as one (§2.3.6)', () => {
    start();
    write(configuration(1), ENABLED | ROUTE_20 | LEVEL);
    write(comparator(1), 100);
    write(comparator(1) + 4, 0);
    clock.advance(MICROSECOND);
    expect([line20.level, read(STATUS)]).toEqual([true, 2]);
    write(STATUS, 1);
    expect(line20.level).toBe(true);
    write(STATUS, 2);
    expect([line20.level, read(STATUS)]).toEqual([false, 0]);
  });

  it('sends a message in place of a line (§2.4.7)', () => {
    start();
    write(message(0), 0x41);
    write(message(0) + 4, 0xfee0_0000);
    write(configuration(0), ENABLED | FSB | ROUTE_20);
    write(comparator(0), 100);
    write(comparator(0) + 4, 0);
    clock.advance(MICROSECOND);
    expect([messages, line20.edges]).toEqual([[[0xfee0_0000, 0x41]], 0]);
  });

  it('is silent without INT_ENB and while the counter is halted', () => {
    write(configuration(0), ROUTE_20);
    write(comparator(0), 100);
    write(comparator(0) + 4, 0);
    start();
    clock.advance(MICROSECOND);
    write(CONFIGURATION, 0);
    write(configuration(0), ENABLED | ROUTE_20);
    clock.advance(MICROSECOND);
    expect([line20.edges, clock.next]).toEqual([0, undefined]);
  });
});

describe('legacy replacement', () => {
  it('puts timers 0 and 1 on the lines of the 8254 and the clock, whatever their routes say (§2.4.8)', () => {
    write(CONFIGURATION, 3);
    expect(replaced).toBe(true);
    for (const timer of [0, 1]) {
      write(configuration(timer), ENABLED | ROUTE_20);
      write(comparator(timer), 100);
      write(comparator(timer) + 4, 0);
    }
    clock.advance(MICROSECOND);
    expect([timerLine.edges, clockLine.edges, line20.edges]).toEqual([1, 1, 0]);
    write(CONFIGURATION, 1);
    expect(replaced).toBe(false);
  });
});

describe('life', () => {
  it('is as new after a reset, and gives the lines back', () => {
    write(CONFIGURATION, 3);
    write(configuration(0), ENABLED | PERIODIC);
    write(comparator(0), 100);
    clock.advance(10 * MICROSECOND);
    hpet.reset();
    expect([replaced, read(CONFIGURATION), read(COUNTER), clock.next]).toEqual([false, 0, 0, undefined]);
  });

  it('goes on where it was saved', () => {
    start();
    write(configuration(0), ENABLED | ROUTE_20 | PERIODIC | SET | NARROW);
    write(comparator(0), 1000);
    write(comparator(0), 1000);
    clock.advance(15 * MICROSECOND);
    const state = JSON.parse(JSON.stringify(hpet.save()));
    hpet.reset();
    expect(line20.edges).toBe(1);
    hpet = make();
    hpet.restore(state);
    expect(read(COUNTER)).toBe(1500);
    clock.advance(5 * MICROSECOND);
    expect(line20.edges).toBe(2);
  });
});
