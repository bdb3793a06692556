import { readFileSync } from 'node:fs';
import { fakeSlot, GuestProgram, TestMachine } from 'bulkhead/testing';
import { describe, expect, it } from 'vitest';
import { CounterCard, device, Redirection } from './legacy-redirection.ts';

const SECOND = 1_000_000_000;
const shaft = { rpm: 60, countsPerRevolution: 100_000, variation: 0, variationHertz: 0 };
const COUNT = 0x04;

function cards() {
  const { clock } = fakeSlot();
  const card = new CounterCard(clock, shaft);
  return { clock, card, old: new Redirection(card) };
}

describe('the old ports', () => {
  it('show the lower 16 bits of the new card’s counter, both bytes of one moment', () => {
    const { clock, card, old } = cards();
    clock.advance(SECOND);
    expect(card.read(COUNT, 4)).toBe(100_000);
    const high = old.read(0);
    clock.advance(SECOND / 3);
    expect((high << 8) | old.read(1)).toBe(100_000 - 65_536);
    expect([old.read(2), old.read(3)]).toEqual([0xff, 0xff]);
  });

  it('clear it', () => {
    const { clock, card, old } = cards();
    clock.advance(SECOND);
    old.write(2);
    clock.advance(SECOND / 10);
    expect(card.read(COUNT, 4)).toBe(10_000);
    old.write(1); // read-only
    expect(card.read(COUNT, 4)).toBe(10_000);
  });

  it('keep their latch when state is saved in between', () => {
    const { clock, card, old } = cards();
    clock.advance(SECOND / 1000);
    old.read(0);
    const copy = new Redirection(card);
    copy.restore(old.save());
    clock.advance(SECOND);
    expect(copy.read(1)).toBe(100);
  });
});

describe('in a machine', () => {
  const machine = new TestMachine({ devices: { counter: { model: device, options: { rpm: 600, 'counts-per-revolution': 6000 } } } });

  it('old ports and new registers are one counter', () => {
    const guest = new GuestProgram().storeBar(2, 0, COUNT, 0x1_0203).in(0x300).in(0x301).out(0x302, 0).loadBar(2, 0, COUNT).loadBar(2, 0, 0);
    const { values } = machine.run(guest);
    expect(values.map((value, index) => (index === 1 ? value & 0xf0 : value))).toEqual([0x02, 0x00, 0, 0x5254_4e43]);
  });

  it('a control program of the old card runs on the new one, and cannot tell', () => {
    const control = readFileSync(new URL('../../guests/rtos/images/control.elf', import.meta.url));
    const { output } = machine.run(control, { limit: 0.5 * SECOND });
    expect(output).toContain('HCTL-2016 at port 0x300');
  });
});
