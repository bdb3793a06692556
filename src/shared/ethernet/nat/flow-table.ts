/**
 * What is under way between guests and the host's network, by the two endpoints a guest sees. Bounded, and bounded per guest: one that
 * opens all it can leaves its neighbours theirs.
 */
import type { Ipv4Address } from './ipv4.ts';

export interface Flow {
  /** The port of the switch it belongs to. */
  readonly owner: number;
  readonly guest: Ipv4Address;
  readonly guestPort: number;
  readonly remote: Ipv4Address;
  readonly remotePort: number;
}

const PORTS = 0x1_0000;

export class FlowTable<T extends Flow> {
  readonly #byGuest = new Map<number, Map<number, T>>();
  readonly #owned = new Map<number, Set<T>>();
  readonly #perOwner: number;
  #size = 0;

  /** At most `perOwner` flows for each port. */
  constructor(perOwner: number) {
    this.#perOwner = perOwner;
  }

  get size(): number {
    return this.#size;
  }

  find(guest: Ipv4Address, guestPort: number, remote: Ipv4Address, remotePort: number): T | undefined {
    return this.#byGuest.get(guest * PORTS + guestPort)?.get(remote * PORTS + remotePort);
  }

  hasRoom(owner: number): boolean {
    return (this.#owned.get(owner)?.size ?? 0) < this.#perOwner;
  }

  /** There is room, and no flow with the same endpoints. */
  add(flow: T): void {
    const key = flow.guest * PORTS + flow.guestPort;
    let remotes = this.#byGuest.get(key);
    if (remotes === undefined) this.#byGuest.set(key, (remotes = new Map()));
    remotes.set(flow.remote * PORTS + flow.remotePort, flow);
    let owned = this.#owned.get(flow.owner);
    if (owned === undefined) this.#owned.set(flow.owner, (owned = new Set()));
    owned.add(flow);
    this.#size++;
  }

  delete(flow: T): void {
    if (this.#owned.get(flow.owner)?.delete(flow) !== true) return;
    this.#size--;
    const key = flow.guest * PORTS + flow.guestPort;
    const remotes = this.#byGuest.get(key);
    remotes?.delete(flow.remote * PORTS + flow.remotePort);
    if (remotes?.size === 0) this.#byGuest.delete(key);
  }

  /** The flows of a port, oldest first; may be deleted while they are gone through. */
  ownedBy(owner: number): Iterable<T> {
    return this.#owned.get(owner) ?? [];
  }

  *all(): Iterable<T> {
    for (const owned of this.#owned.values()) yield* owned;
  }
}
