import { describe, expect, it } from 'vitest';
import { checkReceived } from '../../board/index.ts';
import { completeChecksum, examineOffload, framesFor, MOST_SEGMENTS, NO_OFFLOADS, segment } from './offload.ts';
import { Packet } from './packet.ts';
import { counting, frame, GUEST, ip, offloadHeader, PEER, tcp, udp } from './testing.ts';

const MTU = 1500;
const ENDS = { from: ip('10.0.0.1'), to: ip('10.0.0.2') };

function packetOf(bytes: Uint8Array, header: readonly number[] = offloadHeader()): Packet {
  const packet = new Packet();
  packet.incoming.set(Uint8Array.of(...header, ...bytes));
  packet.taken(header.length + bytes.length);
  return packet;
}

const large = (length: number, flags = 0x19): Uint8Array => frame(PEER, GUEST, 0x0800, tcp(ENDS, { fromPort: 1, toPort: 2, sequence: 0xffff_ff00, flags }, counting(length)));
const SEGMENTED = { flags: 1, segmentation: 1, segmentSize: 1000, headerLength: 54, start: 34, offset: 16 };

describe('what a sender leaves to compute', () => {
  it('is a checksum, from where it says on', () => {
    const whole = frame(PEER, GUEST, 0x0800, udp(ENDS, 5, 6, counting(101)));
    const left = Uint8Array.from(whole);
    // The field holds the sum of the pseudo-header: addresses, protocol, length.
    const pseudo = [0x0a00, 0x0001, 0x0a00, 0x0002, 17, 109].reduce((sum, word) => sum + word, 0);
    left.set([pseudo >> 8, pseudo & 0xff], 40);
    const packet = packetOf(left, offloadHeader({ flags: 1, start: 34, offset: 6 }));
    expect(examineOffload(packet, MTU)).toBe(true);
    completeChecksum(packet);
    expect(packet.frameBytes()).toEqual(whole);
    expect(packet.flags).toBe(0);
  });

  it('is a large TCP packet to be cut into segments that are right in themselves', () => {
    const packet = packetOf(large(2500), offloadHeader(SEGMENTED));
    expect(examineOffload(packet, MTU)).toBe(true);
    expect(framesFor(packet, NO_OFFLOADS)).toBe(3);
    expect(framesFor(packet, { checksum: true, tcp4: true, tcp6: false })).toBe(1);
    const into = new Packet();
    const pieces = [0, 1, 2].map((index) => {
      segment(packet, index, into);
      return Uint8Array.from(into.frameBytes());
    });
    expect(pieces.map(({ length }) => length - 54)).toEqual([1000, 1000, 500]);
    expect(pieces.map((piece) => checkReceived(piece, piece.length))).toEqual(new Array(3).fill({ ip: 'good', transport: 'good' }));
    expect(pieces.flatMap((piece) => [...piece.subarray(54)])).toEqual(counting(2500));
    // Sequence numbers wrap; FIN and PSH only at the end (RFC 9293 §3.1).
    expect(pieces.map((piece) => new DataView(piece.buffer).getUint32(38))).toEqual([0xffff_ff00, 0x2e8, 0x6d0]);
    expect(pieces.map((piece) => piece[47])).toEqual([0x10, 0x10, 0x19]);
    expect(new Set(pieces.map((piece) => new DataView(piece.buffer).getUint16(18))).size).toBe(3);
  });

  it('may stand behind a tag', () => {
    const packet = packetOf(large(2500), offloadHeader(SEGMENTED));
    examineOffload(packet, MTU);
    packet.insertTag(0x600a);
    const into = new Packet();
    segment(packet, 1, into);
    expect([into.tag, into.length]).toEqual([0x600a, 58 + 1000]);
    expect(checkReceived(into.frameBytes(), into.length)).toEqual({ ip: 'good', transport: 'good' });
    packet.removeTag();
    expect([packet.checksumStart, packet.headerLength]).toEqual([34, 54]);
  });
});

describe('an offload header that does not fit its frame', () => {
  it.each([
    ['a checksum behind the end', { flags: 1, start: 3000, offset: 6 }, large(100)],
    ['a checksum in the addresses', { flags: 1, start: 2, offset: 6 }, large(100)],
    ['a packet longer than the MTU that is not to be segmented', { flags: 0 }, large(1500)],
    ['segments without a checksum', { ...SEGMENTED, flags: 0 }, large(2500)],
    ['segments of nothing', { ...SEGMENTED, segmentSize: 0 }, large(2500)],
    ['segments longer than the MTU', { ...SEGMENTED, segmentSize: 1461 }, large(2500)],
    ['more segments than one packet may become', { ...SEGMENTED, segmentSize: 10 }, large(10 * MOST_SEGMENTS + 1)],
    ['segments of what is not TCP', SEGMENTED, frame(PEER, GUEST, 0x0800, udp(ENDS, 1, 2, counting(2500)))],
    ['segments of IPv6 that is IPv4', { ...SEGMENTED, segmentation: 4 }, large(2500)],
    ['TCP that begins elsewhere', { ...SEGMENTED, start: 38 }, large(2500)],
    ['a kind of segmentation that was not offered', { ...SEGMENTED, segmentation: 3 }, large(2500)],
  ])('%s is refused', (_, header, bytes) => {
    expect(examineOffload(packetOf(bytes, offloadHeader(header)), MTU)).toBe(false);
  });

  it('does not pass on what the sender says of things nobody asked it', () => {
    const packet = packetOf(large(100), offloadHeader({ flags: 2, headerLength: 77, segmentSize: 9, start: 3, offset: 4 }));
    expect(examineOffload(packet, MTU)).toBe(true);
    expect([...packet.record().subarray(0, 12)]).toEqual(new Array(12).fill(0));
  });
});
