import { repeats } from '../collisions.ts';
import type { Rule } from '../rule.ts';

export const boardDeviceOwner: Rule = {
  code: 'BH220',
  severity: 'error',
  title: 'No device of the board has two owners',
  *check(draft) {
    const uses = draft.partitions.flatMap(({ name, devices }) =>
      devices.flatMap(({ board, path, name: device }) => (board === undefined ? [] : [{ key: board, owner: { name, device, at: [...path, 'board'] } }])),
    );
    for (const { key, first, again } of repeats(uses)) {
      yield {
        message:
          first.name === again.name
            ? `${first.name} owns the board device \`${key}\` twice, as ${first.device} and as ${again.device}`
            : `the board device \`${key}\` is owned by both ${first.name} and ${again.name}`,
        at: again.at,
        related: [{ message: `${first.name} owns it here`, at: first.at }],
        hint: 'remove it from one of the two: a device that several need is declared under `shared:` and granted',
      };
    }
  },
};
