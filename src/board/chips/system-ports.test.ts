import { describe, expect, it } from 'vitest';
import { ManualClock } from '../testing.ts';
import { DebugExit } from './debug-exit.ts';
import { I8254 } from './i8254.ts';
import { Port61 } from './port-61.ts';
import { Port92 } from './port-92.ts';
import { PortCf9 } from './port-cf9.ts';
import { PostCode } from './post-code.ts';

describe('port 0x61', () => {
  it('gates counter 2 and shows its OUT pin', () => {
    const clock = new ManualClock();
    const timer = new I8254({ clock, output0: () => undefined });
    timer.reset();
    const port = new Port61({ timer, clock });
    for (const [offset, value] of [
      [3, 0xb0],
      [2, 100],
      [2, 0],
    ] as const)
      timer.write(offset, value);
    clock.advance(1_000_000);
    expect(port.read(0) & 0x20).toBe(0);
    port.write(0, 1);
    clock.advance(1_000_000);
    expect(port.read(0) & 0x21).toBe(0x21);
  });

  it('toggles the refresh bit about every 15 µs', () => {
    const clock = new ManualClock();
    const port = new Port61({ timer: new I8254({ clock, output0: () => undefined }), clock });
    const before = port.read(0);
    clock.advance(15_100);
    expect((port.read(0) ^ before) & 0x10).toBe(0x10);
  });
});

it('port 0x92 resets on a rising edge of bit 0 only, and keeps A20', () => {
  let resets = 0;
  const port = new Port92({ reset: () => resets++ });
  expect(port.read(0)).toBe(2);
  for (const value of [2, 3, 3, 2]) port.write(0, value);
  expect(resets).toBe(1);
});

it('port 0xCF9 resets when bit 2 rises, cold when bit 1 is set with it', () => {
  const resets: string[] = [];
  const port = new PortCf9({ reset: (kind) => resets.push(kind) });
  for (const value of [0x02, 0x06, 0x06, 0x00, 0x04]) port.write(0, value);
  expect(resets).toEqual(['cold', 'warm']);
});

it('debug exit turns v into (v << 1) | 1', () => {
  const statuses: number[] = [];
  const port = new DebugExit({ exit: (status) => statuses.push(status) });
  port.write(0, 1, 0);
  port.write(0, 4, 0x10);
  expect(statuses).toEqual([1, 33]);
  expect(port.read()).toBe(0);
});

it('the POST display shows the last code', () => {
  const display = new PostCode();
  display.write(0, 0x5a);
  expect([display.code, display.read(0)]).toEqual([0x5a, 0x5a]);
});
