import { describe, expect, it } from 'vitest';
import { checkReceived, onesComplementSum } from './internet-checksum.ts';

const bytes = (hex: string): Uint8Array => Uint8Array.from(hex.replaceAll(/\s/g, '').match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));

// 10.0.0.1:4660 → 10.0.0.2:53, UDP, "hi"
const UDP = '020000000002 020000000001 0800 4500001e 00010000 4011 66cc 0a000001 0a000002 1234 0035 000a 7105 6869';

describe('the ones\' complement sum', () => {
  it('is that of the example in RFC 1071 §3', () => {
    expect(onesComplementSum(bytes('0001 f203 f4f5 f6f7'), 0, 8)).toBe(0xddf2);
  });

  it('pads an odd last byte on the right', () => {
    expect(onesComplementSum(bytes('0102 03'), 0, 3)).toBe(0x0102 + 0x0300);
  });
});

describe('checking a received frame', () => {
  const check = (frame: Uint8Array) => checkReceived(frame, frame.length);
  const changed = (at: number, value: number): Uint8Array => {
    const frame = bytes(UDP);
    frame[at] = value;
    return frame;
  };

  it('finds both checksums right, also behind a VLAN tag', () => {
    expect(check(bytes(UDP))).toEqual({ ip: 'good', transport: 'good' });
    expect(check(bytes(UDP.replace('0800', '8100 0005 0800')))).toEqual({ ip: 'good', transport: 'good' });
  });

  it('tells a damaged header from a damaged payload', () => {
    expect(check(changed(22, 0x41))).toEqual({ ip: 'bad', transport: 'good' });
    expect(check(changed(43, 0x6a))).toEqual({ ip: 'good', transport: 'bad' });
  });

  it('does not check what it cannot: UDP without a checksum, fragments, other protocols', () => {
    const none = changed(40, 0);
    none[41] = 0;
    expect(check(none).transport).toBe('none');
    expect(check(changed(20, 0x20)).transport).toBe('none');
    expect(check(bytes(UDP.replace('0800', '86dd')))).toEqual({ ip: 'none', transport: 'none' });
  });

  it('leaves a packet alone that claims to be longer than its frame', () => {
    expect(check(changed(17, 0xff))).toEqual({ ip: 'none', transport: 'none' });
  });
});
