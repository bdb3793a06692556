import type { Rule } from '../rule.ts';

export const bootFileKind: Rule = {
  code: 'BH252',
  severity: 'error',
  title: 'Every kernel is an image that can be booted',
  *check(draft, { images }) {
    for (const { name, path, boot } of draft.partitions) {
      const image = images.get(boot.kernel);
      const bootable = image?.description !== undefined && image.description.kind !== 'flat';
      if (boot.protocol === 'flat' || image?.file.status !== 'found' || bootable) continue;
      yield {
        message: `the kernel of ${name} is no image this release can boot`,
        at: [...path, 'boot', 'kernel'],
        hint: 'Linux, ELF and multiboot images are known by their bytes; a raw binary needs `protocol: flat` and `load:`',
      };
    }
  },
};
