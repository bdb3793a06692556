/** Shared networks: what a manifest says of them, and the host's network behind their way out. */
import type { Bytes, PartitionName } from './scalars.ts';

/** Which VLANs a port of a switch is in (IEEE 802.1Q §6.9). */
export type VlanMembership =
  | { readonly mode: 'access'; readonly vlan: number }
  /** `native`: what is untagged; `allowed`: absent means all of them. */
  | { readonly mode: 'trunk'; readonly native: number; readonly allowed?: readonly number[] };

/** Frames per second that a port may send to everybody. */
export interface StormLimits {
  readonly broadcast: number;
  readonly multicast: number;
  /** To stations that nobody has heard of. */
  readonly unknown: number;
}

/** What a partition is on a shared network. */
export interface NetworkGrant {
  /** As `02:00:00:00:00:01`. Absent: made from the names of partition and network. */
  readonly mac?: string;
  readonly vlan: VlanMembership;
  readonly storm: StormLimits;
}

/** A shared network, as its broker sets it up. */
export interface NetworkSource {
  /** Where frames leave the machine: through a gateway with the host's own sockets, by an interface of the host, or not at all. */
  readonly uplink: { readonly kind: 'nat' } | { readonly kind: 'tap'; readonly interface: string } | { readonly kind: 'none' };
  readonly uplinkVlan: VlanMembership;
  /** Of the gateway: `10.0.2.0/24`. */
  readonly subnet: string;
  /** Longest IP packet. */
  readonly mtu: Bytes;
  readonly forwards: readonly PortForwarding[];
  /** Ports of the host's loopback that partitions reach at the gateway's address. */
  readonly loopback: 'all' | readonly number[];
  /** Absolute path of a pcapng file that gets every frame at every port. */
  readonly capture?: string;
}

/** A port of the host's loopback that leads to a partition. */
export interface PortForwarding {
  readonly host: number;
  readonly partition: PartitionName;
  readonly port: number;
  readonly protocol: 'tcp' | 'udp';
}

export interface HostEndpoint {
  /** IPv4, as one unsigned number. */
  readonly address: number;
  readonly port: number;
}

/** What a stream tells its user. Never called from within a call to {@link HostStream}. */
export interface HostStreamEvents {
  /** The connection stands. */
  opened(): void;
  /** The bytes are the receiver's for the length of the call. */
  data(bytes: Uint8Array): void;
  /** Something was sent, so that {@link HostStream.waiting} is less than before. */
  drained(): void;
  /** The other side sends nothing more. */
  ended(): void;
  /** It is over; the last call. `refused`: nobody listens there; `reset`: torn down; `failed`: could not be reached. */
  closed(how: 'done' | 'refused' | 'reset' | 'failed'): void;
}

/** A TCP connection of the host. */
export interface HostStream {
  /** Takes a copy. */
  write(bytes: Uint8Array): void;
  /** Bytes written and not sent yet. */
  readonly waiting: number;
  /** No more `data` until {@link resume}, apart from what is on its way. */
  pause(): void;
  resume(): void;
  /** Nothing more will be written. */
  end(): void;
  /** Gives it up at once; no further events. */
  destroy(): void;
}

export interface HostDatagramEvents {
  data(bytes: Uint8Array): void;
  /** Nobody listens at the other end, as far as the network says. */
  refused(): void;
}

/** A UDP socket that is connected to one other. */
export interface HostDatagram {
  /** Takes a copy. May lose it, as UDP does. */
  send(bytes: Uint8Array): void;
  close(): void;
}

/** A UDP socket that anybody may send to. */
export interface HostDatagramListener {
  send(bytes: Uint8Array, to: HostEndpoint): void;
  close(): void;
}

export interface HostNetwork {
  /** Where the host itself asks for names; undefined: nowhere. */
  readonly resolver: HostEndpoint | undefined;
  connect(to: HostEndpoint, events: HostStreamEvents): HostStream;
  datagram(to: HostEndpoint, events: HostDatagramEvents): HostDatagram;
  /** Listens on the host's loopback. `accept` gets a stream that stands, and says who hears of it. `failed`: it cannot, and why. */
  listen(port: number, accept: (stream: HostStream) => HostStreamEvents | undefined, failed: (why: string) => void): Disposable;
  listenDatagram(port: number, data: (bytes: Uint8Array, from: HostEndpoint) => void, failed: (why: string) => void): HostDatagramListener;
}
