import { bootFiles } from '../images.ts';
import type { Rule } from '../rule.ts';

export const bootFileExists: Rule = {
  code: 'BH250',
  severity: 'error',
  title: 'Every boot file exists',
  *check(draft, { images }) {
    for (const { reference, role, partition } of bootFiles(draft)) {
      const file = images.get(reference)?.file;
      if (file?.status !== 'missing') continue;
      yield {
        message: `the ${role} of ${partition.name} cannot be read: ${file.reason}`,
        at: [...partition.path, 'boot', role],
        hint: file.hint ?? 'paths are relative to the manifest; `package:NAME` takes one from a package',
      };
    }
  },
};
