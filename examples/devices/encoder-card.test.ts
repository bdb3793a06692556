import { fakeSlot, GuestProgram, TestMachine } from 'bulkhead/testing';
import { describe, expect, it } from 'vitest';
import { device, Hctl2016, shaftPosition } from './encoder-card.ts';

const SECOND = 1_000_000_000;
const steady = { rpm: 60, countsPerRevolution: 2000, variation: 0, variationHertz: 1 };

/** The chip on a clock that is moved by hand. */
function chipOn(shaft: typeof steady) {
  const { clock } = fakeSlot();
  const chip = new Hctl2016(clock, shaft);
  return { clock, chip, position: () => (chip.read(0) << 8) | chip.read(1) };
}

describe('the counter', () => {
  it('follows the shaft', () => {
    const { clock, chip, position } = chipOn(steady);
    chip.reset();
    clock.advance(SECOND / 4);
    expect(position()).toBe(500);
  });

  it('wraps at 16 bits, in both directions', () => {
    const forward = chipOn(steady);
    const backward = chipOn({ ...steady, rpm: -60 });
    forward.clock.advance(33 * SECOND);
    backward.clock.advance(1_000_000);
    expect([forward.position(), backward.position()]).toEqual([66_000 - 65_536, 0x10000 - 2]);
  });

  it('holds still between the high and the low byte', () => {
    const { clock, chip, position } = chipOn(steady);
    clock.advance(127_900_000); // 255 counts
    expect(chip.read(0)).toBe(0);
    clock.advance(SECOND);
    expect(chip.read(1)).toBe(0xff);
    expect(position()).toBe(2255);
  });

  it('is cleared by a write to offset 2, and by a reset', () => {
    const { clock, chip, position } = chipOn(steady);
    clock.advance(SECOND);
    chip.write(2, 0);
    clock.advance(SECOND / 2);
    expect(position()).toBe(1000);
    chip.reset();
    expect(position()).toBe(0);
  });

  it('goes on where it was when its state is restored', () => {
    const { clock, chip } = chipOn(steady);
    clock.advance(SECOND / 2);
    chip.read(0); // the latch holds 1000
    const copy = new Hctl2016(clock, steady);
    copy.restore(structuredClone(chip.save()));
    clock.advance(SECOND);
    expect([copy.read(1), copy.save()]).toEqual([1000 & 0xff, { version: 1, zero: 0, latch: 1000, latched: false }]);
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

it('counts for a guest', () => {
  const machine = new TestMachine({ devices: { encoder: { model: device, options: { rpm: 600, 'counts-per-revolution': 6000, variation: 0 } } } });
  const { values } = machine.run(new GuestProgram().out(0x302, 0).delay(5000).in(0x300).in(0x301));
  const position = ((values[0] ?? 0) << 8) | (values[1] ?? 0);
  expect(Math.abs(position - 300)).toBeLessThanOrEqual(2); // 60,000 counts a second, 5 ms
});
