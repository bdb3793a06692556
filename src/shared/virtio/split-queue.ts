/**
 * A split virtqueue, seen by the device: descriptors, the ring of what the driver made available, and the ring of what was used.
 *
 * A chain is read once, checked as a whole and kept as a copy, so that a driver that changes descriptors while they are read gains
 * nothing. A driver that breaks the rules (a loop, a chain that is too long, a descriptor that does not exist, an address outside RAM, an
 * indirect table within one, a buffer to read behind one to write) stops its own device: the queue reports it and yields nothing more
 * until it is reset. Each call does a bounded amount of work, whatever lies in memory.
 *
 * Spec: VIRTIO 1.2 §2.7 (split virtqueues), §2.7.5.3 (indirect descriptors), §2.7.7 and §2.7.10 (suppression of notifications).
 * Not modelled: VIRTIO_F_IN_ORDER, VIRTIO_F_NOTIFICATION_DATA, packed virtqueues (§2.8).
 */
import type { Bytes, DmaPort, Gpa } from '../../contracts/index.ts';
import { Chain } from './chain.ts';

/** Where a queue lies in guest memory (§2.7). */
export interface QueueAddresses {
  readonly descriptors: Gpa;
  /** The driver area. */
  readonly available: Gpa;
  /** The device area. */
  readonly used: Gpa;
}

export interface SplitQueueOptions {
  readonly index: number;
  /** In descriptors: a power of two. */
  readonly size: number;
  /** The size the device offered: no chain may have more descriptors. */
  readonly maximumSize: number;
  readonly addresses: QueueAddresses;
  readonly dma: DmaPort;
  /** VIRTIO_F_EVENT_IDX was negotiated. */
  readonly eventIndex: boolean;
  /** VIRTIO_F_INDIRECT_DESC was negotiated. */
  readonly indirect: boolean;
  /** A used buffer notification goes to the driver. */
  interrupt(): void;
  /** The driver broke the rules. */
  broken(cause: string): void;
}

export interface SplitQueueState {
  readonly nextAvailable: number;
  readonly nextUsed: number;
  readonly announced: number;
  /** Chains that were taken and not completed: they are taken again. */
  readonly taken: readonly number[];
}

const DESCRIPTOR_BYTES = 16;
const FLAG_NEXT = 1 << 0;
const FLAG_WRITE = 1 << 1;
const FLAG_INDIRECT = 1 << 2;
/** Of the available ring: the driver wants no interrupts (§2.7.7). */
const NO_INTERRUPT = 1 << 0;
const RING_HEADER = 4;
const USED_ELEMENT = 8;
const TWO_32 = 0x1_0000_0000;
/** §2.7.5.1: a chain is at most that long. */
const MOST_BYTES = TWO_32;

/** A store followed by a load of another word may be seen in the other order by another core, unless something like this lies between. */
const fenceWord = new Int32Array(new SharedArrayBuffer(4));
function fence(): void {
  Atomics.add(fenceWord, 0, 1);
}

export class SplitQueue {
  readonly index: number;
  readonly size: number;
  readonly #options: SplitQueueOptions;
  readonly #dma: DmaPort;
  readonly #addresses: QueueAddresses;
  readonly #spare: Chain[] = [];
  readonly #taken = new Set<Chain>();
  #again: number[] = [];
  #nextAvailable = 0;
  #nextUsed = 0;
  /** Value of {@link #nextUsed} when the driver was last asked whether it wants to know. */
  #announced = 0;
  #isBroken = false;

  constructor(options: SplitQueueOptions) {
    this.#options = options;
    this.index = options.index;
    this.size = options.size;
    this.#dma = options.dma;
    this.#addresses = options.addresses;
    this.#checkAddresses();
  }

  /** Chains that were taken and not completed yet. */
  get outstanding(): number {
    return this.#taken.size;
  }

  /** It yields nothing more, and takes nothing back, until the device is reset. */
  get isBroken(): boolean {
    return this.#isBroken;
  }

  /** Whether {@link take} has something to give; asks to be notified of the next one when it has not. */
  get hasWaiting(): boolean {
    if (this.#isBroken) return false;
    if (this.#again.length > 0 || this.#waiting() > 0) return true;
    if (!this.#options.eventIndex) return false;
    // §2.7.10: notify when the next one comes. It may have come before the driver could see this.
    this.#write16(this.#addresses.used + RING_HEADER + USED_ELEMENT * this.size, this.#nextAvailable);
    fence();
    return this.#waiting() > 0;
  }

  /** The next chain, which stays the device's until {@link complete}; undefined when there is none, or it is broken. */
  take(): Chain | undefined {
    if (!this.hasWaiting) return undefined;
    const again = this.#again.shift();
    if (this.#taken.size >= this.size) return this.#fail('more buffers are in flight than the queue can hold');
    const slot = this.#nextAvailable & (this.size - 1);
    const head = again ?? this.#dma.read16(this.#addresses.available + RING_HEADER + 2 * slot);
    if (head === undefined) return this.#fail('the available ring cannot be read');
    if (again === undefined) this.#nextAvailable = (this.#nextAvailable + 1) & 0xffff;
    const chain = this.#spare.pop() ?? new Chain(this.#dma);
    chain.begin(head);
    const cause = this.#collect(chain, head);
    if (cause !== undefined) {
      this.#spare.push(chain);
      return this.#fail(cause);
    }
    this.#taken.add(chain);
    return chain;
  }

  /** Gives a chain back to the driver, with `written` bytes in its writable part. {@link announce} tells the driver. */
  complete(chain: Chain, written: Bytes): void {
    if (!this.#taken.delete(chain)) return;
    this.#spare.push(chain);
    if (this.#isBroken) return;
    const element = this.#addresses.used + RING_HEADER + USED_ELEMENT * (this.#nextUsed & (this.size - 1));
    this.#write32(element, chain.head);
    this.#write32(element + 4, written);
    this.#nextUsed = (this.#nextUsed + 1) & 0xffff;
    this.#write16(this.#addresses.used + 2, this.#nextUsed);
  }

  /** Puts the chain taken last back: the next {@link take} finds it again. */
  untake(chain: Chain): void {
    if (!this.#taken.delete(chain)) return;
    this.#again.unshift(chain.head);
    this.#spare.push(chain);
  }

  /** After a batch of {@link complete}: interrupts the driver if it wants to know. */
  announce(): void {
    if (this.#isBroken || this.#announced === this.#nextUsed) return;
    const before = this.#announced;
    this.#announced = this.#nextUsed;
    fence();
    if (this.#wantsInterrupt(before)) this.#options.interrupt();
  }

  save(): SplitQueueState {
    return {
      nextAvailable: this.#nextAvailable,
      nextUsed: this.#nextUsed,
      announced: this.#announced,
      taken: [...this.#again, ...[...this.#taken].map(({ head }) => head)],
    };
  }

  restore({ nextAvailable, nextUsed, announced, taken }: SplitQueueState): void {
    this.#nextAvailable = nextAvailable;
    this.#nextUsed = nextUsed;
    this.#announced = announced;
    this.#again = taken.slice(0, this.size);
  }

  /** How many heads the driver has put in that were not taken; 0 when it is broken, which is reported. */
  #waiting(): number {
    const index = this.#dma.read16(this.#addresses.available + 2);
    if (index === undefined) {
      this.#fail('the available ring cannot be read');
      return 0;
    }
    const waiting = (index - this.#nextAvailable) & 0xffff;
    if (waiting <= this.size) return waiting;
    this.#fail(`${waiting} buffers were made available at once in a queue of ${this.size}`);
    return 0;
  }

  /** §2.7.7.1, §2.7.7.2. */
  #wantsInterrupt(before: number): boolean {
    const { available } = this.#addresses;
    if (!this.#options.eventIndex) return ((this.#dma.read16(available) ?? 0) & NO_INTERRUPT) === 0;
    const event = this.#dma.read16(available + RING_HEADER + 2 * this.size) ?? 0;
    return ((this.#nextUsed - event - 1) & 0xffff) < ((this.#nextUsed - before) & 0xffff);
  }

  /** Copies the descriptors of a chain; what is wrong with it, in words. */
  #collect(chain: Chain, head: number): string | undefined {
    let table = this.#addresses.descriptors;
    let entries = this.size;
    let inTable = false;
    let at = head;
    // Every step adds a descriptor, and a chain may have so many: a loop ends here.
    for (let steps = 0; steps <= this.#options.maximumSize; steps++) {
      if (at >= entries) return `descriptor ${at} lies beyond the table of ${entries}`;
      const entry = table + DESCRIPTOR_BYTES * at;
      const low = this.#dma.read32(entry);
      const high = this.#dma.read32(entry + 4);
      const length = this.#dma.read32(entry + 8);
      const rest = this.#dma.read32(entry + 12);
      if (low === undefined || high === undefined || length === undefined || rest === undefined) return 'a descriptor cannot be read';
      const address = low + high * TWO_32;
      const flags = rest & 0xffff;
      if (flags & FLAG_INDIRECT) {
        // §2.7.5.3.1, §2.7.5.3.2: the last one of a chain may refer to a table, and nothing in that table to another.
        if (!this.#options.indirect) return 'an indirect descriptor was not negotiated';
        if (inTable) return 'an indirect table within an indirect table';
        if (flags & FLAG_NEXT) return 'an indirect descriptor that is continued';
        if (length === 0 || length % DESCRIPTOR_BYTES !== 0) return `an indirect table of ${length} bytes`;
        inTable = true;
        table = address;
        entries = Math.min(length / DESCRIPTOR_BYTES, 0x1_0000);
        at = 0;
        continue;
      }
      const cause = this.#append(chain, address, length, (flags & FLAG_WRITE) !== 0);
      if (cause !== undefined) return cause;
      if ((flags & FLAG_NEXT) === 0) return undefined;
      at = rest >>> 16;
    }
    return `a chain of more than ${this.#options.maximumSize} descriptors, or a loop`;
  }

  #append(chain: Chain, address: Gpa, length: Bytes, writable: boolean): string | undefined {
    // §2.7.4.2: whatever the device is to read comes before what it is to write.
    if (!writable && chain.writableBytes > 0) return 'a buffer to be read behind one to be written';
    if (chain.readableBytes + chain.writableBytes + length > MOST_BYTES) return 'a chain of more than 4 GiB';
    if (length === 0) return undefined;
    if (!this.#dma.reaches(address, length, writable ? 'write' : 'read')) return `a buffer of ${length} bytes outside RAM`;
    chain.add(address, length, writable);
    return undefined;
  }

  /** §2.7: descriptors lie at multiples of 16, the available ring of 2, the used ring of 4. All of it is RAM. */
  #checkAddresses(): void {
    const { descriptors, available, used } = this.#addresses;
    const { size } = this;
    if (descriptors % 16 !== 0 || available % 2 !== 0 || used % 4 !== 0) this.#fail('its parts are not aligned');
    else if (!this.#dma.reaches(descriptors, DESCRIPTOR_BYTES * size, 'read')) this.#fail('its descriptors lie outside RAM');
    else if (!this.#dma.reaches(available, RING_HEADER + 2 * size + 2, 'read')) this.#fail('its available ring lies outside RAM');
    else if (!this.#dma.reaches(used, RING_HEADER + USED_ELEMENT * size + 2, 'write')) this.#fail('its used ring lies outside RAM');
  }

  #write16(gpa: Gpa, value: number): void {
    if (!this.#dma.write16(gpa, value)) this.#fail('the used ring cannot be written');
  }

  #write32(gpa: Gpa, value: number): void {
    if (!this.#dma.write32(gpa, value)) this.#fail('the used ring cannot be written');
  }

  #fail(cause: string): undefined {
    if (this.#isBroken) return undefined;
    this.#isBroken = true;
    this.#options.broken(`queue ${this.index}: ${cause}`);
    return undefined;
  }
}
