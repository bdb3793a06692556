// Intel 82441FX datasheet §3.2.18 and table 7, as a processor sees them: what a load finds, and where a store ends.
import { beforeEach, describe, expect, it } from 'vitest';
import { createPhysicalMemory, type GuestMemory } from '../memory.ts';
import { PAM_REGISTERS, SHADOW_BASE, ShadowRam } from './shadow-ram.ts';

const KiB = 1024;
const ROM_BYTES = 256 * KiB;
const RAM = 0x11;
const ROM = 0x22;
const NOBODY = 0xff;
const BUS = 0x00;
const READ_ONLY = 0x11;
const WRITE_ONLY = 0x22;
const READ_WRITE = 0x33;

let memory: GuestMemory;
let shadow: ShadowRam;
let mapChanges: number;
let written: number[];

beforeEach(() => {
  memory = createPhysicalMemory([{ base: 0, size: 2 * 1024 * KiB, access: 'rw' }], 0, 512 * KiB);
  memory.bytes.fill(RAM, memory.offsetOf(0xc0000, 1), memory.offsetOf(0xfffff, 1) + 1);
  const rom = { offset: memory.reserve(ROM_BYTES, 'ROM'), size: ROM_BYTES };
  memory.bytes.fill(ROM, rom.offset, rom.offset + ROM_BYTES);
  memory.bytes[rom.offset + ROM_BYTES - 1] = 0x99;
  memory.bytes[rom.offset + ROM_BYTES - 128 * KiB] = 0x88;
  shadow = new ShadowRam(memory, rom);
  mapChanges = 0;
  written = [];
  memory.observe({ memoryMapChanged: () => mapChanges++, memoryChanged: (gpa, size) => written.push(gpa, size) });
});

const mapped = (gpa: number) => memory.map.find(({ base, end }) => gpa >= base && gpa < end);

function load(gpa: number): number {
  const range = mapped(gpa);
  return range === undefined ? shadow.handler.read(gpa - SHADOW_BASE, 1) : (memory.bytes[range.offset + gpa - range.base] as number);
}

/** As the engine does it: to the bytes where they may be written, else to the bus. */
function store(gpa: number, value: number): void {
  const range = mapped(gpa);
  if (range?.access === 'rw') memory.bytes[range.offset + gpa - range.base] = value;
  else shadow.handler.write(gpa - SHADOW_BASE, 1, value);
}

const ram = (gpa: number) => memory.bytes[memory.offsetOf(gpa, 1)];

describe('after a reset', () => {
  it('shows the last 128 KiB of the ROM below 1 MiB', () => {
    expect([load(0xe0000), load(0xe0001), load(0xffffe), load(0xfffff)]).toEqual([0x88, ROM, ROM, 0x99]);
  });

  it('shows nobody below the ROM', () => {
    expect([load(0xc0000), load(0xdffff)]).toEqual([NOBODY, NOBODY]);
  });

  it('drops stores', () => {
    for (const gpa of [0xc0000, 0xe0000, 0xfffff]) store(gpa, 0x55);
    expect([ram(0xc0000), ram(0xe0000), ram(0xfffff), load(0xfffff)]).toEqual([RAM, RAM, RAM, 0x99]);
  });

  it('leaves RAM on both sides alone', () => {
    expect([mapped(0xbffff)?.access, mapped(0x100000)?.access]).toEqual(['rw', 'rw']);
    expect(mapped(0x100000)?.offset).toBe(memory.offsetOf(0x100000, 1));
  });
});

describe('the registers', () => {
  it.each([
    [0, 0xf0, 0xf0000, 0x100000],
    [1, 0x0f, 0xc0000, 0xc4000],
    [1, 0xf0, 0xc4000, 0xc8000],
    [2, 0x0f, 0xc8000, 0xcc000],
    [2, 0xf0, 0xcc000, 0xd0000],
    [3, 0x0f, 0xd0000, 0xd4000],
    [3, 0xf0, 0xd4000, 0xd8000],
    [4, 0x0f, 0xd8000, 0xdc000],
    [4, 0xf0, 0xdc000, 0xe0000],
    [5, 0x0f, 0xe0000, 0xe4000],
    [5, 0xf0, 0xe4000, 0xe8000],
    [6, 0x0f, 0xe8000, 0xec000],
    [6, 0xf0, 0xec000, 0xf0000],
  ])('PAM%i & 0x%s has 0x%s to 0x%s', (register, half, from, to) => {
    shadow.writeRegister(register, READ_WRITE & half);
    const found = [];
    for (let gpa = SHADOW_BASE; gpa < 0x100000; gpa += 4 * KiB) if (mapped(gpa)?.access === 'rw') found.push(gpa);
    expect(found).toEqual(Array.from({ length: (to - from) / (4 * KiB) }, (_, page) => from + page * 4 * KiB));
  });

  it('read back what can be written, two pieces each; PAM0 has one', () => {
    for (let register = 0; register < PAM_REGISTERS; register++) shadow.writeRegister(register, 0xff);
    expect(Array.from({ length: PAM_REGISTERS }, (_, register) => shadow.readRegister(register))).toEqual([
      0x70, 0x77, 0x77, 0x77, 0x77, 0x77, 0x77,
    ]);
  });
});

describe('a piece', () => {
  it('copied to itself while writes alone are enabled becomes what the ROM was', () => {
    shadow.writeRegister(0, WRITE_ONLY);
    for (const gpa of [0xf0000, 0xfffff]) store(gpa, load(gpa));
    expect([load(0xfffff), ram(0xf0000), ram(0xfffff)]).toEqual([0x99, ROM, 0x99]);
    expect(written).toEqual([0xf0000, 1, 0xfffff, 1]);
  });

  it('is RAM with reads and writes enabled', () => {
    shadow.writeRegister(1, READ_WRITE);
    store(0xc0000, 0x42);
    expect([load(0xc0000), ram(0xc0000), load(0xc0001)]).toEqual([0x42, 0x42, RAM]);
  });

  it('keeps its contents with reads alone enabled, and tells the processor that it may not write them', () => {
    shadow.writeRegister(1, READ_WRITE);
    store(0xc0000, 0x42);
    shadow.writeRegister(1, READ_ONLY);
    store(0xc0000, 0x43);
    expect([load(0xc0000), mapped(0xc0000)?.access]).toEqual([0x42, 'ro']);
  });

  it('is the ROM again after a reset, with its RAM kept beneath', () => {
    shadow.writeRegister(0, READ_WRITE);
    store(0xf0000, 0x42);
    shadow.reset();
    expect([load(0xf0000), ram(0xf0000)]).toEqual([ROM, 0x42]);
  });

  it('that does not change its place disturbs no one', () => {
    shadow.writeRegister(0, BUS);
    shadow.writeRegister(0, 0x40);
    expect(mapChanges).toBe(0);
    shadow.writeRegister(0, READ_WRITE);
    expect(mapChanges).toBeGreaterThan(0);
  });
});

it('comes back from save and restore as it was', () => {
  shadow.writeRegister(3, 0x12);
  const state = shadow.save();
  shadow.reset();
  shadow.restore(state);
  expect([shadow.readRegister(3), load(0xd0000), load(0xd4000)]).toEqual([0x12, NOBODY, RAM]);
});

it('answers wide accesses of the bus in one piece', () => {
  expect(shadow.handler.read(0x3fffc, 4)).toBe(0x99222222);
  shadow.writeRegister(0, WRITE_ONLY);
  shadow.handler.write(0x30000, 4, 0x1234_5678);
  expect(memory.read(0xf0000, 4)).toEqual(Uint8Array.of(0x78, 0x56, 0x34, 0x12));
});
