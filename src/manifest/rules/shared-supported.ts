import type { Rule } from '../rule.ts';

/** What has a broker already. */
const RUNNING = ['console', 'disk', 'ethernet', 'memory', 'entropy'];

export const sharedSupported: Rule = {
  code: 'BH243',
  severity: 'error',
  title: 'Whatever is shared and used can be shared by this release',
  *check(draft) {
    for (const { name, devices } of draft.partitions) {
      for (const { shared, path } of devices) {
        const resource = draft.shared.find((candidate) => candidate.name === shared);
        if (resource === undefined || RUNNING.includes(resource.kind)) continue;
        yield {
          message: `${name} uses \`${resource.name}\`: sharing a ${resource.kind} is not supported yet`,
          at: [...path, 'shared'],
          related: [{ message: 'declared here', at: resource.path }],
          hint: `this release shares: ${RUNNING.join(', ')}. Declaring and granting it is fine, using it comes later`,
        };
      }
    }
  },
};
