import { type FileUse, fileUses } from '../device-files.ts';
import type { Rule } from '../rule.ts';

export const mediumOwner: Rule = {
  code: 'BH282',
  severity: 'error',
  title: 'Whoever writes a file of the host is alone at it',
  *check(draft, { media }) {
    const users = new Map<string, FileUse>();
    for (const use of fileUses(draft)) {
      const file = media.get(use.reference);
      if (file?.status !== 'found') continue;
      const other = users.get(file.identity);
      // A writer is remembered in place of a reader: whoever comes later collides with it.
      if (other === undefined || use.access === 'rw') users.set(file.identity, use);
      if (other === undefined || (use.access === 'ro' && other.access === 'ro')) continue;
      yield {
        message: `${use.reference} is used by both ${nameOf(other)} and ${nameOf(use)}, and written`,
        at: use.at,
        related: [{ message: `${nameOf(other)} ${other.access === 'rw' ? 'writes' : 'reads'} it`, at: other.at }],
        hint: 'give each a file of its own, or let both only read',
      };
    }
  },
};

function nameOf({ partition, device, option }: FileUse): string {
  return `${partition} (${option} of ${device.name})`;
}
