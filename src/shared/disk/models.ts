/** The shared disk, as a manifest can name it. The kind of the resource chooses the model: nobody has to. */
import { BulkheadError } from '../../base/index.ts';
import { type DeviceCatalogue, type DeviceEnvironment, optionValue } from '../../board/index.ts';
import type { DeviceSpec } from '../../contracts/index.ts';
import { ON_PCI, ON_VIRTIO_MMIO, VIRTIO_MMIO_ACPI_ID, virtioOverMmio, virtioOverPci } from '../virtio/index.ts';
import { DiskEnd } from './disk-end.ts';
import { VirtioBlk } from './virtio-blk.ts';

const MOST_QUEUES = 64;
const QUEUES = {
  type: 'number',
  default: 0,
  minimum: 0,
  maximum: MOST_QUEUES,
  description: 'request queues; 0: one for each processor',
} as const;

const VIRTIO_BLK = { relocatable: false, console: false, shared: 'disk', options: { queues: QUEUES } } as const;

export const DISK_MODELS: DeviceCatalogue = {
  'virtio-blk': {
    ...VIRTIO_BLK,
    title: 'A shared disk: virtio block device on PCI',
    places: ON_PCI,
    create: (spec, environment) => virtioOverPci(spec, () => virtioBlk(spec, environment)),
  },
  'virtio-blk-mmio': {
    ...VIRTIO_BLK,
    title: 'A shared disk: virtio block device with memory-mapped registers',
    places: ON_VIRTIO_MMIO,
    acpiId: VIRTIO_MMIO_ACPI_ID,
    create: (spec, environment) => virtioOverMmio(spec, () => virtioBlk(spec, environment)),
  },
};

function virtioBlk(spec: DeviceSpec, environment: DeviceEnvironment): VirtioBlk {
  const end = environment.shared?.(spec.name);
  if (!(end instanceof DiskEnd)) throw new BulkheadError('BH215', `${spec.name} (${spec.model}) has no shared disk behind it`);
  const queues = Number(optionValue(`${spec.name}.queues`, QUEUES, spec.options['queues']));
  return new VirtioBlk(end, queues === 0 ? Math.min(environment.vcpus, MOST_QUEUES) : queues);
}
