/**
 * A virtio driver for tests: it finds a device over either transport, negotiates, lays its queues out in RAM, and puts requests in. It can
 * also break every rule, by writing what it likes where the queues lie.
 */
import { fakeSlot, type FakeSlot } from '../../board/index.ts';
import type { AccessSize, Gpa, IoRange } from '../../contracts/index.ts';
import type { VirtioDevice } from './virtio-device.ts';
import { VIRTIO_MMIO_BYTES, VirtioMmio } from './virtio-mmio.ts';
import { VirtioPci } from './virtio-pci.ts';
import { F_VERSION_1, STATUS_ACKNOWLEDGE, STATUS_DRIVER, STATUS_DRIVER_OK, STATUS_FEATURES_OK, type VirtioTransport } from './virtio-transport.ts';

export const DESCRIPTOR_NEXT = 1;
export const DESCRIPTOR_WRITE = 2;
export const DESCRIPTOR_INDIRECT = 4;
const MMIO_BASE = 0xfed2_0000;
/** Where queues and buffers of the tests begin. */
const FIRST_FREE: Gpa = 0x1_0000;

/** How a driver reaches a transport. Field names are those of the common configuration. */
export interface TransportAccess {
  readonly transport: VirtioTransport;
  status(): number;
  setStatus(value: number): void;
  features(): bigint;
  accept(features: bigint): void;
  setUpQueue(index: number, size: number, addresses: { descriptors: Gpa; available: Gpa; used: Gpa }): void;
  maximumSize(index: number): number;
  notify(index: number): void;
  readConfig(offset: number, size: AccessSize): number;
  writeConfig(offset: number, size: AccessSize, value: number): void;
  generation(): number;
  /** Reasons of interrupts since the last call, acknowledged: bit 0 a queue, bit 1 the configuration. */
  interrupts(): number;
}

/** A device in a slot of its own, over PCI with INTA#. */
export function overPci(device: VirtioDevice, slot: FakeSlot = fakeSlot()): TransportAccess {
  const pci = new VirtioPci({ name: 'device', device, log: slot.log, pci: (description) => slot.pci(description) });
  pci.reset();
  const { registers } = pci;
  const read = (offset: number, size: AccessSize) => registers.read(offset, size);
  const write = (offset: number, size: AccessSize, value: number) => registers.write(offset, size, value);
  return {
    transport: pci.transport,
    status: () => read(0x14, 1),
    setStatus: (value) => write(0x14, 1, value),
    features() {
      return readFeatures((select) => {
        write(0x00, 4, select);
        return read(0x04, 4);
      });
    },
    accept(features) {
      for (const select of [0, 1]) {
        write(0x08, 4, select);
        write(0x0c, 4, wordOf(features, select));
      }
    },
    maximumSize(index) {
      write(0x16, 2, index);
      return read(0x18, 2);
    },
    setUpQueue(index, size, { descriptors, available, used }) {
      write(0x16, 2, index);
      write(0x18, 2, size);
      [descriptors, available, used].forEach((address, part) => {
        write(0x20 + 8 * part, 4, address % 2 ** 32);
        write(0x24 + 8 * part, 4, Math.floor(address / 2 ** 32));
      });
      write(0x1c, 2, 1);
    },
    notify: (index) => write(0x3000 + 4 * index, 2, index),
    readConfig: (offset, size) => read(0x2000 + offset, size),
    writeConfig: (offset, size, value) => write(0x2000 + offset, size, value),
    generation: () => read(0x15, 1),
    interrupts: () => read(0x1000, 1),
  };
}

/** A device in a slot of its own, over memory-mapped registers with line 23. */
export function overMmio(device: VirtioDevice, slot: FakeSlot = fakeSlot()): TransportAccess {
  const mmio = new VirtioMmio({ name: 'device', device, dma: slot.dma, log: slot.log, line: slot.irq(23) });
  const range: IoRange = { space: 'mmio', base: MMIO_BASE, size: VIRTIO_MMIO_BYTES };
  slot.bus.claim(range, 'device', mmio);
  mmio.reset();
  const read = (offset: number, size: AccessSize = 4) => slot.bus.read('mmio', MMIO_BASE + offset, size);
  const write = (offset: number, value: number, size: AccessSize = 4) => slot.bus.write('mmio', MMIO_BASE + offset, size, value);
  return {
    transport: mmio.transport,
    status: () => read(0x70),
    setStatus: (value) => write(0x70, value),
    features() {
      return readFeatures((select) => {
        write(0x14, select);
        return read(0x10);
      });
    },
    accept(features) {
      for (const select of [0, 1]) {
        write(0x24, select);
        write(0x20, wordOf(features, select));
      }
    },
    maximumSize(index) {
      write(0x30, index);
      return read(0x34);
    },
    setUpQueue(index, size, { descriptors, available, used }) {
      write(0x30, index);
      write(0x38, size);
      [descriptors, available, used].forEach((address, part) => {
        write(0x80 + 16 * part, address % 2 ** 32);
        write(0x84 + 16 * part, Math.floor(address / 2 ** 32));
      });
      write(0x44, 1);
    },
    notify: (index) => write(0x50, index),
    readConfig: (offset, size) => read(0x100 + offset, size),
    writeConfig: (offset, size, value) => write(0x100 + offset, value, size),
    generation: () => read(0xfc),
    interrupts() {
      const reasons = read(0x60);
      write(0x64, reasons);
      return reasons;
    },
  };
}

export type OverTransport = typeof overPci;
/** Both ways, for `describe.each`. */
export const TRANSPORTS: readonly (readonly [string, OverTransport])[] = [
  ['PCI', overPci],
  ['memory-mapped registers', overMmio],
];

/** What came back: the chain by its head, and the bytes the device says it wrote. */
export interface UsedBuffer {
  readonly head: number;
  readonly written: number;
  /** What lies in the writable part. */
  readonly data: Uint8Array;
}

/** A request: what the device reads, then how much room it gets, buffer by buffer. */
export interface Request {
  readonly readable?: readonly Uint8Array[];
  readonly writable?: readonly number[];
}

/** One queue as its driver keeps it. Descriptors are handed out in order and never twice at a time. */
export class DriverQueue {
  readonly index: number;
  readonly size: number;
  readonly descriptors: Gpa;
  readonly available: Gpa;
  readonly used: Gpa;
  readonly #driver: VirtioDriver;
  readonly #room = new Map<number, readonly { readonly at: Gpa; readonly size: number }[]>();
  #nextDescriptor = 0;
  #availableIndex = 0;
  #usedIndex = 0;

  constructor(driver: VirtioDriver, index: number, size: number) {
    this.#driver = driver;
    this.index = index;
    this.size = size;
    this.descriptors = driver.room(16 * size);
    this.available = driver.room(6 + 2 * size);
    this.used = driver.room(6 + 8 * size);
  }

  /** Writes one descriptor, whatever it says. */
  describe(at: number, address: Gpa, length: number, flags: number, next = 0): void {
    this.#driver.describe(this.descriptors + 16 * at, address, length, flags, next);
  }

  /** Puts `head` into the available ring. */
  offer(head: number): void {
    this.#driver.write16(this.available + 4 + 2 * (this.#availableIndex & (this.size - 1)), head);
    this.#availableIndex = (this.#availableIndex + 1) & 0xffff;
    this.#driver.write16(this.available + 2, this.#availableIndex);
  }

  /** Puts a request in, without telling the device. Returns its head. */
  add({ readable = [], writable = [] }: Request): number {
    const buffers = [
      ...readable.map((bytes) => ({ at: this.#driver.put(bytes), size: bytes.length, flags: 0 })),
      ...writable.map((size) => ({ at: this.#driver.room(size), size, flags: DESCRIPTOR_WRITE })),
    ];
    const head = this.#nextDescriptor;
    buffers.forEach(({ at, size, flags }, position) => {
      const isLast = position === buffers.length - 1;
      const next = (this.#nextDescriptor + 1) % this.size;
      this.describe(this.#nextDescriptor, at, size, flags | (isLast ? 0 : DESCRIPTOR_NEXT), isLast ? 0 : next);
      this.#nextDescriptor = next;
    });
    this.#room.set(head, buffers.filter(({ flags }) => flags === DESCRIPTOR_WRITE));
    this.offer(head);
    return head;
  }

  /** Puts a request in and notifies. */
  send(request: Request): number {
    const head = this.add(request);
    this.#driver.access.notify(this.index);
    return head;
  }

  /** What the device has used since the last call. */
  take(): UsedBuffer[] {
    const taken: UsedBuffer[] = [];
    const index = this.#driver.read16(this.used + 2);
    while (this.#usedIndex !== index && taken.length < this.size) {
      const at = this.used + 4 + 8 * (this.#usedIndex & (this.size - 1));
      const head = this.#driver.read32(at);
      const parts = (this.#room.get(head) ?? []).map((part) => this.#driver.get(part.at, part.size));
      taken.push({ head, written: this.#driver.read32(at + 4), data: joined(parts) });
      this.#usedIndex = (this.#usedIndex + 1) & 0xffff;
    }
    return taken;
  }
}

/** Brings a device up and keeps its queues. */
export class VirtioDriver {
  readonly access: TransportAccess;
  readonly queues: DriverQueue[] = [];
  readonly #slot: FakeSlot;
  #next = FIRST_FREE;

  constructor(access: TransportAccess, slot: FakeSlot) {
    this.access = access;
    this.#slot = slot;
  }

  /** A device over a transport, in a slot of its own, not initialised yet. */
  static on(device: VirtioDevice, over: OverTransport): VirtioDriver {
    const slot = fakeSlot();
    return new VirtioDriver(over(device, slot), slot);
  }

  get slot(): FakeSlot {
    return this.#slot;
  }

  /** §3.1.1: all of it. `features` beside VERSION_1; queues get `queueSize`, or what the device offers if that is less. */
  start(features = 0n, queueSize = 16): this {
    const { access } = this;
    access.setStatus(0);
    access.setStatus(STATUS_ACKNOWLEDGE);
    access.setStatus(STATUS_ACKNOWLEDGE | STATUS_DRIVER);
    access.accept(features | F_VERSION_1);
    access.setStatus(STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_FEATURES_OK);
    this.#next = FIRST_FREE;
    this.queues.length = 0;
    for (let index = 0; access.maximumSize(index) > 0; index++) {
      const queue = new DriverQueue(this, index, Math.min(queueSize, access.maximumSize(index)));
      this.queues.push(queue);
      access.setUpQueue(index, queue.size, queue);
    }
    access.setStatus(STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_FEATURES_OK | STATUS_DRIVER_OK);
    return this;
  }

  queue(index: number): DriverQueue {
    const queue = this.queues[index];
    if (queue === undefined) throw new RangeError(`there is no queue ${index}`);
    return queue;
  }

  /** Cleared room in RAM, at a multiple of 16. Starts over when RAM is used up: old buffers are overwritten. */
  room(size: number): Gpa {
    if (this.#next + size > (1 << 20)) this.#next = FIRST_FREE + 0x1_0000;
    const at = this.#next;
    this.#next += Math.ceil(Math.max(size, 1) / 16) * 16;
    this.#slot.memory.write(at, new Uint8Array(size));
    return at;
  }

  put(bytes: Uint8Array): Gpa {
    const at = this.room(bytes.length);
    this.#slot.memory.write(at, bytes);
    return at;
  }

  get(at: Gpa, size: number): Uint8Array {
    return this.#slot.memory.read(at, size) ?? new Uint8Array(0);
  }

  describe(at: Gpa, address: Gpa, length: number, flags: number, next: number): void {
    const bytes = new Uint8Array(16);
    const view = new DataView(bytes.buffer);
    view.setBigUint64(0, BigInt(address), true);
    view.setUint32(8, length, true);
    view.setUint16(12, flags, true);
    view.setUint16(14, next, true);
    this.#slot.memory.write(at, bytes);
  }

  read16(at: Gpa): number {
    const [low = 0, high = 0] = this.get(at, 2);
    return low | (high << 8);
  }

  read32(at: Gpa): number {
    return (this.read16(at) | (this.read16(at + 2) << 16)) >>> 0;
  }

  write16(at: Gpa, value: number): void {
    this.#slot.memory.write(at, Uint8Array.of(value & 0xff, (value >> 8) & 0xff));
  }
}

function readFeatures(read: (select: number) => number): bigint {
  return BigInt(read(0)) | (BigInt(read(1)) << 32n);
}

function wordOf(features: bigint, select: number): number {
  return Number((features >> BigInt(32 * select)) & 0xffff_ffffn);
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}
