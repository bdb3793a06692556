/**
 * A block device over virtio, in front of a shared disk. Requests are cut into slots of its port and put together again; what the port has
 * no room for stays in the queue, where the guest put it.
 *
 * Reads, writes, flush, discard, write-zeroes and the serial number; write-back or write-through as the driver chooses; a queue for each
 * processor. While its device is reset, or its partition begins a new life, requests in flight are carried out or dropped, and their
 * answers thrown away (shared/port.ts): the guest was not told of any of them.
 *
 * Spec: VIRTIO 1.2 §5.2.
 * Not modelled: VIRTIO_BLK_F_GEOMETRY, VIRTIO_BLK_F_LIFETIME, VIRTIO_BLK_F_SECURE_ERASE, VIRTIO_BLK_F_ZONED.
 */
import { type AccessSize, type DeviceState, SECTOR_BYTES } from '../../contracts/index.ts';
import type { Chain, SplitQueue, VirtioDevice, VirtioHost } from '../virtio/index.ts';
import { readConfigBytes } from '../virtio/index.ts';
import type { DiskEnd } from './disk-end.ts';
import {
  FLAG_DURABLE,
  FLAG_UNMAP,
  FLAGS,
  MOST_CLEARED_SECTORS,
  OP_DISCARD,
  OP_FLUSH,
  OP_READ,
  OP_WRITE,
  OP_ZERO,
  OPERATION,
  putSector,
  SECTORS,
  STATUS,
  STATUS_OK,
} from './disk-request.ts';

const DEVICE_ID = 2;
const PCI_CLASS = 0x01_0000;
/** A MiB in 256 pages that lie apart, which is what Linux asks for at most, is one request; with 256 descriptors it takes two. */
export const QUEUE_SIZE = 1024;

// Features (§5.2.3)
const F_SEG_MAX = 1n << 2n;
const F_RO = 1n << 5n;
const F_BLK_SIZE = 1n << 6n;
const F_FLUSH = 1n << 9n;
const F_TOPOLOGY = 1n << 10n;
const F_CONFIG_WCE = 1n << 11n;
const F_MQ = 1n << 12n;
const F_DISCARD = 1n << 13n;
const F_WRITE_ZEROES = 1n << 14n;

// Configuration (§5.2.4)
const CONFIG_BYTES = 60;
const CAPACITY = 0;
const SEG_MAX = 12;
const BLK_SIZE = 20;
const TOPOLOGY_EXPONENT = 24;
const TOPOLOGY_MINIMUM = 26;
const TOPOLOGY_OPTIMUM = 28;
const WRITEBACK = 32;
const NUM_QUEUES = 34;
const MAX_DISCARD_SECTORS = 36;
const MAX_DISCARD_SEG = 40;
const DISCARD_ALIGNMENT = 44;
const MAX_WRITE_ZEROES_SECTORS = 48;
const MAX_WRITE_ZEROES_SEG = 52;
const WRITE_ZEROES_MAY_UNMAP = 56;

// Requests (§5.2.6)
const HEADER_BYTES = 16;
const T_IN = 0;
const T_OUT = 1;
const T_FLUSH = 4;
const T_GET_ID = 8;
const T_DISCARD = 11;
const T_WRITE_ZEROES = 13;
const S_OK = 0;
const S_IOERR = 1;
const S_UNSUPP = 2;
const ID_BYTES = 20;
const SEGMENT_BYTES = 16;
/** Ranges of one discard or write-zeroes request. */
const MOST_SEGMENTS = 16;
const SEGMENT_UNMAP = 1 << 0;
const LARGEST_CLEARING_SECTORS = 1 << 20;

/** Physical sectors as today's disks have them: Linux then keeps its partitions and file systems on them. */
const PHYSICAL_EXPONENT = 3;

const OPERATIONS: ReadonlyMap<number, number> = new Map([
  [T_IN, OP_READ],
  [T_OUT, OP_WRITE],
  [T_FLUSH, OP_FLUSH],
  [T_DISCARD, OP_DISCARD],
  [T_WRITE_ZEROES, OP_ZERO],
]);

/** A request of the guest on its way, in one slot or several. */
class Job {
  chain: Chain | undefined;
  queue: SplitQueue | undefined;
  operation = 0;
  /** Bytes of data (read, write), or of the list of ranges. */
  bytes = 0;
  /** Bytes that went into slots; of ranges, those that went wholly. */
  started = 0;
  sector = 0;
  /** Of the range that is being cleared: what has not gone into a slot. */
  rangeLeft = 0;
  rangeFlags = 0;
  /** Slots on their way. */
  pending = 0;
  /** Everything has gone into slots. */
  whole = false;
  failed = false;
}

export class VirtioBlk implements VirtioDevice {
  readonly id: number = DEVICE_ID;
  readonly pciClass: number = PCI_CLASS;
  readonly configBytes: number = CONFIG_BYTES;
  readonly queueSizes: readonly number[];
  readonly #end: DiskEnd;
  readonly #config = new Uint8Array(CONFIG_BYTES);
  readonly #header = new Uint8Array(HEADER_BYTES);
  readonly #headerView = new DataView(this.#header.buffer);
  readonly #segment = new DataView(new ArrayBuffer(SEGMENT_BYTES));
  readonly #status = new Uint8Array(1);
  readonly #spare: Job[] = [];
  /** By slot: the job it works for, and where its data belongs. */
  readonly #jobOf: (Job | undefined)[] = [];
  readonly #offsetOf: number[] = [];
  readonly #sizeOf: number[] = [];
  #host: VirtioHost | undefined;
  #queues: readonly (SplitQueue | undefined)[] = [];
  /** By queue: the job that has not gone into slots wholly. */
  #unfinished: (Job | undefined)[] = [];
  /** The queue whose turn it is when slots become free. */
  #turn = 0;
  #writeBack = true;
  /** A request waits for a slot. */
  #starved = false;

  constructor(end: DiskEnd, queues: number) {
    this.#end = end;
    this.queueSizes = Array.from({ length: queues }, () => QUEUE_SIZE);
    this.#describe();
    end.listen(() => this.#answered());
  }

  get features(): bigint {
    const common = F_SEG_MAX | F_BLK_SIZE | F_FLUSH | F_TOPOLOGY | F_CONFIG_WCE | (this.queueSizes.length > 1 ? F_MQ : 0n);
    return common | (this.#end.readOnly ? F_RO : F_DISCARD | F_WRITE_ZEROES);
  }

  readConfig(offset: number, size: AccessSize): number {
    return readConfigBytes(this.#config, offset, size);
  }

  /** §5.2.5.2: nothing but the cache mode can be written. */
  writeConfig(offset: number, _size: AccessSize, value: number): void {
    if (offset !== WRITEBACK) return;
    this.#config[WRITEBACK] = value & 1;
    this.#writeBack = (value & 1) !== 0;
  }

  attach(host: VirtioHost): void {
    this.#host = host;
  }

  activate(queues: readonly (SplitQueue | undefined)[], features: bigint): void {
    this.#queues = queues;
    this.#unfinished = queues.map(() => undefined);
    // §5.2.6.2: a driver that cannot flush gets everything written through.
    this.#writeBack = (features & F_FLUSH) !== 0n && ((features & F_CONFIG_WCE) === 0n || this.#config[WRITEBACK] === 1);
    this.#pump();
  }

  notify(): void {
    this.#pump();
  }

  reset(): void {
    this.#config[WRITEBACK] = 1;
    this.#writeBack = true;
    this.#queues = [];
    this.#unfinished = [];
    this.#turn = 0;
    if (this.#jobOf.some((job) => job !== undefined)) {
      this.#jobOf.fill(undefined);
      this.#end.slots.begin();
    }
  }

  save(): DeviceState {
    return { version: 1, writeBack: this.#config[WRITEBACK] === 1 };
  }

  restore(state: DeviceState): void {
    this.#config[WRITEBACK] = state['writeBack'] === true ? 1 : 0;
    this.#writeBack &&= this.#config[WRITEBACK] === 1;
  }

  /** Puts into slots what they have room for. */
  #pump(): void {
    if (this.#end.closed) {
      this.#failAll();
      return;
    }
    const count = this.#queues.length;
    let idle = 0;
    this.#starved = false;
    // A chain that needs no slot is answered at once: there can be as many as a queue holds, and no more before the guest runs again.
    for (let work = 0; work < count * QUEUE_SIZE && idle < count; work++) {
      const index = this.#turn;
      if (this.#advance(index)) idle = 0;
      else idle++;
      this.#turn = (index + 1) % count;
    }
    this.#end.slots.wake();
    this.#announce();
  }

  /** One more chain of a queue, or the rest of the one that was cut off. False: there is nothing to do, or no room. */
  #advance(index: number): boolean {
    const queue = this.#queues[index];
    if (queue === undefined) return false;
    if (this.#end.slots.free === 0) {
      this.#starved ||= this.#unfinished[index] !== undefined || queue.hasWaiting;
      return false;
    }
    const job = this.#unfinished[index] ?? this.#begin(queue);
    if (job === undefined) return false;
    this.#unfinished[index] = undefined;
    if (job.chain === undefined) return true;
    if (!this.#fill(job)) this.#unfinished[index] = job;
    return true;
  }

  /** Looks at the next chain. undefined: there is none. A job without chain was answered already. */
  #begin(queue: SplitQueue): Job | undefined {
    const chain = queue.take();
    if (chain === undefined) return undefined;
    const job = this.#spare.pop() ?? new Job();
    job.chain = chain;
    job.queue = queue;
    job.started = 0;
    job.pending = 0;
    job.rangeLeft = 0;
    job.whole = false;
    job.failed = false;
    if (chain.writableBytes === 0 || !chain.read(0, this.#header)) {
      this.#host?.fail(`queue ${queue.index}: a request without header or status`);
      return undefined;
    }
    const type = this.#headerView.getUint32(0, true);
    job.operation = OPERATIONS.get(type) ?? 0;
    job.sector = this.#headerView.getUint32(8, true) + this.#headerView.getUint32(12, true) * 2 ** 32;
    job.bytes = type === T_IN ? chain.writableBytes - 1 : type === T_FLUSH ? 0 : chain.readableBytes - HEADER_BYTES;
    if (type === T_GET_ID) this.#answer(job, this.#putId(chain) ? S_OK : S_IOERR, Math.min(ID_BYTES, chain.writableBytes - 1));
    else if (job.operation === 0) this.#answer(job, S_UNSUPP, 0);
    else if (!this.#allowed(job)) {
      this.#end.slots.control.count('refusedByDevice');
      this.#answer(job, S_IOERR, 0);
    }
    return job;
  }

  /** §5.2.6.2: within the disk, whole sectors, and no writing where it is read-only. */
  #allowed({ operation, bytes, sector }: Job): boolean {
    if (operation === OP_FLUSH) return true;
    if (operation !== OP_READ && this.#end.readOnly) return false;
    if (operation === OP_DISCARD || operation === OP_ZERO) {
      return bytes > 0 && bytes % SEGMENT_BYTES === 0 && bytes <= MOST_SEGMENTS * SEGMENT_BYTES;
    }
    return bytes > 0 && bytes % SECTOR_BYTES === 0 && sector + bytes / SECTOR_BYTES <= this.#end.sectors;
  }

  /** Into slots with it, as far as they go. True: all of it went, or it has failed. */
  #fill(job: Job): boolean {
    const { slots } = this.#end;
    while (!job.whole && !job.failed) {
      const slot = slots.acquire();
      if (slot === undefined) return false;
      const words = slots.words(slot);
      words[OPERATION] = job.operation;
      words[FLAGS] = 0;
      const filled = job.operation === OP_READ || job.operation === OP_WRITE ? this.#fillData(job, slot, words) : this.#fillOther(job, words);
      if (!filled) {
        slots.release(slot);
        job.failed = true;
        break;
      }
      this.#jobOf[slot] = job;
      job.pending++;
      slots.submit(slot);
      // The broker writes one slot while the next is being copied.
      if (job.operation === OP_WRITE) slots.wake();
    }
    if (job.pending === 0) this.#finish(job);
    return true;
  }

  #fillData(job: Job, slot: number, words: Int32Array): boolean {
    const data = this.#end.slots.data(slot);
    const size = Math.min(data.length, job.bytes - job.started);
    if (job.operation === OP_WRITE) {
      if (job.chain?.read(HEADER_BYTES + job.started, data, size) !== true) return false;
      if (!this.#writeBack) words[FLAGS] = FLAG_DURABLE;
    }
    putSector(words, job.sector + job.started / SECTOR_BYTES);
    words[SECTORS] = size / SECTOR_BYTES;
    this.#offsetOf[slot] = job.started;
    this.#sizeOf[slot] = size;
    job.started += size;
    job.whole = job.started === job.bytes;
    return true;
  }

  #fillOther(job: Job, words: Int32Array): boolean {
    if (job.operation === OP_FLUSH) {
      job.whole = true;
      putSector(words, 0);
      words[SECTORS] = 0;
      return true;
    }
    if (job.rangeLeft === 0 && !this.#nextRange(job)) return false;
    const sectors = Math.min(MOST_CLEARED_SECTORS, job.rangeLeft);
    putSector(words, job.sector);
    words[SECTORS] = sectors;
    words[FLAGS] = (job.rangeFlags & SEGMENT_UNMAP ? FLAG_UNMAP : 0) | (this.#writeBack ? 0 : FLAG_DURABLE);
    job.sector += sectors;
    job.rangeLeft -= sectors;
    job.whole = job.rangeLeft === 0 && job.started === job.bytes;
    return true;
  }

  /** §5.2.6: sector, number of sectors, flags. A discard has none of them. */
  #nextRange(job: Job): boolean {
    const bytes = new Uint8Array(this.#segment.buffer);
    if (job.chain?.read(HEADER_BYTES + job.started, bytes) !== true) return false;
    job.started += SEGMENT_BYTES;
    job.sector = this.#segment.getUint32(0, true) + this.#segment.getUint32(4, true) * 2 ** 32;
    job.rangeLeft = this.#segment.getUint32(8, true);
    job.rangeFlags = this.#segment.getUint32(12, true);
    const defined = job.operation === OP_ZERO ? SEGMENT_UNMAP : 0;
    const { rangeLeft, rangeFlags, sector } = job;
    return rangeLeft > 0 && rangeLeft <= LARGEST_CLEARING_SECTORS && (rangeFlags & ~defined) === 0 && sector + rangeLeft <= this.#end.sectors;
  }

  /** Answers have come, or slots have become free. */
  #answered(): void {
    if (this.#queues.length === 0) return;
    const { slots } = this.#end;
    if (slots.answers === 0 && !this.#starved && !this.#end.closed) return;
    for (let count = slots.answers; count > 0; count--) {
      const slot = slots.completed();
      const job = slot === undefined ? undefined : this.#jobOf[slot];
      if (slot === undefined || job === undefined) continue;
      if (slots.words(slot)[STATUS] !== STATUS_OK) job.failed = true;
      else if (job.operation === OP_READ && !this.#deliver(job, slot)) job.failed = true;
      this.#jobOf[slot] = undefined;
      slots.release(slot);
      job.pending--;
      if (job.pending === 0 && (job.whole || job.failed) && !this.#unfinished.includes(job)) this.#finish(job);
    }
    this.#pump();
  }

  #deliver({ chain }: Job, slot: number): boolean {
    return chain?.write(this.#offsetOf[slot] as number, this.#end.slots.data(slot), this.#sizeOf[slot]) === true;
  }

  #finish(job: Job): void {
    this.#answer(job, job.failed ? S_IOERR : S_OK, job.operation === OP_READ && !job.failed ? job.bytes : 0);
  }

  /** §5.2.6: the status is the last byte of the chain. */
  #answer(job: Job, status: number, data: number): void {
    const { chain, queue } = job;
    job.chain = undefined;
    job.queue = undefined;
    this.#spare.push(job);
    if (chain === undefined || queue === undefined) return;
    this.#status[0] = status;
    chain.write(chain.writableBytes - 1, this.#status);
    queue.complete(chain, data + 1);
  }

  /** The broker is gone: whatever is on its way fails. */
  #failAll(): void {
    for (const [slot, job] of this.#jobOf.entries()) {
      if (job === undefined) continue;
      this.#jobOf[slot] = undefined;
      job.failed = true;
      job.pending--;
      if (job.pending === 0 && !this.#unfinished.includes(job)) this.#finish(job);
    }
    for (const [index, queue] of this.#queues.entries()) {
      const unfinished = this.#unfinished[index];
      this.#unfinished[index] = undefined;
      if (unfinished?.chain !== undefined) this.#answer(unfinished, S_IOERR, 0);
      for (let count = 0; queue !== undefined && count < QUEUE_SIZE; count++) {
        const job = this.#begin(queue);
        if (job === undefined) break;
        if (job.chain !== undefined) this.#answer(job, S_IOERR, 0);
      }
    }
    this.#announce();
  }

  #announce(): void {
    for (const queue of this.#queues) queue?.announce();
  }

  /** §5.2.6: up to 20 characters, without a terminator when there are that many. */
  #putId(chain: Chain): boolean {
    const id = new Uint8Array(Math.min(ID_BYTES, chain.writableBytes - 1));
    for (let i = 0; i < Math.min(id.length, this.#end.serial.length); i++) id[i] = this.#end.serial.charCodeAt(i) & 0x7f;
    return chain.write(0, id);
  }

  #describe(): void {
    const view = new DataView(this.#config.buffer);
    const blocks = Math.max(1, this.#end.clusterBytes / SECTOR_BYTES);
    view.setBigUint64(CAPACITY, BigInt(this.#end.sectors), true);
    // §5.2.4: without header and status. A chain is no longer than the queue.
    view.setUint32(SEG_MAX, QUEUE_SIZE - 2, true);
    view.setUint32(BLK_SIZE, SECTOR_BYTES, true);
    view.setUint8(TOPOLOGY_EXPONENT, PHYSICAL_EXPONENT);
    view.setUint16(TOPOLOGY_MINIMUM, 1 << PHYSICAL_EXPONENT, true);
    view.setUint32(TOPOLOGY_OPTIMUM, blocks, true);
    view.setUint8(WRITEBACK, 1);
    view.setUint16(NUM_QUEUES, this.queueSizes.length, true);
    view.setUint32(MAX_DISCARD_SECTORS, LARGEST_CLEARING_SECTORS, true);
    view.setUint32(MAX_DISCARD_SEG, MOST_SEGMENTS, true);
    view.setUint32(DISCARD_ALIGNMENT, blocks, true);
    view.setUint32(MAX_WRITE_ZEROES_SECTORS, LARGEST_CLEARING_SECTORS, true);
    view.setUint32(MAX_WRITE_ZEROES_SEG, MOST_SEGMENTS, true);
    view.setUint8(WRITE_ZEROES_MAY_UNMAP, 1);
  }
}
