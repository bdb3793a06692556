// Rules of the Bochs VBE Display API and of QEMU's description of its standard VGA.
import { beforeEach, describe, expect, it } from 'vitest';
import { drawPicture } from '../display/index.ts';
import { fakeSlot, type FakeSlot } from '../testing.ts';
import { Stdvga } from './stdvga.ts';

const ID = 0,
  XRES = 1,
  YRES = 2,
  BPP = 3,
  ENABLE = 4,
  BANK = 5,
  VIRT_WIDTH = 6,
  VIRT_HEIGHT = 7,
  X_OFFSET = 8,
  Y_OFFSET = 9,
  MEMORY_64K = 10;
const ENABLED = 0x01,
  GET_CAPABILITIES = 0x02,
  DAC_8_BIT = 0x20,
  LINEAR = 0x40,
  NO_CLEAR = 0x80;
const MIB = 1 << 20;

let slot: FakeSlot;
let card: Stdvga;

function plug(start?: { width: number; height: number; depth: number }): void {
  slot = fakeSlot('screen');
  card = new Stdvga({
    clock: slot.clock,
    memoryBytes: 16 * MIB,
    preferred: { width: 1280, height: 1024 },
    ...(start === undefined ? {} : { start }),
  });
  card.connect(slot.pci(card.description));
}

beforeEach(() => plug());

function set(index: number, value: number): void {
  card.dispi.write(0, 2, index);
  card.dispi.write(1, 2, value);
}

function get(index: number): number {
  card.dispi.write(0, 2, index);
  return card.dispi.read(1, 2);
}

function mode(width: number, height: number, depth: number, flags = LINEAR): void {
  set(ENABLE, 0);
  set(XRES, width);
  set(YRES, height);
  set(BPP, depth);
  set(ENABLE, ENABLED | flags);
  card.vga.read(0x2a);
  card.vga.write(0x10, 0x20); // the palette belongs to the display
}

function pixel(x: number, y: number): number {
  const { width, pixels } = drawPicture(card.buffers);
  const at = (y * width + x) * 4;
  return (pixels[at]! << 16) | (pixels[at + 1]! << 8) | pixels[at + 2]!;
}

describe('the PCI function', () => {
  it('is the standard VGA that drivers know', () => {
    expect(card.description.identity).toMatchObject({ vendor: 0x1234, device: 0x1111, classCode: 0x030000 });
    const [framebuffer, , registers] = card.description.bars;
    expect(framebuffer).toMatchObject({ kind: 'memory', size: 16 * MIB, prefetchable: true });
    expect(registers).toMatchObject({ kind: 'mmio', size: 4096 });
  });

  it('has an EDID whose checksum is right and whose first timing is the preferred mode', () => {
    const edid = Array.from({ length: 128 }, (_, at) => card.registers.read(at, 1));
    expect(edid.slice(0, 8)).toEqual([0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0]);
    expect(edid.reduce((sum, byte) => sum + byte, 0) % 256).toBe(0);
    const timing = edid.slice(54, 72);
    expect([timing[2]! | ((timing[4]! & 0xf0) << 4), timing[5]! | ((timing[7]! & 0xf0) << 4)]).toEqual([1280, 1024]);
    // VESA CVT with reduced blanking: 1280×1024 at 60 Hz takes 91 MHz.
    expect((timing[0]! | (timing[1]! << 8)) / 100).toBe(91);
  });

  it('has the VGA at 0x400 and the DISPI registers at 0x500 of BAR 2', () => {
    card.registers.write(0x400 + 0x14, 2, 0x120f); // CRTC index and data
    expect(card.registers.read(0x415, 1)).toBe(0x12);
    expect(card.registers.read(0x500, 2)).toBe(0xb0c5);
    card.registers.write(0x502, 4, (600 << 16) | 800);
    expect([get(XRES), get(YRES)]).toEqual([800, 600]);
    expect(card.registers.read(0x502, 4)).toBe((600 << 16) | 800);
  });

  it('says how large the extended registers are, that it is little-endian, and zeros elsewhere', () => {
    expect([card.registers.read(0x600, 4), card.registers.read(0x604, 4), card.registers.read(0xffc, 4)]).toEqual([8, 0x1e1e1e1e, 0]);
  });
});

describe('DISPI registers', () => {
  it('identify as B0C5 and keep an older version that a driver settles on', () => {
    expect(get(ID)).toBe(0xb0c5);
    set(ID, 0xb0c0);
    set(ID, 0x1234);
    expect(get(ID)).toBe(0xb0c0);
  });

  it('tell the most there can be while Get Capabilities is set', () => {
    set(ENABLE, GET_CAPABILITIES);
    expect([get(XRES), get(YRES), get(BPP), get(MEMORY_64K)]).toEqual([2560, 1600, 32, 256]);
    set(ENABLE, 0);
    expect(get(XRES)).toBe(0);
  });

  it('set a mode when it is enabled, and only then', () => {
    mode(1024, 768, 32);
    expect([get(VIRT_WIDTH), get(VIRT_HEIGHT)]).toEqual([1024, 4096]);
    set(XRES, 640);
    set(BPP, 8);
    expect([get(XRES), get(BPP)]).toEqual([1024, 32]);
    expect(drawPicture(card.buffers)).toMatchObject({ width: 1024, height: 768 });
  });

  it('clear the screen, unless they are told not to', () => {
    card.buffers.memory.fill(0x55, 0, 1000);
    mode(640, 480, 32, LINEAR | NO_CLEAR);
    expect(card.buffers.memory[500]).toBe(0x55);
    mode(640, 480, 32);
    expect(card.buffers.memory[500]).toBe(0);
  });

  it('cut down what does not fit: resolution, depth, virtual width, offsets, bank', () => {
    mode(5000, 5000, 32);
    expect([get(XRES), get(YRES)]).toEqual([2560, 1600]);
    mode(645, 480, 7);
    expect([get(XRES), get(BPP)]).toEqual([640, 8]);
    set(VIRT_WIDTH, 100);
    expect(get(VIRT_WIDTH)).toBe(640);
    set(VIRT_WIDTH, 800);
    set(X_OFFSET, 500);
    set(Y_OFFSET, 0xffff);
    expect([get(X_OFFSET), get(Y_OFFSET), get(VIRT_HEIGHT)]).toEqual([160, 20971 - 480, 20971]);
    set(BANK, 0xffff);
    expect(get(BANK)).toBe(255);
  });
});

describe('pixels', () => {
  it.each([
    [8, [0x20], 0x00aa00],
    [15, [0xe0, 0x7f], 0xffff00],
    [16, [0x1f, 0xf8], 0xff00ff],
    [24, [0x33, 0x22, 0x11], 0x112233],
    [32, [0x33, 0x22, 0x11, 0xff], 0x112233],
  ])('of %i bits', (depth, bytes, colour) => {
    mode(800, 600, depth);
    card.vga.write(0x18, 0x20);
    for (const value of [0, 0x2a, 0]) card.vga.write(0x19, value);
    card.buffers.memory.set(bytes, (2 * 800 + 3) * bytes.length);
    expect([pixel(3, 2), pixel(4, 2)]).toEqual([colour, depth === 8 ? pixel(0, 0) : 0]);
  });

  it('of 4 bits lie in planes and reach beyond 64 KiB by banks', () => {
    mode(1024, 768, 4, 0);
    card.vga.block.sequencer.set([3, 1, 15, 0, 6]);
    card.vga.block.graphics.set([0, 0, 0, 0, 0, 0, 5, 15, 255]);
    set(BANK, 1);
    card.vga.window.write(0x80 * 10, 1, 0x80);
    expect(pixel(0, (0x10000 + 0x80 * 10) / 128)).toBe(0xffffff);
  });

  it('come through the banked window as well', () => {
    mode(800, 600, 32, 0);
    set(BANK, 2);
    card.vga.window.write(8, 4, 0x00abcdef);
    expect(card.buffers.memory[0x20008]).toBe(0xef);
    expect(pixel((0x20008 / 4) % 800, Math.floor(0x20008 / 4 / 800))).toBe(0xabcdef);
    expect(card.vga.window.read(0x10000, 4)).toBe(0xffffffff);
  });

  it('move with offsets and virtual width', () => {
    mode(640, 480, 32);
    set(VIRT_WIDTH, 1000);
    set(X_OFFSET, 7);
    set(Y_OFFSET, 11);
    card.buffers.memory.set([1, 2, 3, 0], (11 * 1000 + 7) * 4);
    expect(pixel(0, 0)).toBe(0x030201);
  });

  it('have eight bits per colour in the DAC when asked for', () => {
    mode(640, 480, 8, LINEAR | DAC_8_BIT);
    card.vga.write(0x18, 0);
    for (const value of [0xab, 0xcd, 0xef]) card.vga.write(0x19, value);
    expect(pixel(0, 0)).toBe(0xabcdef);
  });
});

describe('a start mode', () => {
  it('is set at reset, and announced with the address of the framebuffer', () => {
    plug({ width: 1024, height: 768, depth: 32 });
    card.reset();
    expect(drawPicture(card.buffers)).toMatchObject({ width: 1024, height: 768 });
    expect(card.framebuffer).toMatchObject({ width: 1024, height: 768, depth: 32, pitch: 4096, size: 16 * MIB });
    expect(card.framebuffer?.base).toBe(slot.functions[0]?.barAddress(0));
    plug();
    expect(card.framebuffer).toBeUndefined();
  });
});

it('continues after save and restore', () => {
  mode(800, 600, 16);
  card.buffers.memory.set([0x1f, 0xf8], 0);
  const state = JSON.parse(JSON.stringify(card.save()));
  card.reset();
  expect(drawPicture(card.buffers)).toMatchObject({ width: 720, height: 400 });
  card.restore(state);
  expect(drawPicture(card.buffers)).toMatchObject({ width: 800, height: 600 });
  expect(pixel(0, 0)).toBe(0xff00ff);
});
