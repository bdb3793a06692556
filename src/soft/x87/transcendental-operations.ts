import type { Core } from '../core.ts';

export const TRANSCENDENTAL_OPERATIONS: Readonly<Record<string, (core: Core, record: number) => void>> = {};
