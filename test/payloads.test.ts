// The bare-metal guests of guests/payloads on the software engine: each prints, byte for byte, what it printed on QEMU, and ends as it did there.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { PAYLOAD_OK, PAYLOAD_RUNS, type PayloadRun } from '../guests/payloads/runs.ts';
import { Guest } from './support/guest.ts';

/** Far more than any payload needs: one that is lost does not run for ever. */
const INSTRUCTIONS = 3e8;

/** Payloads wait for timers in loops: on a slow core they have fewer rounds to run. */
function boot({ image, commandLine, cpus }: PayloadRun): Guest {
  // `gentle` spares QEMU a timer that is due again at once.
  const cmdline = commandLine.replace(' gentle', '');
  return new Guest(`guests/payloads/images/${image}`, { cpus, cmdline, instructionsPerMicrosecond: 100 });
}

describe('payload', () => {
  it.each(PAYLOAD_RUNS)('$name prints what is expected and ends as it should', (run) => {
    const guest = boot(run);
    guest.run({ instructions: INSTRUCTIONS });
    const expected = readFileSync(fileURLToPath(new URL(`../guests/payloads/expected/${run.name}.txt`, import.meta.url)), 'latin1');
    expect(guest.console.split('\n').filter((line) => !line.startsWith('note '))).toEqual(expected.split('\n'));
    if (run.end === 'triple-fault') {
      expect(guest.partition.end).toMatchObject({ state: 'crashed', report: { kind: 'triple-fault', vcpu: 0 } });
    } else {
      expect(guest.partition.end).toEqual({ state: 'halted', reason: 'debug-exit', code: run.end });
    }
  });

  it('faults holds what the SDM demands and QEMU does not check: limits, null segments, LOCK, exact error codes', () => {
    const guest = boot({ name: 'faults', image: 'faults.elf', commandLine: 'faults strict', cpus: 1, end: PAYLOAD_OK });
    guest.run({ instructions: INSTRUCTIONS });
    expect(guest.console).not.toMatch(/^fail/m);
    expect(guest.console).toContain('ok segment-limit\n');
    expect(guest.partition.end).toEqual({ state: 'halted', reason: 'debug-exit', code: PAYLOAD_OK });
  });

  it.each(PAYLOAD_RUNS.filter(({ name }) => name === 'interrupts' || name === 'smp'))(
    '$name does the same at the same instruction in every run',
    (run) => {
      const outcome = (): unknown => {
        const guest = boot(run);
        guest.run({ instructions: 3e6 });
        return [guest.console, guest.partition.retired, guest.partition.clock.now(), guest.partition.registers()];
      };
      expect(outcome()).toEqual(outcome());
    },
  );
});
