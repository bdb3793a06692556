import { allDevices } from '../draft.ts';
import type { Rule } from '../rule.ts';

export const devicePlaced: Rule = {
  code: 'BH117',
  severity: 'error',
  title: 'Every register window of a device has a place',
  *check(draft) {
    for (const { name, model, path, misplaced } of allDevices(draft)) {
      for (const { key, problem, hint } of misplaced) {
        yield { message: `${name} (${model}) has no place: ${problem}`, at: key === undefined ? path : [...path, key], key: key === undefined, hint };
      }
    }
  },
};
