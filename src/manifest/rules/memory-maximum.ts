import { GiB } from '../../base/index.ts';
import { formatSize } from '../quantities.ts';
import type { Rule } from '../rule.ts';

/** A guest sees its RAM in one piece from address 0; the last GiB below 4 GiB belongs to PCI windows and the APICs (SDM 3A §11.4.1). */
const MAXIMUM = 3 * GiB;

export const memoryMaximum: Rule = {
  code: 'BH209',
  severity: 'error',
  title: 'No partition has more RAM than a guest can be shown',
  *check(draft) {
    for (const { name, path, memory } of draft.partitions) {
      if (memory.size <= MAXIMUM) continue;
      yield { message: `${formatSize(memory.size)} are more RAM than ${name} can be shown`, at: [...path, 'memory'], hint: `this release gives a partition at most ${formatSize(MAXIMUM)}` };
    }
  },
};
