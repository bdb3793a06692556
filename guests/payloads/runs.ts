/**
 * How each payload is run and how it ends: one table for the tests here and for every engine's conformance tests.
 * The output of a run, without its `note` lines, is `expected/<name>.txt`.
 */

/** Exit statuses as QEMU's isa-debug-exit makes them of a written value: `(value << 1) | 1`. */
export const PAYLOAD_OK = (0x10 << 1) | 1;
export const PAYLOAD_FAILED = (0x01 << 1) | 1;
/** The RTOS writes this when it panics. */
export const RTOS_PANIC = (0x11 << 1) | 1;

export interface PayloadRun {
  /** Names the run and its file of expected output. */
  readonly name: string;
  /** Image under `images/`. */
  readonly image: string;
  readonly commandLine: string;
  readonly cpus: number;
  /** The status written to the debug-exit port, or the triple fault that it ends with. */
  readonly end: number | 'triple-fault';
}

function run(name: string, options: Partial<Omit<PayloadRun, 'name'>> = {}): PayloadRun {
  return { name, image: `${name}.elf`, commandLine: '', cpus: 1, end: PAYLOAD_OK, ...options };
}

/**
 * The privileged side of the processor. Their expected output is what the SDM demands, which no emulator holds in all: they are
 * compared check by check, with each emulator's known deviations (test/conformance).
 */
export const PRIVILEGED_RUNS: readonly PayloadRun[] = [
  run('real'),
  run('segments'),
  run('gates'),
  run('tasks'),
  run('v86'),
  run('debug'),
  run('alignment'),
  run('protection'),
  run('paging'),
  run('monitor'),
  run('syscalls'),
];

export const PAYLOAD_RUNS: readonly PayloadRun[] = [
  run('hello'),
  run('modes'),
  run('faults'),
  run('interrupts'),
  run('smp', { cpus: 2 }),
  run('selfmod'),
  run('alu'),
  run('alu64'),
  run('loop'),
  // `gentle`: QEMU 7.2 never comes back from a timer that is due again at once; other engines should run without it.
  run('hostile', { commandLine: 'mode=ports mode=sweep mode=flood mode=spin gentle' }),
  run('hostile-triple', { image: 'hostile.elf', commandLine: 'mode=triple', end: 'triple-fault' }),
];
