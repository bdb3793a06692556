/** Debian guests with shared disks: the modules their drivers are, and machines that have such disks. */
import type { LinuxImages } from '../../src/host/node/initramfs.ts';
import { driverImages, type PackagedProgram } from './driver-images.ts';

/** In the order in which they have to be loaded; paths below `kernel/drivers/`. */
const MODULES = [
  'virtio/virtio_ring',
  'virtio/virtio',
  'virtio/virtio_pci_modern_dev',
  'virtio/virtio_pci_legacy_dev',
  'virtio/virtio_pci',
  'virtio/virtio_mmio',
  'block/virtio_blk',
  '../lib/crc16',
  '../fs/mbcache',
  '../fs/jbd2/jbd2',
  '../crypto/crc32c_generic',
  '../fs/ext4/ext4',
  'cdrom/cdrom',
  '../fs/isofs/isofs',
];

/** `programs` beside busybox; `name` tells RAM disks with different ones apart. */
export function sharedDiskImages(name = 'shared-disk', programs: readonly PackagedProgram[] = []): Promise<LinuxImages> {
  return driverImages(name, MODULES, programs);
}

/** Shell that loads everything. */
export const LOAD_DISK_DRIVERS = MODULES.map((path) => `insmod /modules/${path.split('/').at(-1)}.ko`).join(' && ');
