/**
 * What senders leave to others, and what becomes of it where nobody else does it: checksums completed, large TCP packets cut into
 * segments.
 *
 * A guest chooses every field of the offload header. A packet is examined once, when it comes in; from then on its header is one that
 * fits the frame, for a neighbour's driver as well as for this code.
 *
 * Spec: virtio 1.2 §5.1.6.2 (header), RFC 791, RFC 8200, RFC 9293 (what a segment is).
 * Not modelled: segmentation of UDP, IPv6 extension headers in front of TCP to be segmented.
 */
import { fold, onesComplementSum } from '../../board/index.ts';
import {
  ETHERTYPE_IPV4,
  ETHERTYPE_IPV6,
  HEADER_BYTES,
  NEEDS_CHECKSUM,
  type Packet,
  SEGMENT_NONE,
  SEGMENT_TCP4,
  SEGMENT_TCP6,
} from './packet.ts';

const PROTOCOL_TCP = 6;
const TCP_CHECKSUM_OFFSET = 16;
const UDP_CHECKSUM_OFFSET = 6;
/** One packet becomes at most so many frames: 64 KiB in segments of 512 bytes. A sender of smaller ones would have others work for it. */
export const MOST_SEGMENTS = 128;
/** IPv4: more fragments, or not the first. */
const FRAGMENT = 0x3fff;

const TCP_FIN = 0x01;
const TCP_PSH = 0x08;
const TCP_CWR = 0x80;
const TCP_FLAGS = 13;

/**
 * Whether an untagged packet's offload header makes sense for its frame; where it does, it says exactly what the frame is. `mtu` in
 * bytes of the IP packet: what is longer must ask to be segmented.
 */
export function examineOffload(packet: Packet, mtu: number): boolean {
  const { flags, segmentation, length } = packet;
  if (flags & NEEDS_CHECKSUM) {
    const { checksumStart: start, checksumOffset: offset } = packet;
    if (start < HEADER_BYTES || start + offset + 2 > length) return false;
  }
  if (segmentation === SEGMENT_NONE) {
    if (length > mtu + HEADER_BYTES) return false;
    if (!(flags & NEEDS_CHECKSUM)) packet.clearOffload();
    // What a sender says of its own checksums is not for others to believe.
    else {
      packet.setChecksum(NEEDS_CHECKSUM, packet.checksumStart, packet.checksumOffset);
      packet.setSegmentation(SEGMENT_NONE, 0, 0);
    }
    return true;
  }
  if (!(flags & NEEDS_CHECKSUM) || packet.checksumOffset !== TCP_CHECKSUM_OFFSET) return false;
  const transport = transportOf(packet);
  if (transport === 0 || packet.checksumStart !== transport || transport + 20 > length) return false;
  const header = transport + ((packet.bytes[packet.frame + transport + 12] as number) >> 4) * 4;
  const size = packet.segmentSize;
  if (header < transport + 20 || header > length || size === 0 || header - HEADER_BYTES + size > mtu) return false;
  if (length - header > size * MOST_SEGMENTS) return false;
  packet.setChecksum(NEEDS_CHECKSUM, transport, TCP_CHECKSUM_OFFSET);
  packet.setSegmentation(segmentation, size, header);
  return true;
}

/** Where TCP begins in a packet that is to be segmented; 0 when it is not what its header says. */
function transportOf(packet: Packet): number {
  const { bytes, view, frame, length, segmentation, etherType } = packet;
  const ip = frame + HEADER_BYTES;
  if (segmentation === SEGMENT_TCP4) {
    if (etherType !== ETHERTYPE_IPV4 || length < HEADER_BYTES + 20 || (bytes[ip] as number) >> 4 !== 4) return 0;
    const header = ((bytes[ip] as number) & 0x0f) * 4;
    if (header < 20 || bytes[ip + 9] !== PROTOCOL_TCP || view.getUint16(ip + 6) & FRAGMENT) return 0;
    return view.getUint16(ip + 2) === length - HEADER_BYTES ? HEADER_BYTES + header : 0;
  }
  if (segmentation === SEGMENT_TCP6) {
    if (etherType !== ETHERTYPE_IPV6 || length < HEADER_BYTES + 40 || (bytes[ip] as number) >> 4 !== 6) return 0;
    return bytes[ip + 6] === PROTOCOL_TCP && view.getUint16(ip + 4) === length - HEADER_BYTES - 40 ? HEADER_BYTES + 40 : 0;
  }
  return 0;
}

/** Computes what was left to compute, in place. The packet was examined and is not to be segmented. */
export function completeChecksum(packet: Packet): void {
  if (!(packet.flags & NEEDS_CHECKSUM)) return;
  const start = packet.frame + packet.checksumStart;
  const sum = ~onesComplementSum(packet.bytes, start, packet.end) & 0xffff;
  // A UDP checksum of zero says that there is none (RFC 768).
  packet.view.setUint16(start + packet.checksumOffset, sum === 0 && packet.checksumOffset === UDP_CHECKSUM_OFFSET ? 0xffff : sum);
  packet.clearOffload();
}

/** What a receiver takes as it is. */
export interface Offloads {
  /** {@link NEEDS_CHECKSUM} (virtio: GUEST_CSUM). */
  readonly checksum: boolean;
  readonly tcp4: boolean;
  readonly tcp6: boolean;
}

export const NO_OFFLOADS: Offloads = { checksum: false, tcp4: false, tcp6: false };
export const ALL_OFFLOADS: Offloads = { checksum: true, tcp4: true, tcp6: true };

/** How many frames an examined packet becomes for such a receiver. */
export function framesFor(packet: Packet, { checksum, tcp4, tcp6 }: Offloads): number {
  const { segmentation } = packet;
  if (segmentation === SEGMENT_NONE || (checksum && (segmentation === SEGMENT_TCP4 ? tcp4 : tcp6))) return 1;
  return Math.max(1, Math.ceil((packet.length - packet.headerLength) / packet.segmentSize));
}

/**
 * Segment `index` of an examined TCP packet, made in `into` with all checksums computed. The packet may be tagged by now: its header
 * counts from the start of the frame, tag included.
 */
export function segment(packet: Packet, index: number, into: Packet): void {
  const { headerLength, segmentSize } = packet;
  const from = headerLength + index * segmentSize;
  const count = Math.min(segmentSize, packet.length - from);
  const isLast = from + count >= packet.length;
  const frame = into.begin(headerLength + count);
  const { bytes, view } = into;
  bytes.set(packet.bytes.subarray(packet.frame, packet.frame + headerLength), frame);
  bytes.set(packet.bytes.subarray(packet.frame + from, packet.frame + from + count), frame + headerLength);
  const transport = packet.checksumStart;
  const tcp = frame + transport;
  const size = into.length - transport;
  let pseudo: number;
  if (packet.segmentation === SEGMENT_TCP4) {
    const ip = frame + (into.tag === undefined ? HEADER_BYTES : HEADER_BYTES + 4);
    view.setUint16(ip + 2, frame + into.length - ip);
    view.setUint16(ip + 4, (view.getUint16(ip + 4) + index) & 0xffff);
    view.setUint16(ip + 10, 0);
    view.setUint16(ip + 10, ~onesComplementSum(bytes, ip, tcp) & 0xffff);
    pseudo = onesComplementSum(bytes, ip + 12, ip + 20, PROTOCOL_TCP + size);
  } else {
    const ip = tcp - 40;
    view.setUint16(ip + 4, size);
    pseudo = onesComplementSum(bytes, ip + 8, ip + 40, PROTOCOL_TCP + size);
  }
  view.setUint32(tcp + 4, (view.getUint32(tcp + 4) + index * segmentSize) >>> 0);
  let flags = bytes[tcp + TCP_FLAGS] as number;
  // RFC 9293 §3.1, RFC 3168 §6.1.2: only the last segment ends the stream or pushes, only the first says that the window was reduced.
  if (!isLast) flags &= ~(TCP_FIN | TCP_PSH);
  if (index > 0) flags &= ~TCP_CWR;
  bytes[tcp + TCP_FLAGS] = flags;
  view.setUint16(tcp + TCP_CHECKSUM_OFFSET, 0);
  view.setUint16(tcp + TCP_CHECKSUM_OFFSET, ~fold(onesComplementSum(bytes, tcp, into.end, pseudo)) & 0xffff);
}
