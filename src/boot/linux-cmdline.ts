/**
 * The kernel command line that suits Debian's stock kernels on a software processor, option by option. Nothing here changes what the
 * system can do; it leaves out work (self-tests, mitigations, calibration) that costs instructions and protects nothing inside a partition.
 */

export interface CmdlineOption {
  readonly option: string;
  readonly why: string;
}

export const LINUX_CMDLINE: readonly CmdlineOption[] = [
  { option: 'console=ttyS0', why: 'kernel messages and /dev/console on the first UART' },
  { option: 'quiet', why: 'each message costs one exit per byte' },
  { option: 'cryptomgr.notests', why: 'skips 0.9 to 3.7 billion instructions of crypto self-tests' },
  { option: 'noisapnp', why: 'no search for ISA plug-and-play cards, which waits in busy loops' },
  { option: 'rodata=off', why: 'keeps the kernel on large pages' },
  { option: 'nokaslr', why: 'the same addresses in every run' },
  { option: 'mitigations=off', why: 'a software processor does not speculate' },
  { option: 'audit=0', why: 'no audit records' },
  { option: 'apparmor=0', why: 'no profiles are loaded' },
  { option: 'random.trust_cpu=on', why: 'no wait for entropy where the processor has RDRAND' },
  { option: 'init_on_alloc=0', why: 'does not clear each page twice' },
  { option: 'transparent_hugepage=never', why: 'does not clear 2 MiB for the first byte' },
  {
    option: 'initcall_blacklist=jent_mod_init,load_system_certificate_list,init_kprobe_trace,deferred_probe_initcall',
    why: 'jitter entropy measurement, certificate parsing and a probe time-out, together about 0.3 billion instructions',
  },
];

/** The options as one line, with `more` behind them. */
export function linuxCmdline(...more: readonly string[]): string {
  return [...LINUX_CMDLINE.map(({ option }) => option), ...more].join(' ');
}
