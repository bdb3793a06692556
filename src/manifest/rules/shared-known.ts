import type { Rule } from '../rule.ts';
import { suggestion } from '../suggest.ts';

export const sharedKnown: Rule = {
  code: 'BH240',
  severity: 'error',
  title: 'Whatever partitions share is declared under `shared:`',
  *check(draft) {
    const names = draft.shared.map((shared) => shared.name);
    for (const { devices } of draft.partitions) {
      for (const { shared, sharing, path } of devices) {
        if (shared === undefined || names.includes(shared)) continue;
        yield {
          message: `nothing named \`${shared.slice(0, 40)}\` is shared`,
          at: [...path, sharing],
          hint: names.length === 0 ? 'declare it under `shared:`, with its grants' : suggestion(shared, names),
        };
      }
    }
  },
};
