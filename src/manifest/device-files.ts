/** The host's files that devices are on: who names which, where, and what for. */
import type { DeviceFile } from '../contracts/index.ts';
import type { Draft, DraftDevice } from './draft.ts';
import type { ManifestHost, MediumFile } from './host.ts';
import type { Path } from './source.ts';

export interface FileUse {
  readonly partition: string;
  readonly device: DraftDevice;
  readonly option: string;
  /** As written. */
  readonly reference: string;
  readonly access: 'ro' | 'rw';
  readonly at: Path;
}

/** In the order of the file. A device of the board is used by whoever owns it. */
export function fileUses(draft: Draft): FileUse[] {
  return draft.partitions.flatMap((partition) => partition.devices.flatMap((device) => usesOf(partition.name, device)));
}

function usesOf(partition: string, device: DraftDevice): FileUse[] {
  const { known, options } = device;
  const place = device.board === undefined ? device.path : ['board', 'devices', device.board];
  return Object.entries(known?.options ?? {}).flatMap(([name, option]) => {
    const reference = options[name];
    if (option.type !== 'file' || typeof reference !== 'string' || reference === '') return [];
    const access = option.readOnlyBy !== undefined && options[option.readOnlyBy] === true ? 'ro' : option.access;
    return [{ partition, device, option: name, reference, access, at: [...place, 'options', name] }];
  });
}

/** By reference as written; looked up once. */
export function resolveMedia(draft: Draft, host: ManifestHost): ReadonlyMap<string, MediumFile> {
  return new Map(
    [...new Set(fileUses(draft).map(({ reference }) => reference))].map((reference) => [reference, host.inspectMedium(reference)]),
  );
}

/** What the device gets: only files that were found. */
export function deviceFiles(device: DraftDevice, media: ReadonlyMap<string, MediumFile>): DeviceFile[] {
  return usesOf('', device).flatMap(({ option, reference, access }) => {
    const file = media.get(reference);
    return file?.status === 'found' ? [{ option, path: file.path, access, identity: file.identity }] : [];
  });
}
