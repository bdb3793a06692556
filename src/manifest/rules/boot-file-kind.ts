import type { Rule } from '../rule.ts';

export const bootFileKind: Rule = {
  code: 'BH252',
  severity: 'error',
  title: 'Every kernel is an image that can be booted',
  *check(draft, { images }) {
    for (const { name, path, boot } of draft.partitions) {
      const refusal = boot.protocol !== 'auto' ? undefined : images.get(boot.kernel)?.refusals.kernel;
      if (refusal === undefined) continue;
      yield {
        message: `the kernel of ${name} cannot be booted: ${refusal.problem}`,
        at: [...path, 'boot', 'kernel'],
        hint: refusal.hint ?? 'Linux, ELF and multiboot images are known by their bytes; a raw binary needs `protocol: flat` and `load:`',
      };
    }
  },
};
