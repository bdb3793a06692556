/**
 * TCP through the gateway: connections of guests to the host's network, and of the host to guests where a port is forwarded.
 *
 * Spec: RFC 9293 §3.10.7.1 (segments for connections that do not exist), RFC 5382.
 */
import type { HostEndpoint, HostStream, HostStreamEvents, Nanos } from '../../../contracts/index.ts';
import { HEADER_BYTES, NEEDS_CHECKSUM, SEGMENT_TCP4, type StationAddress } from '../packet.ts';
import { type Flow, FlowTable } from './flow-table.ts';
import { beginIpv4, IP_HEADER_BYTES, type Ipv4Address, type Ipv4Packet, PROTOCOL_TCP, pseudoSumOf } from './ipv4.ts';
import type { NatSurroundings } from './nat.ts';
import type { Neighbour } from './neighbours.ts';
import type { SendBuffer } from './send-buffer.ts';
import { TcpConnection, type TcpWire, WINDOW_SCALE } from './tcp-connection.ts';
import { ACK, RST, SYN, TCP_CHECKSUM_AT, TCP_HEADER_BYTES, TcpSegment } from './tcp-segment.ts';

const FIRST_DYNAMIC_PORT = 49_152;
const LAST_PORT = 65_535;
/** Maximum segment size and, behind a filler, window scale. */
const MSS_OPTION_BYTES = 4;
const SCALE_OPTION_BYTES = 4;

/** The two ends as a guest sees them. */
interface Ends {
  readonly station: StationAddress;
  readonly guest: Ipv4Address;
  readonly guestPort: number;
  readonly remote: Ipv4Address;
  readonly remotePort: number;
}

class TcpFlow implements Flow, TcpWire {
  readonly owner: number;
  readonly station: StationAddress;
  readonly guest: Ipv4Address;
  readonly guestPort: number;
  readonly remote: Ipv4Address;
  readonly remotePort: number;
  connection: TcpConnection | undefined;
  readonly #nat: TcpNat;

  constructor(nat: TcpNat, owner: number, ends: Ends) {
    this.#nat = nat;
    this.owner = owner;
    this.station = ends.station;
    this.guest = ends.guest;
    this.guestPort = ends.guestPort;
    this.remote = ends.remote;
    this.remotePort = ends.remotePort;
  }

  send(flags: number, sequence: number, acknowledgement: number, window: number, mss: number, buffer: SendBuffer, offset: number, count: number): void {
    this.#nat.sendSegment(this, flags, sequence, acknowledgement, window, mss, buffer, offset, count);
  }

  sendSyn(flags: number, sequence: number, acknowledgement: number, window: number, scaled: boolean): void {
    this.#nat.sendSyn(this, flags, sequence, acknowledgement, window, scaled);
  }

  closed(): void {
    this.#nat.forget(this);
  }
}

export class TcpNat implements Disposable {
  readonly #around: NatSurroundings;
  readonly #flows: FlowTable<TcpFlow>;
  readonly #listeners: Disposable[] = [];
  readonly #segment = new TcpSegment();
  #nextPort = FIRST_DYNAMIC_PORT;

  constructor(around: NatSurroundings) {
    this.#around = around;
    this.#flows = new FlowTable(around.perOwner);
  }

  get size(): number {
    return this.#flows.size;
  }

  receive(ip: Ipv4Packet, neighbour: Neighbour): void {
    const segment = this.#segment;
    if (!segment.read(ip)) {
      this.#around.counters.malformed++;
      return;
    }
    const ends: Ends = { station: neighbour.station, guest: ip.source, guestPort: segment.sourcePort, remote: ip.destination, remotePort: segment.destinationPort };
    const flow = this.#flows.find(ends.guest, ends.guestPort, ends.remote, ends.remotePort);
    if (flow?.connection !== undefined) flow.connection.receive(segment, this.#around.now());
    else if ((segment.flags & (SYN | ACK | RST)) === SYN) this.#accept(ip, ends, neighbour);
    else if (!(segment.flags & RST)) this.#refuse(ends);
  }

  /** Connections to a port of the host's loopback go to a guest. */
  forward(hostPort: number, to: HostEndpoint, failed: (why: string) => void): void {
    this.#listeners.push(this.#around.host.listen(hostPort, (stream) => this.#openInward(stream, to), failed));
  }

  tick(now: Nanos): void {
    for (const { connection } of this.#flows.all()) if (connection !== undefined && now >= connection.deadline) connection.tick(now);
  }

  unplug(owner: number): void {
    for (const { connection } of this.#flows.ownedBy(owner)) connection?.abandon();
  }

  [Symbol.dispose](): void {
    for (const { connection } of this.#flows.all()) connection?.abandon();
    for (const listener of this.#listeners) listener[Symbol.dispose]();
  }

  /** The connection is over. */
  forget(flow: TcpFlow): void {
    this.#flows.delete(flow);
  }

  #accept(ip: Ipv4Packet, ends: Ends, { owner }: Neighbour): void {
    const { counters, host } = this.#around;
    const target = this.#around.target(ip.destination, ends.remotePort);
    if (typeof target === 'string') counters.refused++;
    else if (!this.#flows.hasRoom(owner)) counters.exhausted++;
    if (typeof target === 'string' || !this.#flows.hasRoom(owner)) {
      this.#refuse(ends);
      return;
    }
    const flow = new TcpFlow(this, owner, ends);
    const connection = TcpConnection.accept(flow, this.#limits(), this.#segment, this.#around.now());
    flow.connection = connection;
    this.#flows.add(flow);
    connection.stream = host.connect(target, this.#eventsOf(connection));
  }

  #openInward(stream: HostStream, { address, port }: HostEndpoint): HostStreamEvents | undefined {
    const neighbour = this.#around.neighbour(address);
    if (neighbour === undefined || !this.#flows.hasRoom(neighbour.owner)) return undefined;
    const { gateway } = this.#around;
    const flow = new TcpFlow(this, neighbour.owner, { station: neighbour.station, guest: address, guestPort: port, remote: gateway, remotePort: this.#freePort(address, port) });
    this.#flows.add(flow);
    const connection = TcpConnection.open(flow, this.#limits(), stream, this.#around.now());
    flow.connection = connection;
    return this.#eventsOf(connection);
  }

  #eventsOf(connection: TcpConnection): HostStreamEvents {
    const { now } = this.#around;
    return {
      opened: () => connection.opened(now()),
      data: (bytes) => connection.data(bytes, now()),
      drained: () => connection.drained(),
      ended: () => connection.ended(now()),
      closed: (how) => connection.streamClosed(how, now()),
    };
  }

  #limits(): { readonly mss: number; readonly sequence: number } {
    return { mss: this.#ourMss, sequence: this.#around.random() >>> 0 };
  }

  get #ourMss(): number {
    return this.#around.mtu - IP_HEADER_BYTES - TCP_HEADER_BYTES;
  }

  /** There are more ports than connections of one guest. */
  #freePort(guest: Ipv4Address, guestPort: number): number {
    do this.#nextPort = this.#nextPort === LAST_PORT ? FIRST_DYNAMIC_PORT : this.#nextPort + 1;
    while (this.#flows.find(guest, guestPort, this.#around.gateway, this.#nextPort) !== undefined);
    return this.#nextPort;
  }

  /** RFC 9293 §3.10.7.1: what no connection exists for is reset. */
  #refuse(ends: Ends): void {
    const { flags, acknowledgement, sequence, span } = this.#segment;
    if (flags & ACK) this.#write(ends, RST, acknowledgement, 0, 0, 0);
    else this.#write(ends, RST | ACK, 0, (sequence + span) >>> 0, 0, 0);
    this.#finish();
  }

  sendSegment(ends: Ends, flags: number, sequence: number, acknowledgement: number, window: number, mss: number, buffer: SendBuffer, offset: number, count: number): void {
    const data = this.#write(ends, flags, sequence, acknowledgement, window, count);
    const { out } = this.#around;
    buffer.copy(offset, count, out.bytes, data);
    if (count > mss) out.setSegmentation(SEGMENT_TCP4, mss, HEADER_BYTES + IP_HEADER_BYTES + TCP_HEADER_BYTES);
    this.#finish();
  }

  sendSyn(ends: Ends, flags: number, sequence: number, acknowledgement: number, window: number, scaled: boolean): void {
    const options = MSS_OPTION_BYTES + (scaled ? SCALE_OPTION_BYTES : 0);
    const at = this.#write(ends, flags, sequence, acknowledgement, window, options);
    const { view } = this.#around.out;
    view.setUint8(at - 8, (TCP_HEADER_BYTES + options) << 2);
    view.setUint32(at, 0x0204_0000 | this.#ourMss);
    if (scaled) view.setUint32(at + MSS_OPTION_BYTES, 0x0103_0300 | WINDOW_SCALE);
    this.#finish();
  }

  /** Everything but the checksum; returns the index of what follows the header of 20 bytes. */
  #write(ends: Ends, flags: number, sequence: number, acknowledgement: number, window: number, count: number): number {
    const { out, station } = this.#around;
    const from = { station, address: ends.remote };
    const to = { station: ends.station, address: ends.guest };
    const at = beginIpv4(out, from, to, PROTOCOL_TCP, TCP_HEADER_BYTES + count);
    const { view } = out;
    view.setUint16(at, ends.remotePort);
    view.setUint16(at + 2, ends.guestPort);
    view.setUint32(at + 4, sequence);
    view.setUint32(at + 8, acknowledgement);
    view.setUint16(at + 12, ((TCP_HEADER_BYTES / 4) << 12) | flags);
    view.setUint16(at + 14, window);
    view.setUint32(at + 16, 0);
    view.setUint16(at + TCP_CHECKSUM_AT, pseudoSumOf(out, at));
    out.setChecksum(NEEDS_CHECKSUM, HEADER_BYTES + IP_HEADER_BYTES, TCP_CHECKSUM_AT);
    return at + TCP_HEADER_BYTES;
  }

  #finish(): void {
    this.#around.send(this.#around.out);
  }
}
