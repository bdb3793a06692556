import type { Rule } from '../rule.ts';

export const wireEnds: Rule = {
  code: 'BH246',
  severity: 'error',
  title: 'A wire has no more than two ends',
  *check(draft) {
    for (const { name, path, tap, replay, controllers } of draft.wires) {
      const ends = [
        ...controllers.map(({ partition, device }) => ({ message: `${device.name} of ${partition}`, at: device.path })),
        ...(tap === undefined ? [] : [{ message: `the host's ${tap}`, at: [...path, 'tap'] }]),
        ...(replay === undefined ? [] : [{ message: `the recording ${replay}`, at: [...path, 'replay'] }]),
      ];
      if (ends.length <= 2) continue;
      yield {
        message: `the wire \`${name}\` has ${ends.length} ends: ${ends.map(({ message }) => message).join(', ')}`,
        at: path,
        key: true,
        related: ends,
        hint: 'give each pair of controllers a wire of its own',
      };
    }
  },
};
