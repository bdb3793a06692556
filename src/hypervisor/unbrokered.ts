/**
 * What partitions share without anybody between them: memory, which stays while partitions come and go, and the host's random numbers,
 * which each partition draws in its own thread.
 */
import type { Machine, SharedResource } from '../contracts/index.ts';
import { createChannel, DEFAULT_DOORBELLS, PortControl, vectorsOf } from '../shared/index.ts';
import type { Cell } from './cell.ts';

/** Gives every device in front of such a resource its end of it. */
export function connectUnbrokered({ shared = [] }: Pick<Machine, 'shared'>, cells: readonly Cell[]): void {
  for (const resource of shared) {
    if (resource.kind === 'memory') connectMemory(resource, cells);
    else if (resource.kind === 'entropy') connectEntropy(resource, cells);
  }
}

/** Who was granted it is a member, used or not: numbers follow the grants. */
function connectMemory({ name, kind, grants, size }: SharedResource, cells: readonly Cell[]): void {
  if (size === undefined) return;
  const members = grants.flatMap((grant) => {
    const cell = cells.find(({ spec }) => spec.name === grant.partition);
    return cell === undefined ? [] : [{ grant, cell, device: cell.spec.devices.find((candidate) => candidate.shared === name) }];
  });
  const ends = createChannel(
    size,
    members.map(({ grant, cell, device }) => ({
      writable: grant.access === 'rw',
      // Whoever has no device hears nothing; the legacy interrupt stands for one vector.
      vectors: device === undefined ? 0 : Math.max(1, vectorsOf(device.options)),
      doorbellsPerSecond: grant.doorbellsPerSecond ?? DEFAULT_DOORBELLS,
      alarm: cell.link.alarm,
    })),
  );
  for (const [index, { grant, cell, device }] of members.entries()) {
    const end = ends[index];
    if (device !== undefined && end !== undefined) cell.link.share(device.name, { resource: name, kind, grant, alarm: cell.link.alarm, ...end });
  }
}

function connectEntropy({ name, kind, grants }: SharedResource, cells: readonly Cell[]): void {
  for (const { spec, link } of cells) {
    const grant = grants.find(({ partition }) => partition === spec.name);
    if (grant === undefined) continue;
    for (const device of spec.devices) {
      if (device.shared !== name) continue;
      link.share(device.name, { resource: name, kind, grant, alarm: link.alarm, port: { control: PortControl.create(), lanes: {} } });
    }
  }
}
