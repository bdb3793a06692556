/**
 * The way out of a shared network without privileges: a gateway that ends the guests' connections and makes them anew with the host's
 * own sockets. It answers ARP, pings to itself, DHCP and DNS, and passes on TCP and UDP.
 *
 * What guests reach: other hosts, as the user who started the machine would. The host's loopback is not another host: a guest reaches
 * it at the gateway's address only, and only the ports the manifest opens; the host in turn reaches guests through forwarded ports,
 * which listen on its loopback. Everything a guest can hold here is counted per port of the switch and bounded.
 *
 * Spec: RFC 3022 and RFC 5382, RFC 4787 (what NAT owes TCP and UDP), RFC 1812 (what a router says when it cannot).
 * Not modelled: IPv6 (frames are dropped and counted), IP fragments, pings to hosts beyond the gateway, UDP datagrams to guests that
 * are longer than the MTU, multicast, and protocols other than TCP, UDP and ICMP.
 */
import { ms } from '../../../base/index.ts';
import type { HostEndpoint, HostNetwork, Nanos } from '../../../contracts/index.ts';
import { ETHERTYPE_ARP, ETHERTYPE_IPV4, ETHERTYPE_IPV6, isGroupAddress, Packet, type StationAddress } from '../packet.ts';
import type { Outlet } from '../switch.ts';
import { readArp, writeArpReply } from './arp.ts';
import { DHCP_SERVER_PORT, DhcpServer } from './dhcp.ts';
import { isEchoRequest, type Problem, writeEchoReply, writeProblem } from './icmp.ts';
import { broadcastOf, EVERYBODY, type Ipv4Address, Ipv4Packet, isRoutable, isWithin, LOOPBACK, PROTOCOL_ICMP, PROTOCOL_TCP, PROTOCOL_UDP, type Subnet } from './ipv4.ts';
import { type Neighbour, Neighbours } from './neighbours.ts';
import { TcpNat } from './tcp-nat.ts';
import { UdpNat } from './udp-nat.ts';

/** Places of the gateway's own addresses in the subnet; guests come from {@link FIRST_GUEST} on. */
export const GATEWAY_PLACE = 2;
export const RESOLVER_PLACE = 3;
export const FIRST_GUEST = 15;

const DNS_PORT = 53;
/** How often connections are looked at for what is due. */
const TICK: Nanos = 20 * ms;
const MOST_FLOWS = 256;

export interface NatStation {
  readonly name: string;
  readonly station: StationAddress;
  /** Its port of the switch. */
  readonly owner: number;
}

export interface PortForward {
  /** Of the host's loopback. */
  readonly hostPort: number;
  /** Which of the stations. */
  readonly station: number;
  readonly guestPort: number;
  readonly protocol: 'tcp' | 'udp';
}

export interface NatOptions {
  readonly subnet: Subnet;
  readonly station: StationAddress;
  readonly mtu: number;
  /** In the order of their addresses. */
  readonly stations: readonly NatStation[];
  readonly forwards: readonly PortForward[];
  /** Ports of the host's loopback that guests reach at the gateway's address. */
  readonly loopback: 'all' | readonly number[];
  readonly host: HostNetwork;
  readonly now: () => Nanos;
  /** Of 32 bits: first sequence numbers (RFC 6528). */
  readonly random: () => number;
  /** Into the switch. */
  readonly send: (packet: Packet) => void;
  readonly warn: (message: string) => void;
}

/** What was not passed on, and why. */
export interface NatCounters {
  ipv6: number;
  fragments: number;
  malformed: number;
  /** A source address that is another station's, or not of the subnet. */
  spoofed: number;
  /** Refused by the rules of this network. */
  refused: number;
  /** A guest had too many connections. */
  exhausted: number;
  /** Of other kinds, or not for the gateway. */
  ignored: number;
}

/** What the parts of the gateway have in common. */
export interface NatSurroundings {
  readonly station: StationAddress;
  readonly gateway: Ipv4Address;
  readonly mtu: number;
  readonly perOwner: number;
  readonly host: HostNetwork;
  readonly counters: NatCounters;
  now(): Nanos;
  random(): number;
  /** Where a packet is made that is to be sent. */
  readonly out: Packet;
  send(packet: Packet): void;
  neighbour(address: Ipv4Address): Neighbour | undefined;
  /** Where on the host a guest's packet is to go; a word: nowhere. */
  target(remote: Ipv4Address, port: number): HostEndpoint | 'prohibited' | 'nobody';
  problem(problem: Problem, ip: Ipv4Packet, neighbour: Neighbour): void;
}

export class Nat implements Outlet {
  readonly counters: NatCounters = { ipv6: 0, fragments: 0, malformed: 0, spoofed: 0, refused: 0, exhausted: 0, ignored: 0 };
  readonly gateway: Ipv4Address;
  readonly resolver: Ipv4Address;
  readonly #options: NatOptions;
  readonly #neighbours: Neighbours;
  readonly #dhcp: DhcpServer;
  readonly #tcp: TcpNat;
  readonly #udp: UdpNat;
  readonly #out = new Packet();
  readonly #ip = new Ipv4Packet(this.#out);
  readonly #surroundings: NatSurroundings;
  #nextTick: Nanos = 0;

  constructor(options: NatOptions) {
    this.#options = options;
    const { subnet, station, mtu, stations, host } = options;
    this.gateway = subnet.base + GATEWAY_PLACE;
    this.resolver = subnet.base + RESOLVER_PLACE;
    const leases = stations.map((granted, index) => ({ ...granted, address: guestAddress(subnet, index) }));
    this.#neighbours = new Neighbours(leases);
    this.#dhcp = new DhcpServer({ subnet, gateway: this.gateway, resolver: this.resolver, mtu, leases });
    this.#surroundings = {
      station,
      gateway: this.gateway,
      mtu,
      perOwner: MOST_FLOWS,
      host,
      counters: this.counters,
      now: options.now,
      random: options.random,
      out: this.#out,
      send: options.send,
      neighbour: (address) => this.#neighbours.find(address),
      target: (remote, port) => this.#target(remote, port),
      problem: (problem, ip, neighbour) => this.#problem(problem, ip, neighbour),
    };
    this.#tcp = new TcpNat(this.#surroundings);
    this.#udp = new UdpNat(this.#surroundings);
    for (const { hostPort, station: index, guestPort, protocol } of options.forwards) {
      const to = { address: guestAddress(subnet, index), port: guestPort };
      const failed = (why: string): void => options.warn(`port ${hostPort} of this host cannot be forwarded: ${why}`);
      (protocol === 'tcp' ? this.#tcp : this.#udp).forward(hostPort, to, failed);
    }
  }

  /** Connections and UDP flows that are under way. */
  get flows(): number {
    return this.#tcp.size + this.#udp.size;
  }

  /** A frame of a guest. It is only looked at. */
  deliver(packet: Packet, source: number): boolean {
    switch (packet.etherType) {
      case ETHERTYPE_IPV4:
        this.#receiveIpv4(packet, source);
        break;
      case ETHERTYPE_ARP:
        this.#receiveArp(packet, source);
        break;
      case ETHERTYPE_IPV6:
        this.counters.ipv6++;
        break;
      default:
        this.counters.ignored++;
    }
    return true;
  }

  /** Does what is due. Returns when it wants to be called again, at the latest; Infinity: when something comes. */
  advance(now: Nanos): Nanos {
    if (now >= this.#nextTick) {
      this.#nextTick = now + TICK;
      this.#tcp.tick(now);
      this.#udp.tick(now);
    }
    return this.flows === 0 ? Number.POSITIVE_INFINITY : this.#nextTick;
  }

  /** The partition at `owner` is gone: so are its connections. */
  unplug(owner: number): void {
    this.#tcp.unplug(owner);
    this.#udp.unplug(owner);
  }

  [Symbol.dispose](): void {
    this.#tcp[Symbol.dispose]();
    this.#udp[Symbol.dispose]();
  }

  #receiveArp(packet: Packet, source: number): void {
    const message = readArp(packet);
    const { counters } = this;
    if (message === undefined || message.senderStation !== packet.source) {
      counters.malformed++;
      return;
    }
    // An address of 0 asks whether one is free (RFC 5227 §2.1.1).
    if (message.sender !== 0 && !this.#hears(message.sender, packet.source, source)) {
      counters.spoofed++;
      return;
    }
    if (!message.isRequest || (message.target !== this.gateway && message.target !== this.resolver)) return;
    writeArpReply(this.#out, this.#options.station, message.target, message);
    this.#options.send(this.#out);
  }

  #receiveIpv4(packet: Packet, source: number): void {
    const ip = this.#ip;
    const { counters } = this;
    const { subnet, station } = this.#options;
    if (!ip.read(packet)) counters.malformed++;
    else if (ip.isFragment) counters.fragments++;
    else if (ip.protocol === PROTOCOL_UDP && this.#isDhcp(ip)) this.#answerDhcp(ip);
    else if (isGroupAddress(packet.destination) || packet.destination !== station) counters.ignored++;
    else if (!this.#hears(ip.source, packet.source, source)) counters.spoofed++;
    else {
      const neighbour = this.#neighbours.find(ip.source) as Neighbour;
      const isOurs = ip.destination === this.gateway || ip.destination === this.resolver;
      if (!isOurs && isWithin(ip.destination, subnet)) counters.ignored++;
      else if (!isOurs && ip.ttl <= 1) this.#problem('expired', ip, neighbour);
      else this.#route(ip, neighbour, isOurs);
    }
  }

  #route(ip: Ipv4Packet, neighbour: Neighbour, isOurs: boolean): void {
    switch (ip.protocol) {
      case PROTOCOL_TCP:
        this.#tcp.receive(ip, neighbour);
        break;
      case PROTOCOL_UDP:
        this.#udp.receive(ip, neighbour);
        break;
      case PROTOCOL_ICMP:
        if (isOurs && isEchoRequest(ip) && ip.end - ip.header <= this.#options.mtu) {
          writeEchoReply(this.#out, { station: this.#options.station, address: ip.destination }, { station: neighbour.station, address: ip.source }, ip);
          this.#options.send(this.#out);
        } else this.counters.ignored++;
        break;
      default:
        this.counters.ignored++;
        this.#problem('protocol', ip, neighbour);
    }
  }

  /** Whether `address` may be `station`'s: of the subnet, none of ours, and nobody else's. */
  #hears(address: Ipv4Address, station: StationAddress, source: number): boolean {
    const { subnet } = this.#options;
    if (!isWithin(address, subnet) || address === subnet.base || address === broadcastOf(subnet)) return false;
    if (address === this.gateway || address === this.resolver) return false;
    return this.#neighbours.heard(address, station, source, this.#options.now());
  }

  #isDhcp({ packet, payload, end, destination }: Ipv4Packet): boolean {
    if (end - payload < 8 || packet.view.getUint16(payload + 2) !== DHCP_SERVER_PORT) return false;
    return destination === EVERYBODY || destination === this.gateway;
  }

  #answerDhcp(ip: Ipv4Packet): void {
    const { packet, payload, end } = ip;
    const length = packet.view.getUint16(payload + 4);
    const message = packet.bytes.subarray(payload + 8, payload + length);
    const reply = length < 8 || payload + length > end ? undefined : this.#dhcp.answer(message, packet.source, this.#options.now());
    if (reply === undefined) this.counters.ignored++;
    else this.#udp.sendDhcp(reply);
  }

  #target(remote: Ipv4Address, port: number): HostEndpoint | 'prohibited' | 'nobody' {
    const { host, loopback } = this.#options;
    if (remote === this.resolver) return port === DNS_PORT && host.resolver !== undefined ? host.resolver : 'nobody';
    if (remote === this.gateway) return loopback === 'all' || loopback.includes(port) ? { address: LOOPBACK, port } : 'nobody';
    return isRoutable(remote) ? { address: remote, port } : 'prohibited';
  }

  #problem(problem: Problem, ip: Ipv4Packet, neighbour: Neighbour): void {
    // Nothing about errors, and nothing to everybody (RFC 1122 §3.2.2).
    if (ip.protocol === PROTOCOL_ICMP || isGroupAddress(ip.packet.destination)) return;
    const { station } = this.#options;
    writeProblem(this.#out, { station, address: this.gateway }, { station: neighbour.station, address: ip.source }, problem, ip);
    this.#options.send(this.#out);
  }
}

/** What the DHCP server gives to the station of number `index`. */
export function guestAddress({ base }: Subnet, index: number): Ipv4Address {
  return base + FIRST_GUEST + index;
}
