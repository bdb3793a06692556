import { describe, expect, it } from 'vitest';
import type { GuestOutcome } from './run.ts';
import { complaintsIn, faultsOf } from './verdict.ts';

const guest = (changes: Partial<GuestOutcome> = {}): GuestOutcome => ({
  output: 'one\ntwo\n', status: 0, messages: '[0.0] Linux version 6.1\n', log: [], retired: 1, guestTime: 1, hostSeconds: 1, ...changes,
});

describe('complaintsIn', () => {
  it.each([
    'BUG: kernel NULL pointer dereference, address: 0000000000000000',
    'WARNING: CPU: 0 PID: 1 at kernel/time/timekeeping.c:1400',
    'rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:',
    'watchdog: BUG: soft lockup - CPU#0 stuck for 22s!',
    'INFO: task sh:77 blocked for more than 120 seconds.',
    'openssl[93]: segfault at 0 ip 00007f error 4',
    'traps: perl[12] trap invalid opcode ip:1 sp:2 error:0',
    "clocksource: timekeeping watchdog on CPU0: Marking clocksource 'tsc' as unstable because the skew is too large:",
  ])('finds %s', (line) => expect(complaintsIn(`[1.0] fine\n[1.1] ${line}\n`)).toEqual([`[1.1] ${line}`]));

  it('finds nothing in what every boot says', () => {
    const boot = ['Linux version 6.1.0', 'tsc: Detected 1000.000 MHz processor', 'rcu: RCU CPU stall warnings timeout set to 21.'];
    expect(complaintsIn(boot.map((line) => `[0.0] ${line}\n`).join(''))).toEqual([]);
  });
});

describe('faultsOf', () => {
  it('finds nothing where guest and host agree', () => expect(faultsOf(guest(), { output: 'one\ntwo\n', status: 0 })).toEqual([]));

  it('shows the lines that differ, and a missing one', () => {
    expect(faultsOf(guest(), { output: 'one\n2\n', status: 0 })).toEqual(['line 2: guest: two, host: 2']);
    expect(faultsOf(guest({ output: 'one' }), { output: 'one\ntwo', status: 0 })).toEqual(['line 2: guest: (nothing), host: two']);
  });

  it('expects the status of the host, or success where there is no host to compare with', () => {
    expect(faultsOf(guest({ status: 1 }))).toEqual(['status 1, and 0 is expected']);
    expect(faultsOf(guest({ status: 1 }), { output: 'one\ntwo\n', status: 1 })).toEqual([]);
  });

  it('holds complaints of the kernel and of the engine against a run', () => {
    const faults = faultsOf(guest({ messages: '[9.0] Oops: 0002 [#1]\n', log: ['warning: undefined instruction 0f 0b'] }));
    expect(faults).toEqual(['kernel: [9.0] Oops: 0002 [#1]', 'engine: warning: undefined instruction 0f 0b']);
  });
});
