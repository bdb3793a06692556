import type { Rule } from '../rule.ts';

export const diskImage: Rule = {
  code: 'BH283',
  severity: 'error',
  title: 'Every shared disk lies in an image that can be used',
  *check(draft, { disks }) {
    for (const { name, kind, path, written } of draft.shared) {
      if (kind !== 'disk') continue;
      const disk = disks.get(name);
      if (disk === undefined) {
        yield { message: `nothing says what the disk \`${name}\` lies in`, at: path, key: true, hint: 'add `image:`, a raw or qcow2 file' };
      } else if (disk.status === 'unusable') {
        yield {
          message: `the disk \`${name}\` cannot be used: ${disk.reason}`,
          at: [...path, written.image === undefined ? 'kind' : 'image'],
          hint: disk.hint ?? 'paths are relative to the manifest',
        };
      }
    }
  },
};
