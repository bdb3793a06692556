/**
 * Virtio over memory-mapped registers, version 2.
 *
 *     0x000  magic, version, device and vendor ID     0x060  interrupt status, acknowledge
 *     0x010  features, 32 at a time                   0x070  status
 *     0x030  selected queue: size, ready, notify      0x080  addresses of the selected queue
 *     0x0fc  configuration generation                 0x100  device-specific configuration
 *
 * Registers are 32 bits wide; other accesses are for the device-specific configuration only (§4.2.2.2), and read as 0 elsewhere.
 *
 * Spec: VIRTIO 1.2 §4.2.
 * The line is level-triggered, as ACPI says: a system that uses the 8259s would have to set it so in their ELCR.
 *
 * Not modelled: version 1 (legacy), shared memory regions (their length reads as −1: there are none), queue reset.
 */
import type { AccessSize, DeviceState, DmaPort, IoHandler, IrqLine, Logger } from '../../contracts/index.ts';
import type { VirtioDevice } from './virtio-device.ts';
import { INTERRUPT_CONFIGURATION, INTERRUPT_QUEUE, type QueuePart, VirtioTransport, type VirtioTransportState } from './virtio-transport.ts';

/** Registers and 256 bytes of device-specific configuration. */
export const VIRTIO_MMIO_BYTES = 0x200;
/** What ACPI calls such a device: the name under which Linux looks for it. */
export const VIRTIO_MMIO_ACPI_ID = 'LNRO0005';

const MAGIC = 0x000;
const VERSION = 0x004;
const DEVICE_ID = 0x008;
const VENDOR_ID = 0x00c;
const DEVICE_FEATURES = 0x010;
const DEVICE_FEATURES_SELECT = 0x014;
const DRIVER_FEATURES = 0x020;
const DRIVER_FEATURES_SELECT = 0x024;
const QUEUE_SELECT = 0x030;
const QUEUE_SIZE_MAXIMUM = 0x034;
const QUEUE_SIZE = 0x038;
const QUEUE_READY = 0x044;
const QUEUE_NOTIFY = 0x050;
const INTERRUPT_STATUS = 0x060;
const INTERRUPT_ACKNOWLEDGE = 0x064;
const STATUS = 0x070;
const SHARED_MEMORY_LENGTH_LOW = 0x0b0;
const SHARED_MEMORY_BASE_HIGH = 0x0bc;
const CONFIG_GENERATION = 0x0fc;
const CONFIG = 0x100;
const QUEUE_ADDRESSES: ReadonlyMap<number, readonly [part: QueuePart, upper: boolean]> = new Map([
  [0x080, ['descriptors', false]],
  [0x084, ['descriptors', true]],
  [0x090, ['available', false]],
  [0x094, ['available', true]],
  [0x0a0, ['used', false]],
  [0x0a4, ['used', true]],
]);

const MAGIC_VALUE = 0x7472_6976; // "virt"
const VENDOR = 0x1af4;

export interface VirtioMmioOptions {
  readonly name: string;
  readonly device: VirtioDevice;
  readonly dma: DmaPort;
  readonly log: Logger;
  /** Level-triggered: high while an interrupt waits to be acknowledged. */
  readonly line: IrqLine;
}

export class VirtioMmio implements IoHandler {
  readonly transport: VirtioTransport;
  readonly #line: IrqLine;
  #interruptStatus = 0;

  constructor({ name, device, dma, log, line }: VirtioMmioOptions) {
    this.#line = line;
    this.transport = new VirtioTransport({
      name,
      device,
      dma,
      log,
      pins: {
        queueInterrupt: () => this.#raise(INTERRUPT_QUEUE),
        configurationInterrupt: () => this.#raise(INTERRUPT_CONFIGURATION),
        reset: () => this.#acknowledge(~0),
      },
    });
  }

  read(offset: number, size: AccessSize): number {
    if (offset >= CONFIG) return this.transport.readConfig(offset - CONFIG, size);
    if (size !== 4) return 0;
    const { transport } = this;
    switch (offset) {
      case MAGIC:
        return MAGIC_VALUE;
      case VERSION:
        return 2;
      case DEVICE_ID:
        return transport.device.id;
      case VENDOR_ID:
        return VENDOR;
      case DEVICE_FEATURES:
        return transport.deviceFeatures;
      case QUEUE_SIZE_MAXIMUM:
        return transport.queueMaximumSize;
      case QUEUE_READY:
        return transport.queueEnabled ? 1 : 0;
      case INTERRUPT_STATUS:
        return this.#interruptStatus;
      case STATUS:
        return transport.status;
      case CONFIG_GENERATION:
        return transport.configGeneration;
      default:
        return offset >= SHARED_MEMORY_LENGTH_LOW && offset <= SHARED_MEMORY_BASE_HIGH ? 0xffff_ffff : 0;
    }
  }

  write(offset: number, size: AccessSize, value: number): void {
    if (offset >= CONFIG) {
      this.transport.writeConfig(offset - CONFIG, size, value);
      return;
    }
    if (size !== 4) return;
    const { transport } = this;
    const address = QUEUE_ADDRESSES.get(offset);
    if (address !== undefined) transport.setQueueAddress(address[0], address[1], value);
    switch (offset) {
      case DEVICE_FEATURES_SELECT:
        transport.deviceFeaturesSelect = value;
        break;
      case DRIVER_FEATURES:
        transport.driverFeatures = value;
        break;
      case DRIVER_FEATURES_SELECT:
        transport.driverFeaturesSelect = value;
        break;
      case QUEUE_SELECT:
        transport.queueSelect = value;
        break;
      case QUEUE_SIZE:
        transport.queueSize = value;
        break;
      case QUEUE_READY:
        transport.queueEnabled = (value & 1) !== 0;
        break;
      case QUEUE_NOTIFY:
        transport.notify(value);
        break;
      case INTERRUPT_ACKNOWLEDGE:
        this.#acknowledge(value);
        break;
      case STATUS:
        transport.status = value;
        break;
    }
  }

  reset(): void {
    this.transport.reset();
  }

  pollInput(): void {
    this.transport.device.pollInput?.();
  }

  save(): DeviceState {
    return { version: 1, interruptStatus: this.#interruptStatus, transport: this.transport.save() };
  }

  restore(state: DeviceState): void {
    this.transport.restore(state['transport'] as VirtioTransportState);
    this.#interruptStatus = state['interruptStatus'] as number;
    this.#line.set(this.#interruptStatus !== 0);
  }

  dispose(): void {
    this.transport.device.dispose?.();
  }

  #raise(reason: number): void {
    this.#interruptStatus |= reason;
    this.#line.set(true);
  }

  #acknowledge(reasons: number): void {
    this.#interruptStatus &= ~reasons;
    this.#line.set(this.#interruptStatus !== 0);
  }
}
