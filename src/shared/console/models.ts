/** The virtio console, as a manifest can name it. */
import type { DeviceCatalogue } from '../../board/index.ts';
import { virtioOverPci } from '../virtio/index.ts';
import { type ConsoleStream, VirtioConsole } from './virtio-console.ts';

/** As Linux names them under /dev/virtio-ports. */
const PORTS_PATTERN = '^[A-Za-z0-9_-]+(\\.[A-Za-z0-9_-]+)*(,[A-Za-z0-9_-]+(\\.[A-Za-z0-9_-]+)*){0,29}$';

export const CONSOLE_MODELS: DeviceCatalogue = {
  'virtio-console': {
    title: 'Virtio console on PCI, with further streams by name',
    places: [{ ranges: [], irqs: [] }],
    relocatable: false,
    console: true,
    options: {
      ports: {
        type: 'string',
        default: '',
        pattern: PORTS_PATTERN,
        form: 'names parted by commas, as in `org.cell.log,org.cell.orders`',
        description: 'streams beside the console, each a file of that name in the folder /dev/virtio-ports of Linux',
      },
    },
    streams: portNames,
    create: (spec, environment) =>
      virtioOverPci(spec, (slot) => {
        const further: ConsoleStream[] = portNames(spec.options).map((name) => ({ name, line: environment.character(`${spec.name}.${name}`) }));
        return new VirtioConsole({ streams: [{ line: environment.character(spec.name) }, ...further], clock: slot.clock });
      }),
  },
};

function portNames(options: Readonly<Record<string, unknown>>): string[] {
  return String(options['ports'] ?? '').split(',').filter((name) => name !== '');
}
