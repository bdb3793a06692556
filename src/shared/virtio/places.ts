/** Where virtio devices sit in a partition, for the models of all of them. */
import type { DevicePlace } from '../../board/index.ts';
import { VIRTIO_MMIO_BYTES } from './virtio-mmio.ts';

/** PCI gives it addresses and a line. */
export const ON_PCI: readonly [DevicePlace] = [{ ranges: [], irqs: [] }];

/** Between the HPET and the local APICs nothing else of a PC lies; nobody has these lines by default. */
const MMIO_BASE = 0xfed2_0000;
const MMIO_STEP = 0x1000;
const place = (index: number, line: number): DevicePlace => ({
  ranges: [{ space: 'mmio', base: MMIO_BASE + index * MMIO_STEP, size: VIRTIO_MMIO_BYTES }],
  irqs: [line],
});

/** Of devices with memory-mapped registers: ACPI tells drivers where they are. */
export const ON_VIRTIO_MMIO: readonly [DevicePlace, ...DevicePlace[]] = [place(0, 23), place(1, 10), place(2, 11), place(3, 5)];
