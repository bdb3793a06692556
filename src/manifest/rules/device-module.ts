import { allDevices } from '../draft.ts';
import type { Rule } from '../rule.ts';

export const deviceModule: Rule = {
  code: 'BH123',
  severity: 'error',
  title: 'Every device module can be loaded and describes a device',
  *check(draft, { modules }) {
    for (const { model, path } of allDevices(draft)) {
      const module = model === undefined ? undefined : modules.get(model);
      if (module?.status !== 'refused') continue;
      yield { message: `${model} cannot be used as a device: ${module.problem}`, at: [...path, 'model'], hint: module.hint };
    }
  },
};
