/** From what a manifest grants to ports of a switch: the same facts for the port's maker, its device and its broker. */
import { derivedMacAddress, parseMacAddress } from '../../board/index.ts';
import type { Grant, GrantedPort, NetworkSource, PortBuffers, SharedResource, StormLimits, VlanMembership } from '../../contracts/index.ts';
import type { EthernetPort } from './ethernet-broker.ts';
import { createNetworkPort, DEFAULT_DEPTH } from './network-port.ts';
import { type StationAddress, stationAddress } from './packet.ts';
import { DEFAULT_VLAN } from './switch.ts';

/** IEEE 802.3 §3.2.7: what every Ethernet carries. */
export const DEFAULT_MTU = 1500;
const ACCESS: VlanMembership = { mode: 'access', vlan: DEFAULT_VLAN };
/** More than any protocol needs, and a small part of what a switch can do. */
export const DEFAULT_STORM: StormLimits = { broadcast: 1000, multicast: 1000, unknown: 1000 };

/** The station address of a partition on a network: the grant's, or one made from the names, the same in every run. */
export function grantedStation({ name }: Pick<SharedResource, 'name'>, { partition, network }: Grant): StationAddress {
  return stationAddress(network?.mac === undefined ? derivedMacAddress(`${partition}.${name}`) : parseMacAddress(network.mac));
}

/** The port of a grant. */
export function createGrantedPort(resource: Pick<SharedResource, 'name' | 'network'>, grant: Grant): PortBuffers {
  return createNetworkPort({ address: grantedStation(resource, grant), mtu: resource.network?.mtu ?? DEFAULT_MTU });
}

/** A port as the broker serves it. */
export function ethernetPort(resource: Pick<SharedResource, 'name'>, { grant, port, alarm }: GrantedPort, wake: (alarm: Int32Array) => void): EthernetPort {
  const { network } = grant;
  return {
    description: {
      name: grant.partition,
      address: grantedStation(resource, grant),
      membership: network?.vlan ?? ACCESS,
      storm: network?.storm ?? DEFAULT_STORM,
    },
    buffers: port,
    share: { weight: grant.weight ?? 1, rate: grant.rate },
    depth: grant.depth ?? DEFAULT_DEPTH,
    wake: () => wake(alarm),
  };
}

/** The gateway's or the interface's port. Nobody granted it anything: it speaks for all that lies behind it. */
export function uplinkDescription({ uplinkVlan }: NetworkSource, address?: StationAddress) {
  return { name: 'uplink', membership: uplinkVlan, storm: DEFAULT_STORM, ...(address === undefined ? {} : { address }) };
}

/** The gateway's own address on a network. */
export function gatewayStation({ name }: Pick<SharedResource, 'name'>): StationAddress {
  return stationAddress(derivedMacAddress(`gateway of ${name}`));
}
