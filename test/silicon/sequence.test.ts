/**
 * Whole programs on the software engine and on the host CPU: see sequence-cases.ts. Interpreted, and with every block translated before
 * it runs. `BULKHEAD_CASES` programs of each kind and code width (default 60) and `BULKHEAD_SEED` (default: random, printed) choose the run.
 */
import { describe, expect, it } from 'vitest';
import { Random } from './cases.ts';
import { compileHarness, whatIsFaithful } from './native.ts';
import { FLAVOURS, makeSequence } from './sequence-cases.ts';
import { SoftMachine } from './soft.ts';
import { compareSequences, describeSequence, runSequencesNatively, shrinkSequence } from './sequence-run.ts';

const harness = compileHarness();
const { widths, missing } = whatIsFaithful(harness);
const count = Number(process.env['BULKHEAD_CASES'] ?? 60);
const seed = Number(process.env['BULKHEAD_SEED'] ?? Date.now() & 0x7fff_ffff);
const SIGILL = 4;
const MOST_SHOWN = 3;

describe(`programs on silicon, ${count} of each kind, seed ${seed}`, () => {
  const reason = harness.path === undefined ? ` (skipped: ${harness.reason})` : missing;
  const engines = [['interpreted', new SoftMachine({ translation: 'none' })], ['translated', new SoftMachine({ hotAfter: 0 })]] as const;
  for (const [bits, [how, machine]] of [64, 32].flatMap((bits) => engines.map((engine) => [bits as 64 | 32, engine] as const))) {
    it.skipIf(!widths.includes(bits)).each(FLAVOURS)(`%s, ${bits}-bit, ${how}: registers, flags and memory at the end are the same${reason}`, (flavour) => {
      const path = harness.path as string;
      const random = new Random(seed);
      const sequences = Array.from({ length: count }, () => makeSequence(random, bits, flavour));
      const wrong = compareSequences(path, machine, sequences).slice(0, MOST_SHOWN);
      const shown = wrong.map(({ sequence }) => {
        const small = shrinkSequence(path, machine, sequence);
        return `${compareSequences(path, machine, [small])[0]?.lines.join('; ')}\n${describeSequence(small)}`;
      });
      expect(shown.join('\n\n')).toBe('');
      // most come to their end, so that most of what was made was run
      const ends = runSequencesNatively(path, sequences).filter(({ signal }) => signal === SIGILL).length;
      expect(ends / count).toBeGreaterThan(0.5);
    }, 3_600_000);
  }
});
