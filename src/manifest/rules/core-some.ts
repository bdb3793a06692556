import type { Rule } from '../rule.ts';

export const coreSome: Rule = {
  code: 'BH203',
  severity: 'error',
  title: 'Every partition owns at least one core',
  *check(draft) {
    for (const { name, path, cores } of draft.partitions) {
      if (cores.length === 0) yield { message: `${name} owns no core`, at: [...path, 'cores'], hint: 'name at least one, as in `cores: [1]`' };
    }
  },
};
