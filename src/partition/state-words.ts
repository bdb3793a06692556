/** A vCPU's architectural state as a row of 64-bit words, so that it can lie in memory that outlives the thread it describes. */
import type { SegmentName, VcpuState } from '../contracts/index.ts';

const GPRS = 16;
const SEGMENTS: readonly SegmentName[] = ['es', 'cs', 'ss', 'ds', 'fs', 'gs', 'ldtr', 'tr'];
const SEGMENT_WORDS = 4;
const TABLES = ['gdtr', 'idtr'] as const;
const SCALARS = ['rip', 'rflags', 'cr0', 'cr2', 'cr3', 'cr4', 'efer'] as const;

export const STATE_WORDS: number = GPRS + SEGMENTS.length * SEGMENT_WORDS + TABLES.length * 2 + SCALARS.length;

/** Writes `state` to `words` from `at` on; {@link STATE_WORDS} of them. */
export function packState(state: VcpuState, words: BigUint64Array, at: number): void {
  let next = at;
  const put = (value: bigint): void => {
    words[next++] = value;
  };
  for (let i = 0; i < GPRS; i++) put(state.gpr[i] ?? 0n);
  for (const name of SEGMENTS) {
    const { selector, base, limit, attributes } = state.segments[name];
    put(BigInt(selector));
    put(base);
    put(BigInt(limit));
    put(BigInt(attributes));
  }
  for (const name of TABLES) {
    put(state[name].base);
    put(BigInt(state[name].limit));
  }
  for (const name of SCALARS) put(state[name]);
}

/** What `packState` wrote. */
export function unpackState(words: BigUint64Array, at: number): VcpuState {
  let next = at;
  const take = (): bigint => words[next++] ?? 0n;
  const gpr = Array.from({ length: GPRS }, take);
  const segments = Object.fromEntries(
    SEGMENTS.map((name) => [name, { selector: Number(take()), base: take(), limit: Number(take()), attributes: Number(take()) }]),
  ) as VcpuState['segments'];
  const [gdtr, idtr] = TABLES.map(() => ({ base: take(), limit: Number(take()) })) as [VcpuState['gdtr'], VcpuState['idtr']];
  const scalars = Object.fromEntries(SCALARS.map((name) => [name, take()])) as Record<(typeof SCALARS)[number], bigint>;
  return { gpr, segments, gdtr, idtr, ...scalars };
}
