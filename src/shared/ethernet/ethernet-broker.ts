/**
 * The broker of a shared network: takes frames from the ports of partitions, by weight and rate, and passes them through the switch.
 *
 * What a round is made in is the caller's: a thread that blocks, or, where a gateway has sockets of the host, one with an event loop.
 */
import type { AttachedWire, Nanos, PortBuffers } from '../../contracts/index.ts';
import { Broker, type ServedPort } from '../broker.ts';
import type { FairShare } from '../fair-queue.ts';
import { Nat, type NatOptions } from './nat/nat.ts';
import { NetworkBack } from './network-port.ts';
import { completeChecksum, framesFor, NO_OFFLOADS, segment } from './offload.ts';
import { OFFLOAD_BYTES, Packet } from './packet.ts';
import { EthernetSwitch, type Outlet, type PortCounters, type SwitchPort, type SwitchPortDescription, type Tap } from './switch.ts';

/** A port of a partition. */
export interface EthernetPort {
  readonly description: SwitchPortDescription;
  readonly buffers: PortBuffers;
  readonly share: FairShare;
  readonly depth: number;
  /** Wakes the partition. */
  wake(): void;
}

export type EthernetUplink =
  | { readonly kind: 'nat'; readonly description: SwitchPortDescription; readonly options: Omit<NatOptions, 'send' | 'now' | 'mtu'> }
  | { readonly kind: 'wire'; readonly description: SwitchPortDescription; readonly wire: AttachedWire };

export interface EthernetBrokerOptions {
  /** Their order is that of the switch's ports; the uplink's is the last one. */
  readonly ports: readonly EthernetPort[];
  readonly uplink?: EthernetUplink;
  /** Of the uplink's port; see `createCounters`. */
  readonly uplinkCounters?: SharedArrayBuffer;
  readonly mtu: number;
  /** Nanoseconds of the host; monotonic. */
  readonly now: () => Nanos;
  readonly tap?: Tap;
  /** Ends the sleep that {@link EthernetBroker.round} asked for: the host's network has begun something. */
  readonly wakeSelf?: () => void;
}

/** A frame costs at least as much as one of so many bytes: handling it is work, however short it is, and a flood of short ones must not take more of the broker's time than its weight. */
export const CHEAPEST_FRAME_BYTES = 1024;

export class EthernetBroker implements Disposable {
  readonly nat: Nat | undefined;
  readonly #switch: EthernetSwitch;
  readonly #backs: readonly NetworkBack[];
  readonly #broker: Broker;
  readonly #now: () => Nanos;
  readonly #packet = new Packet();
  readonly #wire: AttachedWire | undefined;
  readonly #wakeSelf: (() => void) | undefined;
  #inRound = false;
  #sleepsForGood = false;

  constructor({ ports, uplink, uplinkCounters, mtu, now, tap, wakeSelf }: EthernetBrokerOptions) {
    this.#wakeSelf = wakeSelf;
    this.#now = now;
    const own = ports.map(({ share }) => share.weight);
    // The way out speaks for everybody beyond it: it has as much as all partitions together.
    const weights = uplink === undefined ? own : [...own, own.reduce((sum, weight) => sum + weight, 0) || 1];
    this.#backs = ports.map(({ buffers, depth, wake }, number) => new NetworkBack(buffers, { number, depth, weights, wake }));
    const outlets = ports.map(({ description, buffers }, number): SwitchPort => {
      const { counters } = buffers.lanes;
      return { description, outlet: this.#backs[number] as Outlet, ...(counters === undefined ? {} : { counters }) };
    });
    const counted = uplinkCounters === undefined ? {} : { counters: uplinkCounters };
    if (uplink?.kind === 'nat') {
      const send = (packet: Packet): void => this.#fromGateway(packet, ports.length);
      this.nat = new Nat({ ...uplink.options, mtu, now, send });
      outlets.push({ description: uplink.description, outlet: this.nat, ...counted });
    } else if (uplink !== undefined) {
      this.#wire = uplink.wire;
      outlets.push({ description: uplink.description, outlet: new WireOutlet(uplink.wire), ...counted });
    }
    this.#switch = new EthernetSwitch(outlets, { mtu, ...(tap === undefined ? {} : { tap }) });
    const served = this.#backs.map((back, number) => this.#servedPort(back, number, ports[number]?.share as FairShare));
    if (this.#wire !== undefined) served.push(this.#servedWire(this.#wire, ports.length, weights.at(-1) as number));
    this.#broker = new Broker(served, now);
  }

  counters(port: number): PortCounters {
    return this.#switch.counters(port);
  }

  /** Nobody looks on any more. */
  untap(): void {
    this.#switch.untap();
  }

  /** One round: see {@link Broker.round}. */
  round(): Nanos {
    this.#inRound = true;
    this.#wire?.admit();
    const sleep = this.#broker.round();
    this.#inRound = false;
    const now = this.#now();
    const due = this.nat?.advance(now) ?? Number.POSITIVE_INFINITY;
    this.#flush();
    this.#sleepsForGood = due === Number.POSITIVE_INFINITY;
    return Math.max(0, Math.min(sleep, due - now));
  }

  [Symbol.dispose](): void {
    this.nat?.[Symbol.dispose]();
    this.#wire?.[Symbol.dispose]();
  }

  #servedPort(back: NetworkBack, number: number, share: FairShare): ServedPort {
    const gone = (): void => {
      this.#switch.unplug(number);
      this.nat?.unplug(number);
    };
    return {
      share,
      poll: () => back.poll(gone),
      cost: () => costOf(back.nextRecordBytes),
      serve: () => {
        if (back.take(this.#packet)) this.#switch.receive(number, this.#packet, this.#now());
      },
      heldBack: (time) => back.control.countHeldBack(time),
    };
  }

  /** Frames that a wire brought: one is looked at before it is its turn. */
  #servedWire(wire: AttachedWire, number: number, weight: number): ServedPort {
    const packet = new Packet();
    const target = packet.incoming.subarray(OFFLOAD_BYTES);
    let waiting = 0;
    return {
      share: { weight },
      poll: () => {
        if (waiting > 0) return;
        waiting = wire.receive(target);
        if (waiting > 0) packet.begin(waiting);
      },
      cost: () => costOf(waiting),
      serve: () => {
        waiting = 0;
        this.#switch.receive(number, packet, this.#now());
      },
    };
  }

  /** Something the gateway says, of itself or in the middle of a round. */
  #fromGateway(packet: Packet, number: number): void {
    this.#switch.receive(number, packet, this.#now());
    if (this.#inRound) return;
    this.#flush();
    if (this.#sleepsForGood) this.#wakeSelf?.();
    this.#sleepsForGood = false;
  }

  #flush(): void {
    for (const back of this.#backs) back.flush();
  }
}

function costOf(bytes: number): number {
  return bytes === 0 ? 0 : Math.max(bytes, CHEAPEST_FRAME_BYTES);
}

/** A wire takes plain frames, one at a time; what it does not take is lost. */
class WireOutlet implements Outlet {
  readonly #wire: AttachedWire;
  readonly #piece = new Packet();

  constructor(wire: AttachedWire) {
    this.#wire = wire;
  }

  deliver(packet: Packet): boolean {
    const frames = framesFor(packet, NO_OFFLOADS);
    if (frames === 1) {
      completeChecksum(packet);
      return this.#wire.send(packet.frameBytes());
    }
    for (let index = 0; index < frames; index++) {
      segment(packet, index, this.#piece);
      if (!this.#wire.send(this.#piece.frameBytes())) return false;
    }
    return true;
  }
}
