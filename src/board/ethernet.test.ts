import { describe, expect, it } from 'vitest';
import { derivedMacAddress, formatMacAddress, frameCheckSequence, parseMacAddress } from './ethernet.ts';

describe('a station address', () => {
  it('is six bytes, of which the first is even and not all are zero', () => {
    expect([...parseMacAddress('02:00:5E:10:00:ff')]).toEqual([2, 0, 0x5e, 0x10, 0, 0xff]);
    for (const text of ['', '02:00:00:00:00', '02-00-00-00-00-01', '03:00:00:00:00:01', '00:00:00:00:00:00', '02:00:00:00:00:1']) {
      expect(() => parseMacAddress(text), text).toThrow(/not a station's MAC address/);
    }
  });

  it('made from names is locally administered, the same in every run, and another for every device', () => {
    const address = (name: string): string => formatMacAddress(derivedMacAddress(name));
    expect(address('left.eth0')).toMatch(/^02(:[0-9a-f]{2}){5}$/);
    expect(address('left.eth0')).toBe(address('left.eth0'));
    const names = Array.from({ length: 1000 }, (_, i) => `partition${i % 10}.eth${Math.floor(i / 10)}`);
    expect(new Set(names.map(address)).size).toBe(1000);
  });
});

describe('the frame check sequence', () => {
  it('is the CRC-32 of IEEE 802.3: 0xCBF43926 for "123456789"', () => {
    const text = Uint8Array.from('123456789', (letter) => letter.charCodeAt(0));
    expect(frameCheckSequence(text, 9)).toBe(0xcbf4_3926);
  });

  it('leaves the constant residue when it is part of what is checked', () => {
    const frame = Uint8Array.from({ length: 64 }, (_, i) => i * 7);
    const sequence = frameCheckSequence(frame, 60);
    for (let i = 0; i < 4; i++) frame[60 + i] = sequence >>> (8 * i);
    expect(frameCheckSequence(frame, 64)).toBe(0x2144_df1c);
  });
});
