import { describe, expect, it } from 'vitest';
import { ManualClock } from '../testing.ts';
import { Hctl2016, shaftPosition } from './hctl2016.ts';

const SECOND = 1_000_000_000;
const steady = { rpm: 60, countsPerRevolution: 2000, variation: 0, variationHertz: 1 };

const position = (card: Hctl2016) => (card.read(0) << 8) | card.read(1);

describe('the counter', () => {
  it('follows the shaft', () => {
    const clock = new ManualClock();
    const card = new Hctl2016({ clock, shaft: steady });
    card.reset();
    clock.advance(SECOND / 4);
    expect(position(card)).toBe(500);
  });

  it('wraps at 16 bits, in both directions', () => {
    const clock = new ManualClock();
    const forward = new Hctl2016({ clock, shaft: steady });
    const backward = new Hctl2016({ clock, shaft: { ...steady, rpm: -60 } });
    clock.advance(33 * SECOND);
    expect(position(forward)).toBe(66_000 - 65_536);
    clock.advance(-33 * SECOND + 1_000_000);
    expect(position(backward)).toBe(0x10000 - 2);
  });

  it('holds still between the high and the low byte', () => {
    const clock = new ManualClock();
    const card = new Hctl2016({ clock, shaft: steady });
    clock.advance(127_900_000); // 255 counts
    expect(card.read(0)).toBe(0);
    clock.advance(SECOND);
    expect(card.read(1)).toBe(0xff);
    expect(position(card)).toBe(2255);
  });

  it('is cleared by a write to offset 2', () => {
    const clock = new ManualClock();
    const card = new Hctl2016({ clock, shaft: steady });
    clock.advance(SECOND);
    card.write(2, 0);
    clock.advance(SECOND / 2);
    expect(position(card)).toBe(1000);
  });
});

describe('the shaft', () => {
  it('swings about its mean speed and is back on it after each period', () => {
    const swinging = { ...steady, variation: 0.2, variationHertz: 2 };
    const speed = (at: number) => shaftPosition(swinging, at + SECOND / 100) - shaftPosition(swinging, at);
    expect(speed(SECOND / 8)).toBeGreaterThan(22);
    expect(speed((3 * SECOND) / 8)).toBeLessThan(18);
    expect(Math.abs(shaftPosition(swinging, SECOND / 2) - 1000)).toBeLessThanOrEqual(1);
  });
});
