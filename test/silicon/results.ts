/** What the long runs against the host CPU came to: results.json, which long-run.ts writes. */
import { readFileSync } from 'node:fs';
import type { Bits } from './cases.ts';

export interface SiliconResults {
  /** As /proc/cpuinfo names it. */
  readonly cpu: string;
  readonly seeds: readonly number[];
  /** Cases that agreed, by mnemonic and code width. */
  readonly cases: Readonly<Record<string, { readonly [bits in Bits]?: number }>>;
}

export const RESULTS_FILE: URL = new URL('./results.json', import.meta.url);

export function readResults(): SiliconResults {
  return JSON.parse(readFileSync(RESULTS_FILE, 'utf8')) as SiliconResults;
}
