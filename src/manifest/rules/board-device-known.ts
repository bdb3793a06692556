import type { Rule } from '../rule.ts';
import { suggestion } from '../suggest.ts';

export const boardDeviceKnown: Rule = {
  code: 'BH221',
  severity: 'error',
  title: 'Every device of the board that is owned is on the board',
  *check(draft) {
    const names = draft.board.devices.map((device) => device.name);
    for (const { devices } of draft.partitions) {
      for (const { board, path } of devices) {
        if (board === undefined || names.includes(board)) continue;
        yield {
          message: `the board has no device \`${board.slice(0, 40)}\``,
          at: [...path, 'board'],
          hint: names.length === 0 ? 'describe it under `board.devices`' : suggestion(board, names),
        };
      }
    }
  },
};
