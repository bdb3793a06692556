// The privileged side of the processor on the software engine, always; on QEMU and Bochs, the other opinions, where they are installed.
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { PRIVILEGED_RUNS } from '../../guests/payloads/runs.ts';
import { Guest } from '../support/guest.ts';
import { bochsIsInstalled, runOnBochs } from './bochs.ts';
import { DEVIATIONS, deviationRows } from './deviations.ts';
import { differences, expectedText, parseOutcome } from './outcome.ts';
import { describePrivileged } from './privileged.ts';
import { qemuIsInstalled, runOnQemu } from './qemu.ts';

/** Far more than any of them needs. */
const INSTRUCTIONS = 3e7;

describePrivileged({
  name: 'the software engine',
  run: (image) => {
    const guest = new Guest(image, { cpus: 1 });
    guest.run({ instructions: INSTRUCTIONS });
    return guest.console;
  },
});
describePrivileged({
  name: 'QEMU', oracle: 'qemu', run: runOnQemu,
  ...(qemuIsInstalled() ? {} : { missing: 'qemu-system-x86_64 is not installed' }),
});
describePrivileged({
  name: 'Bochs', oracle: 'bochs', run: runOnBochs,
  ...(bochsIsInstalled() ? {} : { missing: 'bochs is not installed' }),
});

describe('what is expected', () => {
  it.each(PRIVILEGED_RUNS)('$name passes every check, comes to its end, and names no check twice', ({ name }) => {
    const text = expectedText(name);
    expect(text).not.toMatch(/^(fail|skip)/m);
    expect(text).toMatch(/^done$/m);
    expect(parseOutcome(text).size).toBe(text.trim().split('\n').length);
  });

  it('a wrong value, a missing check and a check that is skipped are told apart', () => {
    const expected = parseOutcome('ok a\nsum b 1\nok c-1\nok d\n');
    expect(differences(expected, parseOutcome('ok a\nsum b 2\nskip c-\n'))).toEqual(['b', 'd']);
    expect(differences(expected, parseOutcome('fail a got 1 want 2\nsum b 1\nok c-1\nok d\n'))).toEqual(['a']);
  });

  it('every deviation names checks that there are', () => {
    for (const { run, checks } of DEVIATIONS) {
      const expected = parseOutcome(expectedText(run));
      for (const check of checks) expect(expected.has(check), `${run}: ${check}`).toBe(true);
    }
  });

  it('docs/cpu-deviations.md lists every deviation', () => {
    const text = readFileSync(new URL('../../docs/cpu-deviations.md', import.meta.url), 'utf8');
    const columns = 5;
    const rows = text.split('\n').filter((line) => line.startsWith('| `') && line.split(' | ').length === columns);
    expect(rows).toEqual(deviationRows());
  });
});
