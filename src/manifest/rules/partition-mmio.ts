import type { Rule } from '../rule.ts';
import { windowCollisions } from './windows.ts';

export const partitionMmio: Rule = {
  code: 'BH227',
  severity: 'error',
  title: 'No memory-mapped address of a partition belongs to two of its devices',
  *check(draft) {
    for (const { name, devices } of draft.partitions) yield* windowCollisions(devices, 'mmio', name);
  },
};
