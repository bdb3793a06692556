import { SECTOR_BYTES } from '../../contracts/index.ts';
import { windowOf } from '../disks.ts';
import type { DraftGrant } from '../draft.ts';
import type { InspectedDisk } from '../host.ts';
import type { Rule } from '../rule.ts';

export const diskWindow: Rule = {
  code: 'BH284',
  severity: 'error',
  title: 'Every window is whole sectors within its disk',
  *check(draft, { disks }) {
    for (const { name, grants } of draft.shared) {
      const disk = disks.get(name);
      if (disk?.status !== 'found') continue;
      for (const grant of grants) {
        const problem = objection(grant, disk);
        if (problem === undefined) continue;
        const [message, hint] = problem;
        yield { message: `the window of ${grant.partition} on \`${name}\` ${message}`, at: [...grant.path, 'window'], hint };
      }
    }
  },
};

/** What is wrong with a window, and what to do. */
function objection(grant: DraftGrant, disk: Extract<InspectedDisk, { status: 'found' }>): readonly [string, string] | undefined {
  const { window } = grant.written;
  if (window === undefined) return undefined;
  const found = windowOf(grant, disk);
  if (found === undefined) {
    if (window.offset !== undefined || window.size !== undefined) return ['is said twice', 'give either `partition:`, or `offset:` and `size:`'];
    const numbers = disk.partitions.map(({ number }) => number);
    const has = numbers.length === 0 ? 'it has no partition table, or an empty one' : `it has ${numbers.join(', ')}`;
    return [`is partition ${window.partition}, which the disk does not have`, has];
  }
  const { offset, size } = found;
  if (offset % SECTOR_BYTES !== 0 || size % SECTOR_BYTES !== 0) return ['is no whole sectors', `use multiples of ${SECTOR_BYTES} bytes`];
  if (size <= 0 || offset + size > disk.size) return [`ends at ${offset + Math.max(0, size)}`, `the disk has ${disk.size} bytes`];
  return undefined;
}
