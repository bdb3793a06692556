/** A Debian guest with storage: the modules its drivers are, and disks and discs made for it. */
import type { LinuxImages } from '../../src/host/node/initramfs.ts';
import { driverImages, type PackagedProgram } from './driver-images.ts';

/** In the order in which they have to be loaded; paths below `kernel/drivers/`. */
const MODULES = [
  'scsi/scsi_common',
  'scsi/scsi_mod',
  'cdrom/cdrom',
  '../crypto/crct10dif_common',
  '../crypto/crct10dif_generic',
  '../lib/crc-t10dif',
  '../lib/crc64',
  '../lib/crc64-rocksoft',
  '../block/t10-pi',
  'scsi/sd_mod',
  'scsi/sr_mod',
  '../lib/crc16',
  '../fs/mbcache',
  '../fs/jbd2/jbd2',
  '../crypto/crc32c_generic',
  '../fs/ext4/ext4',
  '../fs/isofs/isofs',
  'ata/libata',
  'ata/libahci',
  'ata/ahci',
  'ata/ata_piix',
];

/** `programs` beside busybox; `name` tells RAM disks with different ones apart. */
export function storageImages(name = 'storage', programs: readonly PackagedProgram[] = []): Promise<LinuxImages> {
  return driverImages(name, MODULES, programs);
}

/** Shell that loads everything; controllers and drives are looked for in the background. */
export const LOAD_DRIVERS = MODULES.map((path) => `insmod /modules/${path.split('/').at(-1)}.ko`).join(' && ');
