import { expect, it } from 'vitest';
import { createInputBuffers, InputPort, sendKeys, sendPointer } from './input-port.ts';

it('shows the device only what was there when the slice began', () => {
  const buffers = createInputBuffers();
  const port = new InputPort(buffers);
  sendKeys(buffers, [{ key: 7, pressed: true }]);
  expect(port.key()).toBeUndefined();
  expect(port.admit()).toBe(true);
  sendKeys(buffers, [{ key: 7, pressed: false }]);
  expect([port.key(), port.key()]).toEqual([{ key: 7, pressed: true }, undefined]);
  port.admit();
  expect(port.key()).toEqual({ key: 7, pressed: false });
  expect(port.admit()).toBe(false);
});

it('carries movements with their signs, cut to what a record holds', () => {
  const buffers = createInputBuffers();
  const port = new InputPort(buffers);
  sendPointer(buffers, [
    { dx: -300, dy: 299, wheel: -3, buttons: 5 },
    { dx: 1e9, dy: -1e9, wheel: 1e9, buttons: 0 },
  ]);
  port.admit();
  expect([port.pointer(), port.pointer()]).toEqual([
    { dx: -300, dy: 299, wheel: -3, buttons: 5 },
    { dx: 32_767, dy: -32_767, wheel: 127, buttons: 0 },
  ]);
});

it('takes whole events only, and says how many it had room for', () => {
  const buffers = createInputBuffers();
  const flood = Array.from({ length: 10_000 }, (_, i) => ({ key: i % 100, pressed: true }));
  const taken = sendKeys(buffers, flood);
  expect(taken).toBeLessThan(10_000);
  const port = new InputPort(buffers);
  port.admit();
  for (let i = 0; i < taken; i++) expect(port.key()?.key).toBe(i % 100);
  expect([port.key(), sendKeys(buffers, flood.slice(taken))]).toEqual([undefined, 10_000 - taken]);
});
