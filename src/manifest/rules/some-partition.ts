import type { Rule } from '../rule.ts';

/** Far more than any board has cores for; it bounds what a machine made of one manifest can cost. */
const MOST = 64;

export const somePartition: Rule = {
  code: 'BH113',
  severity: 'error',
  title: 'A machine has from one to 64 partitions, of up to 64 devices each',
  *check(draft) {
    const count = draft.partitions.length;
    if (count === 0) yield { message: 'the machine has no partition', at: ['partitions'], hint: 'describe at least one under `partitions:`' };
    if (count > MOST) yield { message: `the machine has ${count} partitions`, at: ['partitions'], hint: `at most ${MOST} are run` };
    for (const partition of draft.partitions) {
      if (partition.devices.length <= MOST) continue;
      yield { message: `${partition.name} has ${partition.devices.length} devices`, at: [...partition.path, 'devices'], hint: `at most ${MOST}` };
    }
  },
};
