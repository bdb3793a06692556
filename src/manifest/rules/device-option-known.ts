import { allDevices } from '../draft.ts';
import type { Rule } from '../rule.ts';
import { suggestion } from '../suggest.ts';

export const deviceOptionKnown: Rule = {
  code: 'BH115',
  severity: 'error',
  title: 'Every option is one its model has',
  *check(draft) {
    for (const { known, model, path, options } of allDevices(draft)) {
      if (known === undefined) continue;
      for (const name of Object.keys(options)) {
        if (Object.hasOwn(known.options, name)) continue;
        yield {
          message: `\`${model}\` has no option \`${name.slice(0, 40)}\``,
          at: [...path, 'options', name],
          key: true,
          hint: suggestion(name, Object.keys(known.options)),
        };
      }
    }
  },
};
