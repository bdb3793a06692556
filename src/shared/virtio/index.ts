/** Virtio: the parts of it that all devices share. */
export { virtioOverMmio, virtioOverPci } from './attached-virtio.ts';
export { Chain } from './chain.ts';
export { SplitQueue } from './split-queue.ts';
export { ON_PCI, ON_VIRTIO_MMIO } from './places.ts';
export { readConfigBytes, type VirtioDevice, type VirtioHost } from './virtio-device.ts';
export { VIRTIO_MMIO_ACPI_ID, VIRTIO_MMIO_BYTES, VirtioMmio } from './virtio-mmio.ts';
export { VirtioPci } from './virtio-pci.ts';
