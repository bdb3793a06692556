/**
 * Where stations are: what a switch has learned from the source addresses of frames, per VLAN.
 *
 * The table has a fixed size. An address has eight places where it can stand; when all are taken by others that are still heard of, it
 * is not learned, and frames to it are flooded: a port that makes up addresses can never push out those of its neighbours.
 *
 * Spec: IEEE 802.1Q §8.7 (learning), §8.8 (filtering database, ageing).
 */
import type { Nanos } from '../../contracts/index.ts';
import type { StationAddress } from './packet.ts';

const SETS = 256;
const WAYS = 8;

/** How long a station that says nothing is remembered (§8.8.3: the default ageing time). */
export const AGEING_NANOS: Nanos = 300e9;

export class AddressTable {
  readonly #addresses = new Float64Array(SETS * WAYS);
  readonly #vlans = new Uint16Array(SETS * WAYS);
  readonly #ports = new Int16Array(SETS * WAYS).fill(-1);
  readonly #heard = new Float64Array(SETS * WAYS);
  readonly #learned: Uint16Array;
  readonly #limits: readonly number[];

  /** `limits`: how many addresses may be learned at each port. */
  constructor(limits: readonly number[]) {
    this.#limits = limits;
    this.#learned = new Uint16Array(limits.length);
  }

  /** Stations known at a port. */
  count(port: number): number {
    return this.#learned[port] as number;
  }

  /** False: there was no place for it. */
  learn(address: StationAddress, vlan: number, port: number, now: Nanos): boolean {
    const first = placeOf(address, vlan);
    let free = -1;
    for (let at = first; at < first + WAYS; at++) {
      const owner = this.#ports[at] as number;
      if (owner >= 0 && this.#addresses[at] === address && this.#vlans[at] === vlan) {
        if (owner !== port && !this.#hasRoom(port)) return false;
        this.#place(at, address, vlan, port, now);
        return true;
      }
      if (free < 0 && (owner < 0 || now - (this.#heard[at] as number) > AGEING_NANOS)) free = at;
    }
    if (free < 0 || !this.#hasRoom(port)) return false;
    this.#place(free, address, vlan, port, now);
    return true;
  }

  /** The port at which a station was heard last; -1 when it is not known. */
  find(address: StationAddress, vlan: number, now: Nanos): number {
    const first = placeOf(address, vlan);
    for (let at = first; at < first + WAYS; at++) {
      if (this.#addresses[at] !== address || this.#vlans[at] !== vlan || (this.#ports[at] as number) < 0) continue;
      return now - (this.#heard[at] as number) > AGEING_NANOS ? -1 : (this.#ports[at] as number);
    }
    return -1;
  }

  /** The port's cable was pulled. */
  forget(port: number): void {
    for (let at = 0; at < this.#ports.length; at++) if (this.#ports[at] === port) this.#ports[at] = -1;
    this.#learned[port] = 0;
  }

  #hasRoom(port: number): boolean {
    return (this.#learned[port] as number) < (this.#limits[port] as number);
  }

  #place(at: number, address: StationAddress, vlan: number, port: number, now: Nanos): void {
    const before = this.#ports[at] as number;
    if (before !== port) {
      if (before >= 0) this.#learned[before] = (this.#learned[before] as number) - 1;
      this.#learned[port] = (this.#learned[port] as number) + 1;
    }
    this.#addresses[at] = address;
    this.#vlans[at] = vlan;
    this.#ports[at] = port;
    this.#heard[at] = now;
  }
}

/** The first of the places of an address. */
function placeOf(address: StationAddress, vlan: number): number {
  const low = address % 0x1_0000_0000 | 0;
  const high = Math.floor(address / 0x1_0000_0000);
  const hash = Math.imul(low ^ Math.imul(high ^ (vlan << 16), 0x85eb_ca6b), 0x9e37_79b1);
  return ((hash >>> 16) & (SETS - 1)) * WAYS;
}
