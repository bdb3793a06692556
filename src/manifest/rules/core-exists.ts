import type { Rule } from '../rule.ts';

export const coreExists: Rule = {
  code: 'BH201',
  severity: 'error',
  title: 'Every core a partition owns is on the board',
  *check(draft) {
    for (const { name, path, cores } of draft.partitions) {
      for (const [index, core] of cores.entries()) {
        if (core < draft.board.cores) continue;
        yield {
          message: `${name} owns core ${core}, which the board does not have`,
          at: [...path, 'cores', index],
          related: [{ message: `the board has ${draft.board.cores} cores, numbered from 0`, at: ['board', 'cores'] }],
          hint: `use cores 0 to ${draft.board.cores - 1}, or give the board more`,
        };
      }
    }
  },
};
