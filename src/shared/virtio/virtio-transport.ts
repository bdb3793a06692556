/**
 * What every virtio transport does the same way: device status, feature negotiation, the setup of queues, and the two reasons to
 * interrupt. The transports put registers in front of it.
 *
 * Spec: VIRTIO 1.2 §2.1 (device status), §2.2 (features), §2.4 (reset), §3.1 (initialisation), §6 (reserved feature bits).
 * Not modelled: the legacy and transitional interfaces (§2.2.3: VIRTIO_F_VERSION_1 must be accepted), packed virtqueues,
 * VIRTIO_F_RING_RESET, VIRTIO_F_ACCESS_PLATFORM (the device reaches memory at the addresses the processor does), VIRTIO_F_ORDER_PLATFORM.
 */
import type { DeviceState, DmaPort, Gpa, Logger } from '../../contracts/index.ts';
import { SplitQueue, type SplitQueueState } from './split-queue.ts';
import type { VirtioDevice, VirtioHost } from './virtio-device.ts';

// Device status (§2.1)
export const STATUS_ACKNOWLEDGE = 1;
export const STATUS_DRIVER = 2;
export const STATUS_DRIVER_OK = 4;
export const STATUS_FEATURES_OK = 8;
export const STATUS_NEEDS_RESET = 64;
export const STATUS_FAILED = 128;
/** What the driver sets; the rest is the device's. */
const STATUS_OF_DRIVER = STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_DRIVER_OK | STATUS_FEATURES_OK | STATUS_FAILED;

// Reserved feature bits (§6)
export const F_INDIRECT_DESC: bigint = 1n << 28n;
export const F_EVENT_IDX: bigint = 1n << 29n;
export const F_VERSION_1: bigint = 1n << 32n;
const TRANSPORT_FEATURES = F_INDIRECT_DESC | F_EVENT_IDX | F_VERSION_1;

/** Reasons of an interrupt, as the ISR byte (§4.1.4.5) and InterruptStatus (§4.2.2) show them. */
export const INTERRUPT_QUEUE = 1 << 0;
export const INTERRUPT_CONFIGURATION = 1 << 1;

const TWO_32 = 0x1_0000_0000;

/** The parts of a queue, by the order of their registers. */
export type QueuePart = 'descriptors' | 'available' | 'used';

interface QueueSetup {
  size: number;
  enabled: boolean;
  descriptors: Gpa;
  available: Gpa;
  used: Gpa;
}

/** How a transport tells the driver. */
export interface TransportPins {
  queueInterrupt(queue: number): void;
  configurationInterrupt(): void;
  /** The device was reset: interrupts are taken back. */
  reset(): void;
}

export interface VirtioTransportOptions {
  readonly name: string;
  readonly device: VirtioDevice;
  readonly dma: DmaPort;
  readonly log: Logger;
  readonly pins: TransportPins;
}

export interface VirtioTransportState {
  readonly status: number;
  readonly driverFeatures: string;
  readonly select: readonly number[];
  readonly queues: readonly QueueSetup[];
  readonly positions: readonly (SplitQueueState | null)[];
  readonly generation: number;
  readonly device?: DeviceState;
}

export class VirtioTransport implements VirtioHost {
  readonly name: string;
  readonly log: Logger;
  readonly device: VirtioDevice;
  /** Of the features that `deviceFeatures` and `driverFeatures` show and take 32 at a time. */
  deviceFeaturesSelect = 0;
  driverFeaturesSelect = 0;
  queueSelect = 0;
  /** Chains and rings found broken so far, through all resets. */
  failures = 0;
  readonly #dma: DmaPort;
  readonly #pins: TransportPins;
  readonly #setups: QueueSetup[];
  #queues: (SplitQueue | undefined)[] = [];
  #status = 0;
  #driverFeatures = 0n;
  #generation = 0;

  constructor({ name, device, dma, log, pins }: VirtioTransportOptions) {
    this.name = name;
    this.device = device;
    this.log = log;
    this.#dma = dma;
    this.#pins = pins;
    this.#setups = device.queueSizes.map((size) => ({ size, enabled: false, descriptors: 0, available: 0, used: 0 }));
    device.attach(this);
  }

  get queueCount(): number {
    return this.#setups.length;
  }

  // ── status and features ──

  get status(): number {
    return this.#status;
  }

  /** §2.4: 0 resets, and is done when the write returns. Bits cannot be taken back otherwise (§2.1.1). */
  set status(value: number) {
    if ((value & 0xff) === 0) {
      this.reset();
      return;
    }
    const wasActive = this.isActive;
    let added = value & STATUS_OF_DRIVER & ~this.#status;
    // §3.1.1 step 5: what cannot be accepted does not stick.
    if (added & STATUS_FEATURES_OK && !this.#featuresAcceptable()) added &= ~STATUS_FEATURES_OK;
    this.#status |= added;
    if (!wasActive && this.isActive) this.#activate();
  }

  /** The device may use its queues. */
  get isActive(): boolean {
    const ready = STATUS_DRIVER_OK | STATUS_FEATURES_OK;
    return (this.#status & (ready | STATUS_NEEDS_RESET)) === ready;
  }

  get deviceFeatures(): number {
    return word(this.#offered, this.deviceFeaturesSelect);
  }

  get driverFeatures(): number {
    return word(this.#driverFeatures, this.driverFeaturesSelect);
  }

  /** §2.2.1: only until they were accepted. */
  set driverFeatures(value: number) {
    if (this.#status & STATUS_FEATURES_OK || this.driverFeaturesSelect > 1) return;
    const shift = BigInt(32 * this.driverFeaturesSelect);
    this.#driverFeatures = (this.#driverFeatures & ~(0xffff_ffffn << shift)) | (BigInt(value >>> 0) << shift);
  }

  // ── the selected queue ──

  get queueMaximumSize(): number {
    return this.device.queueSizes[this.queueSelect] ?? 0;
  }

  get queueSize(): number {
    return this.#setups[this.queueSelect]?.size ?? 0;
  }

  /** §4.1.4.3.2: a power of two, not larger than offered. Anything else is ignored. */
  set queueSize(size: number) {
    const setup = this.#unlocked();
    if (setup === undefined || size < 1 || size > this.queueMaximumSize || (size & (size - 1)) !== 0) return;
    setup.size = size;
  }

  get queueEnabled(): boolean {
    return this.#setups[this.queueSelect]?.enabled ?? false;
  }

  /** §4.1.4.3.2: false is not for drivers on PCI; on memory-mapped devices it takes the queue back (§4.2.2). */
  set queueEnabled(enabled: boolean) {
    const setup = this.#setups[this.queueSelect];
    if (setup === undefined || setup.enabled === enabled || this.#status & STATUS_DRIVER_OK) return;
    setup.enabled = enabled;
  }

  /** `upper`: bits 32 up. */
  queueAddress(part: QueuePart, upper: boolean): number {
    const address = this.#setups[this.queueSelect]?.[part] ?? 0;
    return upper ? Math.floor(address / TWO_32) : address % TWO_32;
  }

  setQueueAddress(part: QueuePart, upper: boolean, value: number): void {
    const setup = this.#unlocked();
    if (setup === undefined) return;
    const address = setup[part];
    setup[part] = upper ? value * TWO_32 + (address % TWO_32) : Math.floor(address / TWO_32) * TWO_32 + value;
  }

  notify(queue: number): void {
    if (this.isActive && this.#queues[queue] !== undefined) this.device.notify(queue);
  }

  // ── configuration space ──

  get configGeneration(): number {
    return this.#generation;
  }

  readConfig(offset: number, size: 1 | 2 | 4): number {
    return offset >= 0 && offset + size <= this.device.configBytes ? this.device.readConfig(offset, size) : 0;
  }

  writeConfig(offset: number, size: 1 | 2 | 4, value: number): void {
    if (offset >= 0 && offset + size <= this.device.configBytes) this.device.writeConfig(offset, size, value);
  }

  // ── what the device says ──

  configChanged(): void {
    this.#generation = (this.#generation + 1) & 0xff;
    if (this.#status & STATUS_DRIVER_OK) this.#pins.configurationInterrupt();
  }

  fail(cause: string): void {
    this.failures++;
    if (this.#status & STATUS_NEEDS_RESET) return;
    this.log.log('warn', `${this.name}: ${cause}; it stands still until its driver resets it`, { device: this.name });
    this.#status |= STATUS_NEEDS_RESET;
    // §2.1.2: a driver that is running is told.
    if (this.#status & STATUS_DRIVER_OK) this.#pins.configurationInterrupt();
  }

  // ── life ──

  reset(): void {
    this.device.reset();
    this.#queues = [];
    this.#status = 0;
    this.#driverFeatures = 0n;
    this.deviceFeaturesSelect = 0;
    this.driverFeaturesSelect = 0;
    this.queueSelect = 0;
    for (const [index, setup] of this.#setups.entries()) {
      Object.assign(setup, { size: this.device.queueSizes[index], enabled: false, descriptors: 0, available: 0, used: 0 });
    }
    this.#pins.reset();
  }

  save(): VirtioTransportState {
    const device = this.device.save?.();
    return {
      status: this.#status,
      driverFeatures: this.#driverFeatures.toString(16),
      select: [this.deviceFeaturesSelect, this.driverFeaturesSelect, this.queueSelect],
      queues: this.#setups.map((setup) => ({ ...setup })),
      positions: this.#setups.map((_, index) => this.#queues[index]?.save() ?? null),
      generation: this.#generation,
      ...(device === undefined ? {} : { device }),
    };
  }

  restore(state: VirtioTransportState): void {
    this.reset();
    this.#driverFeatures = BigInt(`0x${state.driverFeatures}`);
    const [deviceFeatures = 0, driverFeatures = 0, queue = 0] = state.select;
    this.deviceFeaturesSelect = deviceFeatures;
    this.driverFeaturesSelect = driverFeatures;
    this.queueSelect = queue;
    for (const [index, setup] of this.#setups.entries()) Object.assign(setup, state.queues[index]);
    this.#generation = state.generation;
    this.#status = state.status;
    if (this.isActive) this.#activate(state.positions);
    if (state.device !== undefined) this.device.restore?.(state.device);
  }

  get #offered(): bigint {
    return this.device.features | TRANSPORT_FEATURES;
  }

  #featuresAcceptable(): boolean {
    return (this.#driverFeatures & ~this.#offered) === 0n && (this.#driverFeatures & F_VERSION_1) !== 0n;
  }

  /** The selected queue's setup while it may be changed. */
  #unlocked(): QueueSetup | undefined {
    const setup = this.#setups[this.queueSelect];
    return setup === undefined || setup.enabled || this.#status & STATUS_DRIVER_OK ? undefined : setup;
  }

  #activate(positions: readonly (SplitQueueState | null)[] = []): void {
    const features = this.#driverFeatures;
    this.#queues = this.#setups.map((setup, index) => {
      if (!setup.enabled) return undefined;
      const queue = new SplitQueue({
        index,
        size: setup.size,
        maximumSize: this.device.queueSizes[index] ?? setup.size,
        addresses: { descriptors: setup.descriptors, available: setup.available, used: setup.used },
        dma: this.#dma,
        eventIndex: (features & F_EVENT_IDX) !== 0n,
        indirect: (features & F_INDIRECT_DESC) !== 0n,
        interrupt: () => this.#pins.queueInterrupt(index),
        broken: (cause) => this.fail(cause),
      });
      const position = positions[index];
      if (position !== undefined && position !== null) queue.restore(position);
      return queue;
    });
    if (this.isActive) this.device.activate(this.#queues, features);
  }
}

function word(features: bigint, select: number): number {
  return select > 1 ? 0 : Number((features >> BigInt(32 * select)) & 0xffff_ffffn);
}
