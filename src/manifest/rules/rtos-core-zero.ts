import type { Rule } from '../rule.ts';

export const rtosCoreZero: Rule = {
  code: 'BH204',
  severity: 'warning',
  title: 'A real-time partition keeps off core 0',
  *check(draft) {
    for (const { name, path, role, cores } of draft.partitions) {
      if (role !== 'rtos' || !cores.includes(0) || draft.board.cores === 1) continue;
      yield {
        message: `${name} is a real-time partition on core 0`,
        at: [...path, 'cores', cores.indexOf(0)],
        hint: 'core 0 takes the interrupts and the housekeeping of the platform: give it a core from 1 on',
      };
    }
  },
};
