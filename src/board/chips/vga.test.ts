// Rules of the IBM VGA Technical Reference, by the names of its registers.
import { beforeEach, describe, expect, it } from 'vitest';
import { BUILT_IN_FONT } from '../display/font.ts';
import { drawPicture, screenText, textCursor } from '../display/index.ts';
import { MODE_12, MODE_13, setMode, type VgaMode } from '../display/modes.ts';
import { ManualClock } from '../testing.ts';
import { Vga } from './vga.ts';
import { VGA_MEMORY_BYTES } from './vga-planes.ts';

/** Offset of a port from the chip's first one. */
const port = (number: number): number => number - 0x3b0;
const SEQUENCER = port(0x3c4);
const GRAPHICS = port(0x3ce);
const CRTC = port(0x3d4);
const STATUS_1 = port(0x3da);
const ATTRIBUTE = port(0x3c0);
const TEXT = 0x18000;

let clock: ManualClock;
let vga: Vga;
beforeEach(() => {
  clock = new ManualClock();
  vga = new Vga({ clock, memory: new Uint8Array(new SharedArrayBuffer(VGA_MEMORY_BYTES)) });
});

function set(indexPort: number, index: number, value: number): void {
  vga.write(indexPort, index);
  vga.write(indexPort + 1, value);
}

function get(indexPort: number, index: number): number {
  vga.write(indexPort, index);
  return vga.read(indexPort + 1);
}

function attribute(index: number, value: number): void {
  vga.read(STATUS_1);
  vga.write(ATTRIBUTE, index & ~0x20);
  vga.write(ATTRIBUTE, value);
  vga.write(ATTRIBUTE, 0x20);
}

function print(at: number, text: string, colours = 0x07): void {
  for (let i = 0; i < text.length; i++) vga.window.write(TEXT + 2 * (at + i), 2, (colours << 8) | text.charCodeAt(i));
}

/** A pixel of the screen as 0xRRGGBB. */
function pixel(x: number, y: number): number {
  const { width, pixels } = drawPicture(vga.buffers);
  const at = (y * width + x) * 4;
  return (pixels[at]! << 16) | (pixels[at + 1]! << 8) | pixels[at + 2]!;
}

/** As the video BIOS sets a graphics mode: registers, and blank memory. */
function enter(mode: VgaMode): void {
  setMode(vga.block, mode);
  vga.buffers.memory.fill(0);
}

const read = (offset: number): number => vga.window.read(offset, 1);
const write = (offset: number, value: number): void => vga.window.write(offset, 1, value);

describe('text mode, as the video BIOS leaves it', () => {
  it('is blank after reset, 80×25 cells of 9×16 dots', () => {
    expect(screenText(vga.buffers)).toEqual(Array.from({ length: 25 }, () => ''));
    expect(drawPicture(vga.buffers)).toMatchObject({ width: 720, height: 400 });
  });

  it('shows what is in text memory, line drawing included', () => {
    print(80 + 2, 'Memtest86+');
    vga.window.write(TEXT + 2 * 240, 1, 0xb3);
    const text = screenText(vga.buffers)!;
    expect([text[1], text[3]]).toEqual(['  Memtest86+', '│']);
  });

  it('takes Start Address for scrolling', () => {
    print(80, 'second line');
    set(CRTC, 0x0d, 80);
    expect(screenText(vga.buffers)?.[0]).toBe('second line');
  });

  it('starts over at address 0 below Line Compare', () => {
    print(0, 'bottom');
    print(800, 'top');
    set(CRTC, 0x0c, 800 >> 8);
    set(CRTC, 0x0d, 800 & 0xff);
    set(CRTC, 0x09, 0x0f); // bit 9 of Line Compare clear
    set(CRTC, 0x11, 0x0e); // no protection
    set(CRTC, 0x07, 0x0f); // bit 8 clear
    set(CRTC, 0x18, 16 * 10 - 1);
    const text = screenText(vga.buffers)!;
    expect([text[0], text[10]]).toEqual(['top', 'bottom']);
  });

  it('reads back as RAM, up to its last byte; what is outside Memory Map reads as ones', () => {
    vga.window.write(TEXT + 0x7ffe, 2, 0x55aa);
    expect(vga.window.read(TEXT + 0x7ffe, 2)).toBe(0x55aa);
    expect(vga.window.read(0, 4)).toBe(0xffffffff);
  });

  it('places the cursor with Cursor Location, shapes it with Cursor Start and End, hides it with Cursor Start bit 5', () => {
    set(CRTC, 0x0f, 81);
    expect(textCursor(vga.buffers)).toEqual({ row: 1, column: 1 });
    expect([pixel(9, 16 + 12), pixel(9, 16 + 13), pixel(9, 16 + 15)]).toEqual([0x000000, 0xaaaaaa, 0x000000]);
    set(CRTC, 0x0a, 0x20);
    expect(textCursor(vga.buffers)).toBeUndefined();
    expect(pixel(9, 16 + 13)).toBe(0);
  });

  it('draws the font in plane 2: foreground and background by attribute', () => {
    set(CRTC, 0x0a, 0x20);
    print(0, 'A', 0x1e);
    const row = BUILT_IN_FONT.subarray(65 * 16, 65 * 16 + 16).findIndex((dots) => dots !== 0);
    const column = Math.clz32(BUILT_IN_FONT[65 * 16 + row]!) - 24;
    expect([pixel(column, row), pixel(8, row)]).toEqual([0xffff55, 0x0000aa]);
  });

  it('takes another font from where a program loads one, and switches with Character Map Select', () => {
    set(SEQUENCER, 4, 0x06); // sequential addresses
    set(SEQUENCER, 2, 0x04); // plane 2
    set(GRAPHICS, 5, 0x00);
    set(GRAPHICS, 6, 0x04); // 64 KiB at 0xA0000
    for (let row = 0; row < 16; row++) write(0x4000 + 65 * 32 + row, 0xff); // map 1
    set(SEQUENCER, 2, 0x03);
    set(SEQUENCER, 4, 0x02);
    set(GRAPHICS, 5, 0x10);
    set(GRAPHICS, 6, 0x0e);
    print(0, 'A', 0x0f);
    expect(pixel(0, 0)).toBe(0);
    set(SEQUENCER, 3, 0x05); // map 1 for both
    expect(pixel(0, 0)).toBe(0xffffff);
  });

  it('continues line-drawing characters into the ninth dot only while Line Graphics Enable says so', () => {
    print(0, '\u00c4', 0x0f);
    set(CRTC, 0x0a, 0x20);
    expect(pixel(8, 7)).toBe(0xffffff);
    attribute(0x10, 0x08);
    expect(pixel(8, 7)).toBe(0);
  });

  it('takes attribute bit 7 as background intensity when Enable Blink is clear', () => {
    set(CRTC, 0x0a, 0x20);
    print(0, ' ', 0x90);
    expect(pixel(0, 0)).toBe(0x0000aa);
    attribute(0x10, 0x04);
    expect(pixel(0, 0)).toBe(0x5555ff);
  });
});

describe('planes', () => {
  beforeEach(() => enter(MODE_12));

  it('Map Mask chooses which planes a store reaches; Read Map Select which one a load shows', () => {
    set(SEQUENCER, 2, 0x05);
    write(0, 0xa5);
    const planes = [0, 1, 2, 3].map((plane) => {
      set(GRAPHICS, 4, plane);
      return read(0);
    });
    expect(planes).toEqual([0xa5, 0, 0xa5, 0]);
  });

  it('a load fills the latches, which write mode 1 stores', () => {
    vga.buffers.memory.set([1, 2, 3, 4], 0);
    read(0);
    set(GRAPHICS, 5, 1);
    write(9, 0xff);
    expect([...vga.buffers.memory.subarray(36, 40)]).toEqual([1, 2, 3, 4]);
  });

  it('Enable Set/Reset puts Set/Reset in place of the data, plane by plane', () => {
    set(GRAPHICS, 0, 0b0110);
    set(GRAPHICS, 1, 0b0011);
    write(0, 0x0f);
    expect([...vga.buffers.memory.subarray(0, 4)]).toEqual([0x00, 0xff, 0x0f, 0x0f]);
  });

  it('Bit Mask keeps the latches where it is clear', () => {
    vga.buffers.memory.set([0xff, 0x00, 0xf0, 0x0f], 0);
    read(0);
    set(GRAPHICS, 8, 0x3c);
    write(0, 0x55);
    expect([...vga.buffers.memory.subarray(0, 4)]).toEqual([0xd7, 0x14, 0xd4, 0x17]);
  });

  it.each([
    ['AND', 1, 0xc0],
    ['OR', 2, 0xfc],
    ['XOR', 3, 0x3c],
  ])('Data Rotate turns the data right and then takes the function %s with the latches', (_name, select, result) => {
    vga.buffers.memory.set([0xf0, 0xf0, 0xf0, 0xf0], 0);
    read(0);
    set(GRAPHICS, 3, (select << 3) | 4);
    write(0, 0xcc);
    expect(vga.buffers.memory[0]).toBe(result);
  });

  it('write mode 2 spreads four bits over four planes, under the bit mask', () => {
    set(GRAPHICS, 5, 2);
    set(GRAPHICS, 8, 0x80);
    write(0, 0b1010);
    expect([...vga.buffers.memory.subarray(0, 4)]).toEqual([0, 0x80, 0, 0x80]);
  });

  it('write mode 3 takes the rotated data as a bit mask for Set/Reset', () => {
    set(GRAPHICS, 0, 0b1001);
    set(GRAPHICS, 5, 3);
    set(GRAPHICS, 8, 0xf0);
    write(0, 0x3c);
    expect([...vga.buffers.memory.subarray(0, 4)]).toEqual([0x30, 0, 0, 0x30]);
  });

  it("read mode 1 compares with Color Compare in the planes that Color Don't Care cares for", () => {
    vga.buffers.memory.set([0b11110000, 0b11001100, 0b10101010, 0], 0);
    set(GRAPHICS, 5, 8);
    set(GRAPHICS, 2, 0b0111);
    expect(read(0)).toBe(0b10000000);
    set(GRAPHICS, 7, 0b0011);
    expect(read(0)).toBe(0b11000000);
  });

  it('Memory Map moves and cuts the window', () => {
    set(GRAPHICS, 6, 0x09); // 32 KiB at 0xB0000
    write(0x10000, 0x11);
    write(0, 0x22);
    write(0x18000, 0x33);
    expect(vga.buffers.memory[0]).toBe(0x11);
  });

  it('draws 640×480 pixels of four bits, one from each plane, through palette and DAC', () => {
    set(SEQUENCER, 2, 0b1100);
    write(80, 0x80);
    expect(drawPicture(vga.buffers)).toMatchObject({ width: 640, height: 480 });
    expect([pixel(0, 1), pixel(1, 1), pixel(0, 0)]).toEqual([0xff5555, 0, 0]);
    attribute(12, 0x02); // palette entry 12 shows DAC entry 2
    expect(pixel(0, 1)).toBe(0x00aa00);
  });

  it('Color Plane Enable takes planes out of the picture', () => {
    write(0, 0x80);
    attribute(0x12, 0x01);
    expect(pixel(0, 0)).toBe(0x0000aa);
  });

  it('Color Select gives the upper bits of the DAC index', () => {
    write(0, 0x80);
    vga.write(port(0x3c8), 0xff);
    for (const value of [0x3f, 0x00, 0x15]) vga.write(port(0x3c9), value);
    attribute(0x14, 0x0f);
    expect(pixel(0, 0)).toBe(0xff0055);
  });
});

describe('256 colours', () => {
  beforeEach(() => enter(MODE_13));

  it('mode 13h is linear to the processor: Chain 4 chooses the plane by the low address bits', () => {
    vga.write(port(0x3c8), 1);
    for (const value of [0x3f, 0x20, 0x00]) vga.write(port(0x3c9), value);
    write(0, 1);
    write(320 + 5, 1);
    write(63999, 1);
    expect(drawPicture(vga.buffers)).toMatchObject({ width: 320, height: 200 });
    expect([pixel(0, 0), pixel(5, 1), pixel(319, 199), pixel(1, 0)]).toEqual([0xff8200, 0xff8200, 0xff8200, 0]);
    expect(vga.window.read(320 + 4, 4)).toBe(0x0100);
  });

  it('without Chain 4, in byte mode, every address is four pixels (as 360×480 and page-flipping programs use it)', () => {
    set(SEQUENCER, 4, 0x06);
    set(CRTC, 0x14, 0x00);
    set(CRTC, 0x17, 0xe3);
    vga.write(port(0x3c8), 1);
    for (const value of [0x3f, 0x3f, 0x3f]) vga.write(port(0x3c9), value);
    set(SEQUENCER, 2, 0x04);
    write(80, 1);
    expect([pixel(2, 1), pixel(1, 1)]).toEqual([0xffffff, 0]);
    set(CRTC, 0x0d, 80);
    expect(pixel(2, 0)).toBe(0xffffff);
  });

  it('PEL Mask is taken from every index', () => {
    vga.write(port(0x3c8), 1);
    for (const value of [0x3f, 0, 0]) vga.write(port(0x3c9), value);
    write(0, 0xf1);
    vga.write(port(0x3c6), 0x0f);
    expect(pixel(0, 0)).toBe(0xff0000);
  });
});

describe('CGA graphics', () => {
  it('mode 4 interleaves two bits per pixel and takes row scan 1 from 8 KiB further on', () => {
    enter(MODE_13);
    for (const [index, value] of [
      [5, 0x30],
      [6, 0x0f],
    ] as const)
      set(GRAPHICS, index, value);
    set(SEQUENCER, 4, 0x02);
    set(SEQUENCER, 2, 0x03);
    set(SEQUENCER, 1, 0x09);
    set(CRTC, 0x11, 0x0e);
    set(CRTC, 0x01, 0x27);
    set(CRTC, 0x09, 0xc1);
    set(CRTC, 0x13, 0x14);
    set(CRTC, 0x14, 0x00);
    set(CRTC, 0x17, 0xa2);
    write(0x18000, 0b11_10_01_00);
    write(0x18000 + 0x2000, 0b01_00_00_00);
    expect(drawPicture(vga.buffers)).toMatchObject({ width: 320, height: 200 });
    expect([0, 1, 2, 3].map((x) => pixel(x, 0))).toEqual([0x00aaaa, 0x00aa00, 0x0000aa, 0]);
    expect(pixel(0, 1)).toBe(0x0000aa);
  });
});

describe('registers', () => {
  it('Attribute Address takes index and data in turn, index first after Input Status 1 is read', () => {
    vga.read(STATUS_1);
    vga.write(ATTRIBUTE, 0x10);
    vga.write(ATTRIBUTE, 0x04);
    vga.write(ATTRIBUTE, 0x30);
    expect([vga.read(ATTRIBUTE), vga.read(port(0x3c1))]).toEqual([0x30, 0x04]);
    vga.read(STATUS_1);
    vga.write(ATTRIBUTE, 0x2f);
    expect(vga.read(ATTRIBUTE)).toBe(0x2f);
  });

  it('the palette can be written only while Palette Address Source is clear, and then the screen is dark', () => {
    vga.read(STATUS_1);
    vga.write(ATTRIBUTE, 0x21);
    vga.write(ATTRIBUTE, 0x3f);
    expect(vga.read(port(0x3c1))).toBe(1);
    print(0, 'x');
    vga.write(ATTRIBUTE, 0x01);
    vga.write(ATTRIBUTE, 0x3f);
    expect(vga.read(port(0x3c1))).toBe(0x3f);
    expect(drawPicture(vga.buffers).pixels.some((byte, at) => byte !== 0 && at % 4 !== 3)).toBe(false);
    expect(screenText(vga.buffers)).toBeUndefined();
  });

  it('the DAC takes and gives red, green and blue in turn, six bits each, and says what it was told last', () => {
    vga.write(port(0x3c8), 0x40);
    for (const value of [0xff, 0x01, 0x02, 0x03]) vga.write(port(0x3c9), value);
    vga.write(port(0x3c7), 0x40);
    expect(vga.read(port(0x3c7))).toBe(3);
    expect([0, 1, 2, 3].map(() => vga.read(port(0x3c9)))).toEqual([0x3f, 1, 2, 3]);
    vga.write(port(0x3c8), 0);
    expect(vga.read(port(0x3c7))).toBe(0);
  });

  it('Miscellaneous Output bit 0 moves the CRTC between 0x3D4 and 0x3B4', () => {
    vga.write(port(0x3c2), 0x66);
    set(CRTC, 0x0f, 0x12);
    set(port(0x3b4), 0x0f, 0x34);
    expect([get(port(0x3b4), 0x0f), get(CRTC, 0x0f), vga.read(port(0x3cc))]).toEqual([0x34, 0xff, 0x66]);
  });

  it('Vertical Retrace End bit 7 protects CRTC registers 0 to 7, but for the line-compare bit of Overflow', () => {
    set(CRTC, 0x00, 0x00);
    set(CRTC, 0x07, 0x00);
    expect([get(CRTC, 0x00), get(CRTC, 0x07)]).toEqual([0x5f, 0x0f]);
    set(CRTC, 0x11, 0x0e);
    set(CRTC, 0x00, 0x11);
    expect(get(CRTC, 0x00)).toBe(0x11);
  });

  it('reserved bits read as zeros', () => {
    for (let index = 0; index < 8; index++) set(SEQUENCER, index, 0xff);
    expect([0, 1, 2, 3, 4, 5].map((index) => get(SEQUENCER, index))).toEqual([0x03, 0x3d, 0x0f, 0x3f, 0x0e, 0]);
    for (let index = 0; index < 16; index++) set(GRAPHICS, index, 0xff);
    expect([0, 3, 4, 5, 8, 9].map((index) => get(GRAPHICS, index))).toEqual([0x0f, 0x1f, 0x03, 0x7b, 0xff, 0]);
  });

  it('Screen Off in Clocking Mode darkens the screen and leaves memory alone', () => {
    print(0, 'x');
    set(SEQUENCER, 1, 0x20);
    expect(screenText(vga.buffers)).toBeUndefined();
    set(SEQUENCER, 1, 0x00);
    expect(screenText(vga.buffers)?.[0]).toBe('x');
  });
});

describe('Input Status 1', () => {
  function retraces(nanos: number): number {
    let count = 0;
    let before = 0;
    for (let passed = 0; passed < nanos; passed += 10_000) {
      clock.advance(10_000);
      const now = vga.read(STATUS_1) & 8;
      if (now && !before) count++;
      before = now;
    }
    return count;
  }

  it('shows vertical retrace once per frame: 70 Hz in text mode, 60 Hz in mode 12h', () => {
    expect(retraces(100e6)).toBe(7);
    setMode(vga.block, MODE_12);
    vga.write(port(0x3c2), 0xe3);
    expect(retraces(100e6)).toBe(6);
  });

  it('shows display and blanking in every line', () => {
    let changes = 0;
    let before = vga.read(STATUS_1) & 1;
    for (let i = 0; i < 1000; i++) {
      clock.advance(1000);
      const now = vga.read(STATUS_1) & 1;
      if (now !== before) changes++;
      before = now;
    }
    expect(changes).toBeGreaterThan(50); // 31 lines in a millisecond
  });
});

it('continues after save and restore, and is as new after reset', () => {
  print(0, 'kept');
  set(CRTC, 0x0f, 7);
  vga.write(port(0x3c8), 5);
  vga.write(port(0x3c9), 9);
  const state = JSON.parse(JSON.stringify(vga.save()));
  vga.reset();
  expect(screenText(vga.buffers)?.[0]).toBe('');
  vga.restore(state);
  expect([screenText(vga.buffers)?.[0], textCursor(vga.buffers)?.column, get(CRTC, 0x0f)]).toEqual(['kept', 7, 7]);
  vga.write(port(0x3c9), 10);
  vga.write(port(0x3c7), 5);
  expect([vga.read(port(0x3c9)), vga.read(port(0x3c9))]).toEqual([9, 10]);
});
