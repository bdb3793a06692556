/** The shared network, as a manifest can name it: virtio-net. An `e1000` can stand at one too, as at any wire. */
import { BulkheadError } from '../../base/index.ts';
import type { DeviceCatalogue, DeviceEnvironment } from '../../board/index.ts';
import type { DeviceSpec } from '../../contracts/index.ts';
import { ON_PCI, ON_VIRTIO_MMIO, VIRTIO_MMIO_ACPI_ID, virtioOverMmio, virtioOverPci } from '../virtio/index.ts';
import { NetworkEnd } from './network-port.ts';
import { VirtioNet } from './virtio-net.ts';

const VIRTIO_NET = { relocatable: false, console: false, shared: 'ethernet', options: {} } as const;

export const NETWORK_MODELS: DeviceCatalogue = {
  'virtio-net': {
    ...VIRTIO_NET,
    title: 'A port of a shared network: virtio network device on PCI',
    places: ON_PCI,
    create: (spec, environment) => virtioOverPci(spec, () => virtioNet(spec, environment)),
  },
  'virtio-net-mmio': {
    ...VIRTIO_NET,
    title: 'A port of a shared network: virtio network device with memory-mapped registers',
    places: ON_VIRTIO_MMIO,
    acpiId: VIRTIO_MMIO_ACPI_ID,
    create: (spec, environment) => virtioOverMmio(spec, () => virtioNet(spec, environment)),
  },
};

function virtioNet(spec: DeviceSpec, environment: DeviceEnvironment): VirtioNet {
  const end = environment.shared?.(spec.name);
  if (!(end instanceof NetworkEnd)) throw new BulkheadError('BH215', `${spec.name} (${spec.model}) has no shared network behind it`);
  return new VirtioNet(end);
}
