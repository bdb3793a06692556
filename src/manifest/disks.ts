/** Shared disks: what they lie in, and which part of them is whose. */
import type { DiskWindow, Grant } from '../contracts/index.ts';
import type { Draft, DraftGrant, DraftShared } from './draft.ts';
import type { InspectedDisk, ManifestHost } from './host.ts';
import { networkGrantOf } from './networks.ts';

/** By the name of the disk; looked up once. Those without an image are left out: a rule finds them. */
export function resolveDisks(draft: Draft, host: ManifestHost): ReadonlyMap<string, InspectedDisk> {
  return new Map(
    draft.shared.flatMap(({ name, kind, grants, written: { image, overlay } }): [string, InspectedDisk][] => {
      if (kind !== 'disk' || image === undefined) return [];
      return [[name, host.inspectDisk({ image, overlay }, grants.some(({ access }) => access === 'rw') ? 'rw' : 'ro')]];
    }),
  );
}

/** The part of a disk that a grant gives; undefined when what is written makes no sense. Without a window, all of it. */
export function windowOf({ written: { window } }: DraftGrant, disk: InspectedDisk | undefined): DiskWindow | undefined {
  if (disk?.status !== 'found') return undefined;
  if (window === undefined) return { offset: 0, size: disk.size };
  if (window.partition !== undefined) {
    const found = disk.partitions.find(({ number }) => number === window.partition);
    return found === undefined || window.offset !== undefined || window.size !== undefined ? undefined : { offset: found.offset, size: found.size };
  }
  const { offset = 0, size = disk.size - offset } = window;
  return { offset, size };
}

/** A grant as the machine has it. */
export function grantOf(grant: DraftGrant, { kind }: DraftShared, disk: InspectedDisk | undefined): Grant {
  const { partition, access, written } = grant;
  const { weight, depth, rate, doorbells } = written;
  const window = kind === 'disk' ? windowOf(grant, disk) : undefined;
  return {
    partition,
    access,
    ...(weight === undefined ? {} : { weight }),
    ...(depth === undefined ? {} : { depth }),
    ...(rate === undefined ? {} : { rate: rateOf(rate) }),
    ...(window === undefined ? {} : { window }),
    ...(doorbells === undefined ? {} : { doorbellsPerSecond: doorbells }),
    ...(kind === 'ethernet' ? { network: networkGrantOf(written) } : {}),
  };
}

function rateOf(written: NonNullable<DraftGrant['written']['rate']>): NonNullable<Grant['rate']> {
  const { 'bytes-per-second': bytesPerSecond, 'operations-per-second': operationsPerSecond, burst } = written;
  return {
    ...(bytesPerSecond === undefined ? {} : { bytesPerSecond }),
    ...(operationsPerSecond === undefined ? {} : { operationsPerSecond }),
    ...(burst === undefined ? {} : { burst }),
  };
}
