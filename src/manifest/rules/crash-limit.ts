import type { Rule } from '../rule.ts';

export const crashLimit: Rule = {
  code: 'BH260',
  severity: 'error',
  title: 'A restart policy allows a restart, and only a restart policy has a limit',
  *check(draft) {
    for (const { name, path, onCrash } of draft.partitions) {
      const at = [...path, 'on-crash', 'limit'];
      if (onCrash.action === 'restart' && onCrash.limit === 0) {
        yield { message: `${name} is to restart, at most 0 times`, at, hint: 'give a limit of 1 or more, or use `on-crash: halt`' };
      } else if (onCrash.action !== 'restart' && onCrash.limit !== undefined) {
        yield { message: `${name} does not restart (\`${onCrash.action}\`), so nothing is limited`, at, key: true, hint: 'remove `limit`, or use `action: restart`' };
      }
    }
  },
};
