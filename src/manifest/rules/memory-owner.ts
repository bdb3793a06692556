import { collisions } from '../collisions.ts';
import { formatRange } from '../quantities.ts';
import type { Rule } from '../rule.ts';

export const memoryOwner: Rule = {
  code: 'BH205',
  severity: 'error',
  title: 'No byte of RAM has two owners',
  *check(draft) {
    const placed = draft.partitions.flatMap(({ name, path, memory }) =>
      memory.base === undefined ? [] : [{ start: memory.base, end: memory.base + memory.size, owner: { name, at: [...path, 'memory'] } }],
    );
    for (const [first, second] of collisions(placed)) {
      const end = Math.min(first.end, second.end);
      yield {
        message: `RAM ${formatRange(second.start, end - second.start)} is owned by both ${first.owner.name} and ${second.owner.name}`,
        at: second.owner.at,
        key: true,
        related: [{ message: `${first.owner.name} owns ${formatRange(first.start, first.end - first.start)}`, at: first.owner.at }],
        hint: 'leave `base` out to have the RAM placed, or move one of the two',
      };
    }
  },
};
