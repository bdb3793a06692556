/**
 * A DHCP server for one subnet. A station that was granted has an address of its own, the same in every run; others get one of a small
 * pool for as long as they renew it.
 *
 * Spec: RFC 2131 (protocol), RFC 2132 (options).
 * Not modelled: relays, DHCPDECLINE (a granted address is nobody else's).
 */
import { s } from '../../../base/index.ts';
import type { Nanos } from '../../../contracts/index.ts';
import { type StationAddress, stationAddress, stationBytes } from '../packet.ts';
import { broadcastOf, EVERYBODY, type Ipv4Address, isWithin, maskOf, type Subnet } from './ipv4.ts';

export const DHCP_SERVER_PORT = 67;
export const DHCP_CLIENT_PORT = 68;

// RFC 2131 §2: the fixed part.
const OPERATION = 0;
const HARDWARE_TYPE = 1;
const HARDWARE_LENGTH = 2;
const TRANSACTION = 4;
const FLAGS = 10;
const CLIENT_ADDRESS = 12;
const YOUR_ADDRESS = 16;
const CLIENT_STATION = 28;
const COOKIE_AT = 236;
const OPTIONS = 240;
const BOOT_REQUEST = 1;
const BOOT_REPLY = 2;
const ETHERNET = 1;
const COOKIE = 0x6382_5363;
const BROADCAST_FLAG = 0x8000;
/** RFC 1542 §2.1: what every client takes. */
const SHORTEST_REPLY = 300;

const DISCOVER = 1;
const OFFER = 2;
const REQUEST = 3;
const ACKNOWLEDGE = 5;
const REFUSE = 6;
const RELEASE = 7;
const INFORM = 8;

const OPTION = { pad: 0, mask: 1, router: 3, resolver: 6, name: 12, mtu: 26, broadcast: 28, requested: 50, lease: 51, type: 53, server: 54, renewal: 58, rebinding: 59, end: 255 } as const;

const LEASE_SECONDS = 86_400;
/** Where the addresses begin that nobody was granted. */
const POOL_FIRST = 100;
const POOL_SIZE = 64;

export interface Lease {
  readonly station: StationAddress;
  readonly address: Ipv4Address;
  /** What the guest may call itself. */
  readonly name: string;
}

export interface DhcpOptions {
  readonly subnet: Subnet;
  /** The gateway, which is also the server. */
  readonly gateway: Ipv4Address;
  readonly resolver: Ipv4Address;
  readonly mtu: number;
  readonly leases: readonly Lease[];
}

export interface DhcpReply {
  readonly bytes: Uint8Array;
  readonly to: { readonly station: StationAddress; readonly address: Ipv4Address };
}

const BROADCAST_STATION: StationAddress = 0xffff_ffff_ffff;

export class DhcpServer {
  readonly #options: DhcpOptions;
  readonly #granted: ReadonlyMap<StationAddress, Lease>;
  readonly #pool = new Map<StationAddress, { readonly address: Ipv4Address; until: Nanos }>();

  constructor(options: DhcpOptions) {
    this.#options = options;
    this.#granted = new Map(options.leases.map((lease) => [lease.station, lease]));
  }

  /** The answer to a message that came from the station `from`; undefined: none. */
  answer(message: Uint8Array, from: StationAddress, now: Nanos): DhcpReply | undefined {
    const view = new DataView(message.buffer, message.byteOffset, message.length);
    if (message.length < OPTIONS || view.getUint32(COOKIE_AT) !== COOKIE) return undefined;
    if (message[OPERATION] !== BOOT_REQUEST || message[HARDWARE_TYPE] !== ETHERNET || message[HARDWARE_LENGTH] !== 6) return undefined;
    const station = stationAddress(message.subarray(CLIENT_STATION, CLIENT_STATION + 6));
    // Nobody asks, or gives back, in another's name.
    if (station !== from) return undefined;
    const type = option(view, OPTION.type, 1);
    if (type === DISCOVER) {
      const address = this.#addressOf(station, now);
      return address === undefined ? undefined : this.#reply(view, station, OFFER, address);
    }
    if (type === INFORM) return this.#reply(view, station, ACKNOWLEDGE, 0);
    if (type === RELEASE) this.#pool.delete(station);
    return type === REQUEST ? this.#request(view, station, now) : undefined;
  }

  /** RFC 2131 §4.3.2. */
  #request(view: DataView, station: StationAddress, now: Nanos): DhcpReply | undefined {
    const server = option(view, OPTION.server, 4);
    if (server !== undefined && server !== this.#options.gateway) return undefined;
    const wanted = option(view, OPTION.requested, 4) ?? view.getUint32(CLIENT_ADDRESS);
    const address = this.#addressOf(station, now);
    if (address === undefined) return undefined;
    return wanted === address ? this.#reply(view, station, ACKNOWLEDGE, address) : this.#reply(view, station, REFUSE, 0);
  }

  #addressOf(station: StationAddress, now: Nanos): Ipv4Address | undefined {
    const granted = this.#granted.get(station);
    if (granted !== undefined) return granted.address;
    const own = this.#pool.get(station);
    if (own !== undefined) {
      own.until = now + LEASE_SECONDS * s;
      return own.address;
    }
    const { subnet, leases } = this.#options;
    for (const [other, { until }] of this.#pool) if (until < now) this.#pool.delete(other);
    const taken = new Set([...this.#pool.values()].map(({ address }) => address).concat(leases.map(({ address }) => address)));
    for (let place = POOL_FIRST; place < POOL_FIRST + POOL_SIZE; place++) {
      const address = subnet.base + place;
      if (taken.has(address) || !isWithin(address, subnet) || address === broadcastOf(subnet)) continue;
      this.#pool.set(station, { address, until: now + LEASE_SECONDS * s });
      return address;
    }
    return undefined;
  }

  #reply(request: DataView, station: StationAddress, type: number, address: Ipv4Address): DhcpReply {
    const { subnet, gateway, resolver, mtu } = this.#options;
    const options: number[] = [];
    const put = (code: number, ...bytes: readonly number[]): number => options.push(code, bytes.length, ...bytes);
    put(OPTION.type, type);
    put(OPTION.server, ...word(gateway));
    if (type !== REFUSE) {
      put(OPTION.mask, ...word(maskOf(subnet.prefix)));
      put(OPTION.router, ...word(gateway));
      put(OPTION.resolver, ...word(resolver));
      put(OPTION.broadcast, ...word(broadcastOf(subnet)));
      put(OPTION.mtu, mtu >> 8, mtu & 0xff);
      const name = this.#granted.get(station)?.name;
      if (name !== undefined) put(OPTION.name, ...Array.from(name, (letter) => letter.charCodeAt(0) & 0x7f));
    }
    if (address !== 0) {
      put(OPTION.lease, ...word(LEASE_SECONDS));
      put(OPTION.renewal, ...word(LEASE_SECONDS / 2));
      put(OPTION.rebinding, ...word((LEASE_SECONDS * 7) / 8));
    }
    options.push(OPTION.end);
    const bytes = new Uint8Array(Math.max(SHORTEST_REPLY, OPTIONS + options.length));
    const view = new DataView(bytes.buffer);
    bytes[OPERATION] = BOOT_REPLY;
    bytes[HARDWARE_TYPE] = ETHERNET;
    bytes[HARDWARE_LENGTH] = 6;
    view.setUint32(TRANSACTION, request.getUint32(TRANSACTION));
    view.setUint16(FLAGS, request.getUint16(FLAGS));
    const client = type === REFUSE ? 0 : request.getUint32(CLIENT_ADDRESS);
    view.setUint32(CLIENT_ADDRESS, client);
    view.setUint32(YOUR_ADDRESS, address);
    bytes.set(stationBytes(station), CLIENT_STATION);
    view.setUint32(COOKIE_AT, COOKIE);
    bytes.set(options, OPTIONS);
    // RFC 2131 §4.1: to its address where it has one, else to everybody if it asks for that, or cannot have one.
    if (client !== 0 && isWithin(client, subnet)) return { bytes, to: { station, address: client } };
    const toAll = type === REFUSE || address === 0 || (request.getUint16(FLAGS) & BROADCAST_FLAG) !== 0;
    return { bytes, to: toAll ? { station: BROADCAST_STATION, address: EVERYBODY } : { station, address } };
  }
}

function word(value: number): number[] {
  return [24, 16, 8, 0].map((shift) => (value >>> shift) & 0xff);
}

/** An option of one or four bytes; undefined: there is none of that length. */
function option(view: DataView, wanted: number, length: 1 | 4): number | undefined {
  for (let at = OPTIONS; at < view.byteLength; ) {
    const code = view.getUint8(at);
    if (code === OPTION.end) return undefined;
    if (code === OPTION.pad) {
      at++;
      continue;
    }
    if (at + 1 >= view.byteLength) return undefined;
    const size = view.getUint8(at + 1);
    if (code === wanted && size === length && at + 2 + size <= view.byteLength) return length === 1 ? view.getUint8(at + 2) : view.getUint32(at + 2);
    at += 2 + size;
  }
  return undefined;
}
