import type { Rule } from '../rule.ts';
import { windowCollisions } from './windows.ts';

export const boardPorts: Rule = {
  code: 'BH222',
  severity: 'error',
  title: 'No port of the board belongs to two of its devices',
  check: (draft) => windowCollisions(draft.board.devices, 'pio', 'the board'),
};
