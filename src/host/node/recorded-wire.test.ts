import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { AttachedWire, Clock, Nanos } from '../../contracts/index.ts';
import { PcapReader, PcapWriter } from './pcap.ts';
import { CapturedWire, OPEN_END, PlayedWire } from './recorded-wire.ts';

let folder: string;
let clock: TestClock;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'wire-'));
  clock = new TestClock();
});
afterEach(() => rmSync(folder, { recursive: true }));

/** One deadline at a time is all that is needed here. */
class TestClock implements Clock {
  time: Nanos = 5_000;
  #deadline: { readonly at: Nanos; readonly fire: () => void } | undefined;

  now(): Nanos {
    return this.time;
  }

  at(at: Nanos, fire: () => void): Disposable {
    this.#deadline = { at, fire };
    return { [Symbol.dispose]: () => (this.#deadline = undefined) };
  }

  advance(nanos: Nanos): void {
    const end = this.time + nanos;
    for (let next = this.#deadline; next !== undefined && next.at <= end; next = this.#deadline) {
      this.#deadline = undefined;
      this.time = next.at;
      next.fire();
    }
    this.time = end;
  }
}

function record(path: string, ...frames: readonly (readonly [Nanos, number])[]): string {
  using writer = new PcapWriter(path, 'new');
  for (const [time, fill] of frames) writer.write(1000, time, new Uint8Array(60).fill(fill));
  return path;
}

const take = (wire: AttachedWire): number | undefined => {
  const target = new Uint8Array(9216);
  return wire.receive(target) === 0 ? undefined : target[0];
};

describe('a played recording', () => {
  it('brings its frames at their times by the clock, from when it was plugged in', () => {
    using wire = new PlayedWire(record(join(folder, 'in.pcap'), [100, 1], [300, 2], [300, 3]), clock);
    let arrivals = 0;
    wire.listen(() => arrivals++);
    clock.advance(199);
    expect([take(wire), take(wire)]).toEqual([1, undefined]);
    clock.advance(1);
    expect([take(wire), take(wire), take(wire), arrivals]).toEqual([2, 3, undefined, 3]);
  });

  it('loses what nobody takes, beyond a burst, and counts it', () => {
    const frames = Array.from({ length: 300 }, (_, i) => [i, 1] as const);
    using wire = new PlayedWire(record(join(folder, 'in.pcap'), ...frames), clock);
    clock.advance(1000);
    expect(wire.missed).toBe(44);
  });

  it('takes whatever is sent to it', () => {
    using wire = new PlayedWire(record(join(folder, 'in.pcap')), clock);
    expect([wire.connected, wire.send()]).toEqual([true, true]);
  });
});

describe('a captured wire', () => {
  it('writes both directions with the time of its end', () => {
    const path = join(folder, 'out.pcap');
    const wire = new CapturedWire(new PlayedWire(record(join(folder, 'in.pcap'), [0, 9]), clock), {
      path,
      mode: 'new',
      clock,
      epoch: 1_800_000_000,
      log: { log: () => undefined },
    });
    wire.send(new Uint8Array(60).fill(1));
    clock.advance(2_000);
    expect(take(wire)).toBe(9);
    wire.admit();
    using reader = new PcapReader(path);
    expect([reader.next(), reader.next()]).toMatchObject([{ time: 0 }, { time: 2_000, frame: new Uint8Array(60).fill(9) }]);
    wire[Symbol.dispose]();
  });

  it('does not write what the wire did not take', () => {
    const path = join(folder, 'out.pcap');
    {
      using wire = new CapturedWire({ ...OPEN_END, send: () => false }, { path, mode: 'new', clock, epoch: 0, log: { log: () => undefined } });
      expect(wire.send(new Uint8Array(60))).toBe(false);
    }
    using reader = new PcapReader(path);
    expect(reader.next()).toBeUndefined();
  });
});
