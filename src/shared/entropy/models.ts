/** The virtio entropy device, as a manifest can name it. */
import { BulkheadError } from '../../base/index.ts';
import type { DeviceCatalogue } from '../../board/index.ts';
import { virtioOverPci } from '../virtio/index.ts';
import { EntropyEnd } from './entropy-end.ts';
import { VirtioRng } from './virtio-rng.ts';

export const ENTROPY_MODELS: DeviceCatalogue = {
  'virtio-rng': {
    title: "Virtio entropy device on PCI: the host's random numbers",
    places: [{ ranges: [], irqs: [] }],
    relocatable: false,
    console: false,
    shared: 'entropy',
    options: {},
    create: (spec, environment) =>
      virtioOverPci(spec, (slot) => {
        const source = environment.shared?.(spec.name);
        if (!(source instanceof EntropyEnd)) throw new BulkheadError('BH215', `${spec.name} (${spec.model}) has no shared entropy behind it`);
        return new VirtioRng(source, slot.clock);
      }),
  },
};
