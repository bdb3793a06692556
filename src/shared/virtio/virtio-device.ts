/**
 * The seam between a type of virtio device and its transport. A device type knows its features, its configuration space and what its
 * queues mean; it knows neither PCI nor memory-mapped registers, and reaches guest memory through the chains of its queues only.
 *
 * Spec: Virtual I/O Device (VIRTIO) 1.2, §2 (basic facilities), §3 (initialisation), §5 (device types).
 */
import type { AccessSize, Bytes, DeviceState, Logger } from '../../contracts/index.ts';
import type { SplitQueue } from './split-queue.ts';

export interface VirtioDevice {
  /** Device ID (§5): 1 network, 2 block, 3 console, 4 entropy. */
  readonly id: number;
  /** Base class, sub-class and interface on PCI: 0x010000 for a block device. */
  readonly pciClass: number;
  /** Device-specific features offered (§2.2: bits 0–23 and 50 up). Those of queues and transport are the transport's own. */
  readonly features: bigint;
  /** Largest size of each queue: powers of two, at most 32768 (§2.7). Its length is how many queues there are. */
  readonly queueSizes: readonly number[];
  /** Size of the device-specific configuration space (§2.5). */
  readonly configBytes: Bytes;
  /** Reads and writes within {@link configBytes}, little-endian. Must not throw: the guest chooses offset and value. */
  readConfig(offset: number, size: AccessSize): number;
  writeConfig(offset: number, size: AccessSize, value: number): void;
  /** Once, before everything else. */
  attach(host: VirtioHost): void;
  /** The driver is ready (DRIVER_OK): `features` were negotiated, and `queues` has one entry per queue; undefined where it enabled none. */
  activate(queues: readonly (SplitQueue | undefined)[], features: bigint): void;
  /** There may be new buffers in a queue. Only while active. */
  notify(queue: number): void;
  /** Input from the host may be waiting: only devices with a byte stream have it. */
  pollInput?(): void;
  /** Back to before {@link activate}, at once: queues and chains of before are gone and must not be touched any more. */
  reset(): void;
  /** After {@link activate}, when a saved device comes back. */
  restore?(state: DeviceState): void;
  save?(): DeviceState;
  /** It is taken out: what it holds of the host goes back. */
  dispose?(): void;
}

/** What a transport offers its device. */
export interface VirtioHost {
  /** The device's name in its partition, for messages. */
  readonly name: string;
  readonly log: Logger;
  /** The configuration space changed: the driver is told, and reads that straddle the change can be noticed (§2.5.1). */
  configChanged(): void;
  /** The driver did what no driver may do: the device stands still until it is reset (§2.1, DEVICE_NEEDS_RESET). Logged once per reset. */
  fail(cause: string): void;
}

/** Little-endian value of `size` bytes at `offset` of a configuration space kept as bytes; what lies behind its end reads as 0. */
export function readConfigBytes(bytes: Uint8Array, offset: number, size: AccessSize): number {
  let value = 0;
  for (let i = size - 1; i >= 0; i--) value = (value << 8) | (bytes[offset + i] ?? 0);
  return value >>> 0;
}
