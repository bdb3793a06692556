/** The drives of a storage controller, as a manifest describes them: options of the catalogue, and the devices made of them. */
import { BulkheadError } from '../../base/index.ts';
import type { DeviceSpec } from '../../contracts/index.ts';
import type { DeviceEnvironment, DeviceOption } from '../catalogue.ts';
import { AtaDisk } from '../chips/ata-disk.ts';
import { AtapiCdrom } from '../chips/atapi-cdrom.ts';
import type { AtaDevice, AtaTransport } from './ata-device.ts';

/** One place on a cable. */
export interface DrivePlace {
  /** Its option. */
  readonly name: string;
  readonly kind: 'disk' | 'cdrom';
}

const placesOf = (kind: DrivePlace['kind'], count: number): readonly DrivePlace[] =>
  Array.from({ length: count }, (_, index) => ({ name: index === 0 ? kind : `${kind}${index}`, kind }));

/** Both devices of the secondary channel, or the last two ports. */
export const CDROMS = placesOf('cdrom', 2);
/** Both devices of the primary channel. */
export const IDE_DISKS = placesOf('disk', 2);
export const AHCI_DISKS = placesOf('disk', 4);

export const LATENCY: DeviceOption = {
  type: 'number',
  default: 0,
  minimum: 0,
  maximum: 1_000_000,
  description: 'microseconds of the guest from a command to its data',
};

export function driveOptions(places: readonly DrivePlace[]): Record<string, DeviceOption> {
  return Object.fromEntries(
    places.flatMap(({ name, kind }): [string, DeviceOption][] => {
      if (kind === 'cdrom')
        return [[name, { type: 'file', default: '', access: 'ro', description: 'the disc in a CD-ROM drive: an ISO 9660 image' }]];
      const readOnly = `${name}-read-only`;
      return [
        [name, { type: 'file', default: '', access: 'rw', readOnlyBy: readOnly, description: 'a hard disk: a raw image of whole sectors' }],
        [readOnly, { type: 'boolean', default: false, description: `writes to ${name} fail` }],
      ];
    }),
  );
}

/** One for each place; undefined where its option is not set. Throws BH506 when a file cannot be opened. */
export function drivesOf(
  spec: DeviceSpec,
  environment: DeviceEnvironment,
  transport: AtaTransport,
  places: readonly DrivePlace[],
): (AtaDevice | undefined)[] {
  return places.map(({ name, kind }) => {
    const file = spec.files?.find(({ option }) => option === name);
    if (file === undefined) return undefined;
    const backend = environment.block?.(file);
    if (backend === undefined) throw new BulkheadError('BH506', `${spec.name}: ${file.path} cannot be opened: this partition has no files`);
    const model = kind === 'disk' ? 'BULKHEAD HARDDISK' : 'BULKHEAD CD-ROM';
    const names = { model, serial: `${spec.name}-${name}`.toUpperCase(), firmware: '1.0' };
    return kind === 'disk' ? new AtaDisk({ backend, transport, names }) : new AtapiCdrom({ backend, transport, names });
  });
}
