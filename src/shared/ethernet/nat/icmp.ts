/**
 * ICMP: the gateway answers pings to itself, and says so when something cannot go where it is to go.
 *
 * Spec: RFC 792; RFC 1122 §3.2.2 (no errors about errors); RFC 1812 §5.2.7.1 (administratively prohibited).
 * Not modelled: pings to hosts beyond the gateway (they take privileges on the host), redirects, path MTU discovery.
 */
import { onesComplementSum } from '../../../board/index.ts';
import type { Packet } from '../packet.ts';
import { beginIpv4, IP_HEADER_BYTES, type Ipv4Packet, PROTOCOL_ICMP } from './ipv4.ts';

const ECHO_REPLY = 0;
const UNREACHABLE = 3;
const ECHO_REQUEST = 8;
const TIME_EXCEEDED = 11;
const ICMP_HEADER_BYTES = 8;
/** Of what caused an error (RFC 792). */
const QUOTED_BYTES = 8;

export const PROBLEMS = {
  port: { type: UNREACHABLE, code: 3 },
  protocol: { type: UNREACHABLE, code: 2 },
  prohibited: { type: UNREACHABLE, code: 13 },
  expired: { type: TIME_EXCEEDED, code: 0 },
} as const;
export type Problem = keyof typeof PROBLEMS;

type Station = Parameters<typeof beginIpv4>[1];

export function isEchoRequest(ip: Ipv4Packet): boolean {
  const { packet, payload, end } = ip;
  return end - payload >= ICMP_HEADER_BYTES && packet.bytes[payload] === ECHO_REQUEST && onesComplementSum(packet.bytes, payload, end) === 0xffff;
}

/** The answer to an echo request. */
export function writeEchoReply(into: Packet, from: Station, to: Station, { packet, payload, end }: Ipv4Packet): void {
  const at = beginIpv4(into, from, to, PROTOCOL_ICMP, end - payload);
  into.bytes.set(packet.bytes.subarray(payload, end), at);
  into.bytes[at] = ECHO_REPLY;
  finish(into, at);
}

/** An error about a packet of the guest. Not for ICMP itself, which could be an error. */
export function writeProblem(into: Packet, from: Station, to: Station, problem: Problem, { packet, header, payload, end }: Ipv4Packet): void {
  writeQuoted(into, from, to, problem, packet.bytes.subarray(header, Math.min(end, payload + QUOTED_BYTES)));
}

/** The same about a packet that is not there any more: `quoted` is its IP header and 8 bytes. */
export function writeQuoted(into: Packet, from: Station, to: Station, problem: Problem, quoted: Uint8Array): void {
  const { type, code } = PROBLEMS[problem];
  const at = beginIpv4(into, from, to, PROTOCOL_ICMP, ICMP_HEADER_BYTES + quoted.length);
  into.view.setUint32(at, (type << 24) | (code << 16));
  into.view.setUint32(at + 4, 0);
  into.bytes.set(quoted, at + ICMP_HEADER_BYTES);
  finish(into, at);
}

/** IP header and 8 bytes of a UDP datagram, as it was. */
export function quotedDatagram(guest: number, guestPort: number, remote: number, remotePort: number): Uint8Array {
  const bytes = new Uint8Array(IP_HEADER_BYTES + QUOTED_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, 0x4500_001c);
  view.setUint32(8, 0x4011_0000);
  view.setUint32(12, guest);
  view.setUint32(16, remote);
  view.setUint16(10, ~onesComplementSum(bytes, 0, IP_HEADER_BYTES) & 0xffff);
  view.setUint16(20, guestPort);
  view.setUint16(22, remotePort);
  view.setUint16(24, QUOTED_BYTES);
  return bytes;
}

function finish(packet: Packet, at: number): void {
  packet.view.setUint16(at + 2, 0);
  packet.view.setUint16(at + 2, ~onesComplementSum(packet.bytes, at, packet.end) & 0xffff);
}
