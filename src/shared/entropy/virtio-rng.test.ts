// Rules of VIRTIO 1.2 §5.4.
import { describe, expect, it } from 'vitest';
import { ms, s } from '../../base/index.ts';
import { ManualClock } from '../../board/index.ts';
import { type OverTransport, TRANSPORTS, VirtioDriver } from '../virtio/testing.ts';
import { VirtioRng } from './virtio-rng.ts';

const RATE = 100_000;

function rig(over: OverTransport): { readonly clock: ManualClock; readonly driver: VirtioDriver; readonly asked: number[] } {
  const clock = new ManualClock();
  const asked: number[] = [];
  let next = 1;
  const source = {
    bytesPerSecond: RATE,
    fill(target: Uint8Array): void {
      asked.push(target.length);
      for (let i = 0; i < target.length; i++) target[i] = (next++ % 255) + 1;
    },
    admit: () => undefined,
    [Symbol.dispose]: () => undefined,
  };
  return { clock, driver: VirtioDriver.on(new VirtioRng(source, clock), over).start(), asked };
}

describe.each(TRANSPORTS)('a virtio entropy device over %s', (_, over) => {
  it('fills what it is given, across buffers', () => {
    const { driver } = rig(over);
    driver.queue(0).send({ writable: [5, 11] });
    const [used] = driver.queue(0).take();
    expect([used?.written, [...(used?.data ?? [])].every((byte) => byte !== 0)]).toEqual([16, true]);
  });

  it('fills a part of what is too large for once', () => {
    const { driver } = rig(over);
    driver.queue(0).send({ writable: [20_000] });
    expect(driver.queue(0).take()[0]?.written).toBe(4096);
  });

  it('gives no more than is granted, and what is asked beyond that later', () => {
    const { driver, clock, asked } = rig(over);
    let outstanding = 0;
    const total = (): number => asked.reduce((sum, size) => sum + size, 0);
    const ask = (time: number): number => {
      const before = total();
      for (const end = clock.now() + time; clock.now() < end; clock.advance(ms)) {
        for (; outstanding < 4; outstanding++) driver.queue(0).send({ writable: [4096] });
        outstanding -= driver.queue(0).take().length;
      }
      return total() - before;
    };
    const first = ask(s); // with what was saved up: a quarter of a second's worth
    expect(first).toBeGreaterThan(1.2 * RATE);
    expect(first).toBeLessThan(1.3 * RATE);
    expect(ask(s) / RATE).toBeCloseTo(1, 1);
  });

  it('answers late rather than with crumbs, which would be asked for again and again', () => {
    const { driver, clock } = rig(over);
    const sizes = new Set<number>();
    driver.queue(0).send({ writable: [64] });
    for (let step = 0; step < 20_000; step++) {
      for (const { written } of driver.queue(0).take()) {
        sizes.add(written);
        driver.queue(0).send({ writable: [64] });
      }
      clock.advance(ms / 20);
    }
    expect([...sizes]).toEqual([64]);
  });

  it('lets no flood of buffers without room pass for free', () => {
    const { driver, asked } = rig(over);
    for (let round = 0; round < 30_000; round++) {
      driver.queue(0).send({ readable: [Uint8Array.of(1)] });
      driver.queue(0).take();
    }
    expect(asked.length).toBeLessThanOrEqual(RATE / 4);
  });

  it('forgets at a reset what it was asked', () => {
    const { driver, clock, asked } = rig(over);
    for (let i = 0; i < 16; i++) driver.queue(0).send({ writable: [4096] });
    driver.access.setStatus(0);
    const before = asked.length;
    clock.advance(s);
    expect(asked.length).toBe(before);
    driver.start().queue(0).send({ writable: [8] });
    expect(driver.queue(0).take()[0]?.written).toBe(8);
  });
});
