/** The shared disk: virtio-blk in the partition, a broker in a thread of its own, and the images it serves. */
export { DiskBroker } from './disk-broker.ts';
export { createDiskPort, DiskEnd } from './disk-end.ts';
export { type ExclusiveDiskOptions, openExclusiveDisk } from './exclusive-disk.ts';
export type { DiskImage } from './disk-image.ts';
export { openDisk, openImage } from './open-disk.ts';
export { type DiskPartition, partitionsOf } from './partition-table.ts';
export { VirtioBlk } from './virtio-blk.ts';
