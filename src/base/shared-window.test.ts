import { describe, expect, it } from 'vitest';
import { SharedWindow } from './shared-window.ts';

const fresh = (writable = true): SharedWindow => new SharedWindow(new SharedArrayBuffer(64), writable);

describe('a window onto shared bytes', () => {
  it('reads back, little-endian, whatever was written in whatever size and place', () => {
    const window = fresh();
    window.write(4, 4, 0x8899_aabb);
    window.write(9, 2, 0xccdd);
    expect([window.read(4, 4), window.read(5, 2), window.read(7, 1), window.read(9, 2), window.read(8, 4)]).toEqual([
      0x8899_aabb, 0x99aa, 0x88, 0xccdd, 0x00cc_dd00,
    ]);
  });

  it('reads ones beyond its end and drops what is written there', () => {
    const window = fresh();
    window.write(62, 4, 0);
    expect([window.read(62, 4), window.read(62, 2), window.read(64, 1)]).toEqual([0xffff_ffff, 0, 0xff]);
  });

  it('moves pieces of any length to and from an engine', () => {
    const window = fresh();
    const bytes = new DataView(Uint8Array.from({ length: 40 }, (_, i) => i + 1).buffer);
    window.store(3, bytes, 1, 21);
    const back = new DataView(new ArrayBuffer(40));
    window.load(3, back, 2, 21);
    expect(new Uint8Array(back.buffer, 2, 21)).toEqual(new Uint8Array(bytes.buffer, 1, 21));
    expect([window.read(2, 1), window.read(24, 1)]).toEqual([0, 0]);
  });

  it.each([1, 2, 4, 8])('stores %d bytes only where the expected ones still are', (size) => {
    const window = fresh();
    const [old, other, next] = [0x11, 0x22, 0x33].map((fill) => new DataView(new Uint8Array(8).fill(fill).buffer)) as [DataView, DataView, DataView];
    window.store(size, old, 0, size);
    expect(window.replace(size, other, next, 0, size)).toBe(false);
    expect(window.read(size, 1)).toBe(0x11);
    expect(window.replace(size, old, next, 0, size)).toBe(true);
    expect(window.read(2 * size - 1, 1)).toBe(0x33);
    expect(window.read(2 * size, 1)).toBe(0);
  });

  it('cannot be changed by whoever may only read', () => {
    const window = fresh(false);
    const bytes = new DataView(new Uint8Array(8).fill(9).buffer);
    window.write(0, 4, 9);
    window.store(0, bytes, 0, 8);
    expect(window.replace(0, new DataView(new ArrayBuffer(8)), bytes, 0, 4)).toBe(true);
    expect(window.read(0, 4)).toBe(0);
  });
});
