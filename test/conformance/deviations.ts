/**
 * Where QEMU 7.2's TCG and Bochs 2.7 do otherwise than the SDM demands in the payloads of PRIVILEGED_RUNS. The table of
 * docs/cpu-deviations.md is made of these rows.
 */
export type Oracle = 'qemu' | 'bochs';

export interface Deviation {
  readonly oracle: Oracle;
  readonly run: string;
  readonly checks: readonly string[];
  /** What the oracle does instead. */
  readonly instead: string;
  /** What says that it is wrong. */
  readonly rule: string;
}

/** The emulator ends, or loses its way, behind this check: the rest of the run says nothing. */
export interface LostRun {
  readonly oracle: Oracle;
  readonly run: string;
  readonly behind: string;
  readonly because: string;
}

const qemu = (run: string, checks: readonly string[], instead: string, rule: string): Deviation => ({ oracle: 'qemu', run, checks, instead, rule });

export const DEVIATIONS: readonly Deviation[] = [
  qemu('segments', [
    'down-16-below', 'down-16-above', 'down-32-below', 'down-empty', 'granular-beyond', 'granular-at-the-top', 'write-read-only',
    'rmw-read-only', 'write-through-cs', 'null-read', 'null-write', 'null-string',
  ], 'checks neither limit nor type of a segment, nor whether it is null', 'SDM 3A §5.3, §5.4.1, §5.5.1'),
  qemu('segments', ['ltr-null'], 'loads a null task register', 'SDM 2A, LTR'),
  qemu('gates', ['gate-to-conforming-runs-at-level-3'], 'CS has RPL 0 after a call gate to conforming code', 'SDM 2A, CALL: CS(RPL) ← CPL'),
  qemu('tasks', ['exception-saved-rf'], 'saves RF clear when a fault goes through a task gate', 'SDM 3B §18.3.1.1'),
  qemu('tasks', [
    'ldt-is-data-eip', 'ldt-in-ldt-eip', 'code-is-data-eip', 'code-is-null-eip', 'stack-is-null-eip', 'stack-is-code-eip',
    'stack-absent-eip', 'data-is-system-eip', 'data-absent-eip', 'eip-beyond-limit-eip',
  ], 'a fault in the new task has the EIP of the old one', 'SDM 3A §7.3, step 13'),
  qemu('tasks', ['stack-absent'], '#NP for an absent stack segment in the new task', 'SDM 3A table 7-1'),
  qemu('tasks', ['t-flag', 't-flag-dr6'], 'does not know the T flag', 'SDM 3A §7.2.1, SDM 3B §18.3.1.5'),
  qemu('v86', ['offset-beyond-64k', 'stack-beyond-64k'], 'checks no limit', 'SDM 3B §20.1.1'),
  qemu('v86', ['handler-must-be-at-level-0'], 'looks for a stack of level 2 first: #TS', 'SDM 3B §20.3.1'),
  qemu('debug', ['execute-rep'], 'a breakpoint on a repeated instruction hits at each iteration', 'SDM 3B §18.3.1.1: RF lasts for the instruction'),
  qemu('debug', [
    'length-2-masks-the-address', 'length-2-masks-the-address-dr6', 'length-2-masks-the-address-eip', 'length-2-ends', 'length-2-ends-dr6',
    'length-2-ends-eip',
  ], 'takes all bits of an unaligned breakpoint address', 'SDM 3B §18.2.5'),
  qemu('debug', ['write-two-dr6', 'step-and-write'], 'reports conditions that come together one by one', 'SDM 3B §18.2.3'),
  qemu('debug', ['port-outs'], 'an I/O breakpoint on repeated OUTS hits once', 'SDM 3B §18.3.1.2'),
  qemu('debug', ['general-detect', 'general-detect-dr6'], 'does not know DR7.GD', 'SDM 3B §18.3.1.3'),
  qemu('debug', ['fault-pushes-tf-and-rf'], 'does not push RF set for a fault', 'SDM 3B §18.3.1.1'),
  qemu('alignment', [
    'read-2', 'read-4', 'write-4', 'rmw-4', 'push', 'movsd', 'fld-8', 'write-4-wrote-nothing', 'across-a-page', 'popf-starts-it',
  ], 'has no alignment checks', 'SDM 3A §6.15, #AC'),
  qemu('protection', ['reserved-pte', 'reserved-in-2-mib-entry', 'nx-is-reserved-without-nxe'],
    'a fault for a reserved bit says that the page is not present', 'SDM 3A §4.7: RSVD only with P'),
  qemu('protection', ['smap-implicit'], 'lets RFLAGS.AC permit implicit accesses to user pages', 'SDM 3A §4.6.1'),
  { oracle: 'bochs', run: 'protection', checks: ['smap-implicit'], instead: 'lets RFLAGS.AC permit implicit accesses to user pages', rule: 'SDM 3A §4.6.1' },
  qemu('paging', ['absent-rmw-is-a-write', 'across-rmw'], 'a fault of a read-modify-write says that it was a read', 'SDM 3A §4.7: W/R of the access'),
  qemu('paging', [
    'large-page-bit-21-is-reserved', 'pae-reserved', 'pae-bit-62-is-reserved', 'pae-nx-without-nxe', 'pae-2-mib-bit-13-is-reserved',
  ], 'a fault for a reserved bit says that the page is not present', 'SDM 3A §4.7: RSVD only with P'),
  qemu('paging', ['pdptes-have-no-such-flags', 'pdptes-are-registers', 'pdptes-are-registers-cr2', 'pdpte-bit-1-is-reserved', 'pdpte-bit-5-is-reserved', 'pdpte-bit-51-is-reserved'],
    'walks PDPTEs as other tables: from memory each time, unchecked, with an accessed flag', 'SDM 3A §4.4.1'),
  qemu('monitor', ['mca-error-cannot-be-made', 'mca-no-further-bank', 'mca-capabilities-are-read-only'], 'lets software write what it likes', 'SDM 3B §16.3'),
  qemu('monitor', ['monitor-line-of-64-bytes'], 'says nothing of lines in CPUID leaf 5', 'SDM 2A, CPUID'),
  qemu('monitor', ['monitor-beyond-limit', 'monitor-null-segment', 'monitor-absent', 'monitor-absent-cr2', 'monitor-is-a-read'], 'MONITOR does not touch memory', 'SDM 2B, MONITOR'),
  qemu('monitor', ['monitor-switched-off', 'monitor-is-gone'], 'does not know IA32_MISC_ENABLE[18]', 'SDM 4 table 2-2'),
  { oracle: 'bochs', run: 'monitor', checks: ['mca-nothing-in-progress', 'mca-no-error', 'mca-error-can-be-cleared'], instead: 'has no registers behind IA32_MCG_CAP', rule: 'SDM 3B §16.3' },
  qemu('syscalls', ['syscall-masks-flags'], 'clears the arithmetic flags at SYSCALL whatever IA32_FMASK says', 'SDM 2B, SYSCALL'),
  qemu('syscalls', ['sysret-non-canonical', 'sysexit-non-canonical-rip', 'sysexit-non-canonical-rsp'],
    'goes to level 3 first and faults there', 'SDM 2B, SYSRET and SYSEXIT'),
  qemu('syscalls', ['compat-syscall', 'compat-syscall-cs'], 'has SYSCALL in compatibility mode, as AMD', 'SDM 2B, SYSCALL'),
];

export const LOST_RUNS: readonly LostRun[] = [
  { oracle: 'qemu', run: 'real', behind: 'stack-of-32-bits-call', because: 'real mode has no limits: it jumps beyond 64 KiB' },
  { oracle: 'qemu', run: 'gates', behind: 'inner-stack-beyond-gdt-error', because: 'an absent inner stack is #TS, for which there is no handler then' },
  { oracle: 'qemu', run: 'debug', behind: 'step-pushf-shows-tf', because: 'INT1 is undefined' },
  { oracle: 'qemu', run: 'paging', behind: 'pdpte-bit-51-is-reserved', because: 'the entries it did not load are gone' },
  { oracle: 'qemu', run: 'monitor', behind: 'monitor-is-gone', because: 'MWAIT is HLT, whatever was stored or switched off' },
  { oracle: 'qemu', run: 'protection', behind: 'without-pge-cr3-forgets-all', because: 'a RIP that is not canonical is entered' },
];

/** The rows of the table in docs/cpu-deviations.md. */
export function deviationRows(): string[] {
  const names = { qemu: 'QEMU', bochs: 'Bochs' } as const;
  return [
    ...DEVIATIONS.map(({ oracle, run, checks, instead, rule }) => `| \`${run}\` | ${checks.length} | ${names[oracle]} | ${instead} | ${rule} |`),
    ...LOST_RUNS.map(({ oracle, run, behind, because }) => `| \`${run}\` | from \`${behind}\` on | ${names[oracle]} | is lost: ${because} | – |`),
  ];
}
