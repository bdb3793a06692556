import type { Rule } from '../rule.ts';

export const bootInitrdKind: Rule = {
  code: 'BH256',
  severity: 'error',
  title: 'An initrd for Linux is an archive Linux unpacks',
  *check(draft, { images }) {
    for (const { name, path, boot } of draft.partitions) {
      const refusal = boot.initrd === undefined ? undefined : images.get(boot.initrd)?.refusals.initrd;
      // Other kernels take any file as a module.
      if (refusal === undefined || images.get(boot.kernel)?.description?.kind !== 'linux') continue;
      yield {
        message: `the initrd of ${name} cannot be used: ${refusal.problem}`,
        at: [...path, 'boot', 'initrd'],
        hint: 'give a cpio archive in `newc` format, compressed or not',
      };
    }
  },
};
