import type { Rule } from '../rule.ts';
import { windowCollisions } from './windows.ts';

export const boardMmio: Rule = {
  code: 'BH223',
  severity: 'error',
  title: 'No memory-mapped address of the board belongs to two of its devices',
  check: (draft) => windowCollisions(draft.board.devices, 'mmio', 'the board'),
};
