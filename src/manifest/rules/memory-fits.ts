import { formatRange, formatSize } from '../quantities.ts';
import type { Rule } from '../rule.ts';

export const memoryFits: Rule = {
  code: 'BH206',
  severity: 'error',
  title: 'The RAM of all partitions fits the board',
  *check(draft) {
    const board = { message: `the board has ${formatSize(draft.board.memory)}`, at: ['board', 'memory'] };
    const wanted = draft.partitions.reduce((sum, { memory }) => sum + memory.size, 0);
    for (const { name, path, memory } of draft.partitions) {
      if (memory.base === undefined) {
        yield {
          message: `there is no room on the board for the ${formatSize(memory.size)} of ${name}`,
          at: [...path, 'memory'],
          related: [board],
          hint: wanted > draft.board.memory ? `all partitions together want ${formatSize(wanted)}` : 'the gaps between RAM placed by `base` are too small: move it',
        };
      } else if (memory.placedByHand && memory.base + memory.size > draft.board.memory) {
        yield {
          message: `the RAM of ${name}, ${formatRange(memory.base, memory.size)}, ends beyond the board's`,
          at: [...path, 'memory', 'base'],
          related: [board],
          hint: `its base can be at most 0x${Math.max(0, draft.board.memory - memory.size).toString(16)}`,
        };
      }
    }
  },
};
