import { PAGE } from '../placement.ts';
import type { Rule } from '../rule.ts';

export const memoryAligned: Rule = {
  code: 'BH208',
  severity: 'error',
  title: 'RAM is owned in whole pages of 4KiB',
  *check(draft) {
    if (draft.board.memory % PAGE !== 0) yield { message: "the board's RAM is no whole number of pages", at: ['board', 'memory'], hint: 'use a multiple of 4KiB' };
    for (const { name, path, memory } of draft.partitions) {
      if (memory.size % PAGE !== 0) yield { message: `the RAM of ${name} is no whole number of pages`, at: [...path, 'memory'], hint: 'use a multiple of 4KiB' };
      if (memory.placedByHand && memory.base! % PAGE !== 0) {
        yield { message: `the RAM of ${name} does not begin at a page`, at: [...path, 'memory', 'base'], hint: 'use a multiple of 0x1000' };
      }
    }
  },
};
