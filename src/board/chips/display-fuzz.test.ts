/**
 * Registers and memory of the screen, the keyboard controller and what is behind it, hammered by a guest that knows no rules: nothing
 * throws, hangs, leaves its range or grows. BULKHEAD_FUZZ_OPERATIONS and BULKHEAD_FUZZ_SEED choose another run.
 */
import { expect, it } from 'vitest';
import type { AccessSize } from '../../contracts/index.ts';
import { DEVICE_CATALOGUE } from '../catalogue.ts';
import type { AttachedChip } from '../attached-chip.ts';
import { drawPicture, screenText } from '../display/index.ts';
import { KEYS } from '../input/keys.ts';
import { FakePower, fakeSlot } from '../testing.ts';
import type { I8042 } from './i8042.ts';
import type { Stdvga } from './stdvga.ts';

const OPERATIONS = Number(process.env['BULKHEAD_FUZZ_OPERATIONS'] ?? 50_000);
const SEED = Number(process.env['BULKHEAD_FUZZ_SEED'] ?? 1995);
const SIZES: readonly AccessSize[] = [1, 2, 4];
/** Drawing costs a thousand times a register access. */
const DRAW_EVERY = 2_500;
const INTERESTING = [0, 1, 0xff, 0xffff, 0xffff_ffff, 0x80, 0x7f, 0x8000];

/** xorshift32: the same seed gives the same run everywhere. */
function generator(seed: number): (below: number) => number {
  let state = seed | 1;
  return (below) => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) % below;
  };
}

function attach(model: string, options: Record<string, string | number | boolean>) {
  const slot = fakeSlot(model);
  const [place] = DEVICE_CATALOGUE[model]!.places;
  const random = generator(SEED);
  const device = DEVICE_CATALOGUE[model]!.create({ name: model, model, ranges: place.ranges, irqs: place.irqs, options }, {
    partition: 'fuzz',
    power: new FakePower(),
    character: () => ({ output: () => undefined, input: () => undefined }),
    input: () => ({
      key: () => (random(3) === 0 ? { key: random(KEYS.length + 5), pressed: random(2) === 0 } : undefined),
      pointer: () =>
        random(3) === 0 ? { dx: random(1000) - 500, dy: random(1000) - 500, wheel: random(9) - 4, buttons: random(256) } : undefined,
    }),
  } as unknown as Parameters<(typeof DEVICE_CATALOGUE)[string]['create']>[1]);
  device.attach(slot);
  return { slot, device: device as AttachedChip, ranges: place.ranges };
}

/** Accesses anywhere in the device's ranges; every value that comes back is unsigned and fits its size. */
function hammer(model: string, options: Record<string, string | number | boolean>, nowAndThen: (chip: AttachedChip) => void): void {
  const { slot, device, ranges } = attach(model, options);
  const random = generator(SEED);
  const bars = slot.functions[0] === undefined ? [] : [{ space: 'mmio' as const, base: slot.functions[0].barAddress(2)!, size: 0x1000 }];
  const everywhere = [...ranges, ...bars];
  for (let i = 0; i < OPERATIONS; i++) {
    const range = everywhere[random(everywhere.length)]!;
    const size = SIZES[random(3)]!;
    const address = range.base + random(range.size);
    const value = random(4) === 0 ? INTERESTING[random(INTERESTING.length)]! : random(2 ** 32);
    const limited = size === 4 ? value : value % 2 ** (8 * size);
    if (random(3) === 0) {
      const got = slot.bus.read(range.space, address, size);
      if (!(Number.isInteger(got) && got >= 0 && got < 2 ** (8 * size)))
        throw new Error(`operation ${i} (seed ${SEED}): read ${got} of size ${size}`);
    } else {
      slot.bus.write(range.space, address, size, limited);
    }
    if (random(16) === 0) slot.clock.advance(random(20_000_000));
    if (i % DRAW_EVERY === 0) nowAndThen(device);
    if (i % 10_000 === 9_999) {
      const state = JSON.parse(JSON.stringify(device.save()));
      device.reset();
      device.restore(state);
    }
  }
}

it(`stdvga survives ${OPERATIONS} accesses (seed ${SEED})`, { timeout: 600_000 }, () => {
  let drawn = 0;
  hammer('stdvga', { 'memory-mib': 1, mode: '', prefer: '800x600' }, (device) => {
    const { buffers } = device.chip as Stdvga;
    const { width, height, pixels } = drawPicture(buffers);
    expect(pixels.length).toBe(width * height * 4);
    screenText(buffers);
    drawn++;
  });
  expect(drawn).toBe(Math.ceil(OPERATIONS / DRAW_EVERY));
});

it(`i8042 with keyboard and mouse survives ${OPERATIONS} accesses (seed ${SEED})`, { timeout: 600_000 }, () => {
  hammer('i8042', { mouse: true }, (device) => {
    const chip = device.chip as I8042;
    // However it was left, it answers a self test within what fits its buffers.
    chip.writeCommand(0xaa);
    const bytes: number[] = [];
    for (let i = 0; i < 100 && chip.readStatus() & 1; i++) bytes.push(chip.readData());
    expect(JSON.stringify(chip.save()).length).toBeLessThan(8_000);
    expect(bytes).toContain(0x55);
  });
});
