/**
 * Ethernet controller, timers, watchdog and data acquisition card, hammered by a driver that knows the registers and no rules: rings that
 * overlap their own descriptors, tails beyond the ring, addresses outside RAM, lengths of a megabyte, resets in the middle. Nothing
 * throws, hangs, leaves its range or grows. BULKHEAD_FUZZ_OPERATIONS and BULKHEAD_FUZZ_SEED choose another run.
 */
import { expect, it } from 'vitest';
import type { AccessSize, Device } from '../../contracts/index.ts';
import { DEVICE_CATALOGUE, type DeviceEnvironment } from '../catalogue.ts';
import { LegacyTimerLines } from '../legacy-timer-lines.ts';
import { FakePower, type FakeSlot, FakeWire, fakeSlot, RecordingLine } from '../testing.ts';
import { KEPT, REGISTER_BYTES } from './i82540em-registers.ts';

const OPERATIONS = Number(process.env['BULKHEAD_FUZZ_OPERATIONS'] ?? 50_000);
const SEED = Number(process.env['BULKHEAD_FUZZ_SEED'] ?? 82_540);
const SIZES: readonly AccessSize[] = [1, 2, 4];
const RAM_BYTES = 1 << 20;
const INTERESTING = [0, 1, 2, 7, 0x10, 0x7f, 0x80, 0xff, 0x1000, 0xf000, 0xffff, 0xf_ffff, 0x10_0000, 0x7fff_ffff, 0x8000_0000, 0xfee0_0000, 0xffff_ffff];
/** Processor time that one operation may take; a collection of garbage may fall into it. */
const OPERATION_MS = 250;

type Random = (below: number) => number;

/** xorshift32: the same seed gives the same run everywhere. */
function generator(seed: number): Random {
  let state = seed | 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

interface Bench {
  readonly slot: FakeSlot;
  readonly device: Device;
  readonly wire: FakeWire;
  readonly random: Random;
}

function attach(model: string): Bench {
  const slot = fakeSlot(model);
  const wire = new FakeWire();
  const [place] = DEVICE_CATALOGUE[model]!.places;
  const environment: DeviceEnvironment = {
    partition: 'fuzz',
    power: new FakePower(),
    wire: () => wire,
    legacyTimers: new LegacyTimerLines(new RecordingLine(), new RecordingLine()),
    character: () => ({ output: () => undefined, input: () => undefined }),
    input: () => ({ key: () => undefined, pointer: () => undefined }),
  } as unknown as DeviceEnvironment;
  const device = DEVICE_CATALOGUE[model]!.create({ name: model, model, ranges: place.ranges, irqs: place.irqs, options: {} }, environment);
  device.attach(slot);
  device.reset('cold');
  return { slot, device, wire, random: generator(SEED) };
}

/** Where a driver reaches the device: its windows, and what PCI gave it. */
function windows({ slot }: Bench, model: string): { readonly space: 'pio' | 'mmio'; readonly base: number; readonly size: number }[] {
  const [place] = DEVICE_CATALOGUE[model]!.places;
  const bars = [0, 2].flatMap((bar) => {
    const base = slot.functions[0]?.barAddress(bar);
    if (base === undefined) return [];
    return [base < 0x1_0000 ? ({ space: 'pio', base, size: 0x20 } as const) : ({ space: 'mmio', base, size: model === 'e1000' ? REGISTER_BYTES : 0x10 } as const)];
  });
  return [...place.ranges, ...bars];
}

function value(random: Random): number {
  switch (random(4)) {
    case 0:
      return INTERESTING[random(INTERESTING.length)] as number;
    case 1:
      return random(256) * 16; // an address or a length that makes sense
    case 2:
      return (1 << random(32)) >>> 0;
    default:
      return random(0x1_0000_0000);
  }
}

function hammer(model: string, others: (bench: Bench) => void): Bench {
  const bench = attach(model);
  const { slot, device, random } = bench;
  const ranges = windows(bench, model);
  expect(ranges.length).toBeGreaterThan(0);
  const scratch = new Uint8Array(64);
  for (let i = 0; i < OPERATIONS; i++) {
    const { space, base, size } = ranges[random(ranges.length)]!;
    const width = random(4) === 0 ? SIZES[random(3)]! : 4;
    const offset = random(8) === 0 ? random(size - width + 1) : random(size >> 2) << 2;
    const before = processorTime();
    switch (random(16)) {
      case 0:
        slot.clock.advance(random(200_000));
        break;
      case 1:
        for (let at = 0; at < scratch.length; at += 4) new DataView(scratch.buffer).setUint32(at, value(random), true);
        slot.memory.write(random(RAM_BYTES - scratch.length), scratch);
        break;
      case 2: {
        const rare = random(64);
        if (rare === 0) device.reset(random(2) === 0 ? 'cold' : 'warm');
        else if (rare === 1) device.restore?.(JSON.parse(JSON.stringify(device.save?.())));
        else slot.functions[0]?.writeConfig(0x40 + random(48) * 4, 4, value(random));
        break;
      }
      case 3:
        others(bench);
        break;
      case 4:
      case 5:
      case 6: {
        const read = slot.bus.read(space, base + offset, width);
        if (!(read >= 0 && read < 2 ** (8 * width))) throw new Error(`${model}: reads ${read} at ${offset.toString(16)}`);
        break;
      }
      default:
        slot.bus.write(space, base + offset, width, width === 4 ? value(random) : value(random) & (2 ** (8 * width) - 1));
    }
    const took = processorTime() - before;
    if (took > OPERATION_MS) throw new Error(`${model}: operation ${i} took ${took.toFixed(0)} ms`);
  }
  return bench;
}

/** Of this thread, in milliseconds: others may be busy too. */
function processorTime(): number {
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1000;
}

const title = (model: string): string => `${model}: ${OPERATIONS} operations from seed ${SEED}`;

it(title('e1000'), { timeout: OPERATIONS }, () => {
  const known = [...KEPT.keys()];
  let sent = 0;
  let delivered = 0;
  const { slot, wire } = hammer('e1000', ({ slot: { bus, functions, memory }, wire: cable, random }) => {
    const base = functions[0]!.barAddress(0)!;
    const write = (register: number, word: number): void => bus.write('mmio', base + register, 4, word >>> 0);
    switch (random(6)) {
      case 0: {
        // A ring in RAM with descriptors that almost make sense, the link up, and everything on.
        const ring = random(255) * 4096;
        const count = 8 * (1 + random(16));
        const bytes = new DataView(new ArrayBuffer(16 * count));
        for (let at = 0; at < 16 * count; at += 16) {
          bytes.setUint32(at, random(RAM_BYTES), true);
          bytes.setUint32(at + 4, random(16) === 0 ? value(random) : 0, true);
          bytes.setUint32(at + 8, ((random(256) << 24) | (random(2) << 20) | (random(3) === 0 ? random(0x10_0000) : random(2000))) >>> 0, true);
          bytes.setUint32(at + 12, random(4) === 0 ? value(random) : random(0x1_0000), true);
        }
        memory.write(ring, new Uint8Array(bytes.buffer));
        write(0x0000, 0x40 | (random(2) << 30));
        write(0x0020, (1 << 26) | (1 << 21) | 0x1140);
        write(0x3800, ring);
        write(0x3804, random(16) === 0 ? 1 : 0);
        write(0x3808, 16 * count);
        write(0x3810, 0);
        write(0x400, 2 | (random(2) << 3));
        write(0x3818, random(count));
        break;
      }
      case 1:
        write(0x2800, random(256) * 4096);
        write(0x2804, 0);
        write(0x2808, 128 * (1 + random(16)));
        write(0x2810, 0);
        write(0x2818, random(64));
        write(0x100, 2 | value(random));
        break;
      case 2:
        write(random(2) === 0 ? 0x3818 : 0x2818, random(160));
        break;
      case 3:
        for (let count = random(20); count > 0; count--) cable.deliver(Uint8Array.from({ length: random(1600) }, () => random(256)));
        delivered += 1;
        break;
      case 4:
        cable.full = random(3) === 0;
        cable.plug(random(8) !== 0);
        cable.missed = random(0x1_0000_0000);
        break;
      default:
        write(known[random(known.length)]!, value(random));
    }
    sent += cable.sent.length;
    cable.sent.length = 0;
    // A wire holds a bounded number of frames; a controller that is off must not make it longer.
    if (cable.waiting > 1000) throw new Error('frames pile up');
  });
  expect([sent > 0, delivered > 0]).toEqual([true, true]);
  expect(wire.sent.every((frame) => frame.length <= 9216)).toBe(true);
  expect(slot.messages.length).toBeLessThan(200);
});

it.each(['hpet', 'i6300esb', 'pci1710'])(`%s: ${OPERATIONS} operations from seed ${SEED}`, { timeout: OPERATIONS }, (model) => {
  const { slot } = hammer(model, ({ slot: { bus, functions }, random }) => {
    // The sequence that unlocks the watchdog; to the others, two writes like any.
    const base = functions[0]?.barAddress(0);
    if (base === undefined) return;
    bus.write('mmio', base + 0xc, 1, 0x80);
    bus.write('mmio', base + 0xc, 1, 0x86);
    bus.write('mmio', base + [0, 4, 0xc][random(3)]!, 4, value(random));
  });
  expect(slot.messages.length).toBeLessThan(200);
});
