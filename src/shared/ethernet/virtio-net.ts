/**
 * A network device over virtio, at a port of a shared network. What its driver leaves to compute (checksums, TCP segmentation) travels
 * with the frame, so that a packet of 64 KiB goes from one guest to another as one.
 *
 * Its address is the grant's: a driver reads it and cannot change it. Frames that have no room at the broker stay in the transmit queue;
 * frames without a receive buffer wait in the port, whose depth is part of the grant.
 *
 * Spec: VIRTIO 1.2 §5.1.
 * Not modelled: several pairs of queues (VIRTIO_NET_F_MQ, _RSS), VIRTIO_NET_F_CTRL_MAC_ADDR (the grant decides),
 * VIRTIO_NET_F_CTRL_GUEST_OFFLOADS, VIRTIO_NET_F_GUEST_ANNOUNCE, segmentation of UDP and with ECN, VIRTIO_NET_F_RSC_EXT, hash reports,
 * notification coalescing.
 */
import type { AccessSize, DeviceState } from '../../contracts/index.ts';
import { type Chain, readConfigBytes, type SplitQueue, type VirtioDevice, type VirtioHost } from '../virtio/index.ts';
import type { NetworkEnd } from './network-port.ts';
import { HEADER_BYTES, LONGEST_RECORD_BYTES, NEEDS_CHECKSUM, OFFLOAD_BYTES, SEGMENT_NONE, SEGMENT_TCP4 } from './packet.ts';
import { ReceiveFilter } from './receive-filter.ts';

const DEVICE_ID = 1;
/** Ethernet controller. */
const PCI_CLASS = 0x02_0000;
const QUEUE_SIZE = 256;
const CONTROL_QUEUE_SIZE = 64;
const [RECEIVE, TRANSMIT, CONTROL] = [0, 1, 2];

// Features (§5.1.3)
export const NET_F_CSUM: bigint = 1n << 0n;
export const NET_F_GUEST_CSUM: bigint = 1n << 1n;
export const NET_F_MTU: bigint = 1n << 3n;
export const NET_F_MAC: bigint = 1n << 5n;
export const NET_F_GUEST_TSO4: bigint = 1n << 7n;
export const NET_F_GUEST_TSO6: bigint = 1n << 8n;
export const NET_F_HOST_TSO4: bigint = 1n << 11n;
export const NET_F_HOST_TSO6: bigint = 1n << 12n;
export const NET_F_MRG_RXBUF: bigint = 1n << 15n;
export const NET_F_STATUS: bigint = 1n << 16n;
export const NET_F_CTRL_VQ: bigint = 1n << 17n;
export const NET_F_CTRL_RX: bigint = 1n << 18n;
export const NET_F_CTRL_VLAN: bigint = 1n << 19n;
export const NET_F_CTRL_RX_EXTRA: bigint = 1n << 20n;

const FEATURES =
  NET_F_CSUM | NET_F_GUEST_CSUM | NET_F_MTU | NET_F_MAC | NET_F_GUEST_TSO4 | NET_F_GUEST_TSO6 | NET_F_HOST_TSO4 | NET_F_HOST_TSO6 | NET_F_MRG_RXBUF |
  NET_F_STATUS | NET_F_CTRL_VQ | NET_F_CTRL_RX | NET_F_CTRL_VLAN | NET_F_CTRL_RX_EXTRA;

// Configuration (§5.1.4)
const CONFIG_BYTES = 12;
const CONFIG_STATUS = 6;
const CONFIG_QUEUE_PAIRS = 8;
const CONFIG_MTU = 10;
const STATUS_LINK_UP = 1;

/** Of the header (§5.1.6): how many buffers a received packet was put into. */
const NUMBER_OF_BUFFERS = 10;

// Control commands (§5.1.6.5): class and command, data, then a byte for the answer.
const COMMAND_BYTES = 2;
const MOST_CONTROL_BYTES = 4096;
const ACK_OK = 0;
const ACK_ERROR = 1;

/** What happened to frames at the device itself. */
export interface VirtioNetCounters {
  /** Of the guest: shorter than a frame, or longer than any. */
  malformed: number;
  /** To the guest: its driver has not the means to take them, or never had room for one so large. */
  unfit: number;
  /** To the guest, which does not want them. */
  filtered: number;
}

export class VirtioNet implements VirtioDevice {
  readonly id: number = DEVICE_ID;
  readonly pciClass: number = PCI_CLASS;
  readonly features: bigint = FEATURES;
  readonly queueSizes: readonly number[] = [QUEUE_SIZE, QUEUE_SIZE, CONTROL_QUEUE_SIZE];
  readonly configBytes: number = CONFIG_BYTES;
  readonly counters: VirtioNetCounters = { malformed: 0, unfit: 0, filtered: 0 };
  readonly #end: NetworkEnd;
  readonly #config = new Uint8Array(CONFIG_BYTES);
  readonly #filter: ReceiveFilter;
  readonly #outgoing = new Uint8Array(LONGEST_RECORD_BYTES);
  readonly #incoming = new Uint8Array(LONGEST_RECORD_BYTES);
  /** Bytes in {@link #incoming} that wait for buffers. */
  #waiting = 0;
  readonly #control = new Uint8Array(MOST_CONTROL_BYTES);
  readonly #answer = new Uint8Array(1);
  readonly #buffers: Chain[] = [];
  #host: VirtioHost | undefined;
  #queues: readonly (SplitQueue | undefined)[] = [];
  #features = 0n;

  constructor(end: NetworkEnd) {
    this.#end = end;
    this.#config.set(end.station);
    const view = new DataView(this.#config.buffer);
    view.setUint16(CONFIG_QUEUE_PAIRS, 1, true);
    view.setUint16(CONFIG_MTU, end.mtu, true);
    this.#filter = new ReceiveFilter(end.address);
    end.listening = false;
    end.listen(() => this.#changed());
  }

  attach(host: VirtioHost): void {
    this.#host = host;
  }

  readConfig(offset: number, size: AccessSize): number {
    return readConfigBytes(this.#config, offset, size);
  }

  /** §5.1.4: nothing can be written. */
  writeConfig(): void {}

  activate(queues: readonly (SplitQueue | undefined)[], features: bigint): void {
    this.#queues = queues;
    this.#features = features;
    const has = (feature: bigint): boolean => (features & feature) !== 0n;
    const checksum = has(NET_F_GUEST_CSUM);
    // §5.1.3.1: segmentation needs checksums. Without mergeable buffers a driver leaves room for the largest packet in each.
    this.#end.offloads = { checksum, tcp4: checksum && has(NET_F_GUEST_TSO4), tcp6: checksum && has(NET_F_GUEST_TSO6) };
    this.#filter.begin(has(NET_F_CTRL_RX), has(NET_F_CTRL_VLAN));
    this.#end.listening = true;
    this.#showLink();
  }

  notify(queue: number): void {
    if (queue === TRANSMIT) this.#transmit();
    else if (queue === RECEIVE) this.#receive();
    else if (queue === CONTROL) this.#obey();
  }

  reset(): void {
    this.#queues = [];
    this.#features = 0n;
    this.#waiting = 0;
    this.#end.listening = false;
    // What was sent before belongs to a driver that is no more.
    this.#end.begin();
    this.#showLink();
  }

  save(): DeviceState {
    return { version: 1, filter: this.#filter.save() };
  }

  /** Frames on their way are not part of it: a network may lose them. */
  restore(state: DeviceState): void {
    this.#filter.restore(state['filter']);
  }

  #changed(): void {
    this.#showLink();
    this.#transmit();
    this.#receive();
  }

  #showLink(): void {
    const status = this.#end.connected ? STATUS_LINK_UP : 0;
    if (this.#config[CONFIG_STATUS] === status) return;
    this.#config[CONFIG_STATUS] = status;
    this.#host?.configChanged();
  }

  // ── from the guest ──

  #transmit(): void {
    const queue = this.#queues[TRANSMIT];
    if (queue === undefined) return;
    let sent = false;
    // A driver cannot add to its queue meanwhile: it is in this thread.
    for (let count = 0; count < queue.size; count++) {
      const chain = queue.take();
      if (chain === undefined) break;
      const length = chain.readableBytes;
      if (length < OFFLOAD_BYTES + HEADER_BYTES || length > LONGEST_RECORD_BYTES) this.counters.malformed++;
      else if (this.#end.connected) {
        const record = this.#outgoing.subarray(0, length);
        const isRead = chain.read(0, record);
        record[NUMBER_OF_BUFFERS] = 0;
        record[NUMBER_OF_BUFFERS + 1] = 0;
        if (isRead && !this.#end.sendRecord(record)) {
          queue.untake(chain);
          break;
        }
        sent = true;
      }
      queue.complete(chain, 0);
    }
    if (sent) this.#end.flush();
    queue.announce();
  }

  // ── to the guest ──

  #receive(): void {
    const queue = this.#queues[RECEIVE];
    if (queue === undefined) return;
    for (;;) {
      if (this.#waiting === 0) this.#waiting = this.#next();
      if (this.#waiting === 0 || !this.#give(queue, this.#waiting)) break;
      this.#waiting = 0;
    }
    queue.announce();
  }

  /** Fetches the next record for the guest; 0: there is none. */
  #next(): number {
    for (let length = this.#end.receiveRecord(this.#incoming); length > 0; length = this.#end.receiveRecord(this.#incoming)) {
      if (length < OFFLOAD_BYTES + HEADER_BYTES || !this.#understands()) this.counters.unfit++;
      else if (!this.#filter.passes(this.#incoming, OFFLOAD_BYTES, length)) this.counters.filtered++;
      else return length;
    }
    return 0;
  }

  /** The record may be one from before a reset, made for a driver with other features. */
  #understands(): boolean {
    const [flags = 0, segmentation = SEGMENT_NONE] = this.#incoming;
    if (flags & NEEDS_CHECKSUM && !(this.#features & NET_F_GUEST_CSUM)) return false;
    if (segmentation === SEGMENT_NONE) return true;
    return (this.#features & (segmentation === SEGMENT_TCP4 ? NET_F_GUEST_TSO4 : NET_F_GUEST_TSO6)) !== 0n;
  }

  /** Puts a record into the guest's buffers. False: it is to wait for more of them. */
  #give(queue: SplitQueue, length: number): boolean {
    const isMerging = (this.#features & NET_F_MRG_RXBUF) !== 0n;
    const buffers = this.#buffers;
    buffers.length = 0;
    let room = 0;
    const most = isMerging ? queue.size : 1;
    while (room < length && buffers.length < most) {
      const chain = queue.take();
      if (chain === undefined) {
        for (let index = buffers.length - 1; index >= 0; index--) queue.untake(buffers[index] as Chain);
        return false;
      }
      buffers.push(chain);
      room += chain.writableBytes;
    }
    if (room < length) {
      // All the buffers there can be are not enough: it is lost, and they go back.
      this.counters.unfit++;
      for (const chain of buffers) queue.complete(chain, 0);
      return true;
    }
    this.#incoming[NUMBER_OF_BUFFERS] = buffers.length & 0xff;
    this.#incoming[NUMBER_OF_BUFFERS + 1] = buffers.length >> 8;
    let done = 0;
    for (const chain of buffers) {
      const count = Math.min(chain.writableBytes, length - done);
      queue.complete(chain, chain.write(0, this.#incoming.subarray(done, done + count)) ? count : 0);
      done += count;
    }
    return true;
  }

  // ── control ──

  #obey(): void {
    const queue = this.#queues[CONTROL];
    if (queue === undefined) return;
    for (let count = 0; count < queue.size; count++) {
      const chain = queue.take();
      if (chain === undefined) break;
      this.#answer[0] = this.#carryOut(chain) ? ACK_OK : ACK_ERROR;
      queue.complete(chain, chain.write(0, this.#answer) ? 1 : 0);
    }
    queue.announce();
  }

  #carryOut(chain: Chain): boolean {
    const length = Math.min(chain.readableBytes, MOST_CONTROL_BYTES);
    const command = this.#control.subarray(0, length);
    if (length < COMMAND_BYTES || !chain.read(0, command)) return false;
    return this.#filter.obey(command[0] as number, command[1] as number, command.subarray(COMMAND_BYTES));
  }
}
