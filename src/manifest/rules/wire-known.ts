import type { Rule } from '../rule.ts';
import { suggestion } from '../suggest.ts';

export const wireKnown: Rule = {
  code: 'BH245',
  severity: 'error',
  title: 'Every wire a cable leads to is described, and every cable has a network controller at its end',
  *check(draft) {
    const names = draft.wires.map(({ name }) => name);
    for (const { name: partition, devices } of draft.partitions) {
      for (const { name, wire, path, known, model, written } of devices) {
        if (wire === undefined) continue;
        const at = written.includes('wire') ? [...path, 'wire'] : path;
        if (!names.includes(wire)) {
          yield { message: `${name} of ${partition} is on the wire \`${wire.slice(0, 40)}\`, which is not described`, at, hint: suggestion(wire, names) };
        } else if (known !== undefined && known.network !== true) {
          yield { message: `${name} of ${partition} is a ${model}, which has no socket for a network cable`, at, hint: 'use a network controller, as in `model: e1000`' };
        }
      }
    }
  },
};
