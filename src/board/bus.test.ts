import { beforeEach, describe, expect, it } from 'vitest';
import type { IoHandler } from '../contracts/index.ts';
import { SystemBus } from './bus.ts';
import { byteWide } from './byte-wide.ts';

/** Remembers accesses; reads answer the offset in every byte. */
class Probe implements IoHandler {
  readonly seen: string[] = [];

  read(offset: number, size: 1 | 2 | 4): number {
    this.seen.push(`r${size}@${offset}`);
    return (offset * 0x01010101) & (size === 4 ? 0x7fffffff : 2 ** (8 * size) - 1);
  }

  write(offset: number, size: 1 | 2 | 4, value: number): void {
    this.seen.push(`w${size}@${offset}=${value.toString(16)}`);
  }
}

let bus: SystemBus;
let probe: Probe;
beforeEach(() => {
  bus = new SystemBus();
  probe = new Probe();
});

describe.each(['pio', 'mmio'] as const)('%s', (space) => {
  beforeEach(() => {
    bus.claim({ space, base: 0x300, size: 8 }, 'card', probe);
  });

  it('hands over offsets, whole accesses and whole values', () => {
    bus.write(space, 0x304, 4, 0xfedcba98);
    expect([bus.read(space, 0x302, 2), probe.seen]).toEqual([0x0202, ['w4@4=fedcba98', 'r2@2']]);
  });

  it('splits what straddles a range; the rest floats', () => {
    expect(bus.read(space, 0x306, 4)).toBe(0xffff0706);
    bus.write(space, 0x2fe, 4, 0x44332211);
    expect(probe.seen).toEqual(['r1@7', 'r1@6', 'w1@0=33', 'w1@1=44']);
    expect(bus.unclaimed).toEqual({ reads: 2, writes: 2 });
  });

  it('floats high and counts where nobody answers', () => {
    expect([bus.read(space, 0x500, 1), bus.read(space, 0x500, 2), bus.read(space, 0x500, 4)]).toEqual([0xff, 0xffff, 0xffffffff]);
    bus.write(space, 0x500, 4, 0);
    expect(bus.unclaimed).toEqual({ reads: 3, writes: 1 });
  });

  it('refuses an overlap and names both owners', () => {
    expect(() => bus.claim({ space, base: 0x307, size: 2 }, 'other', probe)).toThrow(
      expect.objectContaining({ code: 'BH210', message: expect.stringMatching(/other.*card/) }),
    );
  });

  it('lets go of a range once', () => {
    const claim = bus.claim({ space, base: 0x400, size: 1 }, 'guest', probe);
    claim[Symbol.dispose]();
    const again = new Probe();
    bus.claim({ space, base: 0x400, size: 1 }, 'next', again);
    claim[Symbol.dispose]();
    bus.write(space, 0x400, 1, 7);
    expect(again.seen).toEqual(['w1@0=7']);
  });

  it('lists ranges in address order', () => {
    bus.claim({ space, base: 0x100, size: 1 }, 'low', probe);
    expect([...bus.ranges()].map(({ base, owner }) => `${base.toString(16)} ${owner}`)).toEqual(['100 low', '300 card']);
  });
});

it('keeps the two spaces apart', () => {
  bus.claim({ space: 'pio', base: 0x300, size: 8 }, 'card', probe);
  expect(bus.read('mmio', 0x300, 1)).toBe(0xff);
  expect(probe.seen).toEqual([]);
});

it('finds each of many memory ranges, and nothing between them', () => {
  const found: number[] = [];
  for (let i = 0; i < 50; i++) {
    const at = ((i * 37) % 50) * 0x1000;
    bus.claim({ space: 'mmio', base: 0x1_0000_0000 + at, size: 0x800 }, `d${i}`, {
      read: (offset) => found.push(at + offset),
      write: () => undefined,
    });
  }
  for (let i = 0; i < 50; i++) bus.read('mmio', 0x1_0000_0000 + i * 0x1000 + 4, 4);
  expect(found).toEqual(Array.from({ length: 50 }, (_, i) => i * 0x1000 + 4));
  expect(bus.read('mmio', 0x1_0000_0800, 4)).toBe(0xffffffff);
});

it('refuses ranges outside their space', () => {
  for (const range of [
    { base: 0xffff, size: 2 },
    { base: 0, size: 0 },
    { base: -1, size: 4 },
    { base: 0.5, size: 1 },
  ]) {
    expect(() => bus.claim({ space: 'pio', ...range }, 'card', probe)).toThrow(expect.objectContaining({ code: 'BH212' }));
  }
});

it('survives ports beyond the last', () => {
  expect([bus.read('pio', 0xffff, 4), bus.read('pio', 0x12345, 1)]).toEqual([0xffffffff, 0xff]);
  bus.write('pio', 0x10000, 4, 1);
  expect(bus.unclaimed).toEqual({ reads: 2, writes: 1 });
});

it('gives 8-bit chips wide accesses as byte cycles', () => {
  const cycles: string[] = [];
  const chip = byteWide({ read: (offset) => 0x10 + offset, write: (offset, value) => cycles.push(`${offset}=${value.toString(16)}`) });
  expect([chip.read(0, 2), chip.read(0, 4)]).toEqual([0x1110, 0x13121110]);
  chip.write(4, 2, 0xabcd);
  expect(cycles).toEqual(['4=cd', '5=ab']);
});

describe('ranges that the guest places', () => {
  const named = (name: string, calls: string[]) => ({
    read: (offset: number) => {
      calls.push(`${name} ${offset}`);
      return 0;
    },
    write: () => undefined,
  });

  it('answer around what is claimed, at offsets of their own', () => {
    const calls: string[] = [];
    const fresh = new SystemBus();
    for (const space of ['pio', 'mmio'] as const) {
      fresh.claim({ space, base: 0x1010, size: 0x10 }, 'board', named('board', calls));
      fresh.decode({ space, base: 0x1000, size: 0x40 }, 'placed', named('placed', calls));
      for (const address of [0x1000, 0x1010, 0x1020, 0x1040]) fresh.read(space, address, 1);
      fresh.read(space, 0x100e, 4); // straddles both: bytes
    }
    const once = ['placed 0', 'board 0', 'placed 32', 'board 1', 'board 0', 'placed 15', 'placed 14'];
    expect(calls).toEqual([...once, ...once]);
  });

  it('give way to a claim that comes later, and come back when it goes', () => {
    const calls: string[] = [];
    const fresh = new SystemBus();
    fresh.decode({ space: 'mmio', base: 0xd000_0000, size: 0x1000 }, 'placed', named('placed', calls));
    const claim = fresh.claim({ space: 'mmio', base: 0xd000_0000, size: 0x1000 }, 'board', named('board', calls));
    fresh.read('mmio', 0xd000_0004, 4);
    claim[Symbol.dispose]();
    fresh.read('mmio', 0xd000_0004, 4);
    expect(calls).toEqual(['board 4', 'placed 4']);
  });

  it('may lie anywhere: outside the space they are nowhere', () => {
    const fresh = new SystemBus();
    const nowhere = [
      { space: 'pio', base: 0xfff0, size: 0x20 },
      { space: 'mmio', base: 2 ** 60, size: 16 },
      { space: 'mmio', base: Number.NaN, size: 16 },
    ] as const;
    for (const range of nowhere) expect(fresh.decode(range, 'placed', probe)).toBeUndefined();
    expect(fresh.claims({ space: 'pio', base: 0, size: 0x10000 })).toBe(false);
  });
});
