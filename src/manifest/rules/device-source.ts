import type { Rule } from '../rule.ts';

export const deviceSource: Rule = {
  code: 'BH118',
  severity: 'error',
  title: 'Each device of a partition is a model of its own or a device of the board, not both',
  *check(draft) {
    for (const partition of draft.partitions) {
      for (const device of partition.devices) {
        const written = device.board !== undefined && device.written.length > 0 ? device.written[0] : undefined;
        if (device.board === undefined && device.model === undefined && device.shared === undefined) {
          yield { message: `nothing says what \`${device.name}\` is`, at: device.path, key: true, hint: 'add `model:`, or `board:` for a device of the board' };
        } else if (device.board !== undefined && written === 'model') {
          yield {
            message: `\`${device.name}\` is both a device of the board and a model of its own`,
            at: [...device.path, 'model'],
            related: [{ message: 'the device of the board', at: [...device.path, 'board'] }],
            hint: 'keep one of `board:` and `model:`',
          };
        } else if (written !== undefined) {
          yield {
            message: `\`${written}\` of \`${device.name}\` belong to the board's device`,
            at: [...device.path, written],
            hint: `write \`${written}\` in \`board.devices.${device.board}\``,
          };
        }
      }
    }
  },
};
