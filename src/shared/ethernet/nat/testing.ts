/** A gateway with one guest and a host that is not there: everything either of them says is at hand. */
import { checkReceived } from '../../../board/index.ts';
import type { HostDatagram, HostDatagramEvents, HostEndpoint, HostNetwork, HostStream, HostStreamEvents } from '../../../contracts/index.ts';
import { segment } from '../offload.ts';
import { NEEDS_CHECKSUM, Packet, SEGMENT_NONE } from '../packet.ts';
import { EVERYONE, frame, GUEST, ip, offloadHeader, tcp, type TcpFields } from '../testing.ts';
import { completeChecksum } from '../offload.ts';
import { parseSubnet } from './ipv4.ts';
import { Nat, type NatOptions } from './nat.ts';

export const GATEWAY = 0x0200_00ff_ff02;
export const GATEWAY_IP: number = ip('10.0.2.2');
export const RESOLVER_IP: number = ip('10.0.2.3');
export const GUEST_IP: number = ip('10.0.2.15');
export const SERVER_IP: number = ip('198.51.100.7');
export const MTU = 1500;

/** A stream of the host: what was written to it, and the means to be the other side. */
export class FakeStream implements HostStream {
  readonly to: HostEndpoint | undefined;
  readonly events: HostStreamEvents;
  written: number[] = [];
  waiting = 0;
  paused = false;
  ended = false;
  destroyed = false;

  constructor(to: HostEndpoint | undefined, events: HostStreamEvents) {
    this.to = to;
    this.events = events;
  }

  write(bytes: Uint8Array): void {
    this.written.push(...bytes);
  }
  pause(): void {
    this.paused = true;
  }
  resume(): void {
    this.paused = false;
  }
  end(): void {
    this.ended = true;
  }
  destroy(): void {
    this.destroyed = true;
  }
}

export class FakeHost implements HostNetwork {
  readonly resolver: HostEndpoint | undefined = { address: ip('192.0.2.53'), port: 53 };
  readonly streams: FakeStream[] = [];
  readonly datagrams: { to: HostEndpoint; events: HostDatagramEvents; sent: number[][]; closed: boolean }[] = [];
  readonly listeners = new Map<number, (stream: HostStream) => HostStreamEvents | undefined>();
  readonly datagramListeners = new Map<number, { data: (bytes: Uint8Array, from: HostEndpoint) => void; sent: { bytes: number[]; to: HostEndpoint }[] }>();

  connect(to: HostEndpoint, events: HostStreamEvents): HostStream {
    const stream = new FakeStream(to, events);
    this.streams.push(stream);
    return stream;
  }

  datagram(to: HostEndpoint, events: HostDatagramEvents): HostDatagram {
    const record = { to, events, sent: [] as number[][], closed: false };
    this.datagrams.push(record);
    return { send: (bytes) => void record.sent.push([...bytes]), close: () => (record.closed = true) };
  }

  listen(port: number, accept: (stream: HostStream) => HostStreamEvents | undefined): Disposable {
    this.listeners.set(port, accept);
    return { [Symbol.dispose]: () => void this.listeners.delete(port) };
  }

  listenDatagram(port: number, data: (bytes: Uint8Array, from: HostEndpoint) => void) {
    const record = { data, sent: [] as { bytes: number[]; to: HostEndpoint }[] };
    this.datagramListeners.set(port, record);
    return { send: (bytes: Uint8Array, to: HostEndpoint) => void record.sent.push({ bytes: [...bytes], to }), close: () => undefined };
  }
}

/** A frame the gateway sent, taken apart. */
export class Heard {
  readonly bytes: Uint8Array;
  readonly view: DataView;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer);
  }

  get type(): number {
    return this.view.getUint16(12);
  }
  get protocol(): number {
    return this.bytes[23] as number;
  }
  get from(): number {
    return this.view.getUint32(26);
  }
  get to(): number {
    return this.view.getUint32(30);
  }
  get fromPort(): number {
    return this.view.getUint16(34);
  }
  get toPort(): number {
    return this.view.getUint16(36);
  }
  get sequence(): number {
    return this.view.getUint32(38);
  }
  get acknowledgement(): number {
    return this.view.getUint32(42);
  }
  get flags(): string {
    const names = ['F', 'S', 'R', 'P', 'A'];
    return names.filter((_, bit) => ((this.bytes[47] as number) >> bit) & 1).join('');
  }
  get window(): number {
    return this.view.getUint16(48);
  }
  /** Of TCP. */
  get data(): number[] {
    return [...this.bytes.subarray(34 + ((this.bytes[46] as number) >> 4) * 4)];
  }
  /** Of UDP and ICMP. */
  get payload(): number[] {
    return [...this.bytes.subarray(42)];
  }
}

export class NatLab {
  readonly host = new FakeHost();
  readonly nat: Nat;
  /** What the guest's side hears, segmented and with all checksums; each was checked. */
  readonly heard: Heard[] = [];
  now = 1e9;
  readonly #packet = new Packet();
  readonly #piece = new Packet();
  #sequence = 0x1000_0000;

  constructor(options: Partial<NatOptions> = {}) {
    this.nat = new Nat({
      subnet: parseSubnet('10.0.2.0/24')!,
      station: GATEWAY,
      mtu: MTU,
      stations: [{ name: 'hmi', station: GUEST, owner: 0 }],
      forwards: [],
      loopback: [],
      host: this.host,
      now: () => this.now,
      random: () => (this.#sequence += 0x0100_0000),
      send: (packet) => this.#hear(packet),
      warn: () => undefined,
      ...options,
    });
  }

  /** A frame of the guest; returns what the gateway said to it. */
  send(bytes: Uint8Array, header: readonly number[] = offloadHeader(), owner = 0): Heard[] {
    const first = this.heard.length;
    this.#packet.incoming.set(Uint8Array.of(...header, ...bytes));
    this.#packet.taken(header.length + bytes.length);
    this.nat.deliver(this.#packet, owner);
    return this.heard.slice(first);
  }

  /** An IPv4 packet of the guest. */
  ip(payload: readonly number[], to = GATEWAY, from = GUEST): Heard[] {
    return this.send(frame(to, from, 0x0800, payload));
  }

  broadcast(payload: readonly number[]): Heard[] {
    return this.ip(payload, EVERYONE);
  }

  tcp(fields: Partial<TcpFields> & { flags: number; sequence: number }, data: readonly number[] = [], to = SERVER_IP): Heard[] {
    return this.ip(tcp({ from: GUEST_IP, to }, { fromPort: 40_000, toPort: 80, ...fields }, data));
  }

  /** Time passes, and what is due is done; returns what the gateway said. */
  pass(nanos: number): Heard[] {
    const first = this.heard.length;
    this.now += nanos;
    this.nat.advance(this.now);
    return this.heard.slice(first);
  }

  #hear(packet: Packet): void {
    if (packet.segmentation !== SEGMENT_NONE) {
      const count = Math.ceil((packet.length - packet.headerLength) / packet.segmentSize);
      for (let index = 0; index < count; index++) {
        segment(packet, index, this.#piece);
        this.#keep(this.#piece);
      }
      return;
    }
    if (packet.flags & NEEDS_CHECKSUM) completeChecksum(packet);
    this.#keep(packet);
  }

  #keep(packet: Packet): void {
    const bytes = Uint8Array.from(packet.frameBytes());
    if (bytes.length > MTU + 14) throw new Error(`a frame of ${bytes.length} bytes`);
    const checked = checkReceived(bytes, bytes.length);
    if (checked.ip === 'bad' || checked.transport === 'bad') throw new Error('a wrong checksum');
    this.heard.push(new Heard(bytes));
  }
}
