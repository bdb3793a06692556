/**
 * A learning Ethernet switch with VLANs, between the ports of a shared network.
 *
 * A port's frames are what its owner chooses: the switch believes none of it. Each station has the address it was granted, and sends
 * with no other; broadcasts, multicasts and frames to unknown stations are limited per port, because they cost every other port; what a
 * port may not do is dropped and counted there.
 *
 * Spec: IEEE 802.1Q-2018 §8.6 (forwarding), §6.9 (port VLAN, admissible frames), §8.6.3 (reserved addresses), §9.6 (tags).
 * Not modelled: spanning tree (ports that lead to one another are refused when the machine is described), priorities, IGMP snooping,
 * 802.1ad service tags (they pass as any other frame).
 */
import { s } from '../../base/index.ts';
import type { Nanos, StormLimits, VlanMembership } from '../../contracts/index.ts';
import type { PortMetric } from '../metric.ts';
import { AddressTable } from './address-table.ts';
import { examineOffload } from './offload.ts';
import { BROADCAST, ETHERTYPE_VLAN, HEADER_BYTES, isGroupAddress, type Packet, type StationAddress } from './packet.ts';

/** The VLAN of ports that say nothing of VLANs (§9.6, table 9-2). */
export const DEFAULT_VLAN = 1;
export const LAST_VLAN = 4094;

/** What a port counts; figures wrap at nothing a machine lives to see. */
export const SWITCH_METRICS = [
  { name: 'framesIn', unit: 'frames', column: 'done', what: 'taken from the partition' },
  { name: 'bytesIn', unit: 'bytes', column: 'in', what: 'of these' },
  { name: 'framesOut', unit: 'frames', column: 'done', what: 'given to the partition' },
  { name: 'bytesOut', unit: 'bytes', column: 'out', what: 'of these' },
  // Dropped on their way in.
  { name: 'spoofed', unit: 'frames', column: 'refused', what: 'with another’s address as source' },
  { name: 'vlanRefused', unit: 'frames', column: 'refused', what: 'tagged where no tag belongs, or with a VLAN that the port is no member of' },
  { name: 'malformed', unit: 'frames', column: 'refused', what: 'too short, too long, or with an offload header that does not fit the frame' },
  { name: 'broadcastStorm', unit: 'frames', column: 'refused', what: 'broadcasts beyond the storm limit' },
  { name: 'multicastStorm', unit: 'frames', column: 'refused', what: 'multicasts beyond the storm limit' },
  { name: 'unknownStorm', unit: 'frames', column: 'refused', what: 'to unknown stations, beyond the storm limit' },
  { name: 'lost', unit: 'frames', column: 'lost', what: 'sent by the partition, and lost because the receiver’s queue was full with its frames' },
  { name: 'missed', unit: 'frames', column: 'lost', what: 'to the partition, and lost because it did not take them in time' },
  { name: 'linkLocal', unit: 'frames', column: 'refused', what: 'to group addresses that never leave a link (IEEE 802.1Q §8.6.3)' },
] as const satisfies readonly PortMetric[];
export type PortCounter = (typeof SWITCH_METRICS)[number]['name'];
export const PORT_COUNTERS: readonly PortCounter[] = SWITCH_METRICS.map(({ name }) => name);
export type PortCounters = Readonly<Record<PortCounter, number>>;

export interface SwitchPortDescription {
  readonly name: string;
  /** The only address it sends from. Absent: it leads to others (an uplink), and their addresses are learned. */
  readonly address?: StationAddress;
  readonly membership: VlanMembership;
  readonly storm: StormLimits;
  /** Stations that may be learned at a port without an address. */
  readonly stations?: number;
}

/** Where frames leave the switch. */
export interface Outlet {
  /** Takes a copy of the packet, tagged by now if it is to be; `source` is the number of the port it came in at. False: there is no room. */
  deliver(packet: Packet, source: number): boolean;
}

/** Sees every frame at a port: what came in, before anything is decided about it, and what goes out. */
export type Tap = (port: number, direction: 'in' | 'out', packet: Packet) => void;

/** A burst of a tenth of a second passes. */
const BURST: Nanos = s / 10;

class StormBucket {
  readonly #perNano: number;
  readonly #limit: number;
  #tokens: number;
  #since: Nanos = 0;

  constructor(perSecond: number) {
    this.#perNano = perSecond / s;
    this.#limit = Math.max(1, perSecond * (BURST / s));
    this.#tokens = this.#limit;
  }

  take(now: Nanos): boolean {
    this.#tokens = Math.min(this.#limit, this.#tokens + Math.max(0, now - this.#since) * this.#perNano);
    this.#since = now;
    if (this.#tokens < 1) return false;
    this.#tokens--;
    return true;
  }
}

class Port {
  readonly description: SwitchPortDescription;
  readonly outlet: Outlet;
  readonly broadcast: StormBucket;
  readonly multicast: StormBucket;
  readonly unknown: StormBucket;
  readonly counters: Float64Array;
  /** Of what is untagged. */
  readonly nativeVlan: number;
  readonly isTrunk: boolean;
  readonly #members = new Uint8Array(4096);

  constructor(description: SwitchPortDescription, outlet: Outlet, counters: Float64Array) {
    this.description = description;
    this.outlet = outlet;
    this.counters = counters;
    const { storm, membership } = description;
    this.broadcast = new StormBucket(storm.broadcast);
    this.multicast = new StormBucket(storm.multicast);
    this.unknown = new StormBucket(storm.unknown);
    this.isTrunk = membership.mode === 'trunk';
    if (membership.mode === 'access') {
      this.nativeVlan = membership.vlan;
      this.#members[membership.vlan] = 1;
    } else {
      this.nativeVlan = membership.native;
      if (membership.allowed === undefined) this.#members.fill(1, 1, LAST_VLAN + 1);
      for (const vlan of [membership.native, ...(membership.allowed ?? [])]) this.#members[vlan] = 1;
    }
  }

  isMember(vlan: number): boolean {
    return this.#members[vlan] === 1;
  }

  count(counter: number, by = 1): void {
    this.counters[counter] = (this.counters[counter] as number) + by;
  }
}

const [FRAMES_IN, BYTES_IN, FRAMES_OUT, BYTES_OUT, SPOOFED, VLAN_REFUSED, MALFORMED, BROADCAST_STORM, MULTICAST_STORM, UNKNOWN_STORM, LOST, MISSED, LINK_LOCAL] =
  SWITCH_METRICS.map((_, index) => index) as [number, number, number, number, number, number, number, number, number, number, number, number, number];

/** 01-80-C2-00-00-00 to -0F (§8.6.3). */
const LINK_LOCAL_FIRST = 0x0180_c200_0000;

export interface SwitchOptions {
  /** Bytes of an IP packet; longer ones are dropped, or were asked to be segmented. */
  readonly mtu: number;
  readonly tap?: Tap;
}

/** One port of a switch. */
export interface SwitchPort {
  readonly description: SwitchPortDescription;
  readonly outlet: Outlet;
  /** See {@link createCounters}; shared, so that others may look. Absent: its own. */
  readonly counters?: SharedArrayBuffer;
}

/** What a port counts with. */
export function createCounters(): SharedArrayBuffer {
  return new SharedArrayBuffer(PORT_COUNTERS.length * Float64Array.BYTES_PER_ELEMENT);
}

/** One counter of a port, seen from any thread. */
export function counterOf(buffer: SharedArrayBuffer, counter: PortCounter): number {
  return new Float64Array(buffer)[PORT_COUNTERS.indexOf(counter)] as number;
}

/** The counters of a port, seen from any thread; each is whole, though not all of the same moment. */
export function readCounters(buffer: SharedArrayBuffer): PortCounters {
  const words = new Float64Array(buffer);
  return Object.fromEntries(PORT_COUNTERS.map((name, index) => [name, words[index]])) as unknown as PortCounters;
}

export class EthernetSwitch {
  readonly #ports: readonly Port[];
  readonly #table: AddressTable;
  readonly #mtu: number;
  readonly #counters: readonly SharedArrayBuffer[];
  #tap: Tap | undefined;

  constructor(ports: readonly SwitchPort[], { mtu, tap }: SwitchOptions) {
    this.#mtu = mtu;
    this.#tap = tap;
    this.#counters = ports.map(({ counters }) => counters ?? createCounters());
    this.#ports = ports.map(({ description, outlet }, index) => new Port(description, outlet, new Float64Array(this.#counters[index] as SharedArrayBuffer)));
    this.#table = new AddressTable(ports.map(({ description }) => (description.address === undefined ? (description.stations ?? 256) : 0)));
  }

  counters(port: number): PortCounters {
    return readCounters(this.#counters[port] as SharedArrayBuffer);
  }

  /** Nobody is at the port any more: what was learned there is forgotten. */
  unplug(port: number): void {
    this.#table.forget(port);
  }

  /** Ends what looks on. */
  untap(): void {
    this.#tap = undefined;
  }

  /**
   * A packet comes in at `port`; it goes wherever it belongs before this returns. Returns what it cost: the bytes of all copies that were
   * made of it.
   */
  receive(number: number, packet: Packet, now: Nanos): number {
    const port = this.#ports[number] as Port;
    port.count(FRAMES_IN);
    port.count(BYTES_IN, Math.max(0, packet.length));
    if (packet.length < HEADER_BYTES) return this.#drop(port, MALFORMED);
    this.#tap?.(number, 'in', packet);
    if (!this.#classify(port, packet)) return this.#drop(port, VLAN_REFUSED);
    const { source, destination } = packet;
    if (isGroupAddress(source) || source === 0) return this.#drop(port, MALFORMED);
    if (port.description.address !== undefined ? source !== port.description.address : this.#isGranted(source)) return this.#drop(port, SPOOFED);
    if (!examineOffload(packet, this.#mtu)) return this.#drop(port, MALFORMED);
    if (port.description.address === undefined) this.#table.learn(source, packet.vlan, number, now);
    if (isGroupAddress(destination)) {
      if (destination >= LINK_LOCAL_FIRST && destination <= LINK_LOCAL_FIRST + 0x0f) return this.#drop(port, LINK_LOCAL);
      const isBroadcast = destination === BROADCAST;
      if (!(isBroadcast ? port.broadcast : port.multicast).take(now)) return this.#drop(port, isBroadcast ? BROADCAST_STORM : MULTICAST_STORM);
      return this.#flood(number, packet);
    }
    const known = this.#find(destination, packet.vlan, now);
    if (known === number) return 0;
    if (known >= 0) return this.#deliver(known, packet, number);
    if (!port.unknown.take(now)) return this.#drop(port, UNKNOWN_STORM);
    return this.#flood(number, packet);
  }

  /** Which VLAN a packet belongs to (§6.9); its tag is taken off. False: it has none here. */
  #classify(port: Port, packet: Packet): boolean {
    packet.vlan = port.nativeVlan;
    packet.priority = 0;
    const { tag } = packet;
    if (tag === undefined) return packet.etherType !== ETHERTYPE_VLAN;
    const vlan = tag & 0xfff;
    // §6.9.1: a tag with VLAN 0 says a priority and nothing else.
    if (vlan !== 0 && !port.isTrunk) return false;
    if (vlan !== 0) packet.vlan = vlan;
    packet.priority = tag >> 12;
    packet.removeTag();
    // A second tag would be the only one where this VLAN leaves untagged: a way into a VLAN that is not the sender's.
    return packet.etherType !== ETHERTYPE_VLAN && port.isMember(packet.vlan);
  }

  /** Somebody was granted this address: nobody else sends with it. */
  #isGranted(address: StationAddress): boolean {
    for (const { description } of this.#ports) if (description.address === address) return true;
    return false;
  }

  #find(address: StationAddress, vlan: number, now: Nanos): number {
    for (let number = 0; number < this.#ports.length; number++) {
      const port = this.#ports[number] as Port;
      // A station of another VLAN is as good as none.
      if (port.description.address === address) return port.isMember(vlan) ? number : -1;
    }
    return this.#table.find(address, vlan, now);
  }

  #flood(source: number, packet: Packet): number {
    let cost = 0;
    for (let number = 0; number < this.#ports.length; number++) {
      const port = this.#ports[number] as Port;
      if (number !== source && port.isMember(packet.vlan)) cost += this.#deliver(number, packet, source);
    }
    return cost;
  }

  #deliver(number: number, packet: Packet, source: number): number {
    const port = this.#ports[number] as Port;
    const { length } = packet;
    const isTagged = port.isTrunk && packet.vlan !== port.nativeVlan;
    if (isTagged) packet.insertTag((packet.priority << 12) | packet.vlan);
    if (port.outlet.deliver(packet, source)) {
      this.#tap?.(number, 'out', packet);
      port.count(FRAMES_OUT);
      port.count(BYTES_OUT, length);
    } else {
      port.count(MISSED);
      (this.#ports[source] as Port).count(LOST);
    }
    if (isTagged) packet.removeTag();
    return length;
  }

  #drop(port: Port, counter: number): number {
    port.count(counter);
    return 0;
  }
}
