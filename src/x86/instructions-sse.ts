import type { RowText } from './table.ts';

export const INSTRUCTIONS_SSE: readonly RowText[] = [];
