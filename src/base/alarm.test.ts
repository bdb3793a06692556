// How threads sleep until there is something for them.
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ring, Sleeper } from './alarm.ts';
import { ms, us } from './units.ts';

let alarm: Int32Array;
let now: number;
/** What each sleep in the host took; it ended by a ring. */
let sleeps: number[];
let nextSleep: number;

beforeEach(() => {
  alarm = new Int32Array(new SharedArrayBuffer(4));
  now = 0;
  sleeps = [];
  vi.spyOn(Atomics, 'wait').mockImplementation((_words, _index, _value, time = Infinity) => {
    const limit = Number(time) * ms;
    sleeps.push(Math.min(nextSleep, limit));
    now += Math.min(nextSleep, limit);
    return nextSleep < limit ? 'ok' : 'timed-out';
  });
});
afterEach(() => {
  vi.restoreAllMocks();
});

/** Each look at the clock takes a microsecond; at `due` the alarm rings. */
function sleeper(due = Infinity): Sleeper {
  return new Sleeper(alarm, () => {
    now += us;
    if (now >= due && now < due + us) ring(alarm);
    return now;
  });
}

describe('a thread that sleeps on its alarm', () => {
  it('goes to sleep at once as long as its sleeps are long', () => {
    const it = sleeper();
    nextSleep = ms;
    for (let i = 0; i < 3; i++) it.sleep(0, Infinity);
    expect([sleeps, now < 3 * ms + 20 * us]).toEqual([[ms, ms, ms], true]);
  });

  it('watches the alarm before, once a sleep was short, and does not sleep when it rings meanwhile', () => {
    const it = sleeper(60 * us);
    nextSleep = 50 * us;
    it.sleep(0, Infinity);
    it.sleep(0, Infinity);
    expect(sleeps).toEqual([50 * us]);
  });

  it('watches for longer after each sleep that was short, up to a limit, and no more after a long one', () => {
    const it = sleeper();
    const watched = [20, 20, 20, 20, 5000, 20].map((sleep) => {
      nextSleep = sleep * us;
      const before = now;
      it.sleep(0, Infinity);
      return Math.round((now - before - nextSleep) / us / 5) * 5;
    });
    expect(watched).toEqual([0, 25, 50, 100, 200, 0]);
  });

  it('never takes longer than it is told to', () => {
    const it = sleeper();
    nextSleep = 20 * us;
    it.sleep(0, Infinity);
    nextSleep = Infinity;
    const before = now;
    it.sleep(0, 10 * us);
    expect(now - before).toBeLessThan(15 * us);
  });
});

describe('an alarm', () => {
  it('that has rung since it was read lets nobody sleep', () => {
    vi.restoreAllMocks();
    const seen = Atomics.load(alarm, 0);
    ring(alarm);
    const began = performance.now();
    new Sleeper(alarm, () => performance.now() * ms).sleep(seen, 10_000 * ms);
    expect(performance.now() - began).toBeLessThan(5000);
  });
});
