/**
 * IPv4: addresses, packets that come in and packets that go out.
 *
 * Spec: RFC 791; RFC 1122 §3.2.1.3 and RFC 6890 (addresses that are nobody's).
 * Not modelled: fragments (dropped, and counted), options on what goes out.
 */
import { onesComplementSum } from '../../../board/index.ts';
import { ETHERTYPE_IPV4, HEADER_BYTES, type Packet, type StationAddress } from '../packet.ts';

/** One unsigned number. */
export type Ipv4Address = number;

export const PROTOCOL_ICMP = 1;
export const PROTOCOL_TCP = 6;
export const PROTOCOL_UDP = 17;
export const IP_HEADER_BYTES = 20;

const FRAGMENT = 0x3fff;
const DONT_FRAGMENT = 0x4000;
const TTL = 64;
export const EVERYBODY: Ipv4Address = 0xffff_ffff;
export const LOOPBACK: Ipv4Address = 0x7f00_0001;

export interface Subnet {
  readonly base: Ipv4Address;
  /** Bits of {@link base} that all its addresses have in common. */
  readonly prefix: number;
}

/** `10.0.2.0/24`; undefined when it is not written so, or has bits behind the prefix. */
export function parseSubnet(text: string): Subnet | undefined {
  const match = /^([0-9.]{7,15})\/(\d{1,2})$/.exec(text);
  const base = parseIpv4(match?.[1] ?? '');
  const prefix = Number(match?.[2] ?? 99);
  if (base === undefined || prefix > 32 || networkOf(base, prefix) !== base) return undefined;
  return { base, prefix };
}

export function parseIpv4(text: string): Ipv4Address | undefined {
  const parts = text.split('.');
  if (parts.length !== 4 || !parts.every((part) => /^(0|[1-9]\d{0,2})$/.test(part) && Number(part) <= 255)) return undefined;
  return parts.reduce((address, part) => address * 256 + Number(part), 0);
}

export function formatIpv4(address: Ipv4Address): string {
  return [24, 16, 8, 0].map((shift) => (address >>> shift) & 0xff).join('.');
}

export function maskOf(prefix: number): Ipv4Address {
  return prefix === 0 ? 0 : (0xffff_ffff << (32 - prefix)) >>> 0;
}

function networkOf(address: Ipv4Address, prefix: number): Ipv4Address {
  return (address & maskOf(prefix)) >>> 0;
}

export function isWithin(address: Ipv4Address, { base, prefix }: Subnet): boolean {
  return networkOf(address, prefix) === base;
}

/** The address of everybody in the subnet. */
export function broadcastOf({ base, prefix }: Subnet): Ipv4Address {
  return (base | ~maskOf(prefix)) >>> 0;
}

/** Not to be reached through a router: this host, loopback, link-local, multicast, reserved (RFC 6890). */
const UNROUTABLE: readonly Subnet[] = ['0.0.0.0/8', '127.0.0.0/8', '169.254.0.0/16', '224.0.0.0/4', '240.0.0.0/4'].map((text) => parseSubnet(text) as Subnet);

export function isRoutable(address: Ipv4Address): boolean {
  return !UNROUTABLE.some((subnet) => isWithin(address, subnet));
}

/** A packet that was looked at; one object for all of them. */
export class Ipv4Packet {
  packet: Packet;
  source: Ipv4Address = 0;
  destination: Ipv4Address = 0;
  protocol = 0;
  ttl = 0;
  /** Index of the IP header in the packet's bytes. */
  header = 0;
  /** Index of what it carries. */
  payload = 0;
  end = 0;
  isFragment = false;

  constructor(packet: Packet) {
    this.packet = packet;
  }

  /** Looks at an IPv4 frame. False: it is none that can be used. */
  read(packet: Packet): boolean {
    const { bytes, view, frame } = packet;
    const header = frame + HEADER_BYTES;
    if (packet.length < HEADER_BYTES + IP_HEADER_BYTES || (bytes[header] as number) >> 4 !== 4) return false;
    const payload = header + ((bytes[header] as number) & 0x0f) * 4;
    const end = header + view.getUint16(header + 2);
    if (payload < header + IP_HEADER_BYTES || payload > end || end > packet.end) return false;
    if (onesComplementSum(bytes, header, payload) !== 0xffff) return false;
    this.packet = packet;
    this.header = header;
    this.payload = payload;
    this.end = end;
    this.ttl = bytes[header + 8] as number;
    this.protocol = bytes[header + 9] as number;
    this.source = view.getUint32(header + 12);
    this.destination = view.getUint32(header + 16);
    this.isFragment = (view.getUint16(header + 6) & FRAGMENT) !== 0;
    return true;
  }

  /** Sum of the pseudo-header (RFC 9293 §3.1, RFC 768), not complemented. */
  get pseudoSum(): number {
    return onesComplementSum(this.packet.bytes, this.header + 12, this.header + 20, this.protocol + (this.end - this.payload));
  }
}

let identification = 0;

/**
 * Begins a packet with `length` bytes behind its IP header, and returns the index in its bytes where they belong. The header is
 * complete; a TCP packet to be segmented may be longer than any link's.
 */
export function beginIpv4(packet: Packet, from: { station: StationAddress; address: Ipv4Address }, to: { station: StationAddress; address: Ipv4Address }, protocol: number, length: number): number {
  const frame = packet.begin(HEADER_BYTES + IP_HEADER_BYTES + length);
  packet.setAddresses(to.station, from.station);
  packet.etherType = ETHERTYPE_IPV4;
  const { view } = packet;
  const header = frame + HEADER_BYTES;
  view.setUint16(header, 0x4500);
  view.setUint16(header + 2, IP_HEADER_BYTES + length);
  identification = (identification + 1) & 0xffff;
  view.setUint16(header + 4, identification);
  view.setUint16(header + 6, DONT_FRAGMENT);
  view.setUint8(header + 8, TTL);
  view.setUint8(header + 9, protocol);
  view.setUint16(header + 10, 0);
  view.setUint32(header + 12, from.address);
  view.setUint32(header + 16, to.address);
  view.setUint16(header + 10, ~onesComplementSum(packet.bytes, header, header + IP_HEADER_BYTES) & 0xffff);
  return header + IP_HEADER_BYTES;
}

/** Sum of the pseudo-header of what {@link beginIpv4} began, folded and not complemented. */
export function pseudoSumOf(packet: Packet, payload: number): number {
  const header = payload - IP_HEADER_BYTES;
  return onesComplementSum(packet.bytes, header + 12, header + 20, (packet.bytes[header + 9] as number) + (packet.end - payload));
}
