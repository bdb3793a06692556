/**
 * Which station an IP address belongs to. Granted addresses stand; others belong to whoever used them first, until it has been silent
 * for a while. So no guest takes over the connections of another.
 */
import { s } from '../../../base/index.ts';
import type { Nanos } from '../../../contracts/index.ts';
import type { StationAddress } from '../packet.ts';
import type { Ipv4Address } from './ipv4.ts';

/** RFC 1122 §2.3.2.1 leaves it open; ARP caches commonly use a minute. */
const SILENCE: Nanos = 60 * s;
/** Addresses of one port that nobody granted. */
const MOST_PER_OWNER = 16;

export interface Neighbour {
  readonly station: StationAddress;
  /** The port of the switch it is at; -1: not heard of yet. */
  owner: number;
  heard: Nanos;
  readonly isGranted: boolean;
}

export class Neighbours {
  readonly #byAddress = new Map<Ipv4Address, Neighbour>();

  constructor(granted: readonly { readonly station: StationAddress; readonly address: Ipv4Address; readonly owner: number }[]) {
    for (const { station, address, owner } of granted) this.#byAddress.set(address, { station, owner, heard: 0, isGranted: true });
  }

  find(address: Ipv4Address): Neighbour | undefined {
    return this.#byAddress.get(address);
  }

  /** `station` at port `owner` uses `address`. False: it is somebody else's, or one too many. */
  heard(address: Ipv4Address, station: StationAddress, owner: number, now: Nanos): boolean {
    const known = this.#byAddress.get(address);
    if (known?.station === station) {
      known.heard = now;
      known.owner = owner;
      return true;
    }
    if (known !== undefined && (known.isGranted || now - known.heard < SILENCE)) return false;
    if (known === undefined && !this.#hasRoom(owner, now)) return false;
    this.#byAddress.set(address, { station, owner, heard: now, isGranted: false });
    return true;
  }

  #hasRoom(owner: number, now: Nanos): boolean {
    let count = 0;
    for (const [address, neighbour] of this.#byAddress) {
      if (neighbour.isGranted || neighbour.owner !== owner) continue;
      if (now - neighbour.heard >= SILENCE) this.#byAddress.delete(address);
      else count++;
    }
    return count < MOST_PER_OWNER;
  }
}
