import type { Rule } from '../rule.ts';
import { lineCollisions } from './lines.ts';

export const boardIrq: Rule = {
  code: 'BH224',
  severity: 'error',
  title: 'No interrupt line of the board belongs to two of its devices',
  check: (draft) => lineCollisions(draft.board.devices, 'the board'),
};
