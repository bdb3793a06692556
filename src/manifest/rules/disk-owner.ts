import { windowOf } from '../disks.ts';
import type { Rule } from '../rule.ts';

export const diskOwner: Rule = {
  code: 'BH285',
  severity: 'error',
  title: 'Whoever writes a part of a shared disk is alone at it',
  *check(draft, { disks }) {
    for (const { name, grants } of draft.shared) {
      const disk = disks.get(name);
      const parts = grants.flatMap((grant) => {
        const window = windowOf(grant, disk);
        return window === undefined ? [] : [{ grant, start: window.offset, end: window.offset + window.size }];
      });
      for (const [index, part] of parts.entries()) {
        const other = parts
          .slice(0, index)
          .find(({ grant, start, end }) => start < part.end && part.start < end && (grant.access === 'rw' || part.grant.access === 'rw'));
        if (other === undefined) continue;
        const { grant } = part;
        yield {
          message: `${grant.partition} and ${other.grant.partition} both have bytes ${Math.max(part.start, other.start)} to ${Math.min(part.end, other.end) - 1} of \`${name}\`, and one of them writes`,
          at: grant.path,
          related: [{ message: `${other.grant.partition} ${other.grant.access === 'rw' ? 'writes' : 'reads'} them`, at: other.grant.path }],
          hint: 'give each a `window:` of its own, or let both only read (`access: ro`)',
        };
      }
    }
  },
};
