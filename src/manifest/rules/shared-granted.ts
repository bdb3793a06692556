import type { Rule } from '../rule.ts';

export const sharedGranted: Rule = {
  code: 'BH241',
  severity: 'error',
  title: 'Who uses something shared was granted it',
  *check(draft) {
    for (const partition of draft.partitions) {
      for (const { shared, sharing, path } of partition.devices) {
        const resource = draft.shared.find((candidate) => candidate.name === shared);
        if (resource === undefined || resource.grants.some((grant) => grant.partition === partition.name)) continue;
        yield {
          message: `${partition.name} uses \`${resource.name}\`, which was not granted to it`,
          at: [...path, sharing],
          related: [{ message: `${resource.name} is granted to ${resource.grants.map((grant) => grant.partition).join(', ') || 'nobody'}`, at: [...resource.path, 'grants'] }],
          hint: `add \`${partition.name}: { access: rw }\` to the grants`,
        };
      }
    }
  },
};
