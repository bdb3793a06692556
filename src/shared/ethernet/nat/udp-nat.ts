/**
 * UDP through the gateway: a socket of the host for each pair of endpoints a guest uses, so that answers come from whom it asked and from
 * nobody else (RFC 4787 §5: address and port-dependent filtering).
 *
 * Spec: RFC 768, RFC 4787.
 */
import { s } from '../../../base/index.ts';
import { onesComplementSum } from '../../../board/index.ts';
import type { HostDatagramListener, HostEndpoint, Nanos } from '../../../contracts/index.ts';
import { HEADER_BYTES, NEEDS_CHECKSUM } from '../packet.ts';
import { DHCP_CLIENT_PORT, DHCP_SERVER_PORT, type DhcpReply } from './dhcp.ts';
import { type Flow, FlowTable } from './flow-table.ts';
import { quotedDatagram, writeQuoted } from './icmp.ts';
import { beginIpv4, IP_HEADER_BYTES, type Ipv4Address, type Ipv4Packet, PROTOCOL_UDP, pseudoSumOf } from './ipv4.ts';
import type { NatSurroundings } from './nat.ts';
import type { Neighbour } from './neighbours.ts';

const UDP_HEADER_BYTES = 8;
const CHECKSUM_AT = 6;
/** Ports of the gateway from which forwarded datagrams seem to come (RFC 6335 §6: dynamic). */
const FIRST_DYNAMIC_PORT = 49_152;
const LAST_PORT = 65_535;

/** How long a flow is kept that says nothing: RFC 4787 REQ-5 asks for two minutes at least. */
const IDLE: Nanos = 120 * s;

interface UdpFlow extends Flow {
  heard: Nanos;
  send(bytes: Uint8Array): void;
  close(): void;
}

export class UdpNat implements Disposable {
  readonly #around: NatSurroundings;
  readonly #flows: FlowTable<UdpFlow>;
  readonly #listeners: HostDatagramListener[] = [];
  #nextPort = FIRST_DYNAMIC_PORT;

  constructor(around: NatSurroundings) {
    this.#around = around;
    this.#flows = new FlowTable(around.perOwner);
  }

  get size(): number {
    return this.#flows.size;
  }

  receive(ip: Ipv4Packet, neighbour: Neighbour): void {
    const { packet, payload, end } = ip;
    const { counters } = this.#around;
    const length = end - payload < UDP_HEADER_BYTES ? 0 : packet.view.getUint16(payload + 4);
    if (length < UDP_HEADER_BYTES || payload + length > end || !isIntact(ip)) {
      counters.malformed++;
      return;
    }
    const guestPort = packet.view.getUint16(payload);
    const remotePort = packet.view.getUint16(payload + 2);
    const flow = this.#flows.find(ip.source, guestPort, ip.destination, remotePort) ?? this.#open(ip, guestPort, remotePort, neighbour);
    if (flow === undefined) return;
    flow.heard = this.#around.now();
    flow.send(packet.bytes.subarray(payload + UDP_HEADER_BYTES, payload + length));
  }

  /** Datagrams to a port of the host's loopback go to a guest. */
  forward(hostPort: number, to: HostEndpoint, failed: (why: string) => void): void {
    const known = new Map<number, UdpFlow>();
    const listener = this.#around.host.listenDatagram(
      hostPort,
      (bytes, from) => {
        const key = from.address * 0x1_0000 + from.port;
        const flow = known.get(key) ?? this.#openInward(listener, from, to, () => known.delete(key));
        if (flow === undefined) return;
        known.set(key, flow);
        flow.heard = this.#around.now();
        this.#toGuest(flow, bytes);
      },
      failed,
    );
    this.#listeners.push(listener);
  }

  sendDhcp({ bytes, to }: DhcpReply): void {
    this.#send(this.#around.gateway, DHCP_SERVER_PORT, to, DHCP_CLIENT_PORT, bytes);
  }

  tick(now: Nanos): void {
    for (const flow of this.#flows.all()) if (now - flow.heard > IDLE) this.#close(flow);
  }

  unplug(owner: number): void {
    for (const flow of this.#flows.ownedBy(owner)) this.#close(flow);
  }

  [Symbol.dispose](): void {
    for (const flow of this.#flows.all()) this.#close(flow);
    for (const listener of this.#listeners) listener.close();
  }

  #open(ip: Ipv4Packet, guestPort: number, remotePort: number, neighbour: Neighbour): UdpFlow | undefined {
    const { counters, host } = this.#around;
    const target = this.#around.target(ip.destination, remotePort);
    if (typeof target === 'string') {
      counters.refused++;
      this.#around.problem(target === 'nobody' ? 'port' : 'prohibited', ip, neighbour);
      return undefined;
    }
    this.#makeRoom(neighbour.owner);
    const datagram = host.datagram(target, { data: (bytes) => this.#toGuest(flow, bytes), refused: () => this.#refused(flow) });
    const flow: UdpFlow = {
      owner: neighbour.owner,
      guest: ip.source,
      guestPort,
      remote: ip.destination,
      remotePort,
      heard: this.#around.now(),
      send: (bytes) => datagram.send(bytes),
      close: () => datagram.close(),
    };
    this.#flows.add(flow);
    return flow;
  }

  /** For somebody on the host, who seems to be a port of the gateway. undefined: nobody is at the guest's address. */
  #openInward(listener: HostDatagramListener, from: HostEndpoint, { address, port }: HostEndpoint, closed: () => void): UdpFlow | undefined {
    const owner = this.#around.neighbour(address)?.owner;
    if (owner === undefined) return undefined;
    this.#makeRoom(owner);
    const flow: UdpFlow = {
      owner,
      guest: address,
      guestPort: port,
      remote: this.#around.gateway,
      remotePort: this.#freePort(address, port),
      heard: this.#around.now(),
      send: (bytes) => listener.send(bytes, from),
      close: closed,
    };
    this.#flows.add(flow);
    return flow;
  }

  /** There are more ports than flows of one guest. */
  #freePort(guest: Ipv4Address, guestPort: number): number {
    do this.#nextPort = this.#nextPort === LAST_PORT ? FIRST_DYNAMIC_PORT : this.#nextPort + 1;
    while (this.#flows.find(guest, guestPort, this.#around.gateway, this.#nextPort) !== undefined);
    return this.#nextPort;
  }

  /** One more than it may have costs a guest the one it has not used for longest. */
  #makeRoom(owner: number): void {
    if (this.#flows.hasRoom(owner)) return;
    this.#around.counters.exhausted++;
    let oldest: UdpFlow | undefined;
    for (const flow of this.#flows.ownedBy(owner)) if (oldest === undefined || flow.heard < oldest.heard) oldest = flow;
    if (oldest !== undefined) this.#close(oldest);
  }

  #toGuest(flow: UdpFlow, bytes: Uint8Array): void {
    const neighbour = this.#around.neighbour(flow.guest);
    if (neighbour === undefined) return;
    flow.heard = this.#around.now();
    this.#send(flow.remote, flow.remotePort, { station: neighbour.station, address: flow.guest }, flow.guestPort, bytes);
  }

  #send(from: Ipv4Address, fromPort: number, to: DhcpReply['to'], toPort: number, bytes: Uint8Array): void {
    const { out, station, mtu } = this.#around;
    const length = UDP_HEADER_BYTES + bytes.length;
    if (IP_HEADER_BYTES + length > mtu) return;
    const at = beginIpv4(out, { station, address: from }, to, PROTOCOL_UDP, length);
    out.view.setUint16(at, fromPort);
    out.view.setUint16(at + 2, toPort);
    out.view.setUint16(at + 4, length);
    out.bytes.set(bytes, at + UDP_HEADER_BYTES);
    out.view.setUint16(at + CHECKSUM_AT, pseudoSumOf(out, at));
    out.setChecksum(NEEDS_CHECKSUM, HEADER_BYTES + IP_HEADER_BYTES, CHECKSUM_AT);
    this.#around.send(out);
  }

  #refused(flow: UdpFlow): void {
    const neighbour = this.#around.neighbour(flow.guest);
    this.#close(flow);
    if (neighbour === undefined) return;
    const { out, station } = this.#around;
    const to = { station: neighbour.station, address: flow.guest };
    writeQuoted(out, { station, address: flow.remote }, to, 'port', quotedDatagram(flow.guest, flow.guestPort, flow.remote, flow.remotePort));
    this.#around.send(out);
  }

  #close(flow: UdpFlow): void {
    this.#flows.delete(flow);
    flow.close();
  }
}

function isIntact(ip: Ipv4Packet): boolean {
  const { packet, payload, end } = ip;
  // Zero: the sender computed none (RFC 768).
  if (packet.flags & NEEDS_CHECKSUM || packet.view.getUint16(payload + CHECKSUM_AT) === 0) return true;
  return onesComplementSum(packet.bytes, payload, end, ip.pseudoSum) === 0xffff;
}
