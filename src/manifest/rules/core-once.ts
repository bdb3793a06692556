import { repeats } from '../collisions.ts';
import type { Rule } from '../rule.ts';

export const coreOnce: Rule = {
  code: 'BH202',
  severity: 'error',
  title: 'A partition lists each of its cores once',
  *check(draft) {
    for (const { name, path, cores } of draft.partitions) {
      for (const { key, first, again } of repeats(cores.map((core, index) => ({ key: core, owner: index })))) {
        yield {
          message: `${name} lists core ${key} twice`,
          at: [...path, 'cores', again],
          related: [{ message: 'first here', at: [...path, 'cores', first] }],
          hint: 'each vCPU has a core of its own: remove one',
        };
      }
    }
  },
};
