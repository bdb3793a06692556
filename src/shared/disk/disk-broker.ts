/** A shared disk's broker: the requests of its ports, judged by their grants and carried out on its image. */
import { BulkheadError, KiB, ring, s } from '../../base/index.ts';
import { type DiskSource, type GrantedPort, type ImageFiles, type Nanos, SECTOR_BYTES } from '../../contracts/index.ts';
import type { ServedPort } from '../broker.ts';
import type { FairShare } from '../fair-queue.ts';
import { type PortNumber, SlotBack } from '../port.ts';
import type { DiskImage } from './disk-image.ts';
import {
  DISK_CLUSTER_BYTES,
  DISK_READ_ONLY,
  DISK_SECTORS,
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
  SECTORS,
  sectorOf,
  STATUS,
  STATUS_ERROR,
  STATUS_OK,
} from './disk-request.ts';
import { openDisk } from './open-disk.ts';

/** What a request costs besides its data. */
const COST_OF_ANY = 4 * KiB;
/** A flush keeps the disk busy as long as some writing does. */
const COST_OF_FLUSH = 32 * KiB;
/** What nobody asked to be flushed goes to the medium when nothing was written for this long … */
const QUIET_BEFORE_FLUSH: Nanos = s;
/** … and after this long in any case, as Linux does with what is written to a file (Documentation/admin-guide/sysctl/vm.rst, dirty_expire_centisecs). */
const LONGEST_UNFLUSHED: Nanos = 30 * s;

export interface DiskBrokerOptions {
  readonly name: string;
  readonly source: Pick<DiskSource, 'image' | 'overlay'>;
  readonly ports: readonly GrantedPort[];
  readonly files: ImageFiles;
}

/** The image and the ports on it. Throws what {@link openDisk} throws, and BH676 when a window does not lie within the image. */
export class DiskBroker implements Disposable {
  readonly #ports: readonly DiskPort[];
  readonly image: DiskImage;
  /** When {@link idle} saw first that something waits to be flushed. */
  #unflushedSince: Nanos | undefined;
  /** When {@link idle} saw last that something had been written, and how much had been by then. */
  #lastWritten: Nanos = 0;
  #writesSeen = 0;

  constructor({ name, source, ports, files }: DiskBrokerOptions) {
    this.image = openDisk(files, source, ports.some(({ grant }) => grant.access === 'rw') ? 'rw' : 'ro');
    for (const { grant } of ports) {
      const { offset, size } = grant.window ?? { offset: 0, size: this.image.size };
      if (offset >= 0 && size >= 0 && offset + size <= this.image.size) continue;
      this.image[Symbol.dispose]();
      throw new BulkheadError('BH676', `${name}: the window of ${grant.partition} ends at ${offset + size}, the image at ${this.image.size}`);
    }
    this.#ports = ports.map((port) => new DiskPort(this.image, port));
  }

  get ports(): readonly ServedPort[] {
    return this.#ports;
  }

  /** Whenever nobody wants anything any more: what was written and never flushed goes to the medium, in time. Returns how long until it must be asked again. */
  idle(now: Nanos): Nanos {
    if (!this.image.dirty) {
      this.#unflushedSince = undefined;
      return Number.POSITIVE_INFINITY;
    }
    this.#unflushedSince ??= now;
    const writes = this.#ports.reduce((sum, port) => sum + port.writes, 0);
    if (writes !== this.#writesSeen) this.#lastWritten = now;
    this.#writesSeen = writes;
    const left = Math.min(this.#lastWritten + QUIET_BEFORE_FLUSH, this.#unflushedSince + LONGEST_UNFLUSHED) - now;
    if (left > 0) return left;
    this.#unflushedSince = undefined;
    this.image.flush();
    return this.image.dirty ? QUIET_BEFORE_FLUSH : Number.POSITIVE_INFINITY;
  }

  [Symbol.dispose](): void {
    this.image[Symbol.dispose]();
  }
}

/** What became of a request, by the number that counts it. */
type Outcome = Extract<PortNumber, 'served' | 'failed' | 'refusedAccess' | 'refusedWindow' | 'refusedForm'>;

class DiskPort implements ServedPort {
  readonly share: FairShare;
  /** Requests that changed the image, or may have. */
  writes = 0;
  readonly #image: DiskImage;
  readonly #slots: SlotBack;
  readonly #alarm: Int32Array;
  readonly #mayWrite: boolean;
  readonly #firstSector: number;
  readonly #sectors: number;

  constructor(image: DiskImage, { grant, port, alarm }: GrantedPort) {
    this.#image = image;
    this.#alarm = alarm;
    this.#slots = new SlotBack(port);
    this.share = { weight: grant.weight ?? 1, rate: grant.rate };
    this.#mayWrite = grant.access === 'rw' && !image.readOnly;
    this.#firstSector = Math.ceil((grant.window?.offset ?? 0) / SECTOR_BYTES);
    this.#sectors = Math.floor((grant.window?.size ?? image.size) / SECTOR_BYTES);
    const numbers = new Float64Array(port.lanes['disk'] as SharedArrayBuffer);
    numbers[DISK_SECTORS] = this.#sectors;
    numbers[DISK_READ_ONLY] = this.#mayWrite ? 0 : 1;
    numbers[DISK_CLUSTER_BYTES] = image.clusterBytes;
  }

  poll(): void {
    if (this.#slots.poll()) ring(this.#alarm);
  }

  cost(): number {
    const slot = this.#slots.head();
    if (slot === undefined) return 0;
    const words = this.#slots.words(slot);
    switch (words[OPERATION]) {
      case OP_READ:
      case OP_WRITE:
        return COST_OF_ANY + this.#dataBytes(words) + (((words[FLAGS] as number) & FLAG_DURABLE) === 0 ? 0 : COST_OF_FLUSH);
      case OP_FLUSH:
        return this.#image.dirty ? COST_OF_FLUSH : COST_OF_ANY;
      default:
        return COST_OF_FLUSH;
    }
  }

  serve(): void {
    const slot = this.#slots.head();
    if (slot === undefined) return;
    this.#slots.take();
    const words = this.#slots.words(slot);
    const outcome = this.#carryOut(slot, words);
    words[STATUS] = outcome === 'served' ? STATUS_OK : STATUS_ERROR;
    if (outcome !== 'served') this.#slots.control.count(outcome);
    this.#slots.answer(slot);
    ring(this.#alarm);
  }

  heldBack(time: Nanos): void {
    this.#slots.control.countHeldBack(time);
  }

  /** The words are looked at once: whoever wrote them is on the other side of the wall. */
  #carryOut(slot: number, words: Int32Array): Outcome {
    const operation = words[OPERATION];
    const flags = words[FLAGS] as number;
    const sectors = words[SECTORS] as number;
    const sector = sectorOf(words);
    if (operation === OP_FLUSH) return this.#image.flush() ? this.#served() : 'failed';
    const limit = operation === OP_READ || operation === OP_WRITE ? this.#slots.dataBytes / SECTOR_BYTES : MOST_CLEARED_SECTORS;
    if (sectors < 1 || sectors > limit) return 'refusedForm';
    if (sector + sectors > this.#sectors) return 'refusedWindow';
    if (operation !== OP_READ) {
      if (!this.#mayWrite) return 'refusedAccess';
      this.writes++;
    }
    const offset = (this.#firstSector + sector) * SECTOR_BYTES;
    const bytes = sectors * SECTOR_BYTES;
    const data = this.#slots.data(slot);
    switch (operation) {
      case OP_READ:
        return this.#image.read(offset, bytes === data.length ? data : data.subarray(0, bytes)) ? this.#served(0, bytes) : 'failed';
      case OP_WRITE:
        if (!this.#image.write(offset, bytes === data.length ? data : data.subarray(0, bytes))) return 'failed';
        break;
      case OP_DISCARD:
        if (!this.#image.discard(offset, bytes)) return 'failed';
        break;
      case OP_ZERO:
        if (!this.#image.zero(offset, bytes, (flags & FLAG_UNMAP) !== 0)) return 'failed';
        break;
      default:
        return 'refusedForm';
    }
    if ((flags & FLAG_DURABLE) !== 0 && !this.#image.flush()) return 'failed';
    return this.#served(operation === OP_WRITE ? bytes : 0);
  }

  #served(bytesIn = 0, bytesOut = 0): 'served' {
    this.#slots.control.countServed(bytesIn, bytesOut);
    return 'served';
  }

  #dataBytes(words: Int32Array): number {
    const operation = words[OPERATION];
    if (operation !== OP_READ && operation !== OP_WRITE) return 0;
    return Math.min(Math.max(0, (words[SECTORS] as number) * SECTOR_BYTES), this.#slots.dataBytes);
  }
}
