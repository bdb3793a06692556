import type { Rule } from '../rule.ts';
import { suggestion } from '../suggest.ts';

export const grantKnown: Rule = {
  code: 'BH242',
  severity: 'error',
  title: 'Grants name partitions of the machine',
  *check(draft) {
    const names = draft.partitions.map((partition) => partition.name);
    for (const { name, grants } of draft.shared) {
      for (const { partition, path } of grants) {
        if (names.includes(partition)) continue;
        yield { message: `\`${name}\` is granted to \`${partition.slice(0, 40)}\`, which is no partition`, at: path, key: true, hint: suggestion(partition, names) };
      }
    }
  },
};
