/** Shared networks: what is written, with everything filled in that was left out. */
import type { NetworkGrant, NetworkSource, StormLimits, VlanMembership } from '../contracts/index.ts';
import type { DraftGrant, DraftShared } from './draft.ts';
import type { ManifestHost } from './host.ts';

const DEFAULT_SUBNET = '10.0.2.0/24';
/** IEEE 802.3 §3.2.7. */
const DEFAULT_MTU = 1500;
const DEFAULT_STORM: StormLimits = { broadcast: 1000, multicast: 1000, unknown: 1000 };
const DEFAULT_VLAN = 1;

/** As any `vlan:` key has it. */
export type WrittenVlan = NonNullable<DraftGrant['written']['vlan']>;

export function membershipOf(written: WrittenVlan | undefined): VlanMembership {
  if (written === 'trunk') return { mode: 'trunk', native: DEFAULT_VLAN };
  if (typeof written === 'object') return { mode: 'trunk', native: written.native, allowed: written.trunk };
  return { mode: 'access', vlan: written ?? DEFAULT_VLAN };
}

export function networkGrantOf({ mac, vlan, storm }: DraftGrant['written']): NetworkGrant {
  return { ...(mac === undefined ? {} : { mac }), vlan: membershipOf(vlan), storm: stormOf(storm) };
}

function stormOf(written: DraftGrant['written']['storm']): StormLimits {
  if (typeof written === 'number') return { broadcast: written, multicast: written, unknown: written };
  const { broadcast = DEFAULT_STORM.broadcast, multicast = DEFAULT_STORM.multicast, unknown = DEFAULT_STORM.unknown } = written ?? {};
  return { broadcast, multicast, unknown };
}

export function networkSourceOf({ written }: DraftShared, host: Pick<ManifestHost, 'path'>): NetworkSource {
  const { uplink = 'none', 'uplink-vlan': uplinkVlan, network = DEFAULT_SUBNET, mtu = DEFAULT_MTU, forwards = [], loopback = [], capture } = written;
  return {
    uplink: typeof uplink === 'string' ? { kind: uplink } : { kind: 'tap', interface: uplink.tap },
    uplinkVlan: membershipOf(uplinkVlan),
    subnet: network,
    mtu,
    forwards,
    loopback,
    ...(capture === undefined ? {} : { capture: host.path(capture) }),
  };
}

/** `10.0.2.0/24`, as a number of addresses; undefined when it is not written so, or has bits behind the prefix. */
export function subnetOf(text: string): { readonly base: number; readonly addresses: number } | undefined {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})\/(\d{1,2})$/.exec(text);
  if (match === null) return undefined;
  const [a = 0, b = 0, c = 0, d = 0, prefix = 0] = match.slice(1).map(Number);
  const base = ((a * 256 + b) * 256 + c) * 256 + d;
  const addresses = 2 ** (32 - prefix);
  return [a, b, c, d].some((byte) => byte > 255) || prefix > 32 || base % addresses !== 0 ? undefined : { base, addresses };
}

/** RFC 1918 and RFC 6598: addresses that are nobody's on the outside. */
const PRIVATE = ['10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10'];

export function isPrivate(base: number): boolean {
  return PRIVATE.some((text) => {
    const range = subnetOf(text);
    return range !== undefined && base >= range.base && base < range.base + range.addresses;
  });
}
