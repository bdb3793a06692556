/**
 * Virtio over PCI, as non-transitional devices have it: one memory range with the four structures, vendor-specific capabilities that say
 * where they are, and interrupts by MSI-X (a vector for each queue and for configuration changes) or INTA#.
 *
 *     BAR 1   MSI-X table                 BAR 4   0x0000  common configuration
 *                                                 0x1000  ISR status
 *                                                 0x2000  device-specific configuration
 *                                                 0x3000  notification, 4 bytes per queue
 *
 * Spec: VIRTIO 1.2 §4.1.
 * Not modelled: transitional device IDs and the legacy interface in I/O ports (§4.1.1), notification data, shared memory capabilities,
 * queue reset.
 */
import type { AccessSize, DeviceState, IoHandler, Logger, PciFunctionDescription, PciFunctionPort } from '../../contracts/index.ts';
import type { VirtioDevice } from './virtio-device.ts';
import { INTERRUPT_CONFIGURATION, INTERRUPT_QUEUE, type QueuePart, VirtioTransport, type VirtioTransportState } from './virtio-transport.ts';

const VENDOR = 0x1af4;
/** §4.1.2: plus the virtio device ID. */
const FIRST_DEVICE = 0x1040;
/** §4.1.2.1: at least 1 and 0x40 in a device that is not transitional. */
const REVISION = 1;
const SUBSYSTEM = 0x1100;

const MSI_X_BAR = 1;
const BAR = 4;
const BAR_BYTES = 0x4000;
const COMMON_AT = 0x0000;
const ISR_AT = 0x1000;
const DEVICE_AT = 0x2000;
const NOTIFY_AT = 0x3000;
const NOTIFY_MULTIPLIER = 4;

// Capabilities (§4.1.4)
const VENDOR_SPECIFIC = 0x09;
const TYPE_COMMON = 1;
const TYPE_NOTIFY = 2;
const TYPE_ISR = 3;
const TYPE_DEVICE = 4;
const TYPE_PCI_CFG = 5;
const CAPABILITY_BYTES = 16;
// Where a capability's fields are, from its ID on
const FIELD_BAR = 4;
const FIELD_OFFSET = 8;
const FIELD_LENGTH = 12;
const FIELD_DATA = 16;

// Common configuration (§4.1.4.3)
const COMMON_BYTES = 56;
const DEVICE_FEATURE_SELECT = 0x00;
const DEVICE_FEATURE = 0x04;
const DRIVER_FEATURE_SELECT = 0x08;
const DRIVER_FEATURE = 0x0c;
const CONFIG_MSIX_VECTOR = 0x10;
const NUM_QUEUES = 0x12;
const DEVICE_STATUS = 0x14;
const CONFIG_GENERATION = 0x15;
const QUEUE_SELECT = 0x16;
const QUEUE_SIZE = 0x18;
const QUEUE_MSIX_VECTOR = 0x1a;
const QUEUE_ENABLE = 0x1c;
const QUEUE_NOTIFY_OFF = 0x1e;
const QUEUE_ADDRESSES: ReadonlyMap<number, readonly [part: QueuePart, upper: boolean]> = new Map([
  [0x20, ['descriptors', false]],
  [0x24, ['descriptors', true]],
  [0x28, ['available', false]],
  [0x2c, ['available', true]],
  [0x30, ['used', false]],
  [0x34, ['used', true]],
]);
const NO_VECTOR = 0xffff;

export interface VirtioPciOptions {
  readonly name: string;
  readonly device: VirtioDevice;
  readonly log: Logger;
  pci(description: PciFunctionDescription): PciFunctionPort;
}

export class VirtioPci {
  readonly transport: VirtioTransport;
  readonly #port: PciFunctionPort;
  readonly #vectors: number;
  readonly #queueVectors: Uint16Array;
  /** Register at which the capability for access through configuration space begins. */
  readonly #window: number;
  #configVector = NO_VECTOR;
  #isr = 0;

  constructor({ name, device, log, pci }: VirtioPciOptions) {
    this.#vectors = device.queueSizes.length + 1;
    this.#queueVectors = new Uint16Array(device.queueSizes.length).fill(NO_VECTOR);
    this.#port = pci({
      identity: {
        vendor: VENDOR,
        device: FIRST_DEVICE + device.id,
        classCode: device.pciClass,
        revision: REVISION,
        subsystemVendor: VENDOR,
        subsystem: SUBSYSTEM,
      },
      bars: [undefined, undefined, undefined, undefined, { kind: 'mmio', size: BAR_BYTES, handler: this.registers }],
      interruptPin: true,
      msix: { vectors: this.#vectors, bar: MSI_X_BAR },
      capabilities: [
        capability(TYPE_COMMON, COMMON_AT, COMMON_BYTES),
        capability(TYPE_NOTIFY, NOTIFY_AT, NOTIFY_MULTIPLIER * device.queueSizes.length, NOTIFY_MULTIPLIER),
        capability(TYPE_ISR, ISR_AT, 1),
        ...(device.configBytes > 0 ? [capability(TYPE_DEVICE, DEVICE_AT, device.configBytes)] : []),
        windowCapability(),
      ],
      configured: (register) => this.#windowWritten(register),
      reading: (register) => this.#windowRead(register),
    });
    this.#window = findWindow(this.#port);
    this.transport = new VirtioTransport({
      name,
      device,
      dma: this.#port.dma,
      log,
      pins: {
        queueInterrupt: (queue) => this.#interrupt(INTERRUPT_QUEUE, this.#queueVectors[queue] ?? NO_VECTOR),
        configurationInterrupt: () => this.#interrupt(INTERRUPT_CONFIGURATION, this.#configVector),
        reset: () => this.#clearInterrupts(),
      },
    });
  }

  /** BAR 4. */
  readonly registers: IoHandler = {
    read: (offset: number, size: AccessSize): number => this.#read(offset, size),
    write: (offset: number, size: AccessSize, value: number): void => this.#write(offset, size, value),
  };

  reset(): void {
    this.transport.reset();
  }

  pollInput(): void {
    this.transport.device.pollInput?.();
  }

  save(): DeviceState {
    return {
      version: 1,
      isr: this.#isr,
      configVector: this.#configVector,
      queueVectors: [...this.#queueVectors],
      transport: this.transport.save(),
    };
  }

  restore(state: DeviceState): void {
    this.transport.restore(state['transport'] as VirtioTransportState);
    this.#isr = state['isr'] as number;
    this.#configVector = state['configVector'] as number;
    this.#queueVectors.set(state['queueVectors'] as number[]);
  }

  dispose(): void {
    this.transport.device.dispose?.();
  }

  #read(offset: number, size: AccessSize): number {
    if (offset >= NOTIFY_AT) return 0;
    if (offset >= DEVICE_AT) return this.transport.readConfig(offset - DEVICE_AT, size);
    if (offset >= ISR_AT) return offset === ISR_AT ? this.#takeIsr() : 0;
    return this.#readCommon(offset, size);
  }

  #write(offset: number, size: AccessSize, value: number): void {
    if (offset >= NOTIFY_AT) this.transport.notify((offset - NOTIFY_AT) >> 2);
    else if (offset >= DEVICE_AT) this.transport.writeConfig(offset - DEVICE_AT, size, value);
    else if (offset < ISR_AT) this.#writeCommon(offset, size, value);
  }

  /** §4.1.3.1: drivers use each field's own width; wider fields may also be read in aligned halves and bytes. */
  #readCommon(offset: number, size: AccessSize): number {
    const { transport } = this;
    const field = commonField(offset);
    const value = this.#commonValue(field);
    if (field !== offset || size < 4) return (value >>> (8 * (offset - field))) & (size === 4 ? 0xffff_ffff : size === 2 ? 0xffff : 0xff);
    // A dword over several narrow fields: what a cautious driver reads when it dumps the structure.
    if (field === CONFIG_MSIX_VECTOR) return (value | (transport.queueCount << 16)) >>> 0;
    return value;
  }

  #commonValue(field: number): number {
    const { transport } = this;
    const address = QUEUE_ADDRESSES.get(field);
    if (address !== undefined) return transport.queueAddress(address[0], address[1]);
    switch (field) {
      case DEVICE_FEATURE_SELECT:
        return transport.deviceFeaturesSelect;
      case DEVICE_FEATURE:
        return transport.deviceFeatures;
      case DRIVER_FEATURE_SELECT:
        return transport.driverFeaturesSelect;
      case DRIVER_FEATURE:
        return transport.driverFeatures;
      case CONFIG_MSIX_VECTOR:
        return this.#configVector;
      case NUM_QUEUES:
        return transport.queueCount;
      case DEVICE_STATUS:
        return transport.status;
      case CONFIG_GENERATION:
        return transport.configGeneration;
      case QUEUE_SELECT:
        return transport.queueSelect;
      case QUEUE_SIZE:
        return transport.queueSize;
      case QUEUE_MSIX_VECTOR:
        return this.#queueVectors[transport.queueSelect] ?? NO_VECTOR;
      case QUEUE_ENABLE:
        return transport.queueEnabled ? 1 : 0;
      case QUEUE_NOTIFY_OFF:
        return transport.queueSelect;
      default:
        return 0;
    }
  }

  #writeCommon(offset: number, size: AccessSize, value: number): void {
    const { transport } = this;
    const address = QUEUE_ADDRESSES.get(offset);
    if (address !== undefined) {
      if (size === 4) transport.setQueueAddress(address[0], address[1], value);
      return;
    }
    switch (offset) {
      case DEVICE_FEATURE_SELECT:
        transport.deviceFeaturesSelect = value;
        break;
      case DRIVER_FEATURE_SELECT:
        transport.driverFeaturesSelect = value;
        break;
      case DRIVER_FEATURE:
        if (size === 4) transport.driverFeatures = value;
        break;
      case CONFIG_MSIX_VECTOR:
        this.#configVector = this.#vectorOf(value);
        break;
      case DEVICE_STATUS:
        transport.status = value & 0xff;
        break;
      case QUEUE_SELECT:
        transport.queueSelect = value & 0xffff;
        break;
      case QUEUE_SIZE:
        transport.queueSize = value & 0xffff;
        break;
      case QUEUE_MSIX_VECTOR:
        if (transport.queueSelect < this.#queueVectors.length) this.#queueVectors[transport.queueSelect] = this.#vectorOf(value);
        break;
      case QUEUE_ENABLE:
        // §4.1.4.3.2: a driver does not write 0.
        if ((value & 0xffff) === 1) transport.queueEnabled = true;
        break;
    }
  }

  /** §4.1.5.1.2.1: a vector that there is not reads back as none. */
  #vectorOf(value: number): number {
    return (value & 0xffff) < this.#vectors ? value & 0xffff : NO_VECTOR;
  }

  #interrupt(reason: number, vector: number): void {
    if (this.#port.usesMessages) {
      // §4.1.4.5.1: the reason shows for a configuration change, whichever way the driver is told.
      if (reason === INTERRUPT_CONFIGURATION) this.#isr |= reason;
      if (vector !== NO_VECTOR) this.#port.signal(vector);
      return;
    }
    this.#isr |= reason;
    this.#port.setInterrupt(true);
  }

  /** §4.1.4.5: reading clears, and takes the line back. */
  #takeIsr(): number {
    const isr = this.#isr;
    this.#isr = 0;
    this.#port.setInterrupt(false);
    return isr;
  }

  #clearInterrupts(): void {
    this.#isr = 0;
    this.#configVector = NO_VECTOR;
    this.#queueVectors.fill(NO_VECTOR);
    this.#port.setInterrupt(false);
  }

  /** §4.1.4.9: a write to the data field is a write of the chosen size to the chosen place. */
  #windowWritten(register: number): void {
    const target = this.#windowTarget(register);
    if (target === undefined) return;
    const { offset, size } = target;
    this.#write(offset, size, this.#configValue(this.#window + FIELD_DATA, size));
  }

  #windowRead(register: number): void {
    const target = this.#windowTarget(register);
    if (target === undefined) return;
    const value = this.#read(target.offset, target.size);
    for (let i = 0; i < target.size; i++) this.#port.setConfig(this.#window + FIELD_DATA + i, (value >>> (8 * i)) & 0xff);
  }

  /** What the window points at when `register` is in its data field; undefined when that is nothing one may access. */
  #windowTarget(register: number): { readonly offset: number; readonly size: AccessSize } | undefined {
    // While the function is being made, and reset for the first time, there is no window yet.
    const window = this.#window as number | undefined;
    if (window === undefined || register < window + FIELD_DATA || register >= window + FIELD_DATA + 4) return undefined;
    const offset = this.#configValue(window + FIELD_OFFSET, 4);
    const size = this.#configValue(window + FIELD_LENGTH, 4);
    if (this.#port.config(window + FIELD_BAR) !== BAR || (size !== 1 && size !== 2 && size !== 4)) return undefined;
    return offset % size === 0 && offset + size <= BAR_BYTES ? { offset, size } : undefined;
  }

  #configValue(register: number, size: number): number {
    let value = 0;
    for (let i = size - 1; i >= 0; i--) value = (value << 8) | this.#port.config(register + i);
    return value >>> 0;
  }
}

/** The field an offset of the common configuration lies in. */
function commonField(offset: number): number {
  if (offset === DEVICE_STATUS || offset === CONFIG_GENERATION) return offset;
  return offset >= CONFIG_MSIX_VECTOR && offset < 0x20 ? offset & ~1 : offset & ~3;
}

/** §4.1.4: a capability without its ID and next pointer. */
function capability(type: number, offset: number, length: number, multiplier?: number): { id: number; body: Uint8Array } {
  const bytes = CAPABILITY_BYTES + (multiplier === undefined ? 0 : 4);
  const body = new Uint8Array(bytes - 2);
  const view = new DataView(body.buffer);
  view.setUint8(0, bytes);
  view.setUint8(1, type);
  view.setUint8(FIELD_BAR - 2, BAR);
  view.setUint32(FIELD_OFFSET - 2, offset, true);
  view.setUint32(FIELD_LENGTH - 2, length, true);
  if (multiplier !== undefined) view.setUint32(FIELD_DATA - 2, multiplier, true);
  return { id: VENDOR_SPECIFIC, body };
}

/** §4.1.4.9: the driver chooses BAR, offset and length, and finds the bytes there in the data field. */
function windowCapability(): { id: number; body: Uint8Array; writable: Uint8Array } {
  const { body } = capability(TYPE_PCI_CFG, 0, 0, 0);
  const writable = new Uint8Array(body.length);
  writable[FIELD_BAR - 2] = 0xff;
  writable.fill(0xff, FIELD_OFFSET - 2);
  body[FIELD_BAR - 2] = 0;
  return { id: VENDOR_SPECIFIC, body, writable };
}

/** Where the board put the window among the capabilities. */
function findWindow(port: PciFunctionPort): number {
  const CAPABILITIES_POINTER = 0x34;
  let at = port.config(CAPABILITIES_POINTER);
  while (at !== 0 && !(port.config(at) === VENDOR_SPECIFIC && port.config(at + 3) === TYPE_PCI_CFG)) at = port.config(at + 1);
  return at;
}
