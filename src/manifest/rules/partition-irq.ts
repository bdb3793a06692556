import type { Rule } from '../rule.ts';
import { lineCollisions } from './lines.ts';

export const partitionIrq: Rule = {
  code: 'BH228',
  severity: 'error',
  title: 'No interrupt line of a partition is driven by two of its devices',
  *check(draft) {
    for (const { name, devices } of draft.partitions) yield* lineCollisions(devices, name);
  },
};
