import { fileUses } from '../device-files.ts';
import type { Draft } from '../draft.ts';
import type { Rule, RuleContext } from '../rule.ts';
import type { Path } from '../source.ts';

export const mediumOwner: Rule = {
  code: 'BH282',
  severity: 'error',
  title: 'Whoever writes a file of the host is alone at it',
  *check(draft, context) {
    const holders = new Map<string, Holding>();
    for (const holding of holdings(draft, context)) {
      const other = holders.get(holding.identity);
      // A writer is remembered in place of a reader: whoever comes later collides with it.
      if (other === undefined || holding.access === 'rw') holders.set(holding.identity, holding);
      if (other === undefined || (holding.access === 'ro' && other.access === 'ro')) continue;
      yield {
        message: `${holding.reference} is used by both ${other.holder} and ${holding.holder}, and written`,
        at: holding.at,
        related: [{ message: `${other.holder} ${other.access === 'rw' ? 'writes' : 'reads'} it`, at: other.at }],
        hint: 'give each a file of its own, or let both only read',
      };
    }
  },
};

interface Holding {
  readonly identity: string;
  readonly access: 'ro' | 'rw';
  /** Who holds it, in words. */
  readonly holder: string;
  readonly reference: string;
  readonly at: Path;
}

/** Files behind drives of partitions, and those that shared disks are made of. */
function* holdings(draft: Draft, { media, disks }: RuleContext): Iterable<Holding> {
  for (const { partition, device, option, reference, access, at } of fileUses(draft)) {
    const file = media.get(reference);
    if (file?.status === 'found') yield { identity: file.identity, access, holder: `${partition} (${option} of ${device.name})`, reference, at };
  }
  for (const { name, path } of draft.shared) {
    const disk = disks.get(name);
    if (disk?.status !== 'found') continue;
    for (const { path: reference, identity, access } of disk.files) {
      yield { identity, access, holder: `the shared disk ${name}`, reference, at: [...path, reference === disk.overlay ? 'overlay' : 'image'] };
    }
  }
}
