/**
 * ARP for the addresses of the gateway.
 *
 * Spec: RFC 826.
 */
import { ETHERTYPE_ARP, HEADER_BYTES, type Packet, type StationAddress, stationAddress } from '../packet.ts';
import type { Ipv4Address } from './ipv4.ts';

const ARP_BYTES = 28;
const ETHERNET_IPV4 = 0x0001_0800;
const SIX_FOUR = 0x0604;
const REQUEST = 1;
const REPLY = 2;

export interface ArpMessage {
  readonly isRequest: boolean;
  readonly senderStation: StationAddress;
  readonly sender: Ipv4Address;
  readonly target: Ipv4Address;
}

/** undefined: it is no ARP message for IPv4 over Ethernet. */
export function readArp({ bytes, view, frame, length }: Packet): ArpMessage | undefined {
  const at = frame + HEADER_BYTES;
  if (length < HEADER_BYTES + ARP_BYTES || view.getUint32(at) !== ETHERNET_IPV4 || view.getUint16(at + 4) !== SIX_FOUR) return undefined;
  const operation = view.getUint16(at + 6);
  if (operation !== REQUEST && operation !== REPLY) return undefined;
  return { isRequest: operation === REQUEST, senderStation: stationAddress(bytes.subarray(at + 8, at + 14)), sender: view.getUint32(at + 14), target: view.getUint32(at + 24) };
}

/** "`address` is at `station`", to who asked. */
export function writeArpReply(packet: Packet, station: StationAddress, address: Ipv4Address, { senderStation, sender }: ArpMessage): void {
  const at = packet.begin(HEADER_BYTES + ARP_BYTES) + HEADER_BYTES;
  const { view } = packet;
  packet.setAddresses(senderStation, station);
  packet.etherType = ETHERTYPE_ARP;
  view.setUint32(at, ETHERNET_IPV4);
  view.setUint16(at + 4, SIX_FOUR);
  view.setUint16(at + 6, REPLY);
  packet.bytes.copyWithin(at + 8, packet.frame + 6, packet.frame + 12);
  view.setUint32(at + 14, address);
  packet.bytes.copyWithin(at + 18, packet.frame, packet.frame + 6);
  view.setUint32(at + 24, sender);
}
