import { bootFiles } from '../images.ts';
import type { Rule } from '../rule.ts';

export const bootFileFetched: Rule = {
  code: 'BH251',
  severity: 'warning',
  title: 'Every boot file is here to be looked into',
  *check(draft, { images }) {
    for (const { reference, role, partition } of bootFiles(draft)) {
      const file = images.get(reference)?.file;
      if (file?.status !== 'pending') continue;
      yield {
        message: `the ${role} of ${partition.name} was not looked into: ${file.reason}`,
        at: [...partition.path, 'boot', role],
        hint: file.hint ?? '`bulkhead run` fetches it first',
      };
    }
  },
};
