/**
 * A partition's port of a shared network: a ring of records (offload header and frame) each way, and the words of any port.
 *
 * Neither side waits for the other. A full ring towards the broker leaves the frame where the guest put it; a full one towards the
 * partition loses it, and the switch counts that. Each life of the partition, and each reset of its device, is a generation
 * (shared/port.ts): frames of an earlier one are thrown away, and the link is up once the broker has agreed.
 */
import { FrameRing, KiB, MiB } from '../../base/index.ts';
import { MAXIMUM_FRAME_BYTES, MINIMUM_FRAME_BYTES } from '../../board/index.ts';
import type { AttachedWire, PortBuffers } from '../../contracts/index.ts';
import { PortControl } from '../port.ts';
import { completeChecksum, framesFor, type Offloads, segment } from './offload.ts';
import { LONGEST_RECORD_BYTES, OFFLOAD_BYTES, Packet, type StationAddress, stationBytes } from './packet.ts';
import { QueueShare } from './queue-share.ts';
import { createCounters, type Outlet } from './switch.ts';

/** Frames that may wait, each way, where the grant does not say. */
export const DEFAULT_DEPTH = 256;
/** Holds a few of the largest frames; more would only be waiting time. */
const OUTGOING_BYTES = 512 * KiB;
const INCOMING_BYTES = 1 * MiB;

/** What the partition's device takes, in the words of its driver: bits of the lane `offloads`. */
const TAKES_CHECKSUM = 1 << 0;
const TAKES_TCP4 = 1 << 1;
const TAKES_TCP6 = 1 << 2;

/** What a device needs to know of itself, in the lane `facts` (Float64). */
const ADDRESS = 0;
const MTU = 1;
const FACTS = 2;

export function createNetworkPort({ address, mtu }: { readonly address: StationAddress; readonly mtu: number }): PortBuffers {
  const facts = new SharedArrayBuffer(FACTS * Float64Array.BYTES_PER_ELEMENT);
  new Float64Array(facts).set([address, mtu]);
  return {
    control: PortControl.create(),
    lanes: {
      outgoing: FrameRing.create(OUTGOING_BYTES).buffer,
      incoming: FrameRing.create(INCOMING_BYTES).buffer,
      offloads: new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT),
      counters: createCounters(),
      facts,
    },
  };
}

/** Frames that wait, seen from any thread: of the partition for the broker, and of the broker for the partition. */
export function waitingFrames({ lanes: { outgoing, incoming } }: Pick<PortBuffers, 'lanes'>): readonly [towardsBroker: number, towardsPartition: number] {
  const inRing = (buffer: SharedArrayBuffer | undefined): number => (buffer === undefined ? 0 : FrameRing.over(buffer).length);
  return [inRing(outgoing), inRing(incoming)];
}

class NetworkLanes {
  readonly control: PortControl;
  protected readonly outgoing: FrameRing;
  protected readonly incoming: FrameRing;
  protected readonly offloadBits: Int32Array;
  /** The station address that was granted. */
  readonly address: StationAddress;
  /** Bytes of the longest IP packet. */
  readonly mtu: number;

  constructor(buffers: PortBuffers) {
    const { outgoing, incoming, offloads, facts } = buffers.lanes;
    if (outgoing === undefined || incoming === undefined || offloads === undefined || facts === undefined) throw new TypeError('this is no port of a network');
    this.control = new PortControl(buffers);
    this.outgoing = FrameRing.over(outgoing);
    this.incoming = FrameRing.over(incoming);
    this.offloadBits = new Int32Array(offloads);
    const numbers = new Float64Array(facts);
    this.address = numbers[ADDRESS] as number;
    this.mtu = numbers[MTU] as number;
  }
}

/**
 * The partition's end. A network controller uses it as it would any wire; a device that knows offload headers gives and takes whole
 * records.
 */
export class NetworkEnd extends NetworkLanes implements AttachedWire {
  /** Frames the device could not take; the broker counts what the ring could not. */
  readonly missed = 0;
  readonly #depth: number;
  readonly #wakeBroker: () => void;
  readonly #scratch = new Uint8Array(OFFLOAD_BYTES + MAXIMUM_FRAME_BYTES);
  #changed: () => void = () => undefined;
  #admitted = 0;
  #connected = false;
  /** There was no room for a frame since the last look. */
  #refused = false;
  /** The device wants frames. */
  #listening = true;

  /** `wakeBroker` is called when there is something for the broker. Begins a generation. */
  constructor(buffers: PortBuffers, depth: number, wakeBroker: () => void) {
    super(buffers);
    this.#depth = depth;
    this.#wakeBroker = wakeBroker;
    this.begin();
  }

  /** What was on its way is forgotten; the link is down until the broker has heard of it. */
  begin(): void {
    this.#connected = false;
    this.#admitted = 0;
    this.incoming.reader = false;
    Atomics.store(this.offloadBits, 0, 0);
    this.control.begin();
    this.#wakeBroker();
  }

  /** Whether frames are wanted at all: a device without a driver wants none. */
  set listening(wanted: boolean) {
    this.#listening = wanted;
    this.#admitted = 0;
    if (this.#connected) this.incoming.reader = wanted;
  }

  /** What the device takes from now on; what was put in before may be otherwise. */
  set offloads({ checksum, tcp4, tcp6 }: Offloads) {
    Atomics.store(this.offloadBits, 0, (checksum ? TAKES_CHECKSUM : 0) | (tcp4 ? TAKES_TCP4 : 0) | (tcp6 ? TAKES_TCP6 : 0));
  }

  get station(): Uint8Array {
    return stationBytes(this.address);
  }

  /** As of the last `admit`. */
  get connected(): boolean {
    return this.#connected;
  }

  send(frame: Uint8Array): boolean {
    if (frame.length > MAXIMUM_FRAME_BYTES) return true;
    this.#scratch.set(frame, OFFLOAD_BYTES);
    if (!this.sendRecord(this.#scratch.subarray(0, OFFLOAD_BYTES + frame.length))) return false;
    this.flush();
    return true;
  }

  receive(target: Uint8Array): number {
    const scratch = this.#scratch;
    for (let length = this.receiveRecord(scratch); length > 0; length = this.receiveRecord(scratch)) {
      // Left over from before a reset: not for a controller that knows no offloads.
      if (length <= OFFLOAD_BYTES || scratch[0] !== 0 || scratch[1] !== 0) continue;
      // On a wire there are no shorter ones (IEEE 802.3 §3.2.8).
      const frame = Math.max(length - OFFLOAD_BYTES, MINIMUM_FRAME_BYTES);
      scratch.fill(0, length, OFFLOAD_BYTES + frame);
      const count = Math.min(frame, target.length);
      target.set(scratch.subarray(OFFLOAD_BYTES, OFFLOAD_BYTES + count));
      return count;
    }
    return 0;
  }

  /** Puts a record in; {@link flush} tells the broker. False: there is no room, or nobody to take it. */
  sendRecord(record: Uint8Array): boolean {
    if (!this.#connected) return false;
    const taken = this.outgoing.length < this.#depth && this.outgoing.push(record);
    if (!taken) this.#refused = true;
    return taken;
  }

  /** The guest's own loss: nobody else counts it. */
  drop(): void {
    this.outgoing.countRefusal();
  }

  flush(): void {
    this.#wakeBroker();
  }

  /** Bytes of the next record that was admitted; 0: there is none. */
  get nextRecordBytes(): number {
    return this.#admitted === 0 ? 0 : this.incoming.nextLength;
  }

  /** Takes the next record that was admitted, cut to `target`; returns its bytes, 0 when there is none. */
  receiveRecord(target: Uint8Array): number {
    if (this.#admitted === 0) return 0;
    this.#admitted--;
    return this.incoming.shift(target);
  }

  listen(changed: () => void): void {
    this.#changed = changed;
  }

  admit(): void {
    const { settled } = this.control;
    const before = this.#admitted;
    const wasConnected = this.#connected;
    if (settled && !wasConnected) this.incoming.reader = this.#listening;
    this.#connected = settled;
    this.#admitted = settled && this.#listening ? this.incoming.length : 0;
    // A device that holds a frame back hears of every look: the broker takes frames without a word.
    const holdsBack = this.#refused;
    this.#refused = false;
    if (this.#admitted !== before || settled !== wasConnected || holdsBack) this.#changed();
  }

  [Symbol.dispose](): void {
    this.begin();
  }
}

/** What the broker needs to know of a port. */
export interface NetworkBackOptions {
  /** This port's number in the switch. */
  readonly number: number;
  readonly depth: number;
  /** Weights of all ports of the switch, by number: how they share the room towards this one. */
  readonly weights: readonly number[];
  /** Wakes the partition. */
  wake(): void;
}

/** The broker's end: what comes out of it goes into the switch, and the switch delivers into it. */
export class NetworkBack extends NetworkLanes implements Outlet {
  readonly #share: QueueShare;
  readonly #options: NetworkBackOptions;
  readonly #piece = new Packet();
  #news = false;
  #wasFull = false;

  constructor(buffers: PortBuffers, options: NetworkBackOptions) {
    super(buffers);
    this.#options = options;
    this.#share = new QueueShare(INCOMING_BYTES, options.depth, options.weights);
  }

  /** A new generation begins: `changed` is called, and what was on its way is gone. */
  poll(changed: () => void): void {
    const { generation, agreed } = this.control;
    if (generation === agreed) return;
    const { length } = this.outgoing;
    if (length > 0) this.control.count('dropped', length);
    this.outgoing.reader = true;
    this.incoming.reader = false;
    changed();
    this.control.settle(generation);
    this.#options.wake();
  }

  /** Bytes of the next record that waits; 0: none does. */
  get nextRecordBytes(): number {
    return this.outgoing.nextLength;
  }

  /** Takes the next record into `packet`; false: there is none. */
  take(packet: Packet): boolean {
    this.#wasFull ||= this.outgoing.length >= this.#options.depth;
    const length = this.outgoing.shift(packet.incoming);
    packet.taken(Math.min(length, LONGEST_RECORD_BYTES));
    if (length === 0) return false;
    return true;
  }

  get offloads(): Offloads {
    const bits = Atomics.load(this.offloadBits, 0);
    return OFFLOADS[bits & 7] as Offloads;
  }

  deliver(packet: Packet, source: number): boolean {
    // Nobody is there: not a loss, but a link that is down.
    if (!this.incoming.reader) return true;
    this.#share.settle(this.incoming.length);
    const { offloads } = this;
    const frames = framesFor(packet, offloads);
    if (frames === 1) {
      if (!offloads.checksum) completeChecksum(packet);
      return this.#push(packet, source);
    }
    for (let index = 0; index < frames; index++) {
      segment(packet, index, this.#piece);
      if (!this.#push(this.#piece, source)) return false;
    }
    return true;
  }

  /** Tells the partition what has come, and that there is room again; to be called when a round is done. */
  flush(): void {
    const hasRoom = this.#wasFull && this.outgoing.length < this.#options.depth;
    if (hasRoom) this.#wasFull = false;
    if (!this.#news && !hasRoom) return;
    this.#news = false;
    this.#options.wake();
  }

  #push(packet: Packet, source: number): boolean {
    const record = packet.record();
    const size = Math.max(record.length, INCOMING_BYTES / this.#options.depth);
    if (!this.#share.admits(source, size) || !this.incoming.push(record)) return false;
    this.#share.add(source, size);
    this.#news = true;
    return true;
  }
}

const OFFLOADS: readonly Offloads[] = Array.from({ length: 8 }, (_, bits) => ({
  checksum: (bits & TAKES_CHECKSUM) !== 0,
  tcp4: (bits & TAKES_TCP4) !== 0,
  tcp6: (bits & TAKES_TCP6) !== 0,
}));
