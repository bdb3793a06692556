/** The device by which a partition reaches shared memory, as a manifest can name it. */
import { BulkheadError } from '../../base/index.ts';
import { AttachedChip, type DeviceCatalogue } from '../../board/index.ts';
import { ChannelEnd, MOST_VECTORS } from './channel.ts';
import { Ivshmem } from './ivshmem.ts';

const DEFAULT_VECTORS = 4;

export const CHANNEL_MODELS: DeviceCatalogue = {
  ivshmem: {
    title: 'Memory shared with other partitions, with doorbells (ivshmem, 1af4:1110)',
    places: [{ ranges: [], irqs: [] }],
    relocatable: false,
    console: false,
    shared: 'memory',
    options: {
      vectors: {
        type: 'number',
        default: DEFAULT_VECTORS,
        minimum: 0,
        maximum: MOST_VECTORS,
        description: 'doorbells that others can ring here, each an MSI-X vector; 0: one, through the legacy interrupt INTA#',
      },
    },
    create: (spec, environment) =>
      new AttachedChip(spec, (slot) => {
        const channel = environment.shared?.(spec.name);
        if (!(channel instanceof ChannelEnd)) throw new BulkheadError('BH215', `${spec.name} (${spec.model}) has no shared memory behind it`);
        const chip = new Ivshmem({ channel, vectors: vectorsOf(spec.options), pci: (description) => slot.pci(description) });
        return { chip, handlers: [] };
      }),
  },
};

/** The option `vectors` of an ivshmem device. */
export function vectorsOf(options: Readonly<Record<string, unknown>>): number {
  return Math.trunc(Number(options['vectors'] ?? DEFAULT_VECTORS));
}
