import { repeats } from '../collisions.ts';
import type { Rule } from '../rule.ts';

export const coreOwner: Rule = {
  code: 'BH200',
  severity: 'error',
  title: 'No core has two owners',
  *check(draft) {
    const uses = draft.partitions.flatMap(({ name, path, cores }) =>
      // A core listed twice by one partition is another rule's.
      [...new Set(cores)].map((core) => ({ key: core, owner: { name, at: [...path, 'cores', cores.indexOf(core)] } })),
    );
    const taken = new Set(uses.map((use) => use.key));
    const free = Array.from({ length: Math.min(draft.board.cores, 64) }, (_, core) => core).filter((core) => !taken.has(core));
    for (const { key, first, again } of repeats(uses)) {
      yield {
        message: `core ${key} is owned by both ${first.name} and ${again.name}`,
        at: again.at,
        related: [{ message: `${first.name} owns it here`, at: first.at }],
        hint: free.length > 0 ? `core${free.length > 1 ? 's' : ''} ${free.slice(0, 8).join(', ')} ${free.length > 1 ? 'have' : 'has'} no owner` : 'every core has an owner: give the board more',
      };
    }
  },
};
