// The bare-metal guests of guests/payloads on the software engine. Each checks itself and says so; where QEMU's output is kept, ours is the same.
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { Guest, type GuestOptions } from './support/guest.ts';

/** What a payload writes to the debug-exit port when nothing failed, as the port reports it: (0x10 << 1) | 1. */
const SUCCESS = 0x21;

const PAYLOADS: readonly { readonly name: string; readonly instructions: number; readonly options?: GuestOptions }[] = [
  { name: 'hello', instructions: 1e6 },
  { name: 'modes', instructions: 1e6 },
  { name: 'faults', instructions: 1e7 },
  { name: 'interrupts', instructions: 5e8 },
  { name: 'smp', instructions: 2e8, options: { cpus: 2 } },
  { name: 'selfmod', instructions: 1e7 },
  { name: 'alu', instructions: 5e7 },
  { name: 'alu64', instructions: 5e7 },
];

describe('payload', () => {
  it.each(PAYLOADS)('$name finds nothing wrong', ({ name, instructions, options }) => {
    const guest = new Guest(`guests/payloads/images/${name}.elf`, options);
    guest.run({ instructions });
    expect(guest.lines.filter((line) => line.startsWith('fail'))).toEqual([]);
    expect(guest.lines.at(-1)).toBe('done');
    expect(guest.partition.end).toEqual({ state: 'halted', reason: 'debug-exit', code: SUCCESS });

    const expected = fileURLToPath(new URL(`../guests/payloads/expected/${name}.txt`, import.meta.url));
    if (existsSync(expected)) expect(guest.console).toBe(readFileSync(expected, 'utf8').replaceAll('\r', ''));
  });

  it('hostile is contained: all it achieves is its own triple fault', () => {
    const guest = new Guest('guests/payloads/images/hostile.elf', { cmdline: 'mode=all' });
    guest.run({ instructions: 3e8 });
    expect(guest.lines.at(-1)).toBe('ok triple-fault-follows');
    expect(guest.partition.end).toMatchObject({ state: 'crashed', report: { kind: 'triple-fault', vcpu: 0 } });
  });
});

describe('the same guest with the same input', () => {
  it.each(['interrupts', 'smp'])('%s does the same at the same instruction, in every run', (name) => {
    const run = (): unknown => {
      const guest = new Guest(`guests/payloads/images/${name}.elf`, { cpus: 2 });
      guest.run({ instructions: 3e6 });
      return [guest.console, guest.partition.retired, guest.partition.clock.now(), guest.partition.registers()];
    };
    expect(run()).toEqual(run());
  });
});
