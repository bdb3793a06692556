// Rules of the watchdog chapter of the 6300ESB datasheet (300641).
import { beforeEach, describe, expect, it } from 'vitest';
import { type FakeSlot, fakeSlot } from '../testing.ts';
import { I6300esb } from './i6300esb.ts';

const PRELOAD_1 = 0x0, PRELOAD_2 = 0x4, INTERRUPT = 0x8, RELOAD = 0xc;
const CONFIGURATION = 0x60, LOCK = 0x68;
const NO_INTERRUPT = 3, FAST = 4, NO_OUTPUT = 0x20;
const LOCKED = 1, ENABLED = 2, FREE_RUNNING = 4;
const MILLISECOND = 1_000_000;
/** 2^15 PCI clocks of 33 MHz. */
const SLOW_TICK = (2 ** 15 / 33_000_000) * 1e9;

let slot: FakeSlot;
let resets: number;
let watchdog: I6300esb;

beforeEach(() => {
  slot = fakeSlot('watchdog');
  resets = 0;
  watchdog = new I6300esb({ clock: slot.clock, pci: (description) => slot.pci(description), timedOut: () => resets++ });
  watchdog.reset('cold');
});

const config = (register: number, value: number): void => slot.functions[0]!.writeConfig(register, 1, value);
const lockRegister = (): number => slot.functions[0]!.readConfig(LOCK, 1);
const interrupt = (): boolean => slot.functions[0]!.interruptAsserted;
const read = (offset: number): number => watchdog.window.read(offset, 4);

function unlock(): void {
  watchdog.window.write(RELOAD, 1, 0x80);
  watchdog.window.write(RELOAD, 1, 0x86);
}

function preload(first: number, second: number): void {
  unlock();
  watchdog.window.write(PRELOAD_1, 4, first);
  unlock();
  watchdog.window.write(PRELOAD_2, 4, second);
}

function reload(): void {
  unlock();
  watchdog.window.write(RELOAD, 2, 0x100);
}

it('is 8086:25ab with 16 bytes of registers', () => {
  const [fn] = slot.functions;
  expect([fn!.readConfig(0, 4), fn!.readConfig(0x10, 4) & 0xf]).toEqual([0x25ab_8086, 0]);
});

describe('its registers', () => {
  it('hold 20 bits, all ones after a reset', () => {
    expect([read(PRELOAD_1), read(PRELOAD_2), read(RELOAD)]).toEqual([0xf_ffff, 0xf_ffff, 0]);
  });

  it('take one write for each 0x80, 0x86', () => {
    watchdog.window.write(PRELOAD_1, 4, 1);
    expect(read(PRELOAD_1)).toBe(0xf_ffff);
    unlock();
    watchdog.window.write(PRELOAD_1, 4, 0xfff0_0002);
    watchdog.window.write(PRELOAD_2, 4, 3);
    expect([read(PRELOAD_1), read(PRELOAD_2)]).toEqual([2, 0xf_ffff]);
    watchdog.window.write(RELOAD, 1, 0x86);
    watchdog.window.write(RELOAD, 1, 0x80);
    watchdog.window.write(PRELOAD_1, 4, 5);
    expect(read(PRELOAD_1)).toBe(2);
  });
});

describe('the two stages', () => {
  it('warn by an interrupt first, then reset the machine', () => {
    preload(100, 50);
    config(LOCK, ENABLED);
    slot.clock.advance(99 * SLOW_TICK);
    expect([interrupt(), resets]).toEqual([false, 0]);
    slot.clock.advance(2 * SLOW_TICK);
    expect([interrupt(), read(INTERRUPT), resets]).toEqual([true, 1, 0]);
    watchdog.window.write(INTERRUPT, 4, 1);
    expect([interrupt(), read(INTERRUPT)]).toEqual([false, 0]);
    slot.clock.advance(50 * SLOW_TICK);
    expect([resets, read(RELOAD) & 0x200]).toEqual([1, 0x200]);
  });

  it('start again at every reload', () => {
    preload(100, 50);
    config(LOCK, ENABLED);
    for (let i = 0; i < 20; i++) {
      slot.clock.advance(140 * SLOW_TICK);
      reload();
    }
    expect(resets).toBe(0);
    expect(watchdog.remaining! / SLOW_TICK).toBeCloseTo(150, 0);
    slot.clock.advance(151 * SLOW_TICK);
    expect(resets).toBe(1);
  });

  it('take a reload without its unlocking for nothing', () => {
    preload(100, 50);
    config(LOCK, ENABLED);
    slot.clock.advance(140 * SLOW_TICK);
    watchdog.window.write(RELOAD, 2, 0x100);
    slot.clock.advance(11 * SLOW_TICK);
    expect(resets).toBe(1);
  });

  it('count 1,024 times faster when the configuration says so', () => {
    config(CONFIGURATION, FAST);
    preload(100, 50);
    config(LOCK, ENABLED);
    slot.clock.advance((151 * SLOW_TICK) / 1024);
    expect(resets).toBe(1);
  });

  it('neither interrupt nor reset where that is disabled, but note that they were through', () => {
    config(CONFIGURATION, NO_INTERRUPT | NO_OUTPUT);
    preload(10, 10);
    config(LOCK, ENABLED);
    expect(watchdog.remaining).toBeUndefined();
    slot.clock.advance(MILLISECOND * 100);
    expect([interrupt(), resets, read(RELOAD)]).toEqual([false, 0, 0x200]);
    unlock();
    watchdog.window.write(RELOAD, 2, 0x200);
    expect(read(RELOAD)).toBe(0);
  });

  it('stand still once disabled', () => {
    preload(10, 10);
    config(LOCK, ENABLED);
    config(LOCK, 0);
    slot.clock.advance(1000 * MILLISECOND);
    expect([resets, slot.clock.next]).toEqual([0, undefined]);
  });

  it('are one stage that repeats in free-running mode, and no reset', () => {
    preload(1000, 10);
    config(LOCK, ENABLED | FREE_RUNNING);
    slot.clock.advance(11 * SLOW_TICK);
    expect(read(RELOAD)).toBe(0x200);
    unlock();
    watchdog.window.write(RELOAD, 2, 0x200);
    slot.clock.advance(11 * SLOW_TICK);
    expect([read(RELOAD), resets]).toEqual([0x200, 0]);
  });
});

describe('the lock', () => {
  it('keeps it enabled until the machine is reset', () => {
    preload(10, 10);
    config(LOCK, ENABLED | LOCKED);
    config(LOCK, 0);
    expect(lockRegister()).toBe(ENABLED | LOCKED);
    slot.clock.advance(21 * SLOW_TICK);
    expect(resets).toBe(1);
    watchdog.reset('warm');
    expect(lockRegister()).toBe(0);
  });
});

describe('life', () => {
  it('remembers over a reset that it was the cause, but not over power-on', () => {
    preload(1, 1);
    config(LOCK, ENABLED);
    slot.clock.advance(10 * MILLISECOND);
    watchdog.reset('warm');
    expect([read(RELOAD), read(PRELOAD_1)]).toEqual([0x200, 0xf_ffff]);
    watchdog.reset('cold');
    expect(read(RELOAD)).toBe(0);
  });

  it('goes on counting where it was saved', () => {
    preload(100, 50);
    config(LOCK, ENABLED);
    slot.clock.advance(120 * SLOW_TICK);
    const [state, space] = [JSON.parse(JSON.stringify(watchdog.save())), slot.functions[0]!.save()];
    watchdog.reset('cold');
    slot.functions[0]!.restore(space);
    watchdog.restore(state);
    slot.clock.advance(29 * SLOW_TICK);
    expect(resets).toBe(0);
    slot.clock.advance(2 * SLOW_TICK);
    expect(resets).toBe(1);
  });
});
