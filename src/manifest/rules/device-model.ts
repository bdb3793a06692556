import { allDevices } from '../draft.ts';
import { isModuleReference } from '../modules.ts';
import type { Rule } from '../rule.ts';
import { suggestion } from '../suggest.ts';

export const deviceModel: Rule = {
  code: 'BH114',
  severity: 'error',
  title: 'Every model is in the device catalogue',
  *check(draft, { host }) {
    for (const { model, known, path } of allDevices(draft)) {
      if (model === undefined || known !== undefined || isModuleReference(model)) continue;
      yield {
        message: `there is no device model \`${model.slice(0, 40)}\``,
        at: [...path, 'model'],
        hint: suggestion(model, Object.keys(host.catalogue.models)),
      };
    }
  },
};
