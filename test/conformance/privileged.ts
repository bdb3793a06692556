/**
 * The privileged side of a processor, as a test body for any engine: the payloads of PRIVILEGED_RUNS print exactly what the SDM
 * demands. An engine that runs on a host processor is called with that processor's own deviations, if it has any.
 */
import { describe, expect, it } from 'vitest';
import { PRIVILEGED_RUNS } from '../../guests/payloads/runs.ts';
import { DEVIATIONS, LOST_RUNS, type Oracle } from './deviations.ts';
import { differences, expectedText, imagePath, parseOutcome } from './outcome.ts';

export interface PrivilegedSubject {
  readonly name: string;
  /** Under which its deviations are listed; absent: it has none. */
  readonly oracle?: Oracle;
  /** Why it cannot be run here; undefined: it can. */
  readonly missing?: string;
  /** Runs the image to its end, and gives what it printed on COM1. */
  readonly run: (image: string) => string | Promise<string>;
}

export function describePrivileged(subject: PrivilegedSubject): void {
  describe(`the privileged side on ${subject.name}`, () => {
    it.for(PRIVILEGED_RUNS)('$name: what the SDM demands, but for the deviations that are known', { timeout: 60_000 }, async ({ name, image }, context) => {
      if (subject.missing !== undefined) {
        console.warn(`skipped: ${context.task.name}: ${subject.missing}`);
        context.skip(subject.missing);
      }
      const expected = parseOutcome(expectedText(name));
      const known = DEVIATIONS.filter(({ oracle, run }) => oracle === subject.oracle && run === name).flatMap(({ checks }) => checks);
      const lost = LOST_RUNS.find(({ oracle, run }) => oracle === subject.oracle && run === name);
      const names = [...expected.keys()];
      const compared = names.slice(0, lost === undefined ? names.length : names.indexOf(lost.behind) + 1);
      const found = parseOutcome(await subject.run(imagePath(image)));
      expect(differences(expected, found).filter((check) => compared.includes(check)).toSorted()).toEqual([...known].toSorted());
    });
  });
}
