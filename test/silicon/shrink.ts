/** Makes a case that shows a difference as small as it stays one: fewer prefixes, simpler registers, flags and memory. */
import type { Case } from './cases.ts';

/** Whether each of these still shows a difference: asked many at a time, because starting the oracle costs most. */
export type Judge = (cases: readonly Case[]) => readonly boolean[];

const PREFIXES = new Set([0x26, 0x2e, 0x36, 0x3e, 0x66, 0x67, 0xf0]);

function* simpler(test: Case): Generator<Case> {
  for (let i = 0; i < test.code.length - 1 && PREFIXES.has(test.code[i] as number); i++) yield { ...test, code: test.code.toSpliced(i, 1) };
  for (const [n, value] of test.gpr.entries()) {
    for (const candidate of [0n, 1n, value & 0xffn, value & 0xffff_ffffn]) {
      if (candidate < value) yield { ...test, gpr: test.gpr.with(n, candidate) };
    }
  }
  for (let bit = 1; bit < 0x1000; bit <<= 1) if (test.flags & bit & ~2) yield { ...test, flags: test.flags & ~bit };
  if (test.memory.some((byte) => byte !== 0)) yield { ...test, memory: new Uint8Array(test.memory.length) };
  for (let i = 0; i < test.memory.length; i++) if (test.memory[i] !== 0) yield { ...test, memory: test.memory.with(i, 0) };
}

/** A bound on rounds, each of which makes one thing simpler. */
const MOST_ROUNDS = 200;

export function shrink(test: Case, judge: Judge): Case {
  let smallest = test;
  for (let round = 0; round < MOST_ROUNDS; round++) {
    const candidates = [...simpler(smallest)];
    if (candidates.length === 0) break;
    const better = judge(candidates).indexOf(true);
    if (better < 0) break;
    smallest = candidates[better] as Case;
  }
  return smallest;
}
