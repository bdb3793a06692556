/** How the command ends: every exit status, once. `--help` shows this table. */

export const EXIT_CODES = [
  { status: 0, name: 'ok', meaning: 'done' },
  { status: 1, name: 'failure', meaning: 'something failed; stderr says what' },
  { status: 2, name: 'usage', meaning: 'unknown command or wrong arguments' },
  { status: 3, name: 'manifestInvalid', meaning: 'the manifest has errors' },
  { status: 4, name: 'engineUnavailable', meaning: 'this host cannot run the engine a partition asks for' },
  { status: 5, name: 'partitionCrashed', meaning: 'a partition crashed and its policy ended the run' },
  { status: 124, name: 'timeout', meaning: '`--timeout` was over' },
  { status: 130, name: 'interrupted', meaning: 'ended by ^C (SIGINT)' },
  { status: 143, name: 'terminated', meaning: 'ended by SIGTERM' },
] as const;

export type ExitName = (typeof EXIT_CODES)[number]['name'];

/** `exitStatus('usage')` is 2. */
export function exitStatus(name: ExitName): number {
  return EXIT_CODES.find((code) => code.name === name)!.status;
}
