/** A Debian guest with storage: the modules its drivers are, and disks and discs made for it. */
import { type DriverImages, driverImages } from './driver-images.ts';

/** In the order in which they have to be loaded; those after `bus` depend on the controller. */
const MODULES = [
  'drivers/scsi/scsi_common',
  'drivers/scsi/scsi_mod',
  'drivers/cdrom/cdrom',
  'crypto/crct10dif_common',
  'crypto/crct10dif_generic',
  'lib/crc-t10dif',
  'lib/crc64',
  'lib/crc64-rocksoft',
  'block/t10-pi',
  'drivers/scsi/sd_mod',
  'drivers/scsi/sr_mod',
  'lib/crc16',
  'fs/mbcache',
  'fs/jbd2/jbd2',
  'crypto/crc32c_generic',
  'fs/ext4/ext4',
  'fs/isofs/isofs',
  'drivers/ata/libata',
  'drivers/ata/libahci',
  'drivers/ata/ahci',
  'drivers/ata/ata_piix',
];

export function storageImages(): Promise<DriverImages> {
  return driverImages('storage', MODULES);
}

/** Shell that loads everything; controllers and drives are looked for in the background. */
export const LOAD_DRIVERS = MODULES.map((path) => `insmod /modules/${path.split('/').at(-1)}.ko`).join(' && ');
