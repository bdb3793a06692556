import type { Rule } from '../rule.ts';

export const wireUsed: Rule = {
  code: 'BH249',
  severity: 'warning',
  title: 'A wire leads from one end to another',
  *check(draft) {
    for (const { name, path, tap, replay, controllers } of draft.wires) {
      const [only] = controllers;
      if (only === undefined) {
        yield { message: `no controller is on the wire \`${name}\``, at: path, key: true, hint: `write \`wire: ${name}\` at a network controller` };
      } else if (controllers.length === 1 && tap === undefined && replay === undefined) {
        yield {
          message: `the wire \`${name}\` leads from ${only.device.name} of ${only.partition} to nowhere: its link is down`,
          at: path,
          key: true,
          hint: 'put a second controller on it, or give it `tap:` or `replay:`',
        };
      }
    }
  },
};
