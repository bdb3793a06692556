import type { Rule } from '../rule.ts';

export const wireStations: Rule = {
  code: 'BH247',
  severity: 'error',
  title: 'Two controllers on a wire have different addresses',
  *check(draft) {
    for (const { name, controllers } of draft.wires) {
      for (const [index, { partition, device }] of controllers.entries()) {
        const mac = String(device.options['mac'] ?? '').toLowerCase();
        const other = controllers.slice(0, index).find((candidate) => String(candidate.device.options['mac'] ?? '').toLowerCase() === mac);
        if (mac === '' || other === undefined) continue;
        yield {
          message: `${device.name} of ${partition} and ${other.device.name} of ${other.partition} have the same address on the wire \`${name}\``,
          at: device.path,
          related: [{ message: `${other.device.name} is described here`, at: other.device.path }],
          hint: 'change one `mac:`, or leave both out: they are made from the names then',
        };
      }
    }
  },
};
