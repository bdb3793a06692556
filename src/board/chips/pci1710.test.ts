// Registers are those of appendix C of the PCI-1710 user's manual.
import { beforeEach, describe, expect, it } from 'vitest';
import { type FakeSlot, fakeSlot } from '../testing.ts';
import { Pci1710 } from './pci1710.ts';
import { parseDigitalInputs, parseSignals } from './pci1710-world.ts';

const DATA = 0x00, RANGE = 0x02, MUX = 0x04, CONTROL = 0x06, STATUS = 0x06, CLEAR_INTERRUPT = 0x08, CLEAR_FIFO = 0x09;
const OUTPUT_0 = 0x0a, OUTPUT_1 = 0x0c, OUTPUT_RANGE = 0x0e, DIGITAL = 0x10, COUNTER_0 = 0x18, COUNTER_1 = 0x1a, COUNTER_2 = 0x1c, COUNTER_CONTROL = 0x1e;
const SOFTWARE = 1, PACER = 2, INTERRUPTS = 0x10, HALF_FULL_ONLY = 0x20, EXTERNAL_CLOCK = 0x40;
const EMPTY = 0x100, HALF = 0x200, FULL = 0x400, INTERRUPT = 0x800;
const MICROSECOND = 1000;

let slot: FakeSlot;
let card: Pci1710;

function make(signals: string, digital = 'outputs'): void {
  slot = fakeSlot('daq');
  card = new Pci1710({
    clock: slot.clock,
    signals: parseSignals(signals),
    digitalInputs: parseDigitalInputs(digital),
    externalHertz: 2000,
    pci: (description) => slot.pci(description),
  });
  card.reset();
}

beforeEach(() => make('dc:2.5,dc:-1,square:2:1000,ao0,ao1,sine:5:100'));

const out = (offset: number, value: number): void => card.write(offset, 2, value);
const inp = (offset: number): number => card.read(offset, 2);
const status = (): number => inp(STATUS);
const select = (channel: number, range = 0): void => {
  out(MUX, channel | (channel << 8));
  out(RANGE, range);
};

function sample(channel: number, range = 0): number {
  select(channel, range);
  out(CONTROL, SOFTWARE);
  out(DATA, 0);
  return inp(DATA);
}

/** Counters 1 and 2 in mode 2: one pulse in `ticks` of 10 MHz. */
function pace(first: number, second: number): void {
  out(COUNTER_CONTROL, 0x74);
  out(COUNTER_CONTROL, 0xb4);
  for (const [counter, divisor] of [[COUNTER_2, second], [COUNTER_1, first]] as const) {
    out(counter, divisor & 0xff);
    out(counter, divisor >> 8);
  }
}

it('is 13fe:1710 with 32 ports at BAR 2', () => {
  const [fn] = slot.functions;
  expect(fn!.readConfig(0, 4)).toBe(0x1710_13fe);
  slot.bus.write('pio', fn!.barAddress(2)! + OUTPUT_0, 2, 0x123);
  expect(card.outputs[0]).toBeCloseTo((0x123 / 4096) * 5);
});

describe('a software-triggered conversion', () => {
  it('puts channel and 12 bits into the FIFO', () => {
    expect(status() & EMPTY).toBe(EMPTY);
    expect(sample(0)).toBe(0x0c00); // 2.5 V of ±5 V: three quarters
    expect(sample(1)).toBe(0x1000 | Math.floor((0.8 / 2) * 4096));
    expect(status() & EMPTY).toBe(EMPTY);
  });

  it.each([
    ['±2.5 V', 1, 0xfff],
    ['±10 V', 4, 0xa00],
    ['0–10 V', 0x10, 0x400],
    ['0–5 V', 0x11, 0x800],
  ])('scales 2.5 V to %s', (_, range, code) => {
    expect(sample(0, range)).toBe(code);
  });

  it('subtracts the next channel from a differential one', () => {
    expect(sample(0, 0x20 | 4)).toBe(Math.floor(((3.5 / 10 + 1) / 2) * 4096));
  });

  it('needs the trigger to be enabled', () => {
    out(CONTROL, 0);
    out(DATA, 0);
    expect(status() & EMPTY).toBe(EMPTY);
  });

  it('walks through the channels of the scan, each with its own range', () => {
    select(0, 4);
    select(1, 0);
    out(MUX, 0x0100);
    out(CONTROL, SOFTWARE);
    for (let i = 0; i < 3; i++) out(DATA, 0);
    expect([inp(DATA), inp(DATA), inp(DATA)]).toEqual([0x0a00, 0x1666, 0x0a00]);
  });
});

describe('the pacer', () => {
  it('takes a sample at each pulse of the two counters, for that very moment', () => {
    select(2);
    pace(100, 25); // 250 µs: four in a period of the square wave
    out(CONTROL, PACER);
    slot.clock.advance(1000 * MICROSECOND);
    const samples = [inp(DATA), inp(DATA), inp(DATA), inp(DATA)].map((value) => value & 0xfff);
    expect(samples).toEqual([0xb33, 0x4cc, 0x4cc, 0xb33]);
    expect(status() & EMPTY).toBe(EMPTY);
  });

  it('interrupts at every sample, until that is cleared', () => {
    pace(100, 10);
    out(CONTROL, PACER | INTERRUPTS);
    slot.clock.advance(100 * MICROSECOND);
    expect([slot.functions[0]!.interruptAsserted, status() & INTERRUPT]).toEqual([true, INTERRUPT]);
    card.write(CLEAR_INTERRUPT, 1, 0);
    expect(slot.functions[0]!.interruptAsserted).toBe(false);
    slot.clock.advance(100 * MICROSECOND);
    expect(slot.functions[0]!.interruptAsserted).toBe(true);
  });

  it('interrupts at 2,048 samples in half-full mode', () => {
    pace(100, 10);
    out(CONTROL, PACER | INTERRUPTS | HALF_FULL_ONLY);
    slot.clock.advance(2047 * 100 * MICROSECOND);
    expect([slot.functions[0]!.interruptAsserted, status() & HALF]).toEqual([false, 0]);
    slot.clock.advance(100 * MICROSECOND);
    expect([slot.functions[0]!.interruptAsserted, status() & HALF]).toEqual([true, HALF]);
    card.write(CLEAR_INTERRUPT, 1, 0);
    for (let i = 0; i < 2048; i++) inp(DATA);
    expect(status() & (HALF | EMPTY | INTERRUPT)).toBe(EMPTY);
  });

  it('loses samples when the FIFO is full, and says so until it is cleared', () => {
    pace(100, 10);
    out(CONTROL, PACER);
    slot.clock.advance(5000 * 100 * MICROSECOND);
    expect(status() & FULL).toBe(FULL);
    for (let i = 0; i < 4096; i++) inp(DATA);
    expect(status() & (FULL | EMPTY)).toBe(FULL | EMPTY);
    card.write(CLEAR_FIFO, 1, 0);
    expect(status() & FULL).toBe(0);
  });

  it('is never faster than the converter', () => {
    pace(2, 2);
    out(CONTROL, PACER);
    slot.clock.advance(100 * MICROSECOND);
    let samples = 0;
    while (!(status() & EMPTY)) {
      inp(DATA);
      samples++;
    }
    expect(samples).toBe(10);
  });
});

describe('the outputs', () => {
  it('are 12 bits of 5 or 10 V, and can be wired back to inputs', () => {
    out(OUTPUT_0, 0x800);
    out(OUTPUT_1, 0x800);
    out(OUTPUT_RANGE, 1 << 2);
    expect(card.outputs).toEqual([2.5, 5]);
    expect(sample(3, 0x10) & 0xfff).toBe(0x400);
    expect(sample(4, 0x10) & 0xfff).toBe(0x800);
  });

  it('drive 16 digital lines, wired back or not', () => {
    out(DIGITAL, 0xa55a);
    expect([inp(DIGITAL), card.digitalOutputs, card.read(DIGITAL + 1, 1)]).toEqual([0xa55a, 0xa55a, 0xa5]);
    make('', '0x00ff');
    expect(inp(DIGITAL)).toBe(0xff);
    make('', 'clock:1000');
    slot.clock.advance(2500 * MICROSECOND);
    expect(inp(DIGITAL)).toBe(5);
  });
});

describe('counter 0', () => {
  const count = (): number => {
    out(COUNTER_CONTROL, 0x00);
    return inp(COUNTER_0) | (inp(COUNTER_0) << 8);
  };

  it('counts down at 100 kHz, or by the outside clock', () => {
    out(COUNTER_CONTROL, 0x30);
    out(COUNTER_0, 1000 & 0xff);
    out(COUNTER_0, 1000 >> 8);
    slot.clock.advance(100 * MICROSECOND);
    expect(count()).toBe(990);
    out(CONTROL, EXTERNAL_CLOCK);
    slot.clock.advance(10_000 * MICROSECOND);
    expect(count()).toBe(970);
  });

  it('goes on past zero in mode 0, and begins again in mode 2', () => {
    out(COUNTER_CONTROL, 0x34);
    out(COUNTER_0, 100);
    out(COUNTER_0, 0);
    slot.clock.advance(1050 * MICROSECOND);
    expect(count()).toBe(95);
    out(COUNTER_CONTROL, 0x30);
    out(COUNTER_0, 100);
    out(COUNTER_0, 0);
    slot.clock.advance(1050 * MICROSECOND);
    expect(count()).toBe(0xfffb);
  });
});

describe('the modelled world', () => {
  it('moves by the clock', () => {
    const [sine, triangle, dc] = parseSignals('sine:5:1:1,triangle:2:1,dc:-0.5') as [never, never, never];
    const at = (signal: (now: number, outputs: number[]) => number, seconds: number) => signal(seconds * 1e9, []);
    expect([at(sine, 0), at(sine, 0.25), at(triangle, 0), at(triangle, 0.5), at(dc, 3)]).toEqual([1, 6, -2, 2, -0.5]);
  });

  it('refuses words it does not know', () => {
    expect(() => parseSignals('sine:5')).toThrow(/describes no signals/);
    expect(() => parseDigitalInputs('often')).toThrow(/describes no signals/);
  });
});

it('goes on where it was saved, with its FIFO and in the middle of a scan', () => {
  pace(100, 10);
  out(MUX, 0x0200);
  out(CONTROL, PACER | INTERRUPTS | HALF_FULL_ONLY);
  slot.clock.advance(4 * 100 * MICROSECOND);
  const state = JSON.parse(JSON.stringify(card.save()));
  const next = [inp(DATA), inp(DATA)];
  card.reset();
  expect(status()).toBe(EMPTY);
  card.restore(state);
  expect([inp(DATA), inp(DATA)]).toEqual(next);
  slot.clock.advance(100 * MICROSECOND);
  expect([inp(DATA) >> 12, inp(DATA) >> 12, inp(DATA) >> 12]).toEqual([2, 0, 1]);
});
