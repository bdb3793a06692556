// Offsets of include/uapi/linux/screen_info.h.
import { expect, it } from 'vitest';
import { putScreenInfo } from './screen-info.ts';

function screenInfo(display?: Parameters<typeof putScreenInfo>[1]) {
  const page = new Uint8Array(0x40);
  putScreenInfo(page, display);
  return { page, view: new DataView(page.buffer) };
}

it('tells of 80×25 text, as a BIOS leaves the screen', () => {
  const { page, view } = screenInfo({ kind: 'text' });
  expect([page[0x06], page[0x07], page[0x0e], page[0x0f], view.getUint16(0x10, true)]).toEqual([3, 80, 25, 1, 16]);
  expect(view.getUint32(0x18, true)).toBe(0);
});

it('tells of a linear framebuffer: where it is, how large, and which bits are which colour', () => {
  const { page, view } = screenInfo({
    kind: 'framebuffer',
    base: 0xc000_0000,
    size: 16 << 20,
    width: 1024,
    height: 768,
    depth: 16,
    pitch: 2048,
  });
  expect(page[0x0f]).toBe(0x23); // VIDEO_TYPE_VLFB
  expect([0x12, 0x14, 0x16, 0x24].map((at) => view.getUint16(at, true))).toEqual([1024, 768, 16, 2048]);
  expect([view.getUint32(0x18, true), view.getUint32(0x1c, true), view.getUint32(0x3a, true)]).toEqual([0xc000_0000, 256, 0]);
  expect([...page.subarray(0x26, 0x2e)]).toEqual([5, 11, 6, 5, 5, 0, 0, 0]);
});

it('can say addresses beyond 4 GiB', () => {
  const { view } = screenInfo({
    kind: 'framebuffer',
    base: 0x12_3400_0000,
    size: 1 << 20,
    width: 640,
    height: 480,
    depth: 32,
    pitch: 2560,
  });
  expect([view.getUint32(0x18, true), view.getUint32(0x3a, true), view.getUint32(0x36, true) & 2]).toEqual([0x3400_0000, 0x12, 2]);
});
