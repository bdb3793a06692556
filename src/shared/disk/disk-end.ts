/** A disk's device end of its port: what the broker told of the disk, and the slots that requests travel in. */
import { BulkheadError, ring, s } from '../../base/index.ts';
import type { LinkedPort, Nanos, PortBuffers, SharedEnd } from '../../contracts/index.ts';
import { createSlotPort, SlotFront } from '../port.ts';
import { DEFAULT_DEPTH, DISK_CLUSTER_BYTES, DISK_NUMBERS, DISK_READ_ONLY, DISK_SECTORS, DISK_SLOT_BYTES } from './disk-request.ts';

/** An image is opened, and what a former life left is carried out, in less time than this on any disk that works. */
const BROKER_PATIENCE: Nanos = 30 * s;

/** The port of a grant on a disk. */
export function createDiskPort(depth: number = DEFAULT_DEPTH): PortBuffers {
  const { control, lanes } = createSlotPort({ depth, dataBytes: DISK_SLOT_BYTES });
  return { control, lanes: { ...lanes, disk: new SharedArrayBuffer(DISK_NUMBERS * 8) } };
}

export class DiskEnd implements SharedEnd {
  /** Name of the disk, for the guest to know it by. */
  readonly serial: string;
  readonly slots: SlotFront;
  readonly #disk: Float64Array;
  readonly #wake: () => void;
  #changed: () => void = () => undefined;

  /** `wake` has whoever serves the port look at it. */
  constructor({ resource: serial, port, alarm }: Pick<LinkedPort, 'resource' | 'port' | 'alarm'>, wake: () => void = () => ring(alarm)) {
    this.serial = serial;
    this.#wake = wake;
    this.#disk = new Float64Array(port.lanes['disk'] as SharedArrayBuffer);
    this.slots = new SlotFront(port, wake);
  }

  /** Blocks until the broker has opened the disk. Throws BH672 when it has given up. */
  awaitBroker(): this {
    if (this.slots.control.awaitSettled(BROKER_PATIENCE)) return this;
    throw new BulkheadError('BH672', `the shared disk ${this.serial} does not answer`, { hint: 'the machine log says why its broker stopped' });
  }

  get sectors(): number {
    return this.#disk[DISK_SECTORS] as number;
  }

  get readOnly(): boolean {
    return this.#disk[DISK_READ_ONLY] !== 0;
  }

  /** Bytes that the image allocates at a time. */
  get clusterBytes(): number {
    return this.#disk[DISK_CLUSTER_BYTES] as number;
  }

  /** Its broker is gone: nothing in flight will be answered. */
  get closed(): boolean {
    return this.slots.control.closed;
  }

  get awaiting(): boolean {
    return this.slots.inFlight > 0 && !this.closed;
  }

  /** `changed` is called when requests were answered or slots became free. One listener. */
  listen(changed: () => void): void {
    this.#changed = changed;
  }

  admit(): void {
    this.#changed();
  }

  /** The partition ends: what is still waiting is to be forgotten. */
  [Symbol.dispose](): void {
    this.slots.control.begin();
    this.#wake();
  }
}
