import { beforeEach, describe, expect, it } from 'vitest';
import { ManualClock } from '../testing.ts';
import { Mc146818 } from './mc146818.ts';

const SECOND = 1_000_000_000;
/** 2026-03-14 15:09:26 UTC, a Saturday. */
const PI_DAY = Date.UTC(2026, 2, 14, 15, 9, 26) / 1000;

let clock: ManualClock;
let irq: boolean;
let rtc: Mc146818;

beforeEach(() => {
  clock = new ManualClock();
  rtc = new Mc146818({
    clock,
    wallTime: PI_DAY,
    memoryBytes: 64 << 20,
    vcpus: 2,
    interrupt: (level) => {
      irq = level;
    },
  });
  rtc.reset();
});

function get(index: number): number {
  rtc.write(0, index);
  return rtc.read(1);
}

function set(index: number, value: number): void {
  rtc.write(0, index);
  rtc.write(1, value);
}

const time = () => [0x32, 9, 8, 7, 4, 2, 0].map((index) => get(index).toString(16).padStart(2, '0')).join(' ');

describe('the time', () => {
  it('is given in BCD and 24 hours after reset', () => {
    expect(time()).toBe('20 26 03 14 15 09 26');
    expect(get(6)).toBe(7);
    clock.advance(46_000 * SECOND);
    expect(time()).toBe('20 26 03 15 03 56 06');
  });

  it('can be read in binary and 12 hours', () => {
    set(0x0b, 0x04);
    expect([get(4), get(2), get(0)]).toEqual([0x83, 9, 26]);
  });

  it('stands still while SET is held, and takes what was written when it is let go', () => {
    set(0x0b, 0x82);
    for (const [index, value] of [
      [0x32, 0x19],
      [9, 0x99],
      [8, 0x12],
      [7, 0x31],
      [4, 0x23],
      [2, 0x59],
      [0, 0x58],
    ] as const)
      set(index, value);
    clock.advance(5 * SECOND);
    expect(get(0)).toBe(0x58);
    set(0x0b, 0x02);
    clock.advance(2 * SECOND);
    expect(time()).toBe('20 00 01 01 00 00 00');
  });

  it('survives dates that do not exist', () => {
    for (let index = 0; index < 10; index++) set(index, 0xff);
    set(0x32, 0xff);
    clock.advance(SECOND);
    expect(get(0)).toBeLessThan(0x60);
  });

  it('warns of an update in register A shortly before the second ends', () => {
    expect(get(0x0a)).toBe(0x26);
    clock.advance(SECOND - 1_000_000);
    expect(get(0x0a)).toBe(0xa6);
    clock.advance(1_000_000);
    expect(get(0x0a)).toBe(0x26);
  });
});

describe('interrupts', () => {
  it('come at the periodic rate, each acknowledged by reading register C', () => {
    set(0x0b, 0x42); // 1024 Hz
    let interrupts = 0;
    for (let i = 0; i < 100_000 && clock.now() < SECOND; i++) {
      clock.advance(100_000);
      if (!irq) continue;
      interrupts++;
      expect(get(0x0c) & 0xc0).toBe(0xc0);
      expect(irq).toBe(false);
    }
    expect(interrupts).toBe(1024);
  });

  it('come when a second has passed', () => {
    set(0x0b, 0x12);
    clock.advance(SECOND - 1);
    expect(irq).toBe(false);
    clock.advance(1);
    expect([irq, get(0x0c) & 0x90]).toEqual([true, 0x90]);
  });

  it('come at the alarm time', () => {
    for (const [index, value] of [
      [1, 0x00],
      [3, 0x30],
      [5, 0x16],
    ] as const)
      set(index, value);
    set(0x0b, 0x22);
    clock.advance((Date.UTC(2026, 2, 14, 16, 30, 0) / 1000 - PI_DAY) * SECOND - 1);
    expect(irq).toBe(false);
    clock.advance(1);
    expect([irq, get(0x0c) & 0xa0]).toEqual([true, 0xa0]);
  });

  it('match anything where the alarm says "don\'t care", and nothing where it is nonsense', () => {
    for (const [index, value] of [
      [1, 0x05],
      [3, 0xff],
      [5, 0xc0],
    ] as const)
      set(index, value);
    set(0x0b, 0x22);
    clock.advance(39 * SECOND);
    expect(irq).toBe(true);
    set(5, 0x99);
    get(0x0c);
    clock.advance(200_000 * SECOND);
    expect(irq).toBe(false);
  });

  it('show in register C even when they are not enabled', () => {
    clock.advance(SECOND);
    expect(get(0x0c)).toBe(0x50);
    expect(get(0x0c)).toBe(0);
    expect(irq).toBe(false);
  });
});

describe('CMOS RAM', () => {
  it('says how much memory there is', () => {
    expect(get(0x15) | (get(0x16) << 8)).toBe(640);
    expect(get(0x17) | (get(0x18) << 8)).toBe(63 * 1024);
    expect(get(0x34) | (get(0x35) << 8)).toBe(48 * 16);
  });

  it('keeps what is written, and masks NMI with bit 7 of the index', () => {
    set(0x0f | 0x80, 0x0a);
    expect(rtc.nmiMasked).toBe(true);
    expect([get(0x0f), rtc.nmiMasked]).toEqual([0x0a, false]);
  });

  it('has a valid battery and checksum', () => {
    let sum = 0;
    for (let i = 0x10; i < 0x2e; i++) sum += get(i);
    expect([get(0x0d), (get(0x2e) << 8) | get(0x2f)]).toEqual([0x80, sum]);
  });
});
