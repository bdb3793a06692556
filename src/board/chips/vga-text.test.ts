import { beforeEach, describe, expect, it } from 'vitest';
import { byteWide } from '../byte-wide.ts';
import { ManualClock } from '../testing.ts';
import { VgaText } from './vga-text.ts';

const TEXT = 0x18000;

let clock: ManualClock;
let vga: VgaText;
beforeEach(() => {
  clock = new ManualClock();
  vga = new VgaText({ clock });
});

function print(at: number, text: string): void {
  for (let i = 0; i < text.length; i++) vga.window.write(TEXT + 2 * (at + i), 2, 0x0700 | text.charCodeAt(i));
}

const crtc = (index: number, value: number) => byteWide(vga).write(0x14, 2, index | (value << 8));

describe('the screen', () => {
  it('is blank after reset', () => {
    expect(vga.screenText()).toEqual(Array.from({ length: 25 }, () => ''));
  });

  it('shows what is in text memory, line drawing included', () => {
    print(80 + 2, 'Memtest86+');
    vga.window.write(TEXT + 2 * 240, 1, 0xb3);
    expect([vga.screenText()[1], vga.screenText()[3]]).toEqual(['  Memtest86+', '│']);
  });

  it('starts where the CRTC says, for scrolling', () => {
    print(80, 'second line');
    crtc(0x0d, 80);
    expect(vga.screenText()[0]).toBe('second line');
  });

  it('reads back as RAM, up to its last byte; the planes below read as ones', () => {
    vga.window.write(TEXT + 0x7ffe, 2, 0x55aa);
    expect(vga.window.read(TEXT + 0x7ffe, 2)).toBe(0x55aa);
    expect(vga.window.read(0, 4)).toBe(0xffffffff);
  });
});

it('places the cursor, and hides it', () => {
  crtc(0x0e, (81 >> 8) & 0xff);
  crtc(0x0f, 81);
  expect(vga.cursor).toEqual({ row: 1, column: 1 });
  crtc(0x0a, 0x20);
  expect(vga.cursor).toBeUndefined();
});

it('takes index and data in turn at the attribute port, index first after 0x3DA is read', () => {
  vga.read(0x1a);
  vga.write(0, 0x10);
  vga.write(0, 0x04);
  vga.write(0, 0x30);
  expect([vga.read(0), vga.read(1)]).toEqual([0x30, 0x04]);
  vga.read(0x1a);
  vga.write(0, 0x2f);
  expect(vga.read(0)).toBe(0x2f);
});

it('shows vertical retrace once per frame', () => {
  let retraces = 0;
  let before = 0;
  for (let i = 0; i < 10_000; i++) {
    clock.advance(10_000);
    const now = vga.read(0x1a) & 8;
    if (now && !before) retraces++;
    before = now;
  }
  expect(retraces).toBe(7); // 100 ms at 70 Hz
});

it('protects the timing registers as the BIOS left them', () => {
  crtc(0x00, 0x00);
  vga.write(0x14, 0);
  expect(vga.read(0x15)).toBe(0x5f);
});
