import { allDevices } from '../draft.ts';
import type { Rule } from '../rule.ts';

export const deviceOptionValue: Rule = {
  code: 'BH116',
  severity: 'error',
  title: 'Every option has a value its model takes',
  *check(draft) {
    for (const { model, path, unreadable } of allDevices(draft)) {
      for (const { option, problem, hint } of unreadable) {
        yield { message: `option \`${option}\` of \`${model}\`: ${problem}`, at: [...path, 'options', option], hint };
      }
    }
  },
};
