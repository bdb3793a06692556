import type { Rule } from '../rule.ts';
import { windowCollisions } from './windows.ts';

export const partitionPorts: Rule = {
  code: 'BH226',
  severity: 'error',
  title: 'No port of a partition belongs to two of its devices',
  *check(draft) {
    for (const { name, devices } of draft.partitions) yield* windowCollisions(devices, 'pio', name);
  },
};
