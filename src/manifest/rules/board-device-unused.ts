import type { Rule } from '../rule.ts';

export const boardDeviceUnused: Rule = {
  code: 'BH225',
  severity: 'warning',
  title: 'Every device of the board has an owner',
  *check(draft) {
    const owned = new Set(draft.partitions.flatMap((partition) => partition.devices.map((device) => device.board)));
    for (const { name, path } of draft.board.devices) {
      if (!owned.has(name)) yield { message: `nobody owns the board device \`${name}\``, at: path, key: true, hint: `give it to a partition with \`board: ${name}\`` };
    }
  },
};
